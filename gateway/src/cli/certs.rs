//! What may be said behind `portcullis certs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use portcullis_certs::{SpiffeId, TrustDomain};

use super::{Lifetime, TextOrJson};

const EXAMPLES: &str = "\
Examples:
  portcullis certs init ca --trust-domain corp.example
                       an authority in the folder `ca`; peers are to believe `ca/bundle.pem`
  portcullis certs issue ca spiffe://corp.example/ns/inference/sa/llama --out llama
                       `llama/tls.crt`, `llama/tls.key` and `llama/ca.crt`, good for an hour; again, to renew them
  portcullis certs inspect llama/tls.crt
                       whose it is, until when, and whether a workload can prove itself with it

Exit codes: 0 success, 1 your input, or a certificate that is not good, 2 usage, 70 ours.";

/// `portcullis certs`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CertsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CertsCommand,
}

/// What can be done with certificates.
#[derive(Debug, Subcommand)]
pub enum CertsCommand {
    /// Make the authority of a trust domain, if it is not there yet. Prints where its bundle is: whom peers are to believe.
    Init(InitArgs),
    /// Issue an identity (X.509-SVID) with a new key, as files that a sidecar or a gateway reads. Run it again to renew it.
    Issue(IssueArgs),
    /// Say whose a certificate is, until when, and whether it is a proper X.509-SVID; or who is in a bundle.
    Inspect(InspectArgs),
}

/// `portcullis certs init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  portcullis certs init /var/lib/portcullis-ca --trust-domain corp.example")]
pub struct InitArgs {
    /// The authority's folder. Made if it is missing, for its owner alone: it holds the key that signs every identity.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Whose workloads it certifies: the part of their identities between `spiffe://` and the next slash.
    #[arg(long, value_name = "DOMAIN")]
    pub trust_domain: TrustDomain,
}

/// `portcullis certs issue`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  portcullis certs issue ca spiffe://corp.example/ns/inference/sa/llama --out /certs --lifetime 12h
  portcullis-sidecar run … --certificate /certs/tls.crt --key /certs/tls.key --bundle /certs/ca.crt

The three files are replaced in one step: a crash leaves the old ones or the new ones, and programs that watch them
read all of them again.")]
pub struct IssueArgs {
    /// The authority's folder, made by `certs init`.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Whom to certify: `spiffe://corp.example/ns/inference/sa/llama`.
    #[arg(value_name = "SPIFFE-ID")]
    pub id: SpiffeId,
    /// Where `tls.crt`, `tls.key` and `ca.crt` go. Made if it is missing. What it holds for the same identity is replaced; a
    /// key of somebody else stays, and is an error.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// How long it is good, 24h at most.
    #[arg(long, default_value = "1h", value_name = "TIME")]
    pub lifetime: Lifetime,
}

/// `portcullis certs inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portcullis certs inspect /certs/tls.crt
  portcullis certs inspect --format json /certs/ca.crt

Exit codes: 0 good now, 1 not: no X.509-SVID or bundle, or outside its dates.")]
pub struct InspectArgs {
    /// A chain, leaf first, or a bundle of authorities, in PEM.
    pub file: PathBuf,
    /// How to print what it says.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
}
