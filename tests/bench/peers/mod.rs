//! How each proxy is configured and started. The configurations stand beside this file, as their own documentation says
//! they should be written for this work; two of them have a trap that makes them look worse than they are (nginx buffers
//! and HAProxy delays events unless told not to), which is avoided.

mod callers;
mod documents;
mod door;

use std::{
    env,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant, SystemTime},
};

use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustix::process::Signal;

use crate::{Outcome, load::HOST, processes};

/// The core that the proxy under test runs on, and the one of everything else.
pub(crate) const PROXY_CORE: &str = "0";
pub(crate) const LOAD_CORE: &str = "1";
/// The size of a prompt in bytes.
const PROMPT_BYTES: usize = 1024;

/// One proxy with one configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    Portcullis(Routes),
    Nginx,
    Haproxy,
    Envoy,
    /// Envoy that lets in whom its `jwt_authn` and `rbac` do.
    EnvoyGuarded(Guards),
    /// No proxy: the origin itself.
    Direct,
}

/// What the gateway routes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routes {
    /// Everything to one backend.
    All,
    /// By the model that the prompt names.
    Model,
    /// This many routes, half of them by host, half by path.
    Many(u32),
    /// One model's, for these callers.
    Chat(Callers),
}

/// Whom the gateway lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Callers {
    /// Anyone.
    Anyone,
    /// Those whom a role allows, their verified credentials remembered for as long as they are by default.
    Remembered,
    /// The same, each request's credential verified.
    Verified,
    /// The same as `Remembered`, in a company of 100,000 people, 5,000 groups and 1,000 bindings.
    Company,
    /// The same as `Remembered`, and the default guardrails both ways.
    Screened,
}

/// What Envoy does besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guards {
    /// Remembers verified credentials (`jwt_cache_config`).
    pub(crate) remembers: bool,
    /// Reads the model from the body (`json_to_metadata`), so that `rbac` decides on it as well.
    pub(crate) reads_model: bool,
}

impl Contender {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Portcullis(Routes::All) => "Portcullis".to_owned(),
            Self::Portcullis(Routes::Model) => "Portcullis, by model".to_owned(),
            Self::Portcullis(Routes::Many(count)) => format!("Portcullis, {count} routes"),
            Self::Portcullis(Routes::Chat(Callers::Anyone)) => "Portcullis, anonymous".to_owned(),
            Self::Portcullis(Routes::Chat(Callers::Remembered)) => "Portcullis, remembered".to_owned(),
            Self::Portcullis(Routes::Chat(Callers::Verified)) => "Portcullis, verified".to_owned(),
            Self::Portcullis(Routes::Chat(Callers::Company)) => "Portcullis, 100000 people".to_owned(),
            Self::Portcullis(Routes::Chat(Callers::Screened)) => "Portcullis, everything on".to_owned(),
            Self::EnvoyGuarded(Guards { remembers, reads_model }) => {
                let cache = if remembers { "remembered" } else { "verified" };
                format!("Envoy, {cache}{}", if reads_model { ", model read" } else { "" })
            }
            Self::Nginx => "nginx".to_owned(),
            Self::Haproxy => "HAProxy".to_owned(),
            Self::Envoy => "Envoy".to_owned(),
            Self::Direct => "no proxy".to_owned(),
        }
    }

    /// Whether it lets in only whom it knows.
    fn is_guarded(self) -> bool {
        match self {
            Self::Portcullis(Routes::Chat(callers)) => callers != Callers::Anyone,
            other => matches!(other, Self::EnvoyGuarded(_)),
        }
    }
}

/// The folder of one run: configurations, certificates, logs. Removed at its end.
pub(crate) struct Workshop {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) origin: SocketAddr,
    _origin: Running,
}

