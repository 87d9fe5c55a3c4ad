//! Our own load generators, each a subcommand that prints one line of JSON.
//!
//! `wrk` and `h2load` do the plain work; these do what those cannot: count whole handshakes, time events on their way,
//! keep a fixed rate, hold still.

pub(crate) mod events;
pub(crate) mod handshakes;
pub(crate) mod idle;
pub(crate) mod rate;
pub(crate) mod reload;

use std::{
    fs, io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use clap::{Args, ValueEnum};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{Outcome, processes};

/// The host that every request names.
pub(crate) const HOST: &str = "bench.example";

/// What one slice of load found. A generator fills what applies to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Requests, connections or events that came back whole within the slice.
    pub(crate) count: u64,
    /// Those that did not.
    pub(crate) errors: u64,
    /// How long was measured.
    pub(crate) seconds: f64,
    /// The proxy's CPU time within the slice.
    pub(crate) cpu_ns: u64,
    /// The median of the time each took.
    pub(crate) p50_us: f64,
    /// The 99th percentile of the time each took.
    pub(crate) p99_us: f64,
    /// Memory that each idle connection added.
    pub(crate) kib_each: f64,
}

/// Prints a generator's result.
pub(crate) fn report(measured: Outcome<Measured>) -> Outcome<()> {
    println!("{}", serde_json::to_string(&measured?)?);
    Ok(())
}

/// Where the load goes, and whom to watch meanwhile.
#[derive(Args, Clone)]
pub(crate) struct Target {
    /// The address of the proxy.
    #[arg(long = "target")]
    pub(crate) address: SocketAddr,
    /// The certificate authority to trust: speak TLS.
    #[arg(long)]
    pub(crate) authority: Option<PathBuf>,
    /// The key exchange to offer.
    #[arg(long, default_value = "x25519")]
    pub(crate) group: Group,
    /// The proxy's process: its CPU time and memory are read while the load is on.
    #[arg(long)]
    pub(crate) watch: Option<u32>,
}

/// A TLS key exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// The classical curve.
    X25519,
    /// The same curve with ML-KEM-768, safe against recorded traffic being broken later.
    X25519Mlkem768,
}

impl Target {
    /// The CPU time of the watched process so far.
    pub(crate) fn cpu_ns(&self) -> u64 {
        self.watch.map_or(0, processes::cpu_ns)
    }

    /// How to speak TLS to the target, if it is to be spoken: TLS 1.3, one suite, one key exchange, no resumption.
    pub(crate) fn connector(&self) -> Outcome<Option<TlsConnector>> {
        let Some(authority) = &self.authority else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&fs::read(authority)?)?)?;
        let group = match self.group {
            Group::X25519 => aws_lc_rs::kx_group::X25519,
            Group::X25519Mlkem768 => aws_lc_rs::kx_group::X25519MLKEM768,
        };
        let provider = CryptoProvider {
            cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![group],
            ..aws_lc_rs::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(TlsConnector::from(Arc::new(config))))
    }

    /// Opens one connection.
    pub(crate) async fn connect(&self, connector: Option<&TlsConnector>) -> io::Result<Wire> {
        let plain = TcpStream::connect(self.address).await?;
        plain.set_nodelay(true)?;
        match connector {
            None => Ok(Wire::Plain(plain)),
            Some(connector) => {
                let name = ServerName::try_from(HOST).map_err(io::Error::other)?;
                Ok(Wire::Tls(Box::new(connector.connect(name, plain).await?)))
            }
        }
    }
}

/// A connection, with or without TLS.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

/// Sends one request and reads its whole answer, which must be a 200 with a length.
pub(crate) async fn exchange(wire: &mut Wire, request: &[u8], buffer: &mut Vec<u8>) -> io::Result<()> {
    wire.write_all(request).await?;
    wire.flush().await?;
    buffer.clear();
    let head_end = loop {
        if wire.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        return Err(io::Error::other(head));
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|value| value.trim().parse::<usize>().ok())
        .ok_or_else(|| io::Error::other("an answer without content-length"))?;
    while buffer.len() < head_end + length {
        if wire.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// One thread drives a whole generator: the other core belongs to the proxy.
pub(crate) fn on_one_thread<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, work)
}

/// The median and the 99th percentile, in microseconds, of times in nanoseconds.
pub(crate) fn percentiles(times_ns: &mut [u64]) -> (f64, f64) {
    times_ns.sort_unstable();
    let at = |share: f64| {
        let index = ((times_ns.len() as f64 - 1.0) * share).round().max(0.0) as usize;
        times_ns.get(index).copied().unwrap_or(0) as f64 / 1000.0
    };
    (at(0.50), at(0.99))
}

/// How long a slice of load lasts.
pub(crate) fn seconds(value: &str) -> Result<Duration, String> {
    value.parse::<f64>().map(Duration::from_secs_f64).map_err(|error| error.to_string())
}
