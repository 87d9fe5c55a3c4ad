//! The smuggling corpus against nginx, HAProxy, Envoy, Caddy and us: who refuses what, and what each passes on. Prints the
//! table of `docs/smuggling.md`, and writes it there with `--write`.

#![allow(
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool of the tests: it says what went wrong and ends"
)]

use std::{
    collections::BTreeMap,
    env, fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use portcullis_tests::{
    harness::{Gateway, Options, eventually},
    smuggling::{Case, Outcome, Sink, Until, corpus, replay},
};
use tempfile::TempDir;

/// How long a proxy may say nothing before a case is over. Some answer 408 later; that is no verdict.
const QUIET: Duration = Duration::from_millis(700);
/// Cases that are tried at the same time.
const AT_ONCE: usize = 16;
const PEERS: [&str; 4] = ["nginx", "haproxy", "envoy", "caddy"];

/// What became of a case at one proxy: in words, and whether another server could read what was passed on differently.
type Verdict = (Outcome, Vec<&'static str>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cases = corpus();
    let mut columns: Vec<(&str, Vec<Verdict>)> = Vec::new();
    {
        let sink = Sink::start().await;
        let documents = include_str!("portcullis.yaml").replace("@ORIGIN@", &sink.address().port().to_string());
        let gateway = Gateway::start(&documents.into(), Options::default()).await;
        let address = gateway.addr("smuggling/edge", 80).await;
        columns.push(("Portcullis", try_all(address, &cases, &sink).await));
    }
    for name in PEERS {
        let sink = Sink::start().await;
        let peer = Peer::start(name, sink.address()).await;
        columns.push((name, try_all(peer.address, &cases, &sink).await));
    }
    let page = page(&cases, &columns);
    println!("{page}");
    if env::args().any(|argument| argument == "--write") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/smuggling.md");
        fs::write(path, page).expect("the page can be written");
    }
    let ours = cases.iter().zip(&columns[0].1);
    let wrong: Vec<_> =
        ours.filter(|(case, (outcome, faults))| outcome != &case.expected || !faults.is_empty()).collect();
    for (case, (outcome, faults)) in &wrong {
        eprintln!("{}: expected `{}`, found `{outcome}` {faults:?}", case.name, case.expected);
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn try_all(address: SocketAddr, cases: &[Case], sink: &Sink) -> Vec<Verdict> {
    let tried = stream::iter(cases).map(|case| replay(address, case, Until::Quiet(QUIET)));
    let outcomes: Vec<Outcome> = tried.buffered(AT_ONCE).collect().await;
    let verdicts = cases.iter().zip(outcomes).map(|(case, mut outcome)| {
        let reached = sink.reached(case);
        outcome.reached = reached.iter().map(|reached| reached.path(case)).collect();
        let mut faults: Vec<_> = reached.into_iter().flat_map(|reached| reached.faults).collect();
        faults.sort_unstable();
        faults.dedup();
        (outcome, faults)
    });
    verdicts.collect()
}

/// Whether the request behind the case reached the origin, where the verdict on us does not allow it.
fn is_followed(case: &Case, outcome: &Outcome) -> bool {
    outcome.reached.len() > case.expected.reached.len() && outcome.reached.iter().any(|path| path.contains("smuggled"))
}

fn word(case: &Case, (outcome, faults): &Verdict) -> String {
    let first = outcome.statuses.iter().find(|status| **status >= 200);
    let mut word = match (outcome.reached.len(), first) {
        (0, Some(status)) => status.to_string(),
        (0, None) if outcome.closed => "closed".to_owned(),
        (0, None) => "silent".to_owned(),
        (1, _) => "→ 1".to_owned(),
        (count, _) => format!("→ {count}"),
    };
    if is_followed(case, outcome) {
        word.push_str(" **+**");
    }
    if !faults.is_empty() {
        word.push_str(&format!(" ⚠ {}", faults.join(", ")));
    }
    word
}

fn page(cases: &[Case], columns: &[(&str, Vec<Verdict>)]) -> String {
    let names = columns.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    let mut page = format!(
        "# One request or two?\n\n\
         Requests that two servers in a row may read in two ways, from `tests/smuggling/cases.txt`, sent to Portcullis and to \
         nginx, HAProxy (Debian 12's), Envoy 1.40.0 and Caddy 2.11.7 (PyPI's) as they come, before an origin that forgives \
         everything. `just smuggling` writes this page; the verdicts on Portcullis are asserted by every test run.\n\n\
         - A number is the status of a refusal, `closed` one without a word, `silent` no answer within {QUIET:?}: nothing \
         reached the origin.\n\
         - `→ 1`, `→ 2`: so many requests reached the origin.\n\
         - **+**: among them the one behind it, which Portcullis does not look at: it closes the connection.\n\
         - ⚠: what was passed on could be read in another way by the next server, and why.\n\n\
         A different verdict is not always a worse one: RFC 9112 leaves some to the server.\n\n"
    );
    let mut sums: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for (name, verdicts) in columns {
        let sum = sums.entry(name).or_default();
        for (case, verdict) in cases.iter().zip(verdicts) {
            sum.0 += usize::from(!verdict.0.reached.is_empty() && case.expected.reached.is_empty());
            sum.1 += usize::from(is_followed(case, &verdict.0));
            sum.2 += usize::from(!verdict.1.is_empty());
        }
    }
    page.push_str(&format!(
        "| {} cases | {} |\n|---|{}\n",
        cases.len(),
        names.join(" | "),
        "--:|".repeat(columns.len())
    ));
    for (what, pick) in [
        ("passed on where Portcullis refuses", 0),
        ("the request behind it passed on as well", 1),
        ("passed on in an ambiguous form", 2),
    ] {
        let counts = columns.iter().map(|(name, _)| {
            let (passed, followed, ambiguous) = sums[name];
            [passed, followed, ambiguous][pick].to_string()
        });
        page.push_str(&format!("| {what} | {} |\n", counts.collect::<Vec<_>>().join(" | ")));
    }
    page.push_str(&format!("\n| case | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(columns.len())));
    for (number, case) in cases.iter().enumerate() {
        let words = columns.iter().map(|(_, verdicts)| word(case, &verdicts[number])).collect::<Vec<_>>();
        page.push_str(&format!("| {} | {} |\n", case.name, words.join(" | ")));
    }
    page
}

/// Another proxy, gone when dropped.
struct Peer {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Peer {
    async fn start(name: &str, origin: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (template, file) = match name {
            "nginx" => (include_str!("peers/nginx.conf"), "nginx.conf"),
            "haproxy" => (include_str!("peers/haproxy.cfg"), "haproxy.cfg"),
            "envoy" => (include_str!("peers/envoy.yaml"), "envoy.yaml"),
            _ => (include_str!("peers/Caddyfile"), "Caddyfile"),
        };
        let text = template
            .replace("@PORT@", &port.to_string())
            .replace("@ORIGIN@", &origin.port().to_string())
            .replace("@DIR@", &folder.path().to_string_lossy());
        let path = folder.path().join(file);
        fs::write(&path, text).unwrap();
        let mut command = Command::new(name);
        match name {
            "nginx" => command.arg("-c").arg(&path).arg("-p").arg(folder.path()),
            "haproxy" => command.arg("-db").arg("-f").arg(&path),
            "envoy" => command.args(["--log-level", "error", "--concurrency", "1", "--base-id", "7", "-c"]).arg(&path),
            _ => command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&path).env("HOME", folder.path()),
        };
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let peer = Self { child, address, _folder: folder };
        eventually(name, async || std::net::TcpStream::connect(address).is_ok()).await;
        peer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
