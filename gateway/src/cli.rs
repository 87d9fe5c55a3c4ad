//! The command line: what may be said, and nothing of what it does.

mod certs;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use portcullis_mesh::workload::{FederatedBundle, WorkloadFiles};
use portcullis_policy::{documents::formats, guard::screen::Speaker};

pub use self::certs::{CertsArgs, CertsCommand, InitArgs, InspectArgs, IssueArgs};
use crate::{limits::Limit, logging::LogFormat};

/// A secure ingress gateway for AI inference.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 120, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  portcullis demo                              everything on loopback, with nothing installed
  portcullis check deploy/examples/corp        every mistake in a folder of documents, at once
  portcullis run --config /etc/portcullis      the gateway
  portcullis check --reachable /etc/portcullis what is open without being known, or without a role
  portcullis diff /etc/portcullis proposed     who gains and who loses
  portcullis explain --config /etc/portcullis POST https://llm.corp.example/v1/chat/completions \
    --model llama-3.1-8b --as alice --group ml-engineers --provider directory
  portcullis certs issue ca spiffe://corp.example/ns/edge/sa/portcullis --out edge
                                               an identity among workloads, of an authority of your own
  portcullis guard explain 'mail ada@corp.example'   what guardrails find in a text, and what is held meanwhile

Exit codes: 0 success, 1 your documents or input, 2 usage, 70 ours.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway before simulated inference servers, on loopback, with nothing installed.
    Demo(DemoArgs),
    /// Run the gateway. Reloads when its documents change, all or nothing.
    Run(RunArgs),
    /// Say everything that is wrong with documents. Never touches the network.
    Check(CheckArgs),
    /// Say what would become of one request, and which line of which document decides.
    Explain(ExplainArgs),
    /// Say what guardrails find in a text.
    Guard(GuardArgs),
    /// Make, list, revoke and rotate API keys.
    Keys(KeysArgs),
    /// Be the certificate authority of one machine: issue identities to workloads, and look at certificates.
    Certs(CertsArgs),
    /// Run the PolicyTest documents of a folder against the documents beside them.
    Test(TestArgs),
    /// Say who gains and who loses by a change of documents: complete, with a request that shows each.
    Diff(DiffArgs),
    /// Print the JSON Schema of the documents, for editors, or CustomResourceDefinitions, for clusters.
    Schema(SchemaArgs),
}

/// `portcullis demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the demo keeps its documents, keys and certificates. If not given, a new folder below the system's temporary
    /// one, removed at the end.
    #[arg(long)]
    pub directory: Option<PathBuf>,
    /// The address of the HTTPS endpoint, on loopback. Port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
}

/// `portcullis run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Files and folders of documents. Folders are read recursively.
    #[arg(long, required = true, num_args = 1..)]
    pub config: Vec<PathBuf>,
    /// Files and folders of a second, whole set of documents, which is asked about every decision and never heeded: where it
    /// would have decided otherwise is counted and logged. It reloads when its files change.
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub shadow: Vec<PathBuf>,
    /// Where state is kept: the local authority, certificates, the socket for upgrades.
    #[arg(long, default_value = "/var/lib/portcullis")]
    pub state: PathBuf,
    /// The certificate that says who this gateway is among workloads (X.509-SVID), leaf first, in PEM: what it shows to
    /// backends that are reached over mutual TLS. Read again when it changes.
    #[arg(long, requires_all = ["mesh_key", "mesh_bundle"], value_name = "FILE")]
    pub mesh_certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    #[arg(long, requires = "mesh_certificate", value_name = "FILE")]
    pub mesh_key: Option<PathBuf>,
    /// The authorities of its own trust domain, in PEM. Read again when they change.
    #[arg(long, requires = "mesh_certificate", value_name = "FILE")]
    pub mesh_bundle: Option<PathBuf>,
    /// The authorities of another trust domain whose workloads answer for backends: `partner.example=/certs/partner.pem`.
    #[arg(long, requires = "mesh_certificate", value_name = "DOMAIN=FILE")]
    pub mesh_federated_bundle: Vec<FederatedBundle>,
    /// Lists of certificates of workloads that count no longer (CRLs), in PEM or DER, of every authority in the bundles.
    #[arg(long, requires = "mesh_certificate", value_name = "FILE")]
    pub mesh_revocation_lists: Option<PathBuf>,
    /// The address of the admin pages. Keep it on loopback: it has no authentication.
    #[arg(long, default_value = "127.0.0.1:9901")]
    pub admin: SocketAddr,
    /// Where a Gateway's port listens: `443=127.0.0.1:8443` for every Gateway, `inference/edge:443=…` for one. Port 0
    /// lets the system choose. May be given several times.
    #[arg(long, value_name = "[NAMESPACE/GATEWAY:]PORT=ADDRESS:PORT")]
    pub bind: Vec<Bind>,
    /// How many worker threads; one per core if not given.
    #[arg(long)]
    pub workers: Option<usize>,
    /// What to do about references that lead nowhere.
    #[arg(long, value_enum, default_value_t = UnresolvedReferences::Refuse)]
    pub unresolved_references: UnresolvedReferences,
    /// Take the listening sockets over from the gateway that runs with the same state folder, which then drains.
    #[arg(long)]
    pub upgrade: bool,
    /// How long open exchanges may go on after a stop was asked for, in seconds.
    #[arg(long, default_value_t = 3600)]
    pub drain_seconds: u64,
    /// Change a bound of clients' connections: `head-timeout`, `keep-alive-timeout`, `body-stall-timeout` or
    /// `write-stall-timeout`. May be given several times.
    #[arg(long, value_name = "NAME=TIME")]
    pub limit: Vec<Limit>,
    /// How many connections may be open at once; further ones are closed at once.
    #[arg(long, default_value_t = 65_536, value_name = "N")]
    pub connections_max: usize,
    /// How many connections of one source (an IPv4 address, an IPv6 /64) may be open that have not finished their
    /// handshake, or not sent a request where there is no TLS; further ones are closed at once. Raise it behind
    /// a load balancer that hides where connections come from.
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub handshakes_per_source_max: u32,
    /// How logs are written to standard error. On a terminal text, elsewhere JSON, if not given.
    #[arg(long, value_parser = PossibleValuesParser::new(LogFormat::WORDS).map(|word| LogFormat::named(&word)))]
    pub log_format: Option<LogFormat>,
}

