//! Asking others over HTTP: an identity provider for its documents, its keys and its opinion of a credential, a guard for
//! its opinion of a text.
//!
//! Whatever the other does, an answer is bounded in time and size and comes from the host that was asked: no redirect is
//! followed. [`HttpsClient`] asks rarely and never on the hot path, so it makes a connection for each question, over TLS
//! alone, and resumes TLS sessions; who asks often keeps connections and builds on the same parts. What the answer means is
//! for others.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HOST, USER_AGENT},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use portcullis_certs::{
    crypto_provider,
    verify::{Authorities, ServerVerifier},
};
use portcullis_mesh::connections::connect_tcp;
use rustls::{ClientConfig, client::Resumption};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The time a question may take, from looking up the name to the last byte of the answer.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that connecting to one address may take, before the next one is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The body of an answer. The largest key sets of public issuers have some 30 KiB.
pub const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
/// The head of an answer.
const RESPONSE_HEAD_BYTES_MAX: usize = 64 * 1024;
/// TLS sessions kept for resumption.
const SESSIONS_MAX: usize = 32;

/// Who asks identity providers, and whose certificates it takes.
#[derive(Debug, Clone)]
pub struct HttpsClient {
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

/// An `http` or `https` URL without user information and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    uri: Uri,
    /// Without the brackets of an IPv6 address.
    host: Box<str>,
    port: u16,
    is_tls: bool,
}

/// An [`HttpUrl`] that is `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsUrl(HttpUrl);

/// What a provider answered. A redirect is never one.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status; 304 only if the question was conditional.
    pub status: StatusCode,
    /// All fields of the head.
    pub headers: HeaderMap,
    /// At most [`RESPONSE_BYTES_MAX`], and not encoded.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not a URL that can be asked.
    #[error("`{0}` is not an https URL of a host and a path")]
    Url(Box<str>),
    /// The name has no address.
    #[error("cannot look up `{host}`: {error}")]
    Resolve {
        /// Which.
        host: Box<str>,
        /// Why.
        error: std::io::Error,
    },
    /// No address could be connected to.
    #[error("cannot connect to {address}: {error}")]
    Connect {
        /// The last that was tried.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The server is not who it should be, or does not speak TLS as we do.
    #[error("TLS with `{host}`: {error}")]
    Tls {
        /// Whom we asked for.
        host: Box<str>,
        /// Why.
        error: std::io::Error,
    },
    /// The answer is not HTTP, or broke off.
    #[error("HTTP: {0}")]
    Http(Box<str>),
    /// The server wants us to ask somebody else.
    #[error("answered {0}: redirects are not followed; name the URL that answers")]
    Redirect(StatusCode),
    /// The answer is larger than anybody needs.
    #[error("the answer has more bytes than are taken")]
    TooLarge,
    /// The answer is compressed although we did not ask for that.
    #[error("the answer is encoded, which was not asked for")]
    Encoded,
    /// [`FETCH_TIMEOUT`], or less.
    #[error("no answer in time")]
    TimedOut,
}

impl FetchError {
    /// A word for metric labels.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::Resolve { .. } => "resolve",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Http(_) => "http",
            Self::Redirect(_) => "redirect",
            Self::TooLarge => "too_large",
            Self::Encoded => "encoded",
            Self::TimedOut => "timeout",
        }
    }
}

impl HttpUrl {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        let refused = || FetchError::Url(text.into());
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let authority = uri.authority().ok_or_else(refused)?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refused()),
        };
        // A fragment would be dropped in silence, and user information would go into logs.
        if authority.as_str().contains('@') || text.contains('#') {
            return Err(refused());
        }
        let port = match authority.as_str().rsplit_once(':') {
            // The last colon of `[::1]` is not the one of a port.
            Some((_, digits)) if !digits.ends_with(']') => digits.parse().map_err(|_| refused())?,
            _ if is_tls => 443,
            _ => 80,
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || port == 0 {
            return Err(refused());
        }
        let host = host.into();
        Ok(Self { uri, host, port, is_tls })
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is `https`.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl HttpsUrl {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        let url = HttpUrl::parse(text)?;
        if url.is_tls { Ok(Self(url)) } else { Err(FetchError::Url(text.into())) }
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        self.0.host()
    }
}

