//! API keys from the command line to the gateway that serves meanwhile.

use std::{cell::Cell, fs, net::SocketAddr, path::PathBuf, process::Output, sync::Arc, time::Duration};

use portcullis_tests::harness::{
    Answer, Documents, Gateway, Options, Origin, PATIENCE, RawClient, Reply, binary, eventually,
};
use tempfile::TempDir;
use tokio::process::Command;

use crate::texts;

/// The documents of a gateway whose only route takes API keys, and nothing but them.
fn documents(keys: &str, origin: SocketAddr) -> String {
    let provider = format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {{name: keys}}\nspec: {{apiKeys: {{file: \
         {keys}}}}}\n---\n"
    );
    let taken = "authentication: {providers: [keys]}\n  authorization: {authenticated: {}}\n";
    texts::PLAIN_GATEWAY.replace("authentication: {anonymous: {actions: ['*']}}\n", taken)
        + &provider
        + &texts::service("app", "", &[origin])
        + &texts::route("/", "app", "")
}

/// A gateway that takes API keys, and the file of them.
struct Keyed {
    gateway: Gateway,
    address: SocketAddr,
    origin: Origin,
    file: PathBuf,
    /// How often documents had been read before the file was last edited. Whoever asks sooner than they are read again
    /// fails, and too many failures are an answer of their own.
    readings: Cell<f64>,
}

async fn keys(arguments: &[&str]) -> Output {
    let output = Command::new(binary("portcullis")).arg("keys").args(arguments).output().await;
    output.expect("the command ends")
}

