//! OpenLDAP's own server, as strict, as lax or as faulty as a test wants it, with certificates of the test's authority.

mod active_directory;

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use self::active_directory::{ActiveDirectory, active_directory};
use super::{GLANCE, PATIENCE, pki::Authority};

/// What everybody's password is in [`Slapd::corp`], but for that of the gateway's account.
pub const PASSWORD: &str = "correct horse";
/// The password of the gateway's account.
pub const SERVICE_PASSWORD: &str = "service secret";
/// The gateway's account.
pub const SERVICE_DN: &str = "cn=portcullis,ou=service,dc=corp,dc=example";

const SCHEMA: &str = "/etc/ldap/schema";
const MODULES: &str = "/usr/lib/ldap";
/// How often a server is started whose ports somebody else took.
const STARTS_MAX: usize = 5;

/// How a server is set up.
#[derive(Debug, Clone, Default)]
pub struct SlapdSetup {
    /// Lines of `slapd.conf` before the database.
    pub global: String,
    /// Lines of the database: overlays.
    pub database: String,
    /// Entries besides [`CORP`].
    pub entries: String,
    /// Names of its certificate; the address when empty.
    pub names: Vec<String>,
}

impl SlapdSetup {
    /// No more than a directory needs.
    pub fn new() -> Self {
        Self::default()
    }

    /// As Active Directory is about sizes: 1000 entries, and more only in pages.
    #[must_use]
    pub fn with_small_pages(mut self) -> Self {
        self.global += "sizelimit size.soft=1000 size.hard=1000 size.pr=1000 size.prtotal=unlimited\n";
        self
    }

    /// Takes binds without a password for anonymous ones and says so with success, as Windows does.
    #[must_use]
    pub fn lax(mut self) -> Self {
        self.global += "allow bind_anon_cred bind_anon_dn\n";
        self
    }

    /// `memberOf` of groups in groups, computed when it is read.
    #[must_use]
    pub fn with_nested_member_of(mut self) -> Self {
        self.global = format!("include {SCHEMA}/dyngroup.schema\nmoduleload dynlist\n{}", self.global);
        self.database += "overlay dynlist\ndynlist-attrset groupOfURLs memberURL member+memberOf@groupOfNames*\n";
        self
    }

    /// `memberOf` of direct groups, written when groups are: seed those with [`Slapd::add`].
    #[must_use]
    pub fn with_direct_member_of(mut self) -> Self {
        self.global += "moduleload memberof\n";
        self.database += "overlay memberof\nmemberof-group-oc groupOfNames\n";
        self
    }

    /// Answers below `ou=faults` with these result codes: lines like `retcode-item "cn=busy" 0x33`.
    #[must_use]
    pub fn with_faults(mut self, items: &str) -> Self {
        self.global += "moduleload retcode\n";
        let _ = writeln!(self.database, "overlay retcode\nretcode-parent \"ou=faults,dc=corp,dc=example\"\n{items}");
        self
    }

    /// With these entries, too.
    #[must_use]
    pub fn with(mut self, entries: &str) -> Self {
        self.entries += entries;
        self
    }
}

/// A directory with people, and groups in groups in a circle.
pub const CORP: &str = "\
dn: dc=corp,dc=example
objectClass: dcObject
objectClass: organization
o: corp

dn: ou=people,dc=corp,dc=example
objectClass: organizationalUnit

dn: ou=service,dc=corp,dc=example
objectClass: organizationalUnit

dn: ou=groups,dc=corp,dc=example
objectClass: organizationalUnit

dn: ou=faults,dc=corp,dc=example
objectClass: organizationalUnit

dn: cn=portcullis,ou=service,dc=corp,dc=example
objectClass: applicationProcess
objectClass: simpleSecurityObject
userPassword: service secret

";

