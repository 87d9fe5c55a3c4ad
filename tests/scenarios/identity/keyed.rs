//! A gateway that knows callers by API keys and asks roles what they may: two models behind one route.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use portcullis_tests::harness::{Answer, Documents, Gateway, Options, Origin, RawClient, binary, read_yaml};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{edge::request, texts};

/// The gateway, and what is behind it.
pub(super) struct Keyed {
    pub(super) gateway: Gateway,
    pub(super) address: SocketAddr,
    /// Answers whatever it is asked with `{}`.
    pub(super) origin: Origin,
    backends: String,
    file: PathBuf,
    keys: BTreeMap<&'static str, String>,
}

/// Callers by the names that tests call them, with the owner and the groups of their keys.
const CALLERS: [(&str, &str, &[&str]); 4] =
    [("alice", "alice", &[]), ("bob", "bob", &[]), ("carol", "carol", &[]), ("contractor", "bob", &["contractors"])];

/// Alice may use `small-*`, bob everything but what is denied to contractors, and nobody administers.
pub(super) const ROLES: &str = "
- {name: small, rules: [{routes: [route-v1], actions: [infer, list-models], models: ['small-*']}], users: [alice]}
- {name: all, rules: [{routes: ['*'], actions: ['*']}], users: [bob]}
- {name: not-large, rules: [{effect: Deny, routes: ['*'], actions: ['*'], models: [large]}], groups: [contractors]}
";

impl Keyed {
    /// Before an origin that says `{}`, as the two models `small-1` and `large`.
    pub(super) async fn start(roles: &str) -> Self {
        let (origin, backends) = two_models().await;
        Self::before(origin, backends, roles).await
    }

    /// The same, with a second set of documents beside it that has these roles.
    pub(super) async fn start_beside(roles: &str, shadow: &str) -> Self {
        let (origin, backends) = two_models().await;
        Self::beside(origin, backends, roles, Some(shadow)).await
    }

    /// Before these backends and routes.
    pub(super) async fn before(origin: Origin, backends: String, roles: &str) -> Self {
        Self::beside(origin, backends, roles, None).await
    }

    async fn beside(origin: Origin, backends: String, roles: &str, shadow: Option<&str>) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let file = folder.path().join("keys").join("api-keys.yaml");
        fs::create_dir(file.parent().unwrap()).unwrap();
        let file_text = file.to_str().unwrap().to_owned();
        let mut keys = BTreeMap::new();
        for (name, owner, groups) in CALLERS {
            keys.insert(name, create(&file_text, owner, groups).await);
        }
        let documents = documents(&file_text, &backends, roles);
        let environment = vec![("PORTCULLIS_LOG".to_owned(), "debug".to_owned())];
        let mut options = Options { folder: Some(folder.clone()), environment, ..Options::default() };
        if let Some(roles) = shadow {
            let shadow = folder.path().join("shadow");
            replace(&shadow, &self::documents(&file_text, &backends, roles));
            options.arguments = vec!["--shadow".to_owned(), shadow.to_str().unwrap().to_owned()];
        }
        let gateway = Gateway::start(&documents, options).await;
        let address = gateway.addr("default/edge", 80).await;
        Self { gateway, address, origin, backends, file, keys }
    }

    pub(super) fn file(&self) -> String {
        self.file.to_str().unwrap().to_owned()
    }

    /// The key of a caller.
    pub(super) fn key(&self, name: &str) -> &str {
        &self.keys[name]
    }

    /// Other roles from now on.
    pub(super) async fn roles(&self, roles: &str) {
        self.gateway.rewrite(&documents(&self.file(), &self.backends, roles)).await;
    }

    /// The folder of the second set of documents.
    pub(super) fn shadow(&self) -> PathBuf {
        self.gateway.folder().path().join("shadow")
    }

    /// Another second set from now on: these roles, as they come out of `change`.
    pub(super) fn write_shadow(&self, roles: &str, change: impl Fn(&str) -> String) {
        let documents = documents(&self.file(), &self.backends, roles);
        let changed = documents.files().fold(Documents::new(), |all, (name, text)| all.with(name, change(text)));
        replace(&self.shadow(), &changed);
    }

    /// Other roles, backends and routes from now on.
    pub(super) async fn rewrite(&self, backends: &str, roles: &str) {
        self.gateway.rewrite(&documents(&self.file(), backends, roles)).await;
    }

    /// A POST of JSON.
    pub(super) async fn post(&self, path: &str, key: &str, body: &str) -> Answer {
        let headers = format!("content-type: application/json\r\nauthorization: Bearer {key}\r\n");
        self.exchange(&request("POST", "llm.test", path, &headers, body)).await
    }

    pub(super) async fn get(&self, path: &str, key: &str) -> Answer {
        self.exchange(&request("GET", "llm.test", path, &format!("x-api-key: {key}\r\n"), "")).await
    }

    pub(super) async fn exchange(&self, request: &str) -> Answer {
        RawClient::connect(self.address).await.exchange(request).await
    }
}

/// An origin that says `{}`, and the documents that know it as two models.
async fn two_models() -> (Origin, String) {
    let reply = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let origin = Origin::answering(reply).await;
    let backends = texts::inference("llm", "openai", &[origin.address()], "  models: [small-1, large]\n")
        + &texts::inference_route("/v1", "llm", "");
    (origin, backends)
}

/// Writes documents into a folder; each is renamed into place.
fn replace(folder: &Path, documents: &Documents) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in documents.files() {
        let aside = folder.with_extension("aside");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, folder.join(name)).unwrap();
    }
}

/// A key, as `portcullis keys create` prints it.
async fn create(file: &str, owner: &str, groups: &[&str]) -> String {
    let mut command = Command::new(binary("portcullis"));
    command.args(["keys", "create", "--file", file, "--owner", owner]);
    for group in groups {
        command.args(["--group", group]);
    }
    let output = command.output().await.expect("the command ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// `roles`: a list of `{name, rules, users, groups}`, each a Role and the RoleBinding that gives it.
fn documents(keys: &str, backends: &str, roles: &str) -> Documents {
    let provider = format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {{name: keys}}\nspec: {{apiKeys: {{file: \
         {keys}}}}}\n---\n"
    );
    let gateway = texts::PLAIN_GATEWAY.replace("{anonymous: {actions: ['*']}}", "{providers: [keys]}");
    let mut text = gateway + &provider + backends;
    for role in read_yaml(roles).unwrap().iter().flat_map(|list| list.as_array().unwrap()) {
        let (name, rules) = (role["name"].as_str().unwrap(), &role["rules"]);
        let subjects = |kind: &str, field: &str| -> Vec<serde_json::Value> {
            let names = role[field].as_array().cloned().unwrap_or_default();
            names.iter().map(|name| serde_json::json!({"kind": kind, "provider": "keys", "name": name})).collect()
        };
        let subjects = serde_json::json!([subjects("User", "users"), subjects("Group", "groups")].concat());
        let _ = write!(
            text,
            "apiVersion: portcullis.dev/v1alpha1\nkind: Role\nmetadata: {{name: {name}}}\nrules: {rules}\n---\napiVersion: \
             portcullis.dev/v1alpha1\nkind: RoleBinding\nmetadata: {{name: {name}}}\nsubjects: {subjects}\nroleRef: \
             {{kind: Role, name: {name}}}\n---\n"
        );
    }
    text.into()
}
