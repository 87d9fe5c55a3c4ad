//! What most scenarios need: documents for one open gateway, and small origins behind it.

use std::{
    net::SocketAddr,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use portcullis_tests::harness::{
    Answer, Documents, Gateway, H2Client, Options, Origin, PATIENCE, RawClient, Reply, binary,
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

/// A Gateway with one plain listener, open to everyone.
pub(crate) const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: portcullis
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: open, namespace: default}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  authentication: {anonymous: {actions: ['*']}}
";

/// A Service of this name, its port 80 led to one address without TLS.
pub(crate) fn service(name: &str, address: SocketAddr) -> String {
    service_speaking(name, address, "http")
}

/// The same with an `appProtocol`.
pub(crate) fn service_speaking(name: &str, address: SocketAddr, protocol: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default}}
spec: {{ports: [{{name: main, port: 80, appProtocol: {protocol}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: default, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
endpoints: [{{addresses: [{ip}]}}]
ports: [{{name: main, port: {port}}}]
---
apiVersion: portcullis.dev/v1alpha1
kind: TransportPolicy
metadata: {{name: {name}, namespace: default}}
spec:
  targetRefs: [{{group: \"\", kind: Service, name: {name}}}]
  transport: {{plaintext: {{}}}}
"
    )
}

/// An InferenceBackend without TLS. `more`: further fields of its spec, each on its own line.
pub(crate) fn inference_backend(name: &str, protocol: &str, address: SocketAddr, more: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    let grpc = if protocol == "kserve-v2" { format!(", grpcPort: {port}") } else { String::new() };
    format!(
        "---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {{name: {name}, namespace: default}}
spec:
  protocol: {protocol}
  endpoints: [{{address: {ip}, port: {port}{grpc}}}]
  transport: {{plaintext: {{}}}}
{}",
        indented(more, 2)
    )
}

/// A reference to an InferenceBackend, for `backendRefs`.
pub(crate) fn to_inference(name: &str) -> String {
    format!("{{group: portcullis.dev, kind: InferenceBackend, name: {name}}}")
}

/// An HTTPRoute of the Gateway `edge`. `spec`: the rest of its spec.
pub(crate) fn http_route(name: &str, spec: &str) -> String {
    route("HTTPRoute", name, spec)
}

/// A GRPCRoute of the Gateway `edge`.
pub(crate) fn grpc_route(name: &str, spec: &str) -> String {
    route("GRPCRoute", name, spec)
}

fn route(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: {name}, namespace: default}}
spec:
  parentRefs: [{{name: edge}}]
{}",
        indented(spec, 2)
    )
}

fn indented(text: &str, by: usize) -> String {
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("{:by$}{line}\n", "")).collect()
}

/// An answer of HTTP/1.1 with this body.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    answer(200, &[], body)
}

/// An answer with this status, these further headers and this body.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} Status\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// An origin that answers with its name.
pub(crate) async fn named(name: &'static str) -> Origin {
    Origin::start(move |_| Reply::Bytes(ok(name))).await
}

/// A gateway with one worker, and where its port 80 is.
pub(crate) struct Edge {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
}

impl Edge {
    /// Starts a gateway with these documents beside [`GATEWAY`].
    pub(crate) async fn start(documents: &[String]) -> Self {
        Self::start_with(documents, Options::default()).await
    }

    /// The same, started in a certain way.
    pub(crate) async fn start_with(documents: &[String], options: Options) -> Self {
        let gateway = Gateway::start(&together(documents), options).await;
        let address = gateway.addr("default/edge", 80).await;
        Self { gateway, address }
    }

    /// A connection of HTTP/1.1.
    pub(crate) async fn client(&self) -> RawClient {
        RawClient::connect(self.address).await
    }

    /// A connection of HTTP/2.
    pub(crate) async fn h2(&self) -> H2Client {
        H2Client::connect(self.address).await
    }

    /// Sends a request without a body, on a connection of its own. `headers`: lines, each with its line end.
    pub(crate) async fn get(&self, host: &str, target: &str, headers: &str) -> Answer {
        self.request("GET", host, target, headers, "").await
    }

    /// Sends any request, on a connection of its own.
    pub(crate) async fn request(&self, method: &str, host: &str, target: &str, headers: &str, body: &str) -> Answer {
        self.client().await.exchange(request(method, host, target, headers, body)).await
    }
}

/// [`GATEWAY`] and further documents.
pub(crate) fn together(documents: &[String]) -> Documents {
    Documents::from(format!("{GATEWAY}{}", documents.concat()))
}

/// A request of HTTP/1.1, as text.
pub(crate) fn request(method: &str, host: &str, target: &str, headers: &str, body: &str) -> String {
    let length =
        if body.is_empty() && method == "GET" { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n{headers}{length}\r\n{body}")
}

/// Runs `portcullis` with these arguments to its end.
pub(crate) fn portcullis(arguments: &[&str]) -> Output {
    Command::new(binary("portcullis")).args(arguments).output().expect("portcullis can be started")
}

/// One request of HTTP/2 as an [`H2Origin`] saw it.
#[derive(Debug, Clone)]
pub(crate) struct H2Seen {
    pub(crate) path: String,
    pub(crate) authority: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the body ended as it should.
    pub(crate) is_whole: bool,
}

/// What an [`H2Origin`] answers.
#[derive(Debug, Clone)]
pub(crate) struct H2Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<Vec<(&'static str, String)>>,
}

impl H2Reply {
    /// A gRPC answer: these messages, and OK.
    pub(crate) fn grpc(messages: &[&[u8]]) -> Self {
        let body = messages.iter().flat_map(|message| grpc_message(message)).collect::<Vec<_>>();
        Self {
            status: 200,
            headers: vec![("content-type", "application/grpc".to_owned())],
            body: body.into(),
            trailers: Some(vec![("grpc-status", "0".to_owned())]),
        }
    }
}

/// A message of gRPC in its frame.
pub(crate) fn grpc_message(message: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

/// A server that speaks HTTP/2 without TLS, reads each request to its end, and answers.
pub(crate) struct H2Origin {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<H2Seen>>>,
    accepting: JoinHandle<()>,
}

type H2Answering = dyn Fn(&H2Seen) -> H2Reply + Send + Sync;

impl H2Origin {
    /// Answers as a function says.
    pub(crate) async fn start(answering: impl Fn(&H2Seen) -> H2Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (record, answering) = (Arc::clone(&seen), Arc::new(answering) as Arc<H2Answering>);
        let accepting = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tasks.spawn(serve_h2(stream, Arc::clone(&record), Arc::clone(&answering)));
            }
        });
        Self { address, seen, accepting }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, those included that were cut off.
    pub(crate) fn seen(&self) -> Vec<H2Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for H2Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve_h2(stream: TcpStream, seen: Arc<Mutex<Vec<H2Seen>>>, answering: Arc<H2Answering>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut tasks = tokio::task::JoinSet::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (seen, answering) = (Arc::clone(&seen), Arc::clone(&answering));
        tasks.spawn(async move {
            let (parts, mut stream) = request.into_parts();
            let mut body = BytesMut::new();
            let mut is_whole = true;
            while let Some(piece) = stream.data().await {
                let Ok(piece) = piece else {
                    is_whole = false;
                    break;
                };
                let _ = stream.flow_control().release_capacity(piece.len());
                body.extend_from_slice(&piece);
            }
            let request = H2Seen {
                path: parts.uri.path().to_owned(),
                authority: parts.uri.authority().map(ToString::to_string).unwrap_or_default(),
                headers: parts.headers,
                body: body.freeze(),
                is_whole,
            };
            let reply = answering(&request);
            seen.lock().unwrap().push(request);
            let mut head = Response::builder().status(reply.status).body(()).unwrap();
            for (name, value) in &reply.headers {
                head.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
            }
            let ends = reply.body.is_empty() && reply.trailers.is_none();
            let Ok(mut send) = respond.send_response(head, ends) else { return };
            if !reply.body.is_empty() {
                let _ = send.send_data(reply.body, reply.trailers.is_none());
            }
            if let Some(trailers) = reply.trailers {
                let pairs = trailers
                    .into_iter()
                    .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap()));
                let _ = send.send_trailers(pairs.collect());
            }
        });
    }
}

