//! One `portcullis run` process: its documents, its ports, what it says, what it costs.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::BufReader,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::{Documents, GLANCE, PATIENCE, RawClient, eventually, log::Log};

/// How a gateway is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Data workers.
    pub workers: usize,
    /// `--unresolved-references serve-500`: behave as a Gateway API controller instead of refusing the revision.
    pub serve_unresolved: bool,
    /// `--bind` values. Every port of every Gateway that is not among them is bound to a port of the OS's choosing.
    pub bind: Vec<String>,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further environment variables.
    pub environment: Vec<(String, String)>,
    /// Run in this folder (for a process that takes over from another) and not in a fresh one.
    pub folder: Option<Arc<TempDir>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 1,
            serve_unresolved: false,
            bind: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
        }
    }
}

/// A gateway that ended instead of serving.
#[derive(Debug)]
pub struct Refused {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// A running gateway. Dropping it kills it; if the test is panicking, what it logged is printed.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    pid: Pid,
    folder: Arc<TempDir>,
    admin: SocketAddr,
    log: Log,
}

impl Gateway {
    /// Starts a gateway and waits until it serves.
    pub async fn start(documents: &Documents, options: Options) -> Self {
        match Self::try_start(documents, options).await {
            Ok(gateway) => gateway,
            Err(refused) => panic!("the gateway ended with {} instead of serving:\n{}", refused.status, refused.stderr),
        }
    }

    /// Starts a gateway and waits until it serves, or ends.
    pub async fn try_start(documents: &Documents, options: Options) -> Result<Self, Refused> {
        let folder = options.folder.clone().unwrap_or_else(|| Arc::new(TempDir::new().unwrap()));
        write(folder.path(), documents);
        let mut command = Command::new(binary("portcullis"));
        command
            .arg("run")
            .arg("--config")
            .arg(folder.path().join("config"))
            .arg("--state")
            .arg(folder.path().join("state"))
            .args(["--admin", "127.0.0.1:0", "--log-format", "json", "--workers", &options.workers.to_string()])
            .args(binds(documents, &options.bind))
            .args(&options.arguments)
            .envs(options.environment.iter().map(|(name, value)| (name, value)));
        if options.serve_unresolved {
            command.args(["--unresolved-references", "serve-500"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the gateway can be started");
        let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        let log = Log::follow(BufReader::new(child.stderr.take().unwrap()));
        let serving = |line: &Value| line["message"] == "serving";
        let Some(serving) = log.wait(serving).await else {
            let status = timeout(PATIENCE, child.wait()).await;
            let Ok(status) = status else { panic!("the gateway hangs:\n{}", log.text()) };
            return Err(Refused { status: status.unwrap(), stderr: log.text() });
        };
        let admin = serving["admin"].as_str().and_then(|admin| admin.parse().ok());
        let admin = admin.unwrap_or_else(|| panic!("no admin address in {serving}"));
        Ok(Self { child, pid, folder, admin, log })
    }

    /// The admin address.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The folder that `config` and `state` are in.
    pub fn folder(&self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    /// The folder that the documents are in.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// The folder that the gateway keeps its state in.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The process's id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What the process logged so far.
    pub fn stderr(&self) -> String {
        self.log.text()
    }

    /// The first line of the log that fits, now or later.
    pub async fn logged(&self, fits: impl Fn(&Value) -> bool) -> Value {
        self.log.wait(fits).await.expect("the gateway logs such a line before it ends")
    }

    /// Where the port of a Gateway (`namespace/name`) is bound.
    pub async fn addr(&self, gateway: &str, port: u16) -> SocketAddr {
        let snapshot = self.snapshot().await;
        let listeners = snapshot["listeners"].as_array().expect("/snapshot has listeners");
        let bound = listeners.iter().find_map(|listener| {
            let id = listener["id"].as_str()?;
            let of_gateway = id.strip_prefix(gateway).is_some_and(|rest| rest.starts_with('/'));
            let fits = of_gateway && listener["port"].as_u64() == Some(port.into());
            fits.then(|| listener["bound"][0].as_str()?.parse::<SocketAddr>().ok()).flatten()
        });
        let mut bound = bound.unwrap_or_else(|| {
            panic!("port {port} of {gateway} is not bound: {:#}\n{}", snapshot["listeners"], self.stderr())
        });
        if bound.ip().is_unspecified() {
            bound.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        bound
    }

    /// A page of the admin address: its status and text.
    pub async fn page(&self, path: &str) -> (u16, String) {
        let mut client = RawClient::connect(self.admin).await;
        client.send(format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")).await;
        let answer = client.answer().await;
        (answer.status, answer.text())
    }

    /// Every backend's endpoints.
    pub async fn endpoints(&self) -> Value {
        let (status, text) = self.page("/endpoints").await;
        assert_eq!(status, 200, "/endpoints: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("/endpoints is not JSON: {error}\n{text}"))
    }

    /// The sum of a number over all endpoints, for example `inFlight`.
    pub async fn endpoints_sum(&self, field: &str) -> u64 {
        let page = self.endpoints().await;
        sum(&page, field).unwrap_or_else(|| panic!("no endpoint has `{field}`: {page:#}"))
    }

    /// What is in force.
    pub async fn snapshot(&self) -> Value {
        let (status, text) = self.page("/snapshot").await;
        assert_eq!(status, 200, "/snapshot: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("/snapshot is not JSON: {error}\n{text}"))
    }

    /// The metrics, in Prometheus' text format.
    pub async fn metrics(&self) -> String {
        let (status, text) = self.page("/metrics").await;
        assert_eq!(status, 200, "/metrics: {text}");
        text
    }

    /// The sum of a metric's series whose line contains all of `labels`; 0 if there is none.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let of_metric = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let metrics = self.metrics().await;
        let fitting = metrics.lines().filter(of_metric).filter(|line| labels.iter().all(|label| line.contains(label)));
        fitting.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Replaces the documents without waiting: files that changed are renamed into place, others removed.
    pub fn write(&self, documents: &Documents) {
        write(self.folder.path(), documents);
    }

    /// Replaces the documents and waits until another revision is in force.
    pub async fn rewrite(&self, documents: &Documents) {
        let before = self.snapshot().await["revision"].clone();
        self.write(documents);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.snapshot().await;
            if now["revision"] != before && now["state"] == "current" {
                return;
            }
            assert!(Instant::now() < deadline, "no new revision: {:#}\n{}", now["error"], self.stderr());
            sleep(GLANCE).await;
        }
    }

    /// Replaces the documents and waits until the gateway says it refused them. Gives its reason.
    pub async fn rewrite_refused(&self, documents: &Documents) -> String {
        self.write(documents);
        eventually("the documents are refused", async || self.snapshot().await["state"] == "stale").await;
        self.snapshot().await["error"].as_str().unwrap_or_default().to_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("the process is alive");
    }

    /// Waits until the process ends.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let status = timeout(within, self.child.wait()).await;
        status.unwrap_or_else(|_| panic!("the gateway is still there after {within:?}")).unwrap()
    }

    /// Whether the process still runs.
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The time that all its threads have spent on a CPU.
    pub fn cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid.as_raw_nonzero())).into_iter().flatten().flatten();
        let of_thread = |folder: PathBuf| {
            let line = fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
            line.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0)
        };
        Duration::from_nanos(threads.map(|thread| of_thread(thread.path())).sum())
    }

    /// The memory it has resident, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default().to_owned();
        line.split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or(0)
    }

    /// How many file descriptors it holds.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid.as_raw_nonzero())).map_or(0, Iterator::count)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- what the gateway logged ---\n{}---", self.log.text());
        }
    }
}