/// The groups of [`Slapd::corp`]: alice in ai-devs in ai-platform in ai-users in ai-devs; bob in staff.
pub const CORP_GROUPS: &str = "\
dn: cn=ai-devs,ou=groups,dc=corp,dc=example
objectClass: groupOfNames
member: uid=alice,ou=people,dc=corp,dc=example
member: cn=ai-users,ou=groups,dc=corp,dc=example

dn: cn=ai-platform,ou=groups,dc=corp,dc=example
objectClass: groupOfNames
member: cn=ai-devs,ou=groups,dc=corp,dc=example

dn: cn=ai-users,ou=groups,dc=corp,dc=example
objectClass: groupOfNames
member: cn=ai-platform,ou=groups,dc=corp,dc=example

dn: cn=staff,ou=groups,dc=corp,dc=example
objectClass: groupOfNames
member: uid=bob,ou=people,dc=corp,dc=example

";

/// A person, with [`PASSWORD`].
pub fn person(uid: &str) -> String {
    format!(
        "dn: uid={uid},ou=people,dc=corp,dc=example\nobjectClass: inetOrgPerson\ncn: {uid}\nsn: {uid}\nuserPassword: \
         {PASSWORD}\n\n"
    )
}

/// A group with these members, given by their names below the root.
pub fn group(cn: &str, members: &[&str]) -> String {
    let members = members.iter().map(|member| format!("member: {member},dc=corp,dc=example\n"));
    format!("dn: cn={cn},ou=groups,dc=corp,dc=example\nobjectClass: groupOfNames\n{}\n", members.collect::<String>())
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Slapd {
    folder: TempDir,
    ports: (u16, u16),
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    /// A shell that outlives the server and ends it with its own stdin, so that nothing outlives the tests.
    shell: Child,
    pid: Pid,
}

impl Slapd {
    /// People and groups in groups: alice, bob, carol.
    pub fn corp(authority: &Authority, setup: &SlapdSetup) -> Self {
        let people = ["alice", "bob", "carol"].map(person).concat();
        Self::start(authority, &SlapdSetup { entries: people + CORP_GROUPS + &setup.entries, ..setup.clone() })
    }

    /// A server with these entries and the few that all have.
    pub fn start(authority: &Authority, setup: &SlapdSetup) -> Self {
        let folder = TempDir::new().unwrap();
        let mut slapd = Self { folder, ports: (0, 0), running: None };
        slapd.write(authority, setup);
        for _ in 0..STARTS_MAX {
            slapd.ports = (free_port(), free_port());
            if slapd.try_run() {
                return slapd;
            }
        }
        panic!("slapd did not start in {STARTS_MAX} attempts; see `{}`", slapd.folder.path().display())
    }

    fn write(&self, authority: &Authority, setup: &SlapdSetup) {
        let folder = self.folder.path();
        let path = |name: &str| folder.join(name).display().to_string();
        fs::create_dir(folder.join("db")).unwrap();
        let names: Vec<&str> = setup.names.iter().map(String::as_str).collect();
        let identity = authority.server(if names.is_empty() { &["127.0.0.1"] } else { &names });
        fs::write(folder.join("ca.pem"), &authority.pem).unwrap();
        fs::write(folder.join("server.pem"), &identity.chain_pem).unwrap();
        fs::write(folder.join("server.key"), &identity.key_pem).unwrap();
        fs::write(folder.join("service.password"), format!("{SERVICE_PASSWORD}\n")).unwrap();
        let SlapdSetup { global, database, entries, .. } = setup;
        let configuration = format!(
            "include {SCHEMA}/core.schema\ninclude {SCHEMA}/cosine.schema\ninclude {SCHEMA}/inetorgperson.schema\n\
             modulepath {MODULES}\nmoduleload back_mdb\npidfile {}\nTLSCACertificateFile {}\nTLSCertificateFile {}\n\
             TLSCertificateKeyFile {}\nlocalSSF 256\nsecurity simple_bind=128\n{global}\
             database mdb\nsuffix \"dc=corp,dc=example\"\nrootdn \"cn=admin,dc=corp,dc=example\"\nrootpw admin\n\
             directory {}\nmaxsize 67108864\ndbnosync\nindex objectClass,member,uid eq\n\
             access to attrs=userPassword by anonymous auth by * none\naccess to * by users read by anonymous auth\n\
             {database}",
            path("slapd.pid"),
            path("ca.pem"),
            path("server.pem"),
            path("server.key"),
            path("db"),
        );
        fs::write(folder.join("slapd.conf"), configuration).unwrap();
        let mut seeding = Command::new("/usr/sbin/slapadd")
            .args(["-q", "-f", &path("slapd.conf")])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("slapadd: {error}; run `tests/setup/install tests`"));
        seeding.stdin.take().unwrap().write_all(format!("{CORP}{entries}").as_bytes()).unwrap();
        let output = seeding.wait_with_output().unwrap();
        assert!(output.status.success(), "slapadd: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn try_run(&mut self) -> bool {
        let (ldap, ldaps) = self.ports;
        let socket = self.socket();
        let script = format!(
            "/usr/sbin/slapd -d stats -f slapd.conf -h 'ldap://127.0.0.1:{ldap}/ ldaps://127.0.0.1:{ldaps}/ {socket}' \
             >>slapd.log 2>&1 </dev/null & echo $!; cat >/dev/null; kill -KILL $!"
        );
        let mut shell = Command::new("/bin/sh")
            .args(["-c", &script])
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        self.running = Some(Running { shell, pid });
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let answers = |port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            if answers(ldap) && answers(ldaps) {
                return true;
            }
            if !Path::new(&format!("/proc/{}", pid.as_raw_nonzero())).exists() {
                self.end();
                return false;
            }
            std::thread::sleep(GLANCE);
        }
        panic!(
            "slapd does not listen: {}",
            fs::read_to_string(self.folder.path().join("slapd.log")).unwrap_or_default()
        )
    }

    fn socket(&self) -> String {
        format!("ldapi://{}/", self.folder.path().join("socket").display().to_string().replace('/', "%2F"))
    }

    /// `ldaps://127.0.0.1:…`
    pub fn url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.ports.1)
    }

    /// `ldap://127.0.0.1:…`, which means StartTLS.
    pub fn start_tls_url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.ports.0)
    }

    /// The port where TLS begins at once.
    pub fn port(&self) -> u16 {
        self.ports.1
    }

    /// The authority that vouches for it.
    pub fn trust(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The password of the gateway's account.
    pub fn service_password(&self) -> PathBuf {
        self.folder.path().join("service.password")
    }

    /// What it logged: every operation.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("slapd.log")).unwrap_or_default()
    }

    /// Adds entries (LDIF).
    pub fn add(&self, entries: &str) {
        self.tell("ldapadd", entries);
    }

    /// Changes entries (LDIF).
    pub fn modify(&self, changes: &str) {
        self.tell("ldapmodify", changes);
    }

    fn tell(&self, program: &str, ldif: &str) {
        let mut child = Command::new(program)
            .args(["-H", &self.socket(), "-x", "-D", "cn=admin,dc=corp,dc=example", "-w", "admin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; run `tests/setup/install tests`"));
        child.stdin.take().unwrap().write_all(ldif.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Stops it in its tracks (`SIGSTOP`), or lets it go on (`SIGCONT`).
    pub fn signal(&self, signal: Signal) {
        kill_process(self.running.as_ref().expect("it runs").pid, signal).unwrap();
    }

    /// Ends it at once.
    pub fn end(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.shell.stdin.take());
            let _ = running.shell.wait();
        }
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.try_run() {
            assert!(Instant::now() < deadline, "slapd does not start again");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.end();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A name and a password as `Authorization: Basic` carries them (RFC 7617): in base64.
pub fn basic(username: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = format!("{username}:{password}").into_bytes();
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= three.len() { DIGITS[value] as char } else { '=' });
        }
    }
    text
}