impl std::fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.uri.fmt(f)
    }
}

impl std::fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Response {
    /// The media type, lower case and without parameters: `application/json`.
    pub fn media_type(&self) -> Option<String> {
        let text = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    /// The entity tag, as it is to be sent back in `If-None-Match`.
    pub fn etag(&self) -> Option<&http::HeaderValue> {
        self.headers.get(ETAG)
    }

    /// How long the answer may be kept without asking again (RFC 9111 §5.2.2); zero where it must not. `None`: the
    /// server does not say.
    pub fn max_age(&self) -> Option<Duration> {
        let mut max_age = None;
        for field in self.headers.get_all(CACHE_CONTROL) {
            for directive in field.to_str().ok()?.split(',') {
                let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
                let name = name.trim();
                if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
                    return Some(Duration::ZERO);
                }
                if name.eq_ignore_ascii_case("max-age") {
                    max_age = value.trim().trim_matches('"').parse().ok().map(Duration::from_secs);
                }
            }
        }
        max_age
    }
}

impl HttpsClient {
    /// Takes the certificates of the authorities in this file, or of the system's. Reads them: once for each provider and
    /// revision.
    pub fn new(trust: Option<&Path>) -> Result<Self, String> {
        let authorities = match trust {
            None => Authorities::System,
            Some(path) => {
                let pem = std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
                Authorities::Pem(vec![pem.into()])
            }
        };
        let named = |error: &dyn std::fmt::Display| match trust {
            Some(path) => format!("`{}`: {error}", path.display()),
            None => error.to_string(),
        };
        let tls = client_tls(&authorities).map_err(|error| named(&error))?;
        Ok(Self { tls, timeout: FETCH_TIMEOUT })
    }

    /// The same, with less patience than [`FETCH_TIMEOUT`].
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(FETCH_TIMEOUT), ..self }
    }

    /// Asks for a document. `headers` come on top of `Accept: application/json`; put `If-None-Match` there.
    pub async fn get(&self, url: &HttpsUrl, headers: HeaderMap) -> Result<Response, FetchError> {
        self.ask(Method::GET, url, headers, Bytes::new()).await
    }

    /// Posts a form. The secret of a client belongs into `headers` ([`basic`]).
    pub async fn post_form(
        &self,
        url: &HttpsUrl,
        mut headers: HeaderMap,
        form: &[(&str, &str)],
    ) -> Result<Response, FetchError> {
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.ask(Method::POST, url, headers, Bytes::from(form_text(form))).await
    }

    async fn ask(
        &self,
        method: Method,
        url: &HttpsUrl,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, FetchError> {
        let deadline = Instant::now() + self.timeout;
        let answered = async {
            let tcp = connect(&url.0).await?;
            let stream = handshake(&self.tls, &url.0, tcp).await?;
            exchange(stream, request(method, &url.0, headers, body)?).await
        };
        timeout_at(deadline, answered).await.unwrap_or(Err(FetchError::TimedOut))
    }
}

/// TLS as a client that takes the certificates of these authorities, and speaks HTTP/1.1.
pub(crate) fn client_tls(authorities: &Authorities) -> Result<Arc<ClientConfig>, String> {
    let verifier = ServerVerifier::new(authorities, &[]).map_err(|error| error.to_string())?;
    let mut tls = ClientConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        // Our own verifier is no weaker than rustls': it judges the same chains and names.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    tls.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(Arc::new(tls))
}

