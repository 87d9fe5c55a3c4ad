//! Row B37 of the hostile inputs: whoever is known on one route is a stranger on another's.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc};

use portcullis_tests::harness::{Gateway, Options, Origin, RawClient, binary};
use tempfile::TempDir;
use tokio::process::Command;

use crate::texts;

/// Two tenants, each with keys of its own and a route of its own, and a third route that takes both.
struct Tenants {
    address: SocketAddr,
    origins: [Origin; 3],
    keys: [String; 2],
    _gateway: Gateway,
}

const ROUTES: [&str; 3] = ["/red", "/blue", "/both"];

impl Tenants {
    async fn start() -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let (open, _) = texts::PLAIN_GATEWAY.split_once("---\n").unwrap();
        let mut documents = format!("{open}---\n");
        let mut keys = Vec::new();
        for tenant in ["red", "blue"] {
            let file = folder.path().join(format!("{tenant}.yaml"));
            let mut command = Command::new(binary("portcullis"));
            // Both have an Alice.
            command.args(["keys", "create", "--owner", "alice", "--group", "staff", "--file"]).arg(&file);
            let output = command.output().await.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            keys.push(String::from_utf8(output.stdout).unwrap().trim().to_owned());
            let _ = write!(
                documents,
                "apiVersion: portcullis.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {{name: {tenant}}}\nspec: \
                 {{apiKeys: {{file: {}}}}}\n---\n",
                file.display()
            );
        }
        let mut origins = Vec::new();
        let roles = ["authorization: {authenticated: {}}", "authorization: {authenticated: {}}", ""];
        for ((route, providers), authorization) in ROUTES.iter().zip(["red", "blue", "red, blue"]).zip(roles) {
            let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            let name = route.trim_start_matches('/');
            documents += &texts::service(name, "", &[origin.address()]);
            documents += &texts::route(route, name, "");
            let _ = write!(
                documents,
                "apiVersion: portcullis.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: {name}}}\nspec:\n  targetRefs: \
                 [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: route-{name}}}]\n  authentication: \
                 {{providers: [{providers}]}}\n  {authorization}\n---\n"
            );
            origins.push(origin);
        }
        documents += "apiVersion: portcullis.dev/v1alpha1
kind: Role
metadata: {name: all}
rules: [{routes: ['*'], actions: ['*']}]
---
apiVersion: portcullis.dev/v1alpha1
kind: RoleBinding
metadata: {name: red}
subjects: [{kind: User, provider: red, name: alice}, {kind: Group, provider: red, name: staff}]
roleRef: {kind: Role, name: all}
---
";
        let options = Options { folder: Some(folder), ..Options::default() };
        let gateway = Gateway::start(&documents.into(), options).await;
        let address = gateway.addr("default/edge", 80).await;
        let (Ok(origins), Ok(keys)) = (origins.try_into(), keys.try_into()) else { panic!("two and three") };
        Self { address, origins, keys, _gateway: gateway }
    }

    async fn status(&self, target: &str, key: &str) -> u16 {
        let mut client = RawClient::connect(self.address).await;
        client.exchange(format!("GET {target} HTTP/1.1\r\nhost: a.test\r\nx-api-key: {key}\r\n\r\n")).await.status
    }
}

#[tokio::test]
async fn a_key_of_one_tenant_is_nobodys_on_the_route_of_another() {
    let tenants = Tenants::start().await;
    let [red, blue] = &tenants.keys;
    // Twice: what a worker remembers of a caller counts where their provider is taken, and nowhere else.
    for _ in 0..2 {
        assert_eq!((tenants.status("/red", red).await, tenants.status("/blue", blue).await), (200, 200));
        assert_eq!((tenants.status("/blue", red).await, tenants.status("/red", blue).await), (401, 401));
    }
    // Other ways to write the other's path.
    for target in ["/red/../blue", "/red/%2e%2e/blue", "//blue", "/%62lue", "/blue;x=/red", "/red/..%2fblue"] {
        let status = tenants.status(target, red).await;
        assert!(matches!(status, 400 | 401 | 404), "{target}: {status}");
    }
    assert_eq!(tenants.origins[1].seen().len(), 2, "what is blue got what blue sent");
}

#[tokio::test]
async fn a_role_of_one_tenants_alice_is_not_the_other_alices() {
    let tenants = Tenants::start().await;
    let [red, blue] = &tenants.keys;
    for _ in 0..2 {
        assert_eq!(tenants.status("/both", blue).await, 403, "a user and a group of the same names elsewhere");
        assert_eq!(tenants.status("/both", red).await, 200);
    }
    assert_eq!(tenants.origins[2].seen().len(), 2);
}
