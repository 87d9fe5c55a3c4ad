//! Certificates of one's own: `portcullis certs`, and what is started from the files that it writes.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::SystemTime,
};

use portcullis_policy::timestamp;
use portcullis_tests::harness::{
    Gateway, Options, Origin, RawClient, Sidecar, binary, eventually,
    pki::{Authority, Usage},
};
use rcgen::{BasicConstraints, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::Value;
use tempfile::TempDir;

use super::{EDGE, LLAMA, POLICY, STRANGER, backend};
use crate::texts;

const LIST: &str = "GET /v1/models HTTP/1.1\r\nhost: llama\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A folder to work in, with an authority of `corp.example` in `ca`.
struct Desk(TempDir);

/// How a command ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    /// Its standard output, if it went well.
    #[track_caller]
    fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// It was refused with all of these words, and nothing was printed.
    #[track_caller]
    fn refused(&self, words: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in: {}", self.stderr);
        }
    }
}

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        desk.certs(&["init", "ca", "--trust-domain", "corp.example"]).well();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn certs(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(binary("portcullis"));
        command.arg("certs").args(arguments).current_dir(self.0.path()).output().unwrap().into()
    }

    fn issue(&self, id: &str, out: &str) -> Ended {
        self.certs(&["issue", "ca", id, "--out", out])
    }

    fn inspected(&self, file: &str) -> Value {
        serde_json::from_str(&self.certs(&["inspect", "--format", "json", file]).stdout).unwrap()
    }

    fn serial(&self, file: &str) -> String {
        self.inspected(file)["certificates"][0]["serial"].as_str().unwrap().to_owned()
    }

    /// When it expires, in seconds since 1970.
    fn expires(&self, file: &str) -> f64 {
        let told = self.inspected(file)["certificates"][0]["notAfter"].as_str().and_then(timestamp::parse);
        told.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        name.to_owned()
    }

    /// A folder that only its owner can write, whatever the umask.
    fn folder(&self, name: &str) {
        fs::create_dir(self.path(name)).unwrap();
        self.set_mode(name, 0o700);
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// A gateway with the identity of a folder, whose backend must prove to be `identity`.
async fn gateway(certificates: &Path, sidecar: &Sidecar, identity: &str) -> Gateway {
    let documents = texts::PLAIN_GATEWAY.to_owned()
        + &backend(sidecar.inbound(), identity)
        + &texts::inference_route("/", "llama", "");
    let flags = [("--mesh-certificate", "tls.crt"), ("--mesh-key", "tls.key"), ("--mesh-bundle", "ca.crt")];
    let path = |file| certificates.join(file).display().to_string();
    let arguments = flags.iter().flat_map(|(flag, file)| [(*flag).to_owned(), path(file)]).collect();
    Gateway::start(&documents.into(), Options { arguments, ..Options::default() }).await
}

#[tokio::test]
async fn a_gateway_and_a_sidecar_reach_each_other_with_what_was_issued_and_with_what_replaces_it() {
    let desk = Desk::new();
    for (id, out) in [(LLAMA, "llama"), (EDGE, "edge")] {
        assert_eq!(desk.issue(id, out).well(), "", "nothing was asked to be printed");
    }
    let origin = Origin::answering(OK).await;
    let sidecar = Sidecar::start_from(&desk.path("llama"), POLICY, origin.address()).await;
    let edge = gateway(&desk.path("edge"), &sidecar, LLAMA).await;
    let mut client = RawClient::connect(edge.addr("default/edge", 80).await).await;
    assert_eq!(client.exchange(LIST).await.status, 200);

    // So quickly one after the other that some may be read half before and half after the swap.
    let first = desk.serial("llama/tls.crt");
    for hours in 2..8 {
        desk.certs(&["issue", "ca", LLAMA, "--out", "llama", "--lifetime", &format!("{hours}h")]).well();
    }
    assert_ne!(desk.serial("llama/tls.crt"), first);
    let expires = desk.expires("llama/tls.crt");
    let shown = async || {
        let (_, page) = sidecar.page("/metrics").await;
        let line = page.lines().find(|line| line.starts_with("portcullis_certificate_expiry")).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .expect("it says when its certificate expires")
    };
    eventually("the sidecar has the last one", async || (shown().await - expires).abs() < 0.5).await;
    let fresh = gateway(&desk.path("edge"), &sidecar, LLAMA).await;
    let mut client = RawClient::connect(fresh.addr("default/edge", 80).await).await;
    assert_eq!(client.exchange(LIST).await.status, 200);
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn what_another_authority_issued_for_the_same_name_is_not_believed() {
    let (desk, other) = (Desk::new(), Desk::new());
    desk.issue(LLAMA, "llama").well();
    other.issue(EDGE, "edge").well();
    let origin = Origin::answering(OK).await;
    let sidecar = Sidecar::start_from(&desk.path("llama"), POLICY, origin.address()).await;
    let edge = gateway(&other.path("edge"), &sidecar, LLAMA).await;
    let mut client = RawClient::connect(edge.addr("default/edge", 80).await).await;
    assert_eq!(client.exchange(LIST).await.status, 503);
    assert!(origin.seen().is_empty());
}

#[test]
fn an_authority_is_begun_once_and_stays_that_of_its_trust_domain() {
    let desk = Desk::new();
    let bundle = || fs::read(desk.path("ca/bundle.pem")).unwrap();
    let first = bundle();
    let again = desk.certs(&["init", "ca", "--trust-domain", "corp.example"]);
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    assert_eq!(again.well(), "ca/bundle.pem\n");
    assert_eq!(bundle(), first);
    desk.certs(&["init", "ca", "--trust-domain", "partner.example"]).refused(&[
        "the authority in `ca` is that of `corp.example` and not of `partner.example`",
        "give each trust domain a folder of its own",
    ]);
    assert_eq!(bundle(), first);
}

#[test]
fn only_workloads_of_the_trust_domain_are_certified_and_not_for_long() {
    let desk = Desk::new();
    desk.issue("spiffe://partner.example/ns/a/sa/b", "out").refused(&["that of `corp.example`", "`partner.example`"]);
    desk.issue("spiffe://corp.example", "out").refused(&["is not a workload", "an identity has a path"]);
    for lifetime in ["25h", "2d", "0s"] {
        let refused = desk.certs(&["issue", "ca", LLAMA, "--out", "out", "--lifetime", lifetime]);
        refused.refused(&["--lifetime", "at most 24h"]);
    }
    desk.certs(&["issue", "nowhere", LLAMA, "--out", "out"])
        .refused(&["no authority in `nowhere`", "portcullis certs init nowhere --trust-domain corp.example"]);
    assert!(!desk.path("nowhere").exists() && !desk.path("out").exists(), "nothing was written");
    for id in ["llama", "spiffe://Corp.example/a", "spiffe://corp.example/a/../b", "https://corp.example/a"] {
        let ended = desk.issue(id, "out");
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
    }
    desk.certs(&["issue", "ca", LLAMA, "--out", "out", "--lifetime", "24h"]).well();
}

#[test]
fn keys_are_for_their_owner_and_open_folders_are_refused() {
    let desk = Desk::new();
    desk.issue(LLAMA, "llama").well();
    let expected = [("ca", 0o700), ("ca/authority.json", 0o600), ("ca/bundle.pem", 0o644), ("llama", 0o700)];
    for (name, mode) in expected.into_iter().chain([("llama/tls.key", 0o600), ("llama/ca.crt", 0o644)]) {
        assert_eq!(desk.mode(name), mode, "{name}");
    }
    desk.set_mode("llama", 0o777);
    desk.issue(LLAMA, "llama").refused(&["`llama` has mode 0777", "chmod go-w llama"]);
    desk.set_mode("llama", 0o755);
    desk.set_mode("ca", 0o770);
    desk.issue(LLAMA, "llama").refused(&["`ca` has mode 0770", "chmod go-w ca"]);
    desk.set_mode("ca", 0o700);
    desk.set_mode("ca/authority.json", 0o640);
    desk.issue(LLAMA, "llama").refused(&["mode 0640", "chmod 600 ca/authority.json"]);
    desk.set_mode("ca/authority.json", 0o600);
    desk.issue(LLAMA, "llama").well();
}

#[test]
fn only_the_same_identity_replaces_a_key() {
    let desk = Desk::new();
    desk.issue(LLAMA, "out").well();
    let serial = desk.serial("out/tls.crt");
    let of_another = format!("is that of `{LLAMA}`");
    desk.issue(STRANGER, "out").refused(&["`out/tls.key` is there already", &of_another, "give another folder"]);
    assert_eq!(desk.serial("out/tls.crt"), serial);

    desk.folder("site");
    let site = Authority::new("site").server(&["site.test"]);
    desk.write("site/tls.key", &site.key_pem);
    desk.issue(LLAMA, "site").refused(&["`site/tls.key` is there already", "cannot both be read"]);
    desk.write("site/tls.crt", &site.chain_pem);
    desk.issue(LLAMA, "site").refused(&["`site/tls.key` is there already", "carries no URI"]);
    assert_eq!(fs::read_to_string(desk.path("site/tls.key")).unwrap(), site.key_pem);

    desk.write("file", "");
    desk.issue(LLAMA, "file").refused(&["`file` is not a folder"]);
    desk.issue(LLAMA, "/proc/nowhere").refused(&["cannot write to `/proc/nowhere`"]);

    // From elsewhere, and as plain files: the same identity all the same.
    desk.folder("moved");
    let llama = Authority::new("before").workload(LLAMA);
    desk.write("moved/tls.key", &llama.key_pem);
    desk.write("moved/tls.crt", &llama.chain_pem);
    desk.issue(LLAMA, "moved").well();
    assert_eq!(desk.inspected("moved/tls.crt")["good"], true);
    assert_eq!(desk.mode("moved/tls.key"), 0o600);
}

#[test]
fn one_issue_is_left_whatever_was_there() {
    let desk = Desk::new();
    let issues = || {
        let names = fs::read_dir(desk.path("out")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().starts_with("..issued-")).count()
    };
    // What a crash before the swap leaves: links that lead nowhere, and an issue that nothing leads to.
    desk.folder("out");
    desk.folder("out/..issued-00");
    symlink("..data/tls.key", desk.path("out/tls.key")).unwrap();
    for _ in 0..2 {
        desk.issue(LLAMA, "out").well();
        assert_eq!(issues(), 1);
        assert_eq!(desk.inspected("out/tls.crt")["good"], true);
    }
    let at_once: Vec<_> = (0..4)
        .map(|_| {
            let mut command = Command::new(binary("portcullis"));
            command.args(["certs", "issue", "ca", LLAMA, "--out", "out"]).stderr(Stdio::null());
            command.current_dir(desk.0.path()).spawn().unwrap()
        })
        .collect();
    for mut child in at_once {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(issues(), 1);
    let (chain, key) = (fs::read(desk.path("out/tls.crt")).unwrap(), fs::read(desk.path("out/tls.key")).unwrap());
    assert_eq!(portcullis_certs::Svid::from_pem(&chain, &key).unwrap().id().as_str(), LLAMA);
}

#[test]
fn openssl_verifies_what_is_issued() {
    let desk = Desk::new();
    desk.issue(LLAMA, "llama").well();
    let openssl = |arguments: &[&str]| -> Ended {
        Command::new("openssl").args(arguments).current_dir(desk.0.path()).output().expect("openssl is there").into()
    };
    for purpose in ["sslserver", "sslclient"] {
        let strict = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "llama/ca.crt", "llama/tls.crt"];
        assert_eq!(openssl(&strict).well(), "llama/tls.crt: OK\n");
    }
    let said = openssl(&["x509", "-in", "llama/tls.crt", "-noout", "-ext", "subjectAltName"]).well();
    assert!(said.contains(&format!("URI:{LLAMA}")) && said.contains("critical"), "{said}");
    let other = Desk::new();
    let bundle = other.path("ca/bundle.pem").display().to_string();
    assert_ne!(openssl(&["verify", "-CAfile", &bundle, "llama/tls.crt"]).code, Some(0), "another authority");
}

#[test]
fn a_good_identity_and_its_bundle_are_told_in_words() {
    let desk = Desk::new();
    desk.issue(LLAMA, "llama").well();
    let said = desk.certs(&["inspect", "llama/tls.crt"]).well();
    let identity = format!("  identity  {LLAMA}\n");
    for part in
        ["llama/tls.crt: a proper X.509-SVID\n", &identity, "Portcullis authority", "  key       P-256\n", " min left"]
    {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
    let told = desk.inspected("llama/tls.crt");
    assert_eq!((&told["kind"], &told["good"], &told["fault"]), (&"chain".into(), &true.into(), &Value::Null));
    let leaf = &told["certificates"][0];
    assert_eq!((&leaf["identity"], &leaf["state"], &leaf["key"]), (&LLAMA.into(), &"valid".into(), &"P-256".into()));
    for bundle in ["llama/ca.crt", "ca/bundle.pem"] {
        let said = desk.certs(&["inspect", bundle]).well();
        assert!(said.starts_with(&format!("{bundle}: a bundle of 1 authority\n")), "{said}");
        assert!(said.contains("identity  spiffe://corp.example\n"), "{said}");
    }
}

#[test]
fn what_is_wrong_with_a_certificate_is_told() {
    let desk = Desk::new();
    let root = Authority::new("root");
    let check = |name: &str, text: &str, expected: &str| {
        let said = desk.certs(&["inspect", &desk.write(name, text)]);
        assert_eq!(said.code, Some(1), "{name}: {}{}", said.stdout, said.stderr);
        let first = said.stdout.lines().next().unwrap_or_default();
        assert!(first.contains(expected), "{name}: `{expected}` is not in: {first}");
    };
    check("site", &root.server(&["site.test"]).chain_pem, "no X.509-SVID: the leaf carries no URI");
    check("two", &root.issue(&[EDGE, LLAMA], Usage::Both, |_| {}).chain_pem, "more than one URI");
    check("client", &root.client(&[LLAMA]).chain_pem, "`serverAuth` and `clientAuth`");
    check("url", &root.workload("https://corp.example/a").chain_pem, "not a SPIFFE ID");
    check("domain", &root.workload("spiffe://corp.example").chain_pem, "has no path");
    let signs = |params: &mut rcgen::CertificateParams| params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    check("signs", &root.issue(&[LLAMA], Usage::Both, signs).chain_pem, "may sign certificates");
    let authority = |params: &mut rcgen::CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    check("authority", &root.issue(&[LLAMA], Usage::Both, authority).chain_pem, "`CA:TRUE`");
    let old = |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(2024, 1, 1);
    check("old", &root.issue(&[LLAMA], Usage::Both, old).chain_pem, "a proper X.509-SVID, outside its dates");
    assert_eq!(desk.inspected("old")["certificates"][0]["state"], "expired");
    check("mixed", &format!("{}{}", root.pem, root.workload(LLAMA).chain_pem), "no bundle: certificate 2");
    check("long", &root.workload(LLAMA).chain_pem.repeat(7), "more than 6 certificates");
    let tall = |params: &mut rcgen::CertificateParams| {
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "\u{1b}[2J\r\nidentity spiffe://x/y");
    };
    desk.write("terminal", &root.issue(&[LLAMA], Usage::Both, tall).chain_pem);
    let said = desk.certs(&["inspect", "terminal"]).well();
    assert!(!said.contains(['\u{1b}', '\r']) && said.matches("\n  identity").count() == 1, "{said:?}");
}

#[test]
fn what_is_no_certificate_is_refused() {
    let desk = Desk::new();
    let key = KeyPair::generate().unwrap().serialize_pem();
    let chain = Authority::new("root").workload(LLAMA).chain_pem;
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let rows = [
        ("key", key.as_str(), "no certificate found"),
        ("nothing", "", "no certificate found"),
        ("cut", &chain[..chain.len() / 2], "malformed PEM"),
        ("junk", junk, "certificate 1 is not valid X.509"),
        ("large", &"x".repeat(1024 * 1024 + 1), "more than 1048576 bytes"),
    ];
    for (name, text, expected) in rows {
        let said = desk.certs(&["inspect", &desk.write(name, text)]);
        said.refused(&[&format!("`{name}`"), expected]);
        assert!(!said.stderr.contains("PRIVATE KEY"), "{}", said.stderr);
    }
    desk.certs(&["inspect", "absent"]).refused(&["cannot read `absent`"]);
}

#[test]
fn help_shows_how_and_usage_is_a_code_of_its_own() {
    let desk = Desk::new();
    let help = desk.certs(&["--help"]).well();
    assert!(
        help.contains("portcullis certs issue ca spiffe://corp.example/ns/inference/sa/llama --out llama"),
        "{help}"
    );
    for wrong in [&["init", "ca"][..], &["issue", "ca"], &["inspect"], &["init", "x", "--trust-domain", "A"], &[]] {
        assert_eq!(desk.certs(wrong).code, Some(2), "{wrong:?}");
    }
}
