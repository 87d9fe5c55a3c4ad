//! The real `portcullis-sidecar` beside a small server.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::BufReader,
    process::{Child, Command},
};

use super::{
    RawClient,
    gateway::binary,
    log::Log,
    pki::{Authority, Identity},
};

/// A running sidecar. Dropping it kills it.
#[derive(Debug)]
pub struct Sidecar {
    child: Child,
    folder: Arc<TempDir>,
    inbound: SocketAddr,
    admin: SocketAddr,
    log: Log,
}

/// Writes an identity and the authorities to believe into a folder, as flags name them.
pub fn write_identity(folder: &TempDir, identity: &Identity, bundle_pem: &str) {
    for (name, text) in
        [("svid.pem", &*identity.chain_pem), ("svid.key", &*identity.key_pem), ("bundle.pem", bundle_pem)]
    {
        let staging = folder.path().join(format!("{name}.new"));
        fs::write(&staging, text).unwrap();
        fs::rename(staging, folder.path().join(name)).unwrap();
    }
}

impl Sidecar {
    /// Starts a sidecar with this identity before `server`, under these documents, and waits until it serves.
    pub async fn start(authority: &Authority, id: &str, documents: &str, server: SocketAddr) -> Self {
        Self::start_with(&authority.workload(id), &authority.pem, documents, server, &[]).await
    }

    /// The same with further arguments, and an identity of one's own.
    pub async fn start_with(
        identity: &Identity,
        bundle_pem: &str,
        documents: &str,
        server: SocketAddr,
        arguments: &[&str],
    ) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        write_identity(&folder, identity, bundle_pem);
        let files = ["svid.pem", "svid.key", "bundle.pem"].map(|name| folder.path().join(name));
        Self::launch(folder, files, documents, server, arguments).await
    }

    /// The same with the files of another folder, as cert-manager names them.
    pub async fn start_from(certificates: &Path, documents: &str, server: SocketAddr) -> Self {
        let files = ["tls.crt", "tls.key", "ca.crt"].map(|name| certificates.join(name));
        Self::launch(Arc::new(TempDir::new().unwrap()), files, documents, server, &[]).await
    }

    async fn launch(
        folder: Arc<TempDir>,
        [certificate, key, bundle]: [PathBuf; 3],
        documents: &str,
        server: SocketAddr,
        arguments: &[&str],
    ) -> Self {
        let policy = folder.path().join("policy.yaml");
        fs::write(&policy, documents).unwrap();
        let mut command = Command::new(binary("portcullis-sidecar"));
        command.arg("run").arg("--config").arg(policy);
        command.args(["--inbound", &format!("127.0.0.1:0={server}"), "--log-format", "json", "--admin", "127.0.0.1:0"]);
        command.arg("--certificate").arg(certificate).arg("--key").arg(key).arg("--bundle").arg(bundle).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the sidecar can be started");
        let log = Log::follow(BufReader::new(child.stderr.take().unwrap()));
        let inbound = log.wait(|line| line["message"] == "inbound").await;
        let inbound = inbound.and_then(|line| line["address"].as_str()?.parse().ok());
        let inbound = inbound.unwrap_or_else(|| panic!("the sidecar does not serve:\n{}", log.text()));
        let serving = log.wait(|line| line["message"] == "serving peers").await;
        let admin = serving.and_then(|line| line["admin"].as_str()?.parse().ok());
        let admin = admin.unwrap_or_else(|| panic!("the sidecar does not serve:\n{}", log.text()));
        Self { child, folder, inbound, admin, log }
    }

    /// Where peers come in.
    pub fn inbound(&self) -> SocketAddr {
        self.inbound
    }

    /// An admin page: its status, and what it says.
    pub async fn page(&self, path: &str) -> (u16, String) {
        let mut client = RawClient::connect(self.admin).await;
        let answer = client.exchange(format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n")).await;
        (answer.status, answer.text())
    }

    /// Replaces its identity and whom it believes.
    pub fn replace_identity(&self, identity: &Identity, bundle_pem: &str) {
        write_identity(&self.folder, identity, bundle_pem);
    }

    /// Replaces its documents.
    pub fn rewrite(&self, documents: &str) {
        let staging = self.folder.path().join("policy.new");
        fs::write(&staging, documents).unwrap();
        fs::rename(staging, self.folder.path().join("policy.yaml")).unwrap();
    }

    /// Waits for a line of its log, and gives it.
    pub async fn logged(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let found = self.log.wait(fits).await;
        found.unwrap_or_else(|| panic!("the sidecar ended:\n{}", self.log.text()))
    }

    /// What it has logged.
    pub fn stderr(&self) -> String {
        self.log.text()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(pid.expect("it runs"), signal).unwrap();
    }

    /// Waits until it has ended, and says how.
    pub async fn ended(&mut self) -> std::process::ExitStatus {
        tokio::time::timeout(super::PATIENCE, self.child.wait()).await.expect("the sidecar ends").unwrap()
    }
}