impl RunArgs {
    /// Where the gateway's identity among workloads is read from, if it has one.
    pub fn workload_files(&self) -> Option<WorkloadFiles> {
        Some(WorkloadFiles {
            certificate: self.mesh_certificate.clone()?,
            key: self.mesh_key.clone()?,
            bundle: self.mesh_bundle.clone()?,
            federated: self.mesh_federated_bundle.clone(),
            revocation_lists: self.mesh_revocation_lists.clone(),
        })
    }
}

/// A mapping of a Gateway's port to a socket address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Namespace and name of a Gateway; `None` means every one.
    pub gateway: Option<(String, String)>,
    /// The port as the document names it.
    pub port: u16,
    /// Where to listen.
    pub address: SocketAddr,
}

impl std::str::FromStr for Bind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = "expected [NAMESPACE/GATEWAY:]PORT=ADDRESS:PORT";
        let (left, address) = text.split_once('=').ok_or(shape)?;
        let (gateway, port) = match left.rsplit_once(':') {
            None => (None, left),
            Some((gateway, port)) => {
                let (namespace, name) = gateway.split_once('/').ok_or(shape)?;
                (Some((namespace.to_owned(), name.to_owned())), port)
            }
        };
        let port = port.parse().map_err(|_| format!("`{port}` is not a port; {shape}"))?;
        let address = address.parse().map_err(|_| format!("`{address}` is not an address with a port; {shape}"))?;
        Ok(Self { gateway, port, address })
    }
}

/// `--unresolved-references`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnresolvedReferences {
    /// Refuse the whole revision.
    Refuse,
    /// Answer 500 on such routes, as a Gateway API controller does, and say so in conditions.
    #[value(name = "serve-500")]
    Serve500,
}

/// `portcullis check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files and folders of documents.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub format: CheckFormat,
    /// Print everything that can be reached without authentication, or without a role: route, action and model, on
    /// standard output.
    #[arg(long)]
    pub reachable: bool,
}

/// `--format` of `check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people, on standard error.
    Text,
    /// A list of objects, on standard output.
    Json,
    /// SARIF 2.1.0, on standard output.
    Sarif,
}

/// `portcullis explain`.
#[derive(Debug, Args)]
#[command(override_usage = "portcullis explain --config <PATH>... [OPTIONS] <METHOD> <URL>")]
pub struct ExplainArgs {
    /// Files and folders of documents.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// The method, and the URL as a client would ask for it.
    #[arg(value_names = ["METHOD", "URL"], num_args = 0..=2)]
    pub request: Vec<String>,
    /// A header, `Name: value`. May be given several times.
    #[arg(long, short = 'H')]
    pub header: Vec<String>,
    /// The request's body, in a file.
    #[arg(long)]
    pub body: Option<PathBuf>,
    /// The model that the body would name.
    #[arg(long, conflicts_with = "body")]
    pub model: Option<String>,
    /// Who sends it; nobody if not given.
    #[command(flatten)]
    pub who: WhoArgs,
    /// How to print the explanation.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
}

