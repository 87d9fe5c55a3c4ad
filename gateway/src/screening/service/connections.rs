//! Connections to one guard, kept while it is asked often.
//!
//! A connection that lay idle for longer than most servers keep one is dropped. One that the server has closed meanwhile is
//! no failure of the guard: the question is put once more, over a fresh one. Putting it twice does no harm.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use portcullis_certs::verify::Authorities;
use rustls::ClientConfig;
use tokio::{task::JoinHandle, time::Instant};

use crate::fetch::{self, FetchError, HttpUrl, Response};

/// Connections that are kept while nobody asks.
pub const IDLE_CONNECTIONS_MAX: usize = 32;
/// How long one is kept; `uvicorn` closes after five seconds.
pub const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(4);

/// The connections to one guard.
pub struct Connections {
    url: HttpUrl,
    tls: Option<Arc<ClientConfig>>,
    idle: Mutex<VecDeque<(Connection, Instant)>>,
}

/// One connection. Dropping it closes it.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connections {
    /// None yet.
    pub fn new(url: HttpUrl, authorities: &Authorities) -> Result<Self, String> {
        let tls = url.is_tls().then(|| fetch::client_tls(authorities)).transpose()?;
        Ok(Self { url, tls, idle: Mutex::default() })
    }

    /// Posts a body; the answer has at most so many bytes. Who calls has a deadline, and a runtime on which sockets live.
    pub async fn post(&self, headers: HeaderMap, body: Bytes, bytes_max: usize) -> Result<Response, FetchError> {
        if let Some(kept) = self.take() {
            match self.exchange(kept, headers.clone(), body.clone(), bytes_max).await {
                // It may have been closed while it lay idle.
                Err(FetchError::Http(_)) => {}
                answered => return answered,
            }
        }
        self.exchange(self.open().await?, headers, body, bytes_max).await
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        headers: HeaderMap,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<Response, FetchError> {
        let request = fetch::request(Method::POST, &self.url, headers, body)?;
        let response = connection.sender.send_request(request).await.map_err(|error| fetch::broken(&error))?;
        let response = fetch::read(response, false, bytes_max).await?;
        self.keep(connection);
        Ok(response)
    }

    async fn open(&self) -> Result<Connection, FetchError> {
        let tcp = fetch::connect(&self.url).await?;
        match &self.tls {
            Some(tls) => Connection::over(fetch::handshake(tls, &self.url, tcp).await?).await,
            None => Connection::over(tcp).await,
        }
    }

    /// The one that was used last: the others may age.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some((connection, since)) = idle.pop_back() {
            if since.elapsed() < IDLE_CONNECTION_TIMEOUT && connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Whether the server keeps it, too, is looked at when it is taken.
    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        while idle.front().is_some_and(|(_, since)| since.elapsed() >= IDLE_CONNECTION_TIMEOUT) {
            idle.pop_front();
        }
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push_back((connection, Instant::now()));
        }
    }

    /// What is kept is whole, whatever its thread was doing when it ended.
    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    async fn over<Stream>(stream: Stream) -> Result<Self, FetchError>
    where
        Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = fetch::http1(stream).await?;
        let task = tokio::spawn(async move {
            // Its error is told to who sends.
            let _ = connection.await;
        });
        Ok(Self { sender, task })
    }
}
