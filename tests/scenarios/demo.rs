//! The simulated inference server, and `portcullis demo`.

mod simulator;

use std::{path::PathBuf, process::Output, process::Stdio};

use portcullis_tests::harness::{PATIENCE, RawClient, Signal, binary};
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// A running `portcullis demo`, and what it printed.
struct Demo {
    child: Child,
    guide: String,
}

impl Demo {
    async fn start(arguments: &[&str]) -> Self {
        let mut command = demo(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut guide = String::new();
        let whole = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                guide.push_str(&line);
                guide.push('\n');
                if line.ends_with("Ctrl-C stops.") {
                    return;
                }
            }
            panic!("the demo ended: {guide}");
        };
        timeout(PATIENCE, whole).await.expect("the demo says what to try");
        Self { child, guide }
    }

    /// What is said under a heading.
    fn told(&self, heading: &str) -> &str {
        let line = self.guide.lines().find_map(|line| line.trim().strip_prefix(heading)).unwrap();
        line.split_whitespace().next().unwrap()
    }

    fn curls(&self) -> Vec<&str> {
        self.guide.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect()
    }

    /// Ctrl-C.
    async fn stop(mut self) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        timeout(PATIENCE, self.child.wait()).await.expect("the demo stops").unwrap().code()
    }
}

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("portcullis"));
    command.arg("demo").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Pastes a line into a shell.
async fn pasted(line: &str) -> String {
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).env("NO_PROXY", "localhost").stdin(Stdio::null()).kill_on_drop(true);
    let Output { status, stdout, stderr } = timeout(PATIENCE, command.output()).await.expect("curl ends").unwrap();
    assert!(status.success(), "{line}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[tokio::test]
async fn the_lines_that_the_demo_prints_work_when_pasted() {
    let demo = Demo::start(&["--listen", "127.0.0.1:0"]).await;
    let curls = demo.curls();
    let [allowed, denied, streamed, masked, refused] = curls[..] else { panic!("not five lines: {}", demo.guide) };
    let said = pasted(allowed).await;
    assert!(said.contains(r#"{"type":"text","text":"Hello!"}"#), "{said}");
    assert!(said.contains(r#""model":"demo-small""#), "{said}");
    let said = pasted(denied).await;
    assert!(said.contains(r#""code":"permission_denied""#), "{said}");
    let said = pasted(streamed).await;
    assert!(said.contains(r#""object":"chat.completion.chunk""#), "{said}");
    assert!(said.contains(r#""system_fingerprint":"large""#), "the model's name chooses the server: {said}");
    assert!(said.contains("data: [DONE]\n\n"), "{said}");
    // Guardrails, on a stream that flows and on the way in.
    let said = pasted(masked).await;
    assert!(!said.contains("eve@") && !said.contains("AKIA"), "{said}");
    assert!(said.contains("[personal]") && said.contains("[secrets]"), "{said}");
    assert!(said.matches("data: ").count() > 10 && said.contains("data: [DONE]"), "{said}");
    assert!(said.contains("output/personal/email=1,output/secrets/aws-access-key-id=1"), "{said}");
    let said = pasted(refused).await;
    assert!(said.contains(r#""code":"content_filter""#), "{said}");
    let explained: Vec<_> = demo.guide.lines().map(str::trim).filter(|line| line.contains(" guard explain ")).collect();
    let [output, input] = explained[..] else { panic!("not two lines: {}", demo.guide) };
    let said = pasted(output).await;
    assert!(said.contains("email") && said.contains("aws-access-key-id"), "{said}");
    // What is refused is no success, as of `explain`.
    let said = pasted(&format!("{input}; test $? -eq 1")).await;
    assert!(said.contains("injection") && said.contains("Block"), "{said}");
    // And KServe v2, as Triton speaks it.
    let (url, authority, key) = (demo.told("endpoint"), demo.told("authority"), demo.told("key"));
    let infer = r#"{"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [3], "data": [1.5, 2, 3]}]}"#;
    let curl = format!("curl --silent --cacert {authority} {url}/v2/models/identity/infer");
    let said = pasted(&format!("{curl} -H 'x-api-key: {key}' -d '{infer}'")).await;
    assert!(said.contains(r#""data":[1.5,2.0,3.0]"#), "{said}");
    let line =
        format!("curl --silent --cacert {authority} {url}/v1/models --output /dev/null --write-out '%{{http_code}}'");
    let said = pasted(&line).await;
    assert_eq!(said, "401", "nobody comes in without a credential");
    assert_eq!(demo.stop().await, Some(0));
}

#[tokio::test]
async fn the_demo_speaks_both_versions_of_http_and_lists_what_the_caller_may_use() {
    let demo = Demo::start(&["--listen", "127.0.0.1:0"]).await;
    let (url, authority) = (demo.told("endpoint"), demo.told("authority"));
    for (flag, version, credential, whole) in
        [("--http1.1", "1.1", demo.told("jwt"), true), ("--http2", "2", demo.told("key"), false)]
    {
        let line = format!(
            "curl --silent {flag} --cacert {authority} {url}/v1/models -H 'authorization: Bearer {credential}' --write-out \
             ' over %{{http_version}}'"
        );
        let said = pasted(&line).await;
        assert!(said.contains("demo-small") && said.contains("demo-large") == whole, "{said}");
        assert!(said.ends_with(&format!(" over {version}")), "{said}");
    }
    let admin = demo.told("admin").strip_prefix("http://").unwrap();
    let admin = admin.split('/').next().unwrap().parse().unwrap();
    let page = RawClient::connect(admin).await.exchange("GET /readyz HTTP/1.1\r\nhost: admin\r\n\r\n").await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(demo.stop().await, Some(0));
}

#[tokio::test]
async fn the_demo_leaves_nothing_behind_but_what_it_was_told_to_keep() {
    let demo = Demo::start(&["--listen", "127.0.0.1:0"]).await;
    let documents = PathBuf::from(demo.told("documents"));
    assert!(documents.join("demo.yaml").is_file());
    assert_eq!(demo.stop().await, Some(0));
    assert!(!documents.parent().unwrap().exists(), "{}", documents.display());

    let kept = TempDir::new().unwrap();
    let folder = kept.path().join("it's kept");
    let arguments = ["--listen", "127.0.0.1:0", "--directory", folder.to_str().unwrap()];
    let mut authorities = Vec::new();
    for _ in 0..2 {
        let demo = Demo::start(&arguments).await;
        pasted(demo.curls()[2]).await;
        assert_eq!(demo.stop().await, Some(0));
        authorities.push(std::fs::read(folder.join("state/authority/ca.pem")).unwrap());
    }
    assert_eq!(authorities[0], authorities[1], "clients go on trusting it");
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_what_to_do() {
    let demo_there = Demo::start(&["--listen", "127.0.0.1:0"]).await;
    let taken = demo_there.told("endpoint").replace("https://localhost", "127.0.0.1");
    let refused = timeout(PATIENCE, demo(&["--listen", &taken]).output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains(&taken) && text.contains("portcullis demo --listen 127.0.0.1:0"), "{text}");
    assert!(refused.stdout.is_empty());
    let refused = timeout(PATIENCE, demo(&["--listen", "0.0.0.0:0"]).output()).await.unwrap().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("loopback"));
    assert_eq!(demo_there.stop().await, Some(0));
}
