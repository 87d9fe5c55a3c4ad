//! Samba as an Active Directory domain controller: one for all tests, from a snapshot below `.cache/`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{sync::OnceCell, task::spawn_blocking, time::timeout};

use crate::harness::{PATIENCE, pki::Authority};

/// How long it may take: half a minute where nothing was provisioned before, on a busy machine.
const START_PATIENCE: std::time::Duration = std::time::Duration::from_mins(4);

/// A domain controller: `tests/servers/active_directory.py`, which says who is in it.
#[derive(Debug)]
pub struct ActiveDirectory {
    _child: Child,
    commands: Mutex<(std::process::ChildStdin, BufReader<std::process::ChildStdout>)>,
    folder: TempDir,
    address: String,
}

/// The domain controller of this run of the tests. It ends with the process.
pub async fn active_directory() -> &'static ActiveDirectory {
    static SERVER: OnceCell<ActiveDirectory> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            let started = timeout(START_PATIENCE, spawn_blocking(ActiveDirectory::start)).await;
            started.unwrap_or_else(|_| panic!("no domain controller after {START_PATIENCE:?}")).unwrap()
        })
        .await
}

impl ActiveDirectory {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        // An address of this process's own: the ports are fixed.
        let pid = std::process::id();
        let address = format!("127.{}.{}.{}", 64 + pid / 62_500 % 64, pid / 250 % 250, pid % 250 + 1);
        let authority = Authority::new("corp");
        let identity = authority.server(&[&address, "dc1.corp.example"]);
        fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
        fs::write(folder.path().join("dc1.pem"), &identity.chain_pem).unwrap();
        fs::write(folder.path().join("dc1.key"), &identity.key_pem).unwrap();
        fs::write(folder.path().join("service.password"), "Serv1ce-Passw0rd!\n").unwrap();
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut child = Command::new("/usr/bin/python3")
            .arg(tests.join("servers/active_directory.py"))
            .args([folder.path(), &tests.join("../.cache")])
            .arg(&address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let said: Option<Value> = serde_json::from_str(&line).ok();
        assert!(
            said.is_some_and(|said| said["serving"] == true),
            "no domain controller (it needs root; run `tests/setup/install tests`):\n{}",
            fs::read_to_string(folder.path().join("log")).unwrap_or_default()
        );
        Self { _child: child, commands: Mutex::new((stdin, stdout)), folder, address }
    }

    /// `ldaps://127.…`
    pub fn url(&self) -> String {
        format!("ldaps://{}", self.address)
    }

    /// `ldap://127.…`, which means StartTLS.
    pub fn start_tls_url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// The authority that vouches for it.
    pub fn trust(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The password of the gateway's account, `CN=portcullis,OU=Service,DC=corp,DC=example`.
    pub fn service_password(&self) -> PathBuf {
        self.folder.path().join("service.password")
    }

    /// Changes the directory: a statement of Python about `db`, which is a `samba.samdb.SamDB`.
    pub async fn tell(&'static self, statement: &str) {
        let statement = statement.to_owned();
        let told = spawn_blocking(move || {
            let mut commands = self.commands.lock().unwrap();
            writeln!(commands.0, "{statement}").unwrap();
            let mut line = String::new();
            commands.1.read_line(&mut line).unwrap();
            line
        });
        let said = timeout(PATIENCE, told).await.expect("the domain controller answers").unwrap();
        assert_eq!(said.trim(), "done");
    }
}
