//! Issuers of credentials: `oidc-provider` as companies run it, and one that does whatever it is told.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::OnceCell, task::spawn_blocking, time::timeout};

use super::{
    RawClient, Tls,
    pki::{Authority, Identity},
};

/// How long Node may take to serve on a busy machine.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// Who credentials are for.
pub const AUDIENCE: &str = "https://llm.corp.example";

/// A process that is an issuer.
#[derive(Debug)]
struct Process {
    child: Child,
    ports: Value,
    log: File,
    folder: TempDir,
    authority_pem: String,
}

/// `oidc-provider`, a certified OpenID provider.
#[derive(Debug)]
pub struct OidcProvider(Process);

/// `oauth2-mock-server` behind a switchboard: signs anything, publishes anything.
#[derive(Debug)]
pub struct HostileIssuer(Process);

/// What is asked for at the token endpoint of [`OidcProvider`].
#[derive(Clone, Default)]
pub struct Grant<'g> {
    /// `svc` unless said; `bound` gets credentials bound to its certificate.
    pub client: Option<&'g str>,
    /// Further fields: `alg`, `fmt` (`jwt`, `opaque`), `groups` (with commas), `ttl` (seconds), `scope`.
    pub form: Vec<(&'g str, String)>,
    /// A DPoP proof.
    pub proof: Option<String>,
    /// The client's certificate.
    pub identity: Option<&'g Identity>,
}

/// An `oidc-provider` that tests share: they only ask it for credentials.
pub async fn oidc_provider() -> &'static OidcProvider {
    static PROVIDER: OnceCell<OidcProvider> = OnceCell::const_new();
    PROVIDER.get_or_init(|| OidcProvider::start(None)).await
}

impl Process {
    async fn start(script: &'static str, clients: Option<&str>) -> Self {
        let clients = clients.map(str::to_owned);
        let started = spawn_blocking(move || Self::start_now(script, clients.as_deref()));
        timeout(START_PATIENCE, started).await.unwrap_or_else(|_| panic!("{script} says nothing")).unwrap()
    }

    fn start_now(script: &str, clients: Option<&str>) -> Self {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new("issuers");
        let identity = authority.server(&["localhost"]);
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        write("ca.pem", &authority.pem);
        let mut arguments = vec![write("chain.pem", &identity.chain_pem), write("key.pem", &identity.key_pem)];
        arguments.extend(clients.map(|pem| write("clients.pem", pem)));
        let log = tempfile::tempfile().unwrap();
        let mut child = Command::new(node())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/identity").join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{script}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut process = Self { child, ports: Value::Null, log, folder, authority_pem: authority.pem };
        process.ports = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{script}: {}", process.log()));
        process
    }

    fn port(&self, name: &str) -> u16 {
        self.ports[name].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port")
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.port("https"))
    }

    fn address(&self, name: &str) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port(name)).into()
    }

    fn log(&self) -> String {
        let mut log = self.log.try_clone().unwrap();
        let mut text = Vec::new();
        log.seek(SeekFrom::Start(0)).unwrap();
        log.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).expect("the issuer is alive");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OidcProvider {
    /// Starts one. It asks clients for certificates of this authority (PEM), if there is one.
    pub async fn start(clients: Option<&str>) -> Self {
        Self(Process::start("oidc-provider.mjs", clients).await)
    }

    /// Its issuer URL.
    pub fn issuer(&self) -> String {
        self.0.url()
    }

    /// The file of its authority.
    pub fn trust(&self) -> PathBuf {
        self.0.folder.path().join("ca.pem")
    }

    /// What it logged.
    pub fn log(&self) -> String {
        self.0.log()
    }

    /// Stops and continues it.
    pub fn signal(&self, signal: Signal) {
        self.0.signal(signal);
    }

    /// Asks for a credential as a client does; gives the answer of the token endpoint.
    pub async fn grant(&self, grant: &Grant<'_>) -> Value {
        let client = grant.client.unwrap_or("svc");
        let form: Vec<_> = grant.form.iter().map(|(name, value)| format!("&{name}={}", form_part(value))).collect();
        let body = format!("grant_type=client_credentials{}", form.concat());
        let secret = base64(&format!("{client}:{client}-secret"));
        let proof = grant.proof.as_ref().map(|proof| format!("dpop: {proof}\r\n")).unwrap_or_default();
        let mut tls = Tls::new().server_name("localhost").trusting(&self.0.authority_pem);
        if let Some(identity) = grant.identity {
            tls = tls.identity(identity);
        }
        let mut connection =
            RawClient::connect_tls(self.0.address("https"), &tls).await.expect("the issuer speaks TLS");
        let host = format!("localhost:{}", self.0.port("https"));
        let head = format!(
            "POST /token HTTP/1.1\r\nhost: {host}\r\nauthorization: Basic {secret}\r\n{proof}connection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = connection.exchange(head).await;
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), self.log());
        serde_json::from_str(&answer.text()).unwrap()
    }

    /// A credential with this algorithm and these groups.
    pub async fn credential(&self, algorithm: &str, groups: &str) -> String {
        let form = vec![("alg", algorithm.to_owned()), ("groups", groups.to_owned())];
        let granted = self.grant(&Grant { form, ..Grant::default() }).await;
        granted["access_token"].as_str().expect("a credential").to_owned()
    }
}