/// The binary of this name that was built with the tests.
pub fn binary(name: &str) -> PathBuf {
    if let Some(path) = env::var_os(format!("{}_BIN", name.to_uppercase().replace('-', "_"))) {
        return PathBuf::from(path);
    }
    let test = env::current_exe().expect("a test knows its executable");
    let found = test.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no `{name}` beside {}: run `cargo build --workspace` first", test.display()))
}

/// The sum of a field, wherever in a value it is.
fn sum(value: &Value, field: &str) -> Option<u64> {
    let add = |all: Option<u64>, one: Option<u64>| one.map(|one| all.unwrap_or(0) + one).or(all);
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| if name == field { value.as_u64() } else { sum(value, field) })
            .fold(None, add),
        Value::Array(items) => items.iter().map(|item| sum(item, field)).fold(None, add),
        _ => None,
    }
}

/// Arguments that bind every port of the documents that `given` does not.
fn binds(documents: &Documents, given: &[String]) -> Vec<String> {
    let mut values = given.to_vec();
    for listener in documents.listener_ports() {
        let key = format!("{}:{}=", listener.gateway, listener.port);
        let short = format!("{}=", listener.port);
        if !given.iter().any(|bind| bind.starts_with(&key) || bind.starts_with(&short)) {
            values.push(format!("{key}127.0.0.1:0"));
        }
    }
    values.into_iter().flat_map(|value| ["--bind".to_owned(), value]).collect()
}

fn write(folder: &Path, documents: &Documents) {
    let config = folder.join("config");
    let staging = folder.join("staging");
    fs::create_dir_all(&config).unwrap();
    fs::create_dir_all(&staging).unwrap();
    let mut changed = Vec::new();
    for (name, text) in documents.files() {
        if !fs::read_to_string(config.join(name)).is_ok_and(|before| before == text) {
            fs::write(staging.join(name), text).unwrap();
            changed.push(name);
        }
    }
    for name in changed {
        fs::rename(staging.join(name), config.join(name)).unwrap();
    }
    for entry in fs::read_dir(&config).unwrap() {
        let entry = entry.unwrap();
        if !documents.files().any(|(name, _)| entry.file_name() == name) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}