impl Workshop {
    /// Makes the certificates and starts the origin.
    pub(crate) fn open() -> Outcome<Self> {
        let directory = tempfile::Builder::new().prefix("portcullis-bench-").tempdir()?;
        let path = directory.path();
        // nginx's worker is not root and reads below here.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "benchmark");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let edge = CertificateParams::new(vec![HOST.to_owned(), format!("*.{HOST}")])?.signed_by(&key, &authority)?;
        fs::write(path.join("authority.crt"), authority.as_ref().pem())?;
        fs::write(path.join("edge.crt"), edge.pem())?;
        fs::write(path.join("edge.key"), key.serialize_pem())?;
        fs::write(path.join("edge.pem"), edge.pem() + &key.serialize_pem())?;
        fs::write(path.join("client-openssl.cnf"), include_str!("client-openssl.cnf"))?;
        fs::write(path.join("prompt.lua"), include_str!("prompt.lua"))?;
        fs::write(path.join("routes.lua"), include_str!("routes.lua"))?;
        fs::write(path.join("guarded.lua"), include_str!("guarded.lua"))?;
        fs::write(path.join("prompt.json"), prompt())?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let issued = callers::issue(now.as_secs())?;
        fs::write(path.join("jwks.json"), issued.keys)?;
        fs::write(path.join("credentials"), issued.credentials.join("\n") + "\n")?;
        fs::write(path.join("stranger"), issued.stranger)?;

        let port = free_port()?;
        let mut command = pinned(LOAD_CORE, &env::current_exe()?);
        command.args(["origin", "--port", &port.to_string()]);
        let origin = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let running = Running::start(Contender::Direct, command, origin, origin)?;
        running.wait_until_it_accepts()?;
        Ok(Self { directory, origin, _origin: running })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts one proxy and waits until it serves.
    pub(crate) fn start(&self, contender: Contender) -> Outcome<Running> {
        self.start_under(contender, &[])
    }

    /// The same, the gateway being run by another program: a command line that its own is put behind.
    pub(crate) fn start_under(&self, contender: Contender, runner: &[&str]) -> Outcome<Running> {
        let (plain, tls, admin) = (free_port()?, free_port()?, free_port()?);
        let directory = self.path(&format!("{}-{plain}", contender.name().replace([' ', ','], "-")));
        fs::create_dir(&directory)?;
        for name in ["edge.crt", "edge.key", "edge.pem", "jwks.json"] {
            fs::copy(self.path(name), directory.join(name))?;
        }
        let fill = |template: &str| {
            template
                .replace("@DIR@", &directory.display().to_string())
                .replace("@ORIGIN@", &self.origin.port().to_string())
                .replace("@PLAIN@", &plain.to_string())
                .replace("@TLS@", &tls.to_string())
        };
        let write = |name: &str, text: String| -> Outcome<PathBuf> {
            let path = directory.join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        let plain_address = SocketAddr::from((Ipv4Addr::LOCALHOST, plain));
        let tls_address = SocketAddr::from((Ipv4Addr::LOCALHOST, tls));
        let mut command = match contender {
            Contender::Direct => return Err("the origin is running already".into()),
            Contender::Nginx => {
                let mut command = pinned(PROXY_CORE, Path::new("/usr/sbin/nginx"));
                command.arg("-c").arg(write("nginx.conf", fill(include_str!("nginx.conf")))?).arg("-p").arg(&directory);
                command
            }
            Contender::Haproxy => {
                let mut command = pinned(PROXY_CORE, Path::new("/usr/sbin/haproxy"));
                command.arg("-f").arg(write("haproxy.cfg", fill(include_str!("haproxy.cfg")))?);
                command
            }
            Contender::Envoy | Contender::EnvoyGuarded(_) => {
                let mut command = pinned(PROXY_CORE, Path::new("envoy"));
                let guards = match contender {
                    Contender::EnvoyGuarded(guards) => documents::envoy_guards(guards),
                    _ => String::new(),
                };
                let template = include_str!("envoy.yaml").replace("@CURVES@", "X25519, X25519MLKEM768");
                let template = template.replace("@GUARDS@", &guards);
                command.arg("-c").arg(write("envoy.yaml", fill(&template))?);
                command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]);
                command
            }
            Contender::Portcullis(routes) => {
                let config = write("config.yaml", fill(&documents::documents(&self.directory, routes)?))?;
                let mut command = Command::new("taskset");
                command.args(["-c", PROXY_CORE]).args(runner).arg(portcullis()?);
                command.args(["run", "--workers", "1", "--log-format", "json"]);
                command.arg("--admin").arg(format!("127.0.0.1:{admin}"));
                command.arg("--config").arg(config).arg("--state").arg(directory.join("state"));
                command.arg("--bind").arg(format!("8080={plain_address}"));
                command.arg("--bind").arg(format!("8443={tls_address}"));
                command
            }
        };
        let log = File::create(directory.join("output.log"))?;
        command.stdout(log.try_clone()?).stderr(log).stdin(Stdio::null());
        let mut running = Running::start(contender, command, plain_address, tls_address)?;
        running.directory.clone_from(&directory);
        running.admin = SocketAddr::from((Ipv4Addr::LOCALHOST, admin));
        if let Err(error) = running.wait_until_it_accepts() {
            let _ = running.child.kill();
            let lines = BufReader::new(File::open(directory.join("output.log"))?).lines();
            let said = lines.map_while(Result::ok).take(20).collect::<Vec<_>>().join("\n");
            return Err(format!("{}: {error}\n{said}", contender.name()).into());
        }
        running.ready_after = running.started.elapsed();
        if contender.is_guarded() && runner.is_empty() {
            door::is_closed(&running, self.directory.path())?;
        }
        Ok(running)
    }
}