impl HostileIssuer {
    /// Starts one, with one key: ES256, called `one`.
    pub async fn start() -> Self {
        Self(Process::start("hostile-issuer.mjs", None).await)
    }

    /// Its issuer URL.
    pub fn issuer(&self) -> String {
        self.0.url()
    }

    /// The file of its authority.
    pub fn trust(&self) -> PathBuf {
        self.0.folder.path().join("ca.pem")
    }

    /// Stops and continues it.
    pub fn signal(&self, signal: Signal) {
        self.0.signal(signal);
    }

    async fn control(&self, path: &str, said: &Value) -> Value {
        let body = said.to_string();
        let mut client = RawClient::connect(self.0.address("control")).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: control\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = client.exchange(head).await;
        assert_eq!(answer.status, 200, "{path}: {}\n{}", answer.text(), self.0.log());
        serde_json::from_str(&answer.text()).unwrap()
    }

    /// Claims that are good now, for `alice` in `ml-engineers`.
    pub fn claims(&self) -> Value {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        json!({
            "iss": self.issuer(), "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600, "client_id": "chat",
            "groups": ["ml-engineers"],
        })
    }

    /// A good header for the key of this name.
    pub fn header(algorithm: &str, kid: &str) -> Value {
        json!({"alg": algorithm, "typ": "at+jwt", "kid": kid})
    }

    /// What `/mint` of the script gives for this.
    pub async fn mint(&self, said: Value) -> String {
        self.control("/mint", &said).await["credential"].as_str().unwrap().to_owned()
    }

    /// A credential with these changes to good claims; `null` takes one away.
    pub async fn credential(&self, changes: Value) -> String {
        self.credential_by("ES256", "one", changes).await
    }

    /// The same, by another key.
    pub async fn credential_by(&self, algorithm: &str, kid: &str, changes: Value) -> String {
        let claims = changed(self.claims(), changes);
        self.mint(json!({"header": Self::header(algorithm, kid), "claims": claims})).await
    }

    /// A good credential with another header.
    pub async fn with_header(&self, changes: Value) -> String {
        let header = changed(Self::header("ES256", "one"), changes);
        self.mint(json!({"header": header, "claims": self.claims(), "kid": "one"})).await
    }

    /// A new key; the others are forgotten unless `keep`.
    pub async fn rotate(&self, algorithm: &str, kid: &str, keep: bool) {
        self.control("/rotate", &json!({"alg": algorithm, "kid": kid, "keep": keep})).await;
    }

    /// What a path answers from now on; see the script.
    pub async fn publish(&self, said: Value) {
        self.control("/publish", &said).await;
    }

    /// The keys that it publishes when it is honest.
    pub async fn keys(&self) -> Value {
        self.control("/keys", &json!({})).await
    }

    /// How often a path was asked for.
    pub async fn asked(&self, path: &str) -> u64 {
        self.control("/counts", &json!({})).await[path].as_u64().unwrap_or(0)
    }
}

/// Sets members of an object; those that are `null` are taken away.
pub fn changed(mut value: Value, changes: Value) -> Value {
    let (Value::Object(members), Value::Object(changes)) = (&mut value, changes) else { panic!("not objects") };
    for (name, change) in changes {
        match change {
            Value::Null => drop(members.shift_remove(&name)),
            change => drop(members.insert(name, change)),
        }
    }
    value
}

fn node() -> PathBuf {
    let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/identity/node");
    assert!(node.exists(), "no {}: run `tests/setup/install tests`", node.display());
    node
}

fn form_part(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            encoded.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    encoded
}