/// Connects to the first address of the host that takes it.
pub(crate) async fn connect(url: &HttpUrl) -> Result<TcpStream, FetchError> {
    let unresolved = |error| FetchError::Resolve { host: url.host.clone(), error };
    let addresses = tokio::net::lookup_host((&*url.host, url.port)).await.map_err(unresolved)?;
    let mut failed = unresolved(std::io::Error::new(std::io::ErrorKind::NotFound, "it has no addresses"));
    for address in addresses {
        let error = match tokio::time::timeout(CONNECT_TIMEOUT, connect_tcp(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => error,
            Err(_) => std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer"),
        };
        failed = FetchError::Connect { address, error };
    }
    Err(failed)
}

/// Speaks TLS with the host over this connection.
pub(crate) async fn handshake(
    tls: &Arc<ClientConfig>,
    url: &HttpUrl,
    tcp: TcpStream,
) -> Result<TlsStream<TcpStream>, FetchError> {
    let name = ServerName::try_from(url.host.to_string()).map_err(|_| FetchError::Url(url.to_string().into()))?;
    let connected = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
    connected.map_err(|error| FetchError::Tls { host: url.host.clone(), error })
}

/// A question to `url`, as we ask all of them; `headers` come on top.
pub(crate) fn request(
    method: Method,
    url: &HttpUrl,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, FetchError> {
    let target = url.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = url.uri.authority().map_or("", http::uri::Authority::as_str);
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json")
        .header(ACCEPT_ENCODING, "identity")
        .body(Full::new(body))
        .map_err(|_| FetchError::Url(url.to_string().into()))?;
    request.headers_mut().extend(headers);
    Ok(request)
}

/// HTTP/1.1 over this stream, with a bounded head of answers.
pub(crate) async fn http1<Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: Stream,
) -> Result<(SendRequest<Full<Bytes>>, Connection<TokioIo<Stream>, Full<Bytes>>), FetchError> {
    Builder::new().max_buf_size(RESPONSE_HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))
}

pub(crate) fn broken(error: &hyper::Error) -> FetchError {
    FetchError::Http(error.to_string().into())
}

/// Reads an answer of at most so many bytes. `is_conditional`: the question was, so 304 is an answer to it.
pub(crate) async fn read(
    response: http::Response<Incoming>,
    is_conditional: bool,
    bytes_max: usize,
) -> Result<Response, FetchError> {
    let (head, body) = response.into_parts();
    if head.status.is_redirection() && !(is_conditional && head.status == StatusCode::NOT_MODIFIED) {
        return Err(FetchError::Redirect(head.status));
    }
    if head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(FetchError::Encoded);
    }
    let body = Limited::new(body, bytes_max).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { FetchError::TooLarge } else { FetchError::Http(error.to_string().into()) }
    })?;
    Ok(Response { status: head.status, headers: head.headers, body: body.to_bytes() })
}

async fn exchange(stream: TlsStream<TcpStream>, request: Request<Full<Bytes>>) -> Result<Response, FetchError> {
    let is_conditional = request.headers().contains_key(http::header::IF_NONE_MATCH);
    let (mut sender, connection) = http1(stream).await?;
    let answered = async move {
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        read(response, is_conditional, RESPONSE_BYTES_MAX).await
    };
    // The connection lives as long as the question: dropping this future closes it.
    let mut connection = std::pin::pin!(connection);
    let mut answered = std::pin::pin!(answered);
    tokio::select! {
        biased;
        answer = &mut answered => answer,
        // A server may close behind its answer, which is then still to be taken.
        _ = &mut connection => answered.await,
    }
}

/// `Authorization: Basic …` of a client (RFC 6749 §2.3.1: both parts are form-encoded first).
pub fn basic(client_id: &str, client_secret: &str) -> Option<http::HeaderValue> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let text = format!("{}:{}", form_part(client_id), form_part(client_secret));
    let mut value = http::HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(text))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn form_text(form: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = form.iter().map(|(name, value)| format!("{}={}", form_part(name), form_part(value))).collect();
    pairs.join("&")
}

/// Percent-encoded but for the characters that every reader leaves alone.
fn form_part(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
