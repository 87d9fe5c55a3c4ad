//! A running load: clients of every kind, one request after the other, who remember whatever went wrong.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Method, Request};
use portcullis_tests::harness::{H2Client, RawClient, Tls, eventually};
use tokio::{net::TcpStream, task::JoinSet};

use super::{EVENTS, HOST, event_texts, get};

/// What each client must have done before something is said to have happened under load.
const EACH: usize = 5;

/// The clients. Dropping it ends them without asking how they fared.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

/// What a client does, again and again.
#[derive(Debug, Clone, Copy)]
enum Work {
    KeepAlive,
    KeepAliveTls,
    /// A connection for each request.
    OneEach,
    Http2,
    /// A stream of events on a connection of its own, over TLS.
    Events,
}

/// What one client knows.
struct Client {
    shared: Arc<Shared>,
    index: usize,
    http: SocketAddr,
    tls: Tls,
    https: SocketAddr,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// A refused connection is what was to be expected.
    may_be_refused: AtomicBool,
    done: Mutex<Vec<usize>>,
    failures: Mutex<Vec<String>>,
}

impl Load {
    /// Starts the clients.
    pub(crate) fn start(http: SocketAddr, https: SocketAddr) -> Self {
        let mut load = Self { shared: Arc::default(), clients: JoinSet::new() };
        for work in [Work::KeepAlive, Work::KeepAliveTls, Work::OneEach, Work::Http2, Work::Events] {
            let mut done = load.shared.done.lock().unwrap();
            done.push(0);
            let index = done.len() - 1;
            let client = Client { shared: load.shared.clone(), index, http, https, tls: Tls::new().server_name(HOST) };
            load.clients.spawn(async move {
                if let Err(failure) = client.work(work).await {
                    client.shared.failures.lock().unwrap().push(format!("{work:?}: {failure}"));
                }
            });
        }
        load
    }

    /// Waits until every client has done some more. Panics if one has failed.
    pub(crate) async fn more(&self) {
        let before = self.shared.done.lock().unwrap().clone();
        eventually("every client goes on", async || {
            let failures = self.shared.failures.lock().unwrap();
            assert!(failures.is_empty(), "{failures:#?}");
            let done = self.shared.done.lock().unwrap();
            done.iter().zip(&before).all(|(now, before)| *now >= before + EACH)
        })
        .await;
    }

    /// From now on a client whose connection is refused ends content: there is nobody to connect to.
    pub(crate) fn may_be_refused(&self) {
        self.shared.may_be_refused.store(true, SeqCst);
    }

    /// Ends the clients. Panics if any request of any of them has failed.
    pub(crate) async fn end(mut self) -> usize {
        self.shared.stop.store(true, SeqCst);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        let failures = self.shared.failures.lock().unwrap();
        assert!(failures.is_empty(), "{failures:#?}");
        self.shared.done.lock().unwrap().iter().sum()
    }
}

impl Client {
    async fn work(&self, work: Work) -> Result<(), String> {
        match work {
            Work::KeepAlive => self.keep_alive(false).await,
            Work::KeepAliveTls => self.keep_alive(true).await,
            Work::OneEach => self.one_each().await,
            Work::Http2 => self.h2().await,
            Work::Events => self.events().await,
        }
    }

    fn goes_on(&self) -> bool {
        !self.shared.stop.load(SeqCst)
    }

    fn done(&self) {
        self.shared.done.lock().unwrap()[self.index] += 1;
    }

    async fn tcp(&self, address: SocketAddr) -> Result<Option<TcpStream>, String> {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true).unwrap();
                Ok(Some(stream))
            }
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused && self.shared.may_be_refused.load(SeqCst) =>
            {
                Ok(None)
            }
            Err(error) => Err(format!("connecting to {address}: {error}")),
        }
    }

    async fn connect(&self, tls: bool) -> Result<Option<RawClient>, String> {
        if tls { self.connect_tls().await } else { self.connect_tcp().await }
    }

    async fn connect_tcp(&self) -> Result<Option<RawClient>, String> {
        Ok(self.tcp(self.http).await?.map(RawClient::over))
    }

    async fn connect_tls(&self) -> Result<Option<RawClient>, String> {
        let Some(stream) = self.tcp(self.https).await? else { return Ok(None) };
        let tls = self.tls.clone().alpn(&["http/1.1"]).over(stream).await;
        Ok(Some(RawClient::over(tls.map_err(|error| format!("handshake: {error}"))?)))
    }

    /// One request after the other on one connection, for as long as the server keeps it.
    async fn keep_alive(&self, tls: bool) -> Result<(), String> {
        let mut kept: Option<RawClient> = None;
        while self.goes_on() {
            if let Some(mut idle) = kept.take() {
                // As every client does: one that the server has closed is not used again.
                if idle.read_until_close(Duration::ZERO).await.is_none() {
                    kept = Some(idle);
                }
            }
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => match self.connect(tls).await? {
                    Some(connection) => connection,
                    None => return Ok(()),
                },
            };
            if ask(&mut connection, "/").await? {
                kept = Some(connection);
            }
            self.done();
        }
        Ok(())
    }

    async fn one_each(&self) -> Result<(), String> {
        while self.goes_on() {
            let Some(mut connection) = self.connect_tcp().await? else { return Ok(()) };
            ask(&mut connection, "/").await?;
            self.done();
        }
        Ok(())
    }

    async fn events(&self) -> Result<(), String> {
        while self.goes_on() {
            let Some(mut connection) = self.connect_tls().await? else { return Ok(()) };
            connection.try_send(get("/events")).await.map_err(|error| format!("sending: {error}"))?;
            let answer = connection.try_answer().await.map_err(|error| format!("no stream: {error}"))?;
            if answer.text() != event_texts(EVENTS) {
                return Err(format!("not every event came: {answer:?}"));
            }
            self.done();
        }
        Ok(())
    }

    /// One request after the other on one connection, until the server says that it takes no more.
    async fn h2(&self) -> Result<(), String> {
        while self.goes_on() {
            let Some(stream) = self.tcp(self.https).await? else { return Ok(()) };
            let tls = self.tls.clone().alpn(&["h2"]).over(stream).await;
            let client = H2Client::over(tls.map_err(|error| format!("handshake: {error}"))?).await;
            while self.goes_on() {
                // An error here means that the connection takes no more requests; nothing was sent.
                let Ok(mut send) = client.sender().ready().await else { break };
                let request = Request::builder().method(Method::GET).uri(format!("https://{HOST}/")).body(()).unwrap();
                let Ok((answer, _)) = send.send_request(request, true) else { break };
                let answer = answer.await.map_err(|error| format!("no answer: {error}"))?;
                let status = answer.status().as_u16();
                let mut body = answer.into_body();
                while let Some(piece) = body.data().await {
                    let piece = piece.map_err(|error| format!("half an answer: {error}"))?;
                    body.flow_control().release_capacity(piece.len()).unwrap();
                }
                if status != 200 {
                    return Err(format!("status {status}"));
                }
                self.done();
            }
        }
        Ok(())
    }
}

/// One request and its answer; whether the connection is kept.
async fn ask(connection: &mut RawClient, target: &str) -> Result<bool, String> {
    connection.try_send(get(target)).await.map_err(|error| format!("sending: {error}"))?;
    let answer = connection.try_answer().await.map_err(|error| format!("no answer: {error}"))?;
    if (answer.status, answer.text().as_str()) != (200, "hi") {
        return Err(format!("{answer:?}"));
    }
    Ok(!answer.header("connection").is_some_and(|option| option.eq_ignore_ascii_case("close")))
}