/// A proxy that is up. Killed when dropped.
pub(crate) struct Running {
    pub(crate) contender: Contender,
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    /// Where the gateway tells how it is.
    pub(crate) admin: SocketAddr,
    /// Its configuration and its log.
    pub(crate) directory: PathBuf,
    /// How long it took until it accepted connections.
    pub(crate) ready_after: Duration,
    started: Instant,
    child: Child,
}

impl Running {
    fn start(contender: Contender, mut command: Command, plain: SocketAddr, tls: SocketAddr) -> Outcome<Self> {
        let started = Instant::now();
        let child = command.spawn().map_err(|error| format!("{}: {error}", contender.name()))?;
        let (admin, directory) = (plain, PathBuf::new());
        Ok(Self { contender, plain, tls, admin, directory, ready_after: Duration::ZERO, started, child })
    }

    /// The root of its processes. `taskset` has become the proxy itself.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_it_accepts(&self) -> Outcome<()> {
        for address in [self.plain, self.tls] {
            while TcpStream::connect(address).is_err() {
                if self.started.elapsed() > Duration::from_secs(30) {
                    return Err(format!("nothing accepts on {address} after 30 s").into());
                }
                if processes::tree(self.process()).is_empty() || !alive(self.process()) {
                    return Err("ended before it served".into());
                }
                sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    /// It is not its turn: takes no CPU time, keeps its connections.
    pub(crate) fn pause(&self) -> Outcome<()> {
        Ok(processes::signal(self.process(), Signal::STOP)?)
    }

    /// Its turn begins.
    pub(crate) fn resume(&self) -> Outcome<()> {
        Ok(processes::signal(self.process(), Signal::CONT)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The whole tree: nginx's worker would outlive its master.
        let _ = processes::signal(self.process(), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Whether a process runs: neither gone nor waiting to be reaped.
fn alive(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A command that runs on one core only.
pub(crate) fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

/// The gateway's binary: beside this one.
pub(crate) fn portcullis() -> Outcome<PathBuf> {
    let beside = env::current_exe()?.with_file_name("portcullis");
    // Another build of it, to compare two commits.
    let path = env::var_os("PORTCULLIS").map_or(beside, PathBuf::from);
    if path.exists() { Ok(path) } else { Err("no `portcullis` beside this binary; build it first".into()) }
}

fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The body of a chat request, 1 KiB.
fn prompt() -> String {
    let before = r#"{"model":"llama-3.1-8b","temperature":0.2,"messages":[{"role":"system","content":"You answer briefly."},{"role":"user","content":""#;
    let after = r#""}],"max_tokens":180}"#;
    let filling = "word ".repeat(PROMPT_BYTES);
    format!("{before}{}{after}", &filling[..PROMPT_BYTES - before.len() - after.len()])
}

/// Base64 as a Secret holds it. Not worth a dependency of this package.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().enumerate().fold(0_u32, |sum, (at, byte)| sum | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            let sextet = (group >> (18 - 6 * at)) & 63;
            text.push(if at <= chunk.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{PROMPT_BYTES, base64, prompt};

    #[test]
    fn the_prompt_has_its_size_and_is_json() {
        assert_eq!(prompt().len(), PROMPT_BYTES);
        assert!(serde_json::from_str::<serde_json::Value>(&prompt()).is_ok());
    }

    #[test]
    fn base64_is_as_rfc_4648_shows() {
        for (bytes, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }
}
