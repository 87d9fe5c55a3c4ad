//! Programs that others wrote: clients that are run to their end, and servers that tests share.
//!
//! `tests/setup/install tests` installs them. The servers' scripts say on stdout where they listen, as one line of JSON,
//! and end with their stdin: so none outlives the process of the tests, however that ends.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::OnceCell, task::spawn_blocking, time::timeout};

/// How long a server may take until it serves: Triton loads models one after the other, and machines that test are busy.
const START_PATIENCE: Duration = Duration::from_mins(3);
/// How often a server is started that did not come up: its ports were free when it chose them, not when it took them.
const STARTS_MAX: usize = 3;
/// How long a client may take.
const CLIENT_PATIENCE: Duration = Duration::from_mins(2);

/// A server written by others.
#[derive(Debug)]
pub struct StockServer {
    child: Child,
    ports: Value,
    log: File,
}

/// llama.cpp's own server with SmolLM2-135M, one for all tests: port `http`.
pub async fn llama() -> &'static StockServer {
    static SERVER: OnceCell<StockServer> = OnceCell::const_new();
    SERVER.get_or_init(StockServer::llama).await
}

/// A second one.
pub async fn another_llama() -> &'static StockServer {
    static SERVER: OnceCell<StockServer> = OnceCell::const_new();
    SERVER.get_or_init(StockServer::llama).await
}

/// NVIDIA Triton with the models of `tests/servers/triton.py`, one for all tests: ports `http`, `grpc` and `metrics`.
pub async fn triton() -> &'static StockServer {
    static SERVER: OnceCell<StockServer> = OnceCell::const_new();
    SERVER.get_or_init(|| StockServer::start("python-triton", "triton.py")).await
}

/// A NeMo Guardrails server with the configurations of `tests/servers/nemo`, one for all tests: port `http`.
pub async fn nemo() -> &'static StockServer {
    static SERVER: OnceCell<StockServer> = OnceCell::const_new();
    SERVER.get_or_init(StockServer::nemo).await
}

impl StockServer {
    /// A NeMo Guardrails server, for one test alone: port `http`.
    pub async fn nemo() -> Self {
        Self::start("python-nemo", "nemo.py").await
    }

    /// llama.cpp's own server with SmolLM2-135M, for one test alone: port `http`.
    pub async fn llama() -> Self {
        Self::start("python-llama", "llama.py").await
    }

    /// Starts a script of `tests/servers` that needs no more than the clients do.
    pub async fn python(script: &str) -> Self {
        Self::start("python-tests", script).await
    }

    async fn start(environment: &str, script: &str) -> Self {
        let mut failures = String::new();
        for _ in 0..STARTS_MAX {
            let (environment, name) = (environment.to_owned(), script.to_owned());
            let started = spawn_blocking(move || Self::try_start(&environment, &name));
            match timeout(START_PATIENCE, started).await {
                Ok(Ok(Ok(server))) => return server,
                Ok(Ok(Err(log))) => failures = log,
                Ok(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
                Err(elapsed) => panic!("`{script}` says nothing for {START_PATIENCE:?}: {elapsed}"),
            }
        }
        panic!("`{script}` did not start in {STARTS_MAX} attempts:\n{failures}")
    }

    /// Starts a server and waits until it says where it listens; gives its log if it ends instead.
    fn try_start(environment: &str, script: &str) -> Result<Self, String> {
        let log = tempfile::tempfile().unwrap();
        let mut child = Command::new(python(environment))
            .arg(tests().join("servers").join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            // A group of its own, so that its script can end whatever it started.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{script}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut server = Self { child, ports: Value::Null, log };
        server.ports = serde_json::from_str(&line).map_err(|_| server.log())?;
        Ok(server)
    }

    /// The port of this name.
    pub fn port(&self, name: &str) -> u16 {
        let port = self.ports[name].as_u64().and_then(|port| u16::try_from(port).ok());
        port.unwrap_or_else(|| panic!("no port `{name}` in {}", self.ports))
    }

    /// The address of the port of this name.
    pub fn address(&self, name: &str) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port(name)).into()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        let mut log = self.log.try_clone().unwrap();
        let mut text = Vec::new();
        log.seek(SeekFrom::Start(0)).unwrap();
        log.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for StockServer {
    /// Those that are shared are never dropped; the end of the process ends them.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A program to be run to its end.
#[derive(Debug)]
pub struct StockClient {
    name: String,
    command: tokio::process::Command,
}

impl StockClient {
    /// A script of `tests/clients`: it asserts what it sees, and says what it missed.
    pub fn python(script: &str) -> Self {
        let mut command = tokio::process::Command::new(python("python-tests"));
        command.arg(tests().join("clients").join(script));
        Self::of(script, command)
    }

    /// A program of Debian's, see `tests/setup/tests.apt`.
    pub fn debian(program: &str) -> Self {
        Self::of(program, tokio::process::Command::new(program))
    }

    /// A program of one of the environments that `tests/setup/install tests` makes.
    pub fn installed(environment: &str, program: &str) -> Self {
        let path = python(environment).with_file_name(program);
        Self::of(program, tokio::process::Command::new(path))
    }

    fn of(name: &str, mut command: tokio::process::Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1");
        Self { name: name.to_owned(), command }
    }

    /// With further arguments.
    #[must_use]
    pub fn args<A: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// In this folder, for programs that leave things where they are run.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With one certificate authority to trust, said as each library wants to hear it.
    #[must_use]
    pub fn trusting(mut self, authority: &Path) -> Self {
        for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] {
            self.command.env(name, authority);
        }
        self
    }

    /// Runs it; gives what it printed, and panics with all it said if it does not end well.
    pub async fn run(mut self) -> String {
        let child = self.command.spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}; run `tests/setup/install tests`", self.name));
        let output = timeout(CLIENT_PATIENCE, child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("{} is not done after {CLIENT_PATIENCE:?}", self.name)).unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} ended with {}:\n{printed}{said}", self.name, output.status);
        printed
    }
}

fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn python(environment: &str) -> PathBuf {
    let python = tests().join("../.cache").join(environment).join("bin/python");
    assert!(python.exists(), "no {}: run `tests/setup/install tests`", python.display());
    python
}