/// Who is supposed to send a request.
#[derive(Debug, Args)]
pub struct WhoArgs {
    /// A user, by name.
    #[arg(long, value_name = "USER", conflicts_with = "workload")]
    pub r#as: Option<String>,
    /// A workload, by its SPIFFE ID.
    #[arg(long, value_name = "SPIFFE-ID")]
    pub workload: Option<String>,
    /// Whoever the credential in a file says: a line `Authorization: …` or `x-api-key: …`, or a bare JWT or API key. It is
    /// judged as `run` would, for which an issuer or a directory may be asked over the network. It is never printed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["as", "workload", "provider", "group", "scope", "claim"])]
    pub credential: Option<PathBuf>,
    /// The IdentityProvider that knows the caller: its name, or `NAMESPACE/NAME`. Needed where several could.
    #[arg(long)]
    pub provider: Option<String>,
    /// A group of the caller; `PROVIDER/GROUP` where a directory adds it to another provider's callers. May be given
    /// several times.
    #[arg(long)]
    pub group: Vec<String>,
    /// A scope of the credential. May be given several times.
    #[arg(long)]
    pub scope: Vec<String>,
    /// A claim of the credential. May be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub claim: Vec<String>,
    /// The address that the request comes from.
    #[arg(long, value_name = "IP")]
    pub source: Option<std::net::IpAddr>,
}

/// `--format` of what people and programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `portcullis test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Files and folders of documents; the PolicyTests among them are run.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
}

impl ExplainArgs {
    /// The documents, the method and the URL. `--config` takes all that follows it, so where method and URL stand right
    /// behind it they are the last two of its values.
    pub fn request(&self) -> Result<(&[PathBuf], &str, &str), &'static str> {
        let missing = "say which request: `METHOD URL`, as in `GET https://llm.corp.example/v1/models`";
        match (self.request.as_slice(), self.config.as_slice()) {
            ([method, url], config) => Ok((config, method, url)),
            ([], [config @ .., method, url]) if !config.is_empty() => {
                Ok((config, method.to_str().ok_or(missing)?, url.to_str().ok_or(missing)?))
            }
            _ => Err(missing),
        }
    }
}

/// `portcullis guard`.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: GuardCommand,
}

/// What can be done with guardrails.
#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// Say what each stage finds in a text, where and why, what comes out, and what is held meanwhile on streams.
    Explain(GuardExplainArgs),
}

/// `portcullis guard explain`.
#[derive(Debug, Args)]
pub struct GuardExplainArgs {
    /// The text; what comes on standard input if it is `-` or not given.
    pub text: Option<String>,
    /// A file or folder of documents. May be given several times; without it, everything that is shipped looks.
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// The route whose guardrails are meant: its name, or `NAMESPACE/NAME`. Needed where several could be.
    #[arg(long)]
    pub route: Option<String>,
    /// The rule of the route, by its name.
    #[arg(long)]
    pub rule: Option<String>,
    /// Which way the text goes.
    #[arg(long, value_enum, default_value_t = Way::Input)]
    pub direction: Way,
    /// Who says it; the user, or the assistant on the way out, if not given.
    #[arg(long, value_enum)]
    pub from: Option<From>,
    /// How to print what was found.
    #[arg(long, short = 'o', value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
}

/// `--direction` of `guard explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// From a client to a backend.
    Input,
    /// From a backend to a client.
    Output,
}

impl Way {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// `--from` of `guard explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// The operator.
    System,
    /// The person, or whoever asks.
    User,
    /// A tool's result.
    Tool,
    /// A document that was looked up.
    Retrieved,
    /// The model.
    Assistant,
    /// Nobody says.
    Unknown,
}

impl std::convert::From<From> for Speaker {
    fn from(said: From) -> Self {
        match said {
            From::System => Self::System,
            From::User => Self::User,
            From::Tool => Self::Tool,
            From::Retrieved => Self::Retrieved,
            From::Assistant => Self::Assistant,
            From::Unknown => Self::Unknown,
        }
    }
}

/// `portcullis keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key. It is printed once, on standard output and nothing else with it; only its hash is kept.
    Create(CreateKeyArgs),
    /// List the keys, without what would open anything.
    List(ListKeysArgs),
    /// Revoke a key. Running gateways that watch the file refuse it within seconds.
    Revoke(RevokeKeyArgs),
    /// Make another key for the same owner; the old one expires after the overlap. The new key is printed once.
    Rotate(RotateKeyArgs),
}

/// Where keys are.
#[derive(Debug, Args)]
pub struct KeyFiles {
    /// The file of hashes that an IdentityProvider names. Made if it is missing.
    #[arg(long)]
    pub file: PathBuf,
    /// The secret that hashes are made with; `FILE.pepper` if not given. Made if it is missing, and then never changed.
    #[arg(long)]
    pub pepper: Option<PathBuf>,
}

