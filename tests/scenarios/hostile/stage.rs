//! Where hostile inputs are tried: a gateway with one worker, an origin that writes down what reaches it, and a
//! well-behaved client that must not notice anything.

use std::{net::SocketAddr, time::Duration};

use portcullis_tests::harness::{Answer, Documents, Gateway, Options, Origin, Probe, RawClient, Reply, Seen};

/// What the well-behaved client asks for.
const PROBE: &str = "GET /probe HTTP/1.1\r\nhost: a.example\r\n\r\n";
/// How much longer than twice as long the well-behaved client's exchanges may take: machines that test are busy.
const SLACK: Duration = Duration::from_millis(40);

/// What an attack may cost, beyond what it costs to serve the well-behaved client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Memory, in KiB.
    pub(super) memory_kib: u64,
    /// Time on the CPU.
    pub(super) cpu: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { memory_kib: 10 * 1024, cpu: Duration::from_secs(2) }
    }
}

/// A gateway, and what it is between.
pub(super) struct Stage {
    pub(super) origin: Origin,
    pub(super) gateway: Gateway,
    pub(super) address: SocketAddr,
}

/// The documents: on `a.example`, what is below a prefix is inference and what is below `/raw` is anything, all of it at
/// the origin. Nothing else leads anywhere.
pub(super) fn documents(origin: SocketAddr, prefix: &str) -> Documents {
    format!(
        r#"apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge, namespace: hostile}}
spec:
  gatewayClassName: portcullis
  listeners:
  - {{name: http, protocol: HTTP, port: 80}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {{name: everyone, namespace: hostile}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: edge}}]
  authentication: {{anonymous: {{actions: ['*']}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: all, namespace: hostile}}
spec:
  parentRefs: [{{name: edge}}]
  hostnames: [a.example]
  rules:
  - matches:
    - path: {{type: PathPrefix, value: "{prefix}"}}
    - path: {{type: Exact, value: /probe}}
    backendRefs: [{{group: portcullis.dev, kind: InferenceBackend, name: origin}}]
  - matches:
    - path: {{type: PathPrefix, value: /raw}}
    backendRefs: [{{name: raw, port: 80}}]
---
apiVersion: v1
kind: Service
metadata: {{name: raw, namespace: hostile}}
spec:
  ports: [{{port: 80, targetPort: {port}}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: raw, namespace: hostile, labels: {{kubernetes.io/service-name: raw}}}}
addressType: IPv4
ports: [{{port: {port}}}]
endpoints: [{{addresses: [{ip}]}}]
---
apiVersion: portcullis.dev/v1alpha1
kind: TransportPolicy
metadata: {{name: raw, namespace: hostile}}
spec:
  targetRefs: [{{group: "", kind: Service, name: raw}}]
  transport: {{plaintext: {{}}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {{name: origin, namespace: hostile}}
spec:
  protocol: openai
  engine: other
  models: [m]
  endpoints: [{{address: {ip}, port: {port}}}]
  transport: {{plaintext: {{}}}}
"#,
        ip = origin.ip(),
        port = origin.port()
    )
    .into()
}

impl Stage {
    /// An origin that answers `hi`.
    pub(super) async fn start() -> Self {
        Self::answering(|_| Reply::Bytes(hi())).await
    }

    /// An origin that answers as a function says, but the well-behaved client.
    pub(super) async fn answering(answering: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(&[], "/", answering).await
    }

    /// With further arguments for the gateway and another prefix.
    pub(super) async fn with(
        arguments: &[&str],
        prefix: &str,
        answering: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let origin = Origin::start(move |seen| match seen.target.as_str() {
            "/probe" => Reply::Bytes(hi()),
            _ => answering(seen),
        })
        .await;
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let options = Options { arguments, ..Options::default() };
        let gateway = Gateway::start(&documents(origin.address(), prefix), options).await;
        let address = gateway.addr("hostile/edge", 80).await;
        Self { origin, gateway, address }
    }

    /// What reached the origin, but for the well-behaved client's requests.
    pub(super) fn reached(&self) -> Vec<Seen> {
        self.origin.seen().into_iter().filter(|seen| seen.target != "/probe").collect()
    }

    /// Does something hostile, while a well-behaved client goes on. It must not notice, and the gateway must not pay more
    /// than this.
    pub(super) async fn unharmed<T>(&self, bounds: Bounds, attack: impl AsyncFnOnce() -> T) -> T {
        let quiet = self.probed().await;
        let (memory_before, cpu_before) = (self.gateway.resident_kib(), self.gateway.cpu());
        let probe = Probe::start(self.address, PROBE);
        let result = attack().await;
        let memory = self.gateway.resident_kib().saturating_sub(memory_before);
        let cpu = self.gateway.cpu().saturating_sub(cpu_before);
        let probed = tokio::task::spawn_blocking(|| probe.stop()).await.unwrap();
        assert_eq!(probed.failures, [""; 0], "a well-behaved client notices");
        let (before, during) = (quiet.median(), probed.median());
        assert!(during <= before * 2 + SLACK, "a well-behaved client waits {during:?} instead of {before:?}");
        assert!(memory <= bounds.memory_kib, "{memory} KiB more");
        // Each of the well-behaved client's exchanges costs something too.
        let served = u32::try_from(probed.latencies.len()).unwrap_or(u32::MAX);
        let cpu = cpu.saturating_sub(before * served);
        assert!(cpu <= bounds.cpu, "{cpu:?} on the CPU");
        result
    }

    async fn probed(&self) -> portcullis_tests::harness::Probed {
        let address = self.address;
        let quiet = tokio::task::spawn_blocking(move || Probe::once(address, PROBE)).await.unwrap();
        assert_eq!(quiet.failures, [""; 0], "a well-behaved client is served");
        quiet
    }

    /// Sends one request that must be refused with this status, after which the connection must be closed. Nothing may
    /// reach the origin.
    pub(super) async fn refused_and_closed(&self, request: impl AsRef<[u8]>, status: u16) -> Answer {
        let before = self.reached().len();
        let told = String::from_utf8_lossy(request.as_ref()).chars().take(200).collect::<String>();
        let mut client = RawClient::connect(self.address).await;
        // A refusal may come before everything was sent.
        let _ = client.try_send(request).await;
        let answer = client.try_answer().await.unwrap_or_else(|error| panic!("{told:?}: {error}"));
        assert_eq!(answer.status, status, "{told:?}: {answer:?}");
        let rest = client.read_until_close(Duration::from_secs(10)).await;
        assert_eq!(rest.as_deref(), Some(&b""[..]), "{told:?} is answered once, and the connection closed");
        assert_eq!(self.reached().len(), before, "{told:?} reached the origin");
        answer
    }
}

/// `200` with a body.
pub(super) fn hi() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".to_vec()
}
