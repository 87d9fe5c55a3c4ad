//! The command line: what may be said, and nothing of what it does.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use portcullis_mesh::{
    telemetry::logging::LogFormat,
    workload::{FederatedBundle, WorkloadFiles},
};

use crate::report::EnginePage;

/// The mTLS sidecar of one inference server.
#[derive(Debug, Parser)]
#[command(name = "portcullis-sidecar", version, max_term_width = 120, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  portcullis-sidecar run --config /etc/portcullis --inbound 0.0.0.0:8000=127.0.0.1:18000 \\
    --certificate /certs/tls.crt --key /certs/tls.key --bundle /certs/ca.crt
                       mutual TLS on port 8000 for a server that listens on loopback

Exit codes: 0 success, 1 your documents or input, 2 usage, 70 ours.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Stand beside a server until told to stop.
    Run(RunArgs),
}

/// `portcullis-sidecar run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Files and folders of documents; the WorkloadPolicies that name this workload say who may call it.
    #[arg(long, required = true, num_args = 1..)]
    pub config: Vec<PathBuf>,
    /// A port that peers come by, and where the server listens: `0.0.0.0:8000=127.0.0.1:18000`.
    #[arg(long, required = true, value_name = "LISTEN=SERVER")]
    pub inbound: Vec<InboundPort>,
    /// The certificate that says who this workload is (X.509-SVID), leaf first, in PEM. Read again when it changes.
    #[arg(long)]
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    #[arg(long)]
    pub key: PathBuf,
    /// The authorities of the workload's own trust domain, in PEM. Read again when they change.
    #[arg(long)]
    pub bundle: PathBuf,
    /// The authorities of another trust domain whose workloads may be peers: `partner.example=/certs/partner.pem`.
    #[arg(long, value_name = "DOMAIN=FILE")]
    pub federated_bundle: Vec<FederatedBundle>,
    /// Lists of certificates that count no longer (CRLs), in PEM or DER, of every authority in the bundles. Read again when they
    /// change; one that is out of date lets nobody in.
    #[arg(long, value_name = "FILE")]
    pub revocation_lists: Option<PathBuf>,
    /// The address of the admin pages. Keep it on loopback, or where probes alone come from: it has no authentication.
    #[arg(long, default_value = "127.0.0.1:9902")]
    pub admin: SocketAddr,
    /// The server's own metrics page, on this machine: `http://127.0.0.1:18000/metrics`. Its queue and cache then stand in
    /// load reports beside what is measured here.
    #[arg(long, value_name = "URL")]
    pub engine_metrics: Option<EnginePage>,
    /// Threads that carry requests.
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// How many connections of peers may be open; further ones are closed at once.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub connections_max: usize,
    /// How long what is open may go on after the process was told to stop, in seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub grace: u64,
    /// How logs are written to standard error. On a terminal text, elsewhere JSON, if not given.
    #[arg(long, value_parser = PossibleValuesParser::new(LogFormat::WORDS).map(|word| LogFormat::named(&word)))]
    pub log_format: Option<LogFormat>,
}

/// Where peers come by, and where they are led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboundPort {
    /// Where peers connect.
    pub listen: SocketAddr,
    /// Where the server listens.
    pub server: SocketAddr,
}

impl FromStr for InboundPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (listen, server) =
            text.split_once('=').ok_or("write LISTEN=SERVER, `0.0.0.0:8000=127.0.0.1:18000` for example")?;
        let address = |text: &str| text.parse().map_err(|_| format!("`{text}` is not an address with a port"));
        let (listen, server): (_, SocketAddr) = (address(listen)?, address(server)?);
        if !server.ip().is_loopback() {
            return Err(format!("`{server}` is not on loopback: what goes there would be in the clear on the network"));
        }
        Ok(Self { listen, server })
    }
}

impl RunArgs {
    /// Where this workload's identity is read from.
    pub fn workload_files(&self) -> WorkloadFiles {
        WorkloadFiles {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            bundle: self.bundle.clone(),
            federated: self.federated_bundle.clone(),
            revocation_lists: self.revocation_lists.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_beyond_loopback_is_refused() {
        let check = |text: &str, expected: Result<(), &str>| {
            let got = text.parse::<InboundPort>().map(|_| ());
            match expected {
                Ok(()) => assert_eq!(got, Ok(()), "{text}"),
                Err(part) => assert!(got.is_err_and(|error| error.contains(part)), "{text}"),
            }
        };
        check("0.0.0.0:8000=127.0.0.1:18000", Ok(()));
        check("[::]:8000=[::1]:18000", Ok(()));
        check("0.0.0.0:8000=10.0.0.7:18000", Err("not on loopback"));
        check("0.0.0.0:8000", Err("LISTEN=SERVER"));
        check("0.0.0.0=127.0.0.1:1", Err("`0.0.0.0` is not an address"));
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
