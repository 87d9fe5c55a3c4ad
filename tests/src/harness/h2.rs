//! A client of HTTP/2 whose streams, trailers and resets a test can see.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use h2::client::{SendRequest, handshake};
use http::{HeaderMap, Request, Response};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::{PATIENCE, Tls};

/// One connection of HTTP/2. Clones share it.
#[derive(Clone)]
pub struct H2Client {
    send: SendRequest<Bytes>,
}

/// A whole answer of HTTP/2.
#[derive(Debug)]
pub struct H2Answer {
    /// The head.
    pub head: http::response::Parts,
    /// The body.
    pub body: Bytes,
    /// The trailers, if any came.
    pub trailers: Option<HeaderMap>,
}

impl H2Answer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl H2Client {
    /// Connects without TLS, knowing that the other end speaks HTTP/2.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_nodelay(true).unwrap();
        Self::over(stream).await
    }

    /// Connects with TLS; `h2` must be what the server chooses.
    pub async fn connect_tls(address: SocketAddr, tls: &Tls) -> std::io::Result<Self> {
        let stream = tls.clone().alpn(&["h2"]).connect(address).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "the server speaks HTTP/2");
        Ok(Self::over(stream).await)
    }

    /// Talks over a connection that is there already.
    pub async fn over(wire: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (send, connection) = timeout(PATIENCE, handshake(wire)).await.expect("a preface").expect("HTTP/2");
        tokio::spawn(async move {
            // Whoever waits for an answer learns how the connection ended.
            let _ = connection.await;
        });
        Self { send }
    }

    /// For what the rest of this type does not do.
    pub fn sender(&self) -> SendRequest<Bytes> {
        self.send.clone()
    }

    /// Sends a request and reads its whole answer.
    pub async fn send(&self, request: Request<impl Into<Bytes>>) -> Result<H2Answer, h2::Error> {
        timeout(PATIENCE, self.exchange(request)).await.expect("an answer comes")
    }

    async fn exchange(&self, request: Request<impl Into<Bytes>>) -> Result<H2Answer, h2::Error> {
        let (parts, body) = request.into_parts();
        let body: Bytes = body.into();
        let mut send = self.send.clone().ready().await?;
        let (answer, mut stream) = send.send_request(Request::from_parts(parts, ()), body.is_empty())?;
        if !body.is_empty() {
            // Whoever refuses a request need not read it: what became of it is told by the answer.
            let _ = stream.send_data(body, true);
        }
        read(answer.await?).await
    }
}

/// Reads an answer to its end.
async fn read(answer: Response<h2::RecvStream>) -> Result<H2Answer, h2::Error> {
    let (head, mut stream) = answer.into_parts();
    let mut body = BytesMut::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    let trailers = stream.trailers().await?;
    Ok(H2Answer { head, body: body.freeze(), trailers })
}