/// `portcullis keys create`.
#[derive(Debug, Args)]
pub struct CreateKeyArgs {
    /// Where keys are.
    #[command(flatten)]
    pub files: KeyFiles,
    /// The name of the user whose key it is: what RoleBindings name.
    #[arg(long)]
    pub owner: String,
    /// After which time it ceases to be good: `90d`, `12h`. Never, if not given.
    #[arg(long, value_name = "TIME")]
    pub expires: Option<Lifetime>,
    /// A scope of the key. May be given several times.
    #[arg(long)]
    pub scope: Vec<String>,
    /// A network that the key may be used from: `10.0.0.0/8`. May be given several times; everywhere, if not given.
    #[arg(long, value_name = "NETWORK")]
    pub cidr: Vec<String>,
    /// A group of the owner. May be given several times.
    #[arg(long)]
    pub group: Vec<String>,
    /// What it is for.
    #[arg(long)]
    pub note: Option<String>,
}

/// `portcullis keys list`.
#[derive(Debug, Args)]
pub struct ListKeysArgs {
    /// The file of hashes.
    #[arg(long)]
    pub file: PathBuf,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}

/// `--format` of `keys list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// A table, for people.
    Text,
    /// A list of objects.
    Json,
}

/// `portcullis keys revoke`.
#[derive(Debug, Args)]
pub struct RevokeKeyArgs {
    /// The file of hashes.
    #[arg(long)]
    pub file: PathBuf,
    /// The key's id, or the key itself.
    pub id: String,
}

/// `portcullis keys rotate`.
#[derive(Debug, Args)]
pub struct RotateKeyArgs {
    /// Where keys are.
    #[command(flatten)]
    pub files: KeyFiles,
    /// The id of the key to be replaced.
    pub id: String,
    /// How much longer the old key is good.
    #[arg(long, default_value = "24h", value_name = "TIME")]
    pub overlap: Lifetime,
    /// After which time the new key ceases to be good; as long as the old one was to live, if not given.
    #[arg(long, value_name = "TIME")]
    pub expires: Option<Lifetime>,
}

/// A time of some length, in days too: `90d`, `12h`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime(pub Duration);

/// The longest time that can be said on the command line: a hundred years.
pub const LIFETIME_DAYS_MAX: u64 = 36_500;

impl std::str::FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = match text.strip_suffix('d') {
            Some(days) => days.parse::<u32>().ok().map(|days| Duration::from_hours(24 * u64::from(days))),
            None => formats::duration(text),
        };
        let time = time.ok_or_else(|| format!("`{text}` is not a time; write it like `90d`, `12h` or `30m`"))?;
        let longest = Duration::from_hours(24 * LIFETIME_DAYS_MAX);
        if time <= longest { Ok(Self(time)) } else { Err(format!("longer than {LIFETIME_DAYS_MAX} days")) }
    }
}

/// `portcullis diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The file or folder of documents as they were.
    pub old: PathBuf,
    /// The file or folder of documents as they are to be.
    pub new: PathBuf,
    /// How to print the differences.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
    /// Which differences make the exit code 1.
    #[arg(long, value_enum, default_value_t = FailOn::Any)]
    pub fail_on: FailOn,
}

/// `--fail-on` of `diff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Somebody gains or loses.
    Any,
    /// Somebody gains.
    Gain,
    /// Somebody loses.
    Loss,
    /// None of them.
    Never,
}

/// `portcullis schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Print CustomResourceDefinitions instead.
    #[arg(long)]
    pub crd: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_name_a_gateway_or_none() {
        let bind = |text: &str| text.parse::<Bind>();
        let address = "127.0.0.1:8443".parse().ok();
        let parsed = bind("443=127.0.0.1:8443").ok();
        assert_eq!(parsed.as_ref().map(|b| (b.gateway.clone(), b.port)), Some((None, 443)));
        assert_eq!(parsed.map(|b| b.address), address);
        let parsed = bind("inference/edge:443=[::1]:0").ok();
        assert_eq!(parsed.and_then(|b| b.gateway), Some(("inference".into(), "edge".into())));
        for wrong in ["443", "x=127.0.0.1:1", "edge:443=127.0.0.1:1", "443=127.0.0.1", "70000=127.0.0.1:1"] {
            assert!(bind(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lifetimes_are_said_in_days_too() {
        let hours = |text: &str| text.parse::<Lifetime>().ok().map(|time| time.0.as_secs() / 3600);
        assert_eq!(hours("90d"), Some(2160));
        assert_eq!(hours("12h"), Some(12));
        assert_eq!(hours("0s"), Some(0));
        for wrong in ["", "d", "90", "-1d", "1.5d", "36501d", "99999999999d", "1d12h", "a"] {
            assert_eq!(hours(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
