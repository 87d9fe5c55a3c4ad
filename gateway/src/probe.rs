//! One active health check: `GET` a path of an endpoint; 2xx is healthy.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use portcullis_mesh::connections::{TargetTls, connect_tcp};
use tokio_rustls::TlsConnector;

/// Whether the endpoint is well. Whoever asks watches the time.
pub async fn probe(address: SocketAddr, path: Arc<str>, tls: Option<Arc<TargetTls>>) -> bool {
    try_probe(address, &path, tls).await.unwrap_or(false)
}

async fn try_probe(
    address: SocketAddr,
    path: &str,
    tls: Option<Arc<TargetTls>>,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let stream = connect_tcp(address).await?;
    let request =
        http::Request::get(path).header(http::header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let Some(tls) = tls else { return ask(TokioIo::new(stream), request).await };
    // Whatever ALPN the data plane offers, a check speaks HTTP/1.1.
    let mut config = (*tls.config).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TlsConnector::from(Arc::new(config)).connect(tls.server_name.clone(), stream).await?;
    ask(TokioIo::new(stream), request).await
}

async fn ask<S>(
    stream: S,
    request: http::Request<Empty<Bytes>>,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>>
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let answer = async move { sender.send_request(request).await };
    tokio::select! {
        answer = answer => Ok(answer?.status().is_success()),
        _ = connection => Ok(false),
    }
}