/// What a command printed that went well.
async fn printed(arguments: &[&str]) -> String {
    let output = keys(arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Keyed {
    async fn start() -> (Self, String) {
        let folder = Arc::new(TempDir::new().unwrap());
        let file = folder.path().join("keys").join("api-keys.yaml");
        fs::create_dir(file.parent().unwrap()).unwrap();
        let first = printed(&["create", "--file", file.to_str().unwrap(), "--owner", "alice"]).await;
        let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let documents: Documents = documents(&file.display().to_string(), origin.address()).into();
        let gateway = Gateway::start(&documents, Options { folder: Some(folder), ..Options::default() }).await;
        let address = gateway.addr("default/edge", 80).await;
        (Self { gateway, address, origin, file, readings: Cell::new(0.0) }, first.trim_end().to_owned())
    }

    fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }

    /// Makes a key of bob with further arguments.
    async fn create(&self, more: &[&str]) -> String {
        self.edit(&[&["create", "--owner", "bob"], more].concat()).await
    }

    /// Edits the file; gives the key that was printed, if one was.
    async fn edit(&self, arguments: &[&str]) -> String {
        self.readings.set(self.readings_now().await);
        let (command, rest) = arguments.split_first().unwrap();
        printed(&[&[*command, "--file", self.file()], rest].concat()).await.trim_end().to_owned()
    }

    async fn readings_now(&self) -> f64 {
        self.gateway.metric("portcullis_config_reloads_total", &[]).await
    }

    async fn is_read(&self) -> bool {
        self.readings_now().await > self.readings.get()
    }

    /// Asks with these header lines.
    async fn ask(&self, headers: &str) -> Answer {
        let mut client = RawClient::connect(self.address).await;
        client.exchange(format!("GET / HTTP/1.1\r\nhost: a.test\r\n{headers}\r\n")).await
    }

    async fn status(&self, key: &str) -> u16 {
        self.ask(&format!("authorization: Bearer {key}\r\n")).await.status
    }

    /// Waits until the gateway has read the file again.
    async fn becomes(&self, key: &str, status: u16) {
        eventually("the keys are read again", async || self.is_read().await && self.status(key).await == status).await;
    }

    async fn rejections(&self, word: &str) -> f64 {
        self.gateway.metric("portcullis_authentications_total", &[&format!("\"{word}\"")]).await
    }
}

fn id(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

#[tokio::test]
async fn a_key_opens_under_each_of_its_headers_and_the_backend_does_not_see_it() {
    let (keyed, key) = Keyed::start().await;
    for header in ["authorization: Bearer", "x-api-key:", "api-key:"] {
        assert_eq!(keyed.ask(&format!("{header} {key}\r\n")).await.status, 200, "{header}");
    }
    assert_eq!(keyed.ask("").await.status, 401);
    let seen = keyed.origin.seen();
    assert_eq!(seen.len(), 3);
    for request in seen {
        let told = String::from_utf8_lossy(&request.head).into_owned();
        assert!(!told.contains("pcl_") && !told.contains("Bearer"), "{told}");
    }
    assert!(!keyed.gateway.stderr().contains(&key));
}

#[tokio::test]
async fn keys_are_made_revoked_and_rotated_while_the_gateway_serves() {
    let (keyed, alice) = Keyed::start().await;
    let bob = keyed.create(&["--scope", "chat", "--note", "for a test"]).await;
    keyed.becomes(&bob, 200).await;
    assert_eq!(keyed.edit(&["revoke", id(&bob)]).await, "");
    keyed.becomes(&bob, 401).await;
    assert!(keyed.rejections("key_revoked").await > 0.0);

    let next = keyed.edit(&["rotate", id(&alice), "--overlap", "1h"]).await;
    keyed.becomes(&next, 200).await;
    assert_eq!(keyed.status(&alice).await, 200, "both are good for a while");
    let last = keyed.edit(&["rotate", id(&next), "--overlap", "0s"]).await;
    keyed.becomes(&next, 401).await;
    assert_eq!((keyed.status(&last).await, keyed.status(&alice).await), (200, 200));
    assert!(keyed.rejections("key_expired").await > 0.0);
    let refused = keys(&["rotate", "--file", keyed.file(), id(&bob)]).await;
    assert_eq!(refused.status.code(), Some(1), "a revoked key is not replaced");
}

#[tokio::test]
async fn a_key_counts_only_from_its_networks_and_until_it_expires() {
    let (keyed, _) = Keyed::start().await;
    let far = keyed.create(&["--cidr", "192.0.2.0/24"]).await;
    let gone = keyed.create(&["--expires", "0s"]).await;
    // The last one that is made: when it is known, all are.
    let near = keyed.create(&["--cidr", "192.0.2.0/24", "--cidr", "127.0.0.0/8", "--expires", "1d"]).await;
    keyed.becomes(&near, 200).await;
    assert_eq!((keyed.status(&far).await, keyed.status(&gone).await), (401, 401));
    assert!(keyed.rejections("key_source").await > 0.0 && keyed.rejections("key_expired").await > 0.0);
}

/// Row B36 of the hostile inputs.
#[tokio::test]
async fn keys_in_urls_and_beside_other_credentials_are_refused() {
    let (keyed, key) = Keyed::start().await;
    for query in [format!("api_key={key}"), format!("api-key={key}"), format!("access_token={key}")] {
        assert_eq!(in_url_of(&keyed, &query).await, 400, "{query}");
    }
    let basic = "authorization: Basic YTpi\r\n";
    let bearer = format!("authorization: Bearer {key}\r\n");
    for two in [
        format!("{bearer}{bearer}"),
        format!("{bearer}{basic}"),
        format!("{bearer}x-api-key: {key}\r\n"),
        format!("x-api-key: {key}\r\napi-key: {key}\r\n"),
        format!("x-api-key: {key}\r\nx-api-key: {key}\r\n"),
    ] {
        assert_eq!(keyed.ask(&two).await.status, 400, "{two}");
    }
    assert!(keyed.origin.seen().is_empty());
}

async fn in_url_of(keyed: &Keyed, query: &str) -> u16 {
    let mut client = RawClient::connect(keyed.address).await;
    client.exchange(format!("GET /?{query} HTTP/1.1\r\nhost: a.test\r\n\r\n")).await.status
}

#[tokio::test]
async fn whoever_guesses_learns_nothing_from_the_answer() {
    let (keyed, key) = Keyed::start().await;
    let elsewhere = keyed.create(&["--cidr", "192.0.2.0/24"]).await;
    let revoked = keyed.create(&[]).await;
    keyed.becomes(&revoked, 200).await;
    keyed.edit(&["revoke", id(&revoked)]).await;
    let cut = key.get(..key.len() - 1).unwrap();
    // Made with another pepper: a whole key with an id that nobody knows.
    let folder = TempDir::new().unwrap();
    let other = folder.path().join("keys.yaml");
    let unknown = printed(&["create", "--file", other.to_str().unwrap(), "--owner", "alice"]).await;
    keyed.becomes(&revoked, 401).await;
    let mut answers = Vec::new();
    for wrong in [cut, "pcl_", "pcl_aaaaaaaaaaaa_x", unknown.trim_end(), &revoked, &elsewhere] {
        let mut answer = keyed.ask(&format!("x-api-key: {wrong}\r\n")).await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert!(answer.header("www-authenticate").is_some());
        answer.headers.retain(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"));
        let text = answer.text();
        let (body, _) = text.split_once("\"request_id\"").unwrap();
        answers.push((answer.headers.clone(), body.to_owned()));
    }
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    for word in ["key_malformed", "key_unknown", "key_revoked"] {
        assert!(keyed.rejections(word).await > 0.0, "{word} is counted");
    }
}

#[tokio::test]
async fn nothing_but_the_key_is_printed_and_its_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("api-keys.yaml");
    let pepper = folder.path().join("api-keys.yaml.pepper");
    let arguments = ["create", "--file", file.to_str().unwrap(), "--owner", "alice"];
    let first = keys(&arguments).await;
    let key = String::from_utf8(first.stdout).unwrap();
    assert!(key.starts_with("pcl_") && key.trim_end().len() == 66 && first.stderr.is_empty(), "{key}");
    let secret = fs::read(&pepper).unwrap();
    // Both commands at once: neither loses what the other wrote.
    let (second, third) = tokio::join!(printed(&arguments), printed(&arguments));
    assert_eq!(fs::read(&pepper).unwrap(), secret, "a pepper is never replaced");
    for path in [&file, &pepper] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let text = fs::read_to_string(&file).unwrap();
    let list = printed(&["list", "--file", file.to_str().unwrap(), "--format", "json"]).await;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 3);
    for key in [&key, &second, &third] {
        let secret = key.trim_end().rsplit('_').next().unwrap();
        assert!(!text.contains(secret) && !list.to_string().contains(secret));
        assert!(list.as_array().unwrap().iter().any(|listed| listed["id"] == id(key)), "{list}");
    }
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing is left behind: {names:?}");
}

#[tokio::test]
async fn keys_may_lie_among_the_documents_and_their_mistakes_are_told() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("gateway.yaml"), documents("api-keys.yaml", ([127, 0, 0, 1], 9).into())).unwrap();
    let check = || async { Command::new(binary("portcullis")).arg("check").arg(folder.path()).output().await.unwrap() };
    assert!(check().await.status.success(), "there need not be keys yet");
    printed(&["create", "--file", at("api-keys.yaml").to_str().unwrap(), "--owner", "alice"]).await;
    let clean = check().await;
    assert!(clean.status.success(), "{}", String::from_utf8_lossy(&clean.stderr));
    let text = fs::read_to_string(at("api-keys.yaml")).unwrap();
    fs::write(at("api-keys.yaml"), text.replace("owner:", "owned:")).unwrap();
    let output = check().await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("unknown field `owned`, did you mean `owner`?") && said.contains("api-keys.yaml:"), "{said}");
    fs::write(at("list.yaml"), "- a list that nobody names\n").unwrap();
    assert!(String::from_utf8_lossy(&check().await.stderr).contains("a document must be a mapping"));
}