/// Reads the head of a request.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let reading = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a head"));
        }
        String::from_utf8(head).unwrap()
    };
    timeout(PATIENCE, reading).await.expect("a request reaches the origin")
}

/// An origin whose every byte a test sends itself.
pub(crate) struct Puppet {
    listener: TcpListener,
}

impl Puppet {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Takes the next connection, and reads its first request's head. The rest is the test's.
    pub(crate) async fn request(&self) -> (String, TcpStream) {
        let received = async {
            let (mut stream, _) = self.listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            (read_head(&mut stream).await, stream)
        };
        timeout(PATIENCE, received).await.expect("a request reaches the origin")
    }

    /// The same, over HTTP/2: every request of every connection, as they come.
    pub(crate) fn h2_requests(self) -> H2Requests {
        let (send, requests) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = self.listener.accept().await {
                let send = send.clone();
                tasks.spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok(request)) = connection.accept().await {
                        let _ = send.send(request);
                    }
                });
            }
        });
        H2Requests { requests, accepting }
    }
}

type H2Request = (http::Request<h2::RecvStream>, h2::server::SendResponse<Bytes>);

/// The requests that reach a [`Puppet`] over HTTP/2.
pub(crate) struct H2Requests {
    requests: mpsc::UnboundedReceiver<H2Request>,
    accepting: JoinHandle<()>,
}

impl H2Requests {
    /// The next one.
    pub(crate) async fn next(&mut self) -> H2Request {
        let request = timeout(PATIENCE, self.requests.recv()).await;
        request.expect("a request reaches the origin").expect("the origin is there")
    }
}

impl Drop for H2Requests {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