#[tokio::test]
async fn a_gateway_does_not_start_without_its_keys_and_keeps_those_it_has() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("api-keys.yaml").display().to_string();
    let text = documents(&missing, ([127, 0, 0, 1], 9).into());
    let refused = Gateway::try_start(&text.into(), Options::default()).await.unwrap_err();
    assert!(refused.stderr.contains("portcullis keys create"), "{}", refused.stderr);

    let (keyed, key) = Keyed::start().await;
    fs::write(&keyed.file, "- {id: nonsense}\n").unwrap();
    eventually("the file is refused", async || keyed.gateway.snapshot().await["state"] == "stale").await;
    assert_eq!(keyed.status(&key).await, 200, "the last good keys stay in force");
}

#[tokio::test]
async fn an_answer_that_goes_on_ends_when_its_key_is_revoked() {
    let (keyed, key) = Keyed::start().await;
    let stays = keyed.create(&[]).await;
    keyed.becomes(&stays, 200).await;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
    let pieces = vec![(Duration::ZERO, head.into()), (Duration::from_mins(5), b"0\r\n\r\n".to_vec())];
    let endless = Origin::scripted(vec![Reply::Pieces(pieces)]).await;
    keyed.gateway.rewrite(&documents(keyed.file(), endless.address()).into()).await;
    let mut streams = Vec::new();
    for key in [&key, &stays] {
        let mut client = RawClient::connect(keyed.address).await;
        client.send(format!("GET / HTTP/1.1\r\nhost: a.test\r\nx-api-key: {key}\r\n\r\n")).await;
        assert_eq!(client.head().await.status, 200);
        streams.push(client);
    }
    keyed.edit(&["revoke", id(&key)]).await;
    assert!(streams[0].read_until_close(PATIENCE).await.is_some(), "the stream of the revoked key ends");
    assert_eq!(keyed.rejections("key_revoked").await, 0.0, "nobody has shown it again");
    let in_flight = async || keyed.gateway.metric("portcullis_requests_in_flight", &[]).await;
    eventually("the other one goes on", async || (in_flight().await - 1.0).abs() < 0.5).await;
}
