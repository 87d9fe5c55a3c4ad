//! What backends hear of callers: verified as a backend would, and not to be forged by clients.

use std::{fs, net::SocketAddr, sync::Arc};

use portcullis_tests::harness::{Gateway, H2Client, Options, Origin, RawClient, binary, stock::StockClient};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::texts;

/// A gateway that takes API keys and tells backends what `upstream` says.
struct Telling {
    gateway: Gateway,
    address: SocketAddr,
    origin: Origin,
    key: String,
}

impl Telling {
    async fn start(upstream: &str) -> Self {
        Self::start_with(upstream, "").await
    }

    /// `filters`: of the route's rule, four spaces deep.
    async fn start_with(upstream: &str, filters: &str) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let file = folder.path().join("api-keys.yaml");
        let mut command = Command::new(binary("portcullis"));
        command.args(["keys", "create", "--owner", "Älice", "--group", "ml", "--group", "a, b", "--file"]).arg(&file);
        let made = command.output().await.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let provider = format!(
            "apiVersion: portcullis.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {{name: keys}}\nspec: {{apiKeys: \
             {{file: {}}}}}\n---\n",
            file.display()
        );
        let upstream = if upstream.is_empty() { String::new() } else { format!("  upstream: {upstream}\n") };
        let taken =
            format!("authentication: {{providers: [keys]}}\n  authorization: {{authenticated: {{}}}}\n{upstream}");
        let documents = texts::PLAIN_GATEWAY.replace("authentication: {anonymous: {actions: ['*']}}\n", &taken)
            + &provider
            + &texts::service("app", "", &[origin.address()])
            + &texts::route("/", "app", filters);
        let options = Options { folder: Some(folder), ..Options::default() };
        let gateway = Gateway::start(&documents.into(), options).await;
        let address = gateway.addr("default/edge", 80).await;
        let key = String::from_utf8(made.stdout).unwrap().trim_end().to_owned();
        Self { gateway, address, origin, key }
    }

    /// Asks with further header lines, and gives the head that the backend got.
    async fn forwarded(&self, headers: &str) -> Vec<(String, String)> {
        let mut client = RawClient::connect(self.address).await;
        let key = &self.key;
        let answer =
            client.exchange(format!("GET / HTTP/1.1\r\nhost: a.test\r\nx-api-key: {key}\r\n{headers}\r\n")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.origin.seen().pop().unwrap().headers
    }
}

fn named<'h>(headers: &'h [(String, String)], name: &str) -> Vec<&'h str> {
    headers.iter().filter(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
}

#[tokio::test]
async fn a_jwt_is_verified_by_a_stock_library_with_the_published_keys() {
    let telling = Telling::start("{jwt: {audience: 'https://models.corp.example'}}").await;
    let head = telling.forwarded("").await;
    let [told] = named(&head, "authorization")[..] else { panic!("{head:?}") };
    let told = told.strip_prefix("Bearer ").unwrap();
    let keys = format!("http://{}/jwks", telling.gateway.admin());
    let printed = StockClient::python("caller_jwt.py").env("KEYS_URL", keys).env("TOLD", told).run().await;
    let read: Value = serde_json::from_str(&printed).unwrap();
    let claims = &read["claims"];
    assert_eq!((&read["header"]["alg"], &read["header"]["typ"]), (&"EdDSA".into(), &"JWT".into()));
    assert_eq!((&claims["sub"], &claims["provider"]), (&"Älice".into(), &"default/keys".into()));
    assert_eq!((&claims["method"], claims["groups"].to_string()), (&"api-key".into(), r#"["ml","a, b"]"#.to_owned()));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    assert!(!format!("{head:?}").contains("pcl_"));
    let (status, page) = telling.gateway.page("/jwks").await;
    assert_eq!(status, 200);
    assert!(!page.contains("\"d\""), "the private half is nobody's business: {page}");
    let kept: Vec<_> = fs::read_dir(telling.gateway.state().join("upstream-identity")).unwrap().collect();
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn a_jwt_goes_where_the_policy_says_and_is_remembered_for_a_while() {
    let telling = Telling::start("{jwt: {audience: a, lifetime: 10m, header: X-Caller}}").await;
    let first = telling.forwarded("x-caller: forged\r\nX_Caller: forged\r\nx.caller: forged\r\n").await;
    let [told] = named(&first, "x-caller")[..] else { panic!("{first:?}") };
    assert_eq!(told.split('.').count(), 3);
    assert!(named(&first, "authorization").is_empty() && !format!("{first:?}").contains("forged"), "{first:?}");
    let again = telling.forwarded("").await;
    assert_eq!(named(&again, "x-caller"), [told], "signed once");
}

/// Row B26 of the hostile inputs.
#[tokio::test]
async fn headers_name_the_caller_and_no_client_can() {
    let telling = Telling::start("{headers: {user: X-User, groups: X-Groups, provider: X-Provider}}").await;
    let forged = "X-User: root\r\nx-user: root\r\nX_User: root\r\nx.user: root\r\nX-GROUPS: admins\r\nx_groups: admins\r\n\
                  x-provider: sso\r\nx-forwarded-user: root\r\nx_forwarded_user: root\r\nx.forwarded.user: root\r\n\
                  remote-user: root\r\nforwarded: for=root\r\nconnection: x-user, x-groups, x-forwarded-user\r\n";
    let head = telling.forwarded(forged).await;
    assert_eq!(named(&head, "x-user"), ["%C3%84lice"]);
    assert_eq!(named(&head, "x-groups"), ["ml,a%2C%20b"]);
    assert_eq!(named(&head, "x-provider"), ["default/keys"]);
    let all = format!("{head:?}");
    assert!(!all.contains("root") && !all.contains("admins") && !all.contains("pcl_"), "{all}");
}

#[tokio::test]
async fn claims_and_nominations_open_no_guarded_route() {
    let telling = Telling::start("{headers: {user: X-User}}").await;
    let h2 = H2Client::connect(telling.address).await;
    for (name, value) in [
        ("x-forwarded-user", "root"),
        ("x_forwarded_user", "root"),
        ("x.forwarded.user", "root"),
        ("x-forwarded-client-cert", "Hash=0;Subject=\"CN=root\""),
        ("x_forwarded.client_cert", "Hash=0;Subject=\"CN=root\""),
        ("x-forwarded-uri", "/public/root"),
        ("x-original-url", "/public/root"),
        ("forwarded", "for=127.0.0.1;by=root"),
        ("x-forwarded-for", "127.0.0.1, root"),
        ("x-user", "root"),
        ("x_user", "root"),
        ("x-portcullis-user", "root"),
        ("remote-user", "root"),
        ("x-auth-request-user", "root"),
        // Another credential, as a backend would read it.
        ("x_api_key", "root"),
        ("x.api.key", "root"),
        ("api_key", "root"),
    ] {
        for more in [String::new(), format!("{name}: {value}\r\n"), format!("connection: {name}\r\n")] {
            let claim = format!("{name}: {value}\r\n{more}");
            let before = telling.origin.seen().len();
            let mut client = RawClient::connect(telling.address).await;
            let refused = client.exchange(format!("GET / HTTP/1.1\r\nhost: a.test\r\n{claim}\r\n")).await;
            assert_eq!((refused.status, telling.origin.seen().len()), (401, before), "{claim}");
            let told = format!("{:?}", telling.forwarded(&claim).await);
            assert!(!told.contains("root") && told.contains("%C3%84lice"), "{claim}: {told}");
        }
        let head = http::Request::get("http://a.test/").header(name, value);
        assert_eq!(h2.send(head.body("").unwrap()).await.unwrap().status(), 401, "{name}");
        let head = http::Request::get("http://a.test/").header(name, value).header("x-api-key", &telling.key);
        assert_eq!(h2.send(head.body("").unwrap()).await.unwrap().status(), 200, "{name}");
        let told = format!("{:?}", telling.origin.seen().pop().unwrap().headers);
        assert!(!told.contains("root"), "{name}: {told}");
    }
}

#[tokio::test]
async fn nobody_has_a_credential_taken_away_on_its_way() {
    let telling = Telling::start("").await;
    let key = &telling.key;
    let ask = async |headers: String| {
        let mut client = RawClient::connect(telling.address).await;
        client.exchange(format!("GET / HTTP/1.1\r\nhost: a.test\r\n{headers}\r\n")).await.status
    };
    for header in ["authorization: Bearer", "x-api-key:", "api-key:"] {
        let (name, _) = header.split_once(':').unwrap();
        assert_eq!(ask(format!("{header} {key}\r\nconnection: {name}\r\n")).await, 200, "{header}");
        assert_eq!(ask(format!("{header} nonsense\r\nconnection: {name}\r\n")).await, 401, "{header}");
    }
    // Two are two, whatever is said of one.
    for name in ["x-api-key", "api-key"] {
        let both = format!("authorization: Bearer {key}\r\n{name}: other\r\nconnection: {name}\r\n");
        assert_eq!(ask(both).await, 400, "{name}");
    }
    assert_eq!(ask(format!("x-api-key: {key}\r\ndpop: a.b.c\r\ndpop: a.b.c\r\nconnection: dpop\r\n")).await, 400);
    assert_eq!(telling.origin.seen().len(), 3);
}

#[tokio::test]
async fn trailers_say_nothing_of_callers() {
    let telling = Telling::start("{headers: {user: X-User}}").await;
    let mut client = RawClient::connect(telling.address).await;
    let key = &telling.key;
    let answer = client
        .exchange(format!(
            "POST / HTTP/1.1\r\nhost: a.test\r\nx-api-key: {key}\r\ntrailer: x-user\r\ntransfer-encoding: \
             chunked\r\n\r\n100000\r\n{}\r\n0\r\nx-user: root\r\nx_user: root\r\nx-sum: 1\r\n\r\n",
            "x".repeat(0x0010_0000)
        ))
        .await;
    assert_eq!(answer.status, 200);
    let seen = telling.origin.seen().pop().unwrap();
    assert_eq!(seen.header("x-user"), Some("%C3%84lice"));
    let end = String::from_utf8_lossy(seen.body.get(seen.body.len() - 64..).unwrap()).into_owned();
    assert!(end.ends_with("\r\n0\r\n\r\n") && !end.contains("root"), "{end}");
}

#[tokio::test]
async fn filters_can_add_a_credential_of_the_gateway_but_not_name_the_caller() {
    let filters = "    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: authorization, value: \
                   Bearer of-the-gateway}, {name: x-user, value: root}]}}]\n";
    let telling = Telling::start_with("{headers: {user: X-User}}", filters).await;
    let head = telling.forwarded("").await;
    assert_eq!(named(&head, "authorization"), ["Bearer of-the-gateway"]);
    assert_eq!(named(&head, "x-user"), ["%C3%84lice"]);
}

#[tokio::test]
async fn nothing_is_told_unless_it_is_said_and_a_credential_only_in_words() {
    for upstream in ["", "{nothing: {}}"] {
        let telling = Telling::start(upstream).await;
        let head = telling.forwarded("cookie: a=b\r\n").await;
        let all = format!("{head:?}");
        assert!(!all.contains("pcl_") && !all.contains("lice"), "{all}");
        assert_eq!(named(&head, "cookie"), ["a=b"], "a cookie is between client and backend");
    }
    let telling = Telling::start("{credential: {}}").await;
    let head = telling.forwarded("").await;
    assert_eq!(named(&head, "x-api-key"), [telling.key.as_str()]);
}

#[tokio::test]
async fn where_anyone_may_come_in_credentials_are_the_backends() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let documents = texts::PLAIN_GATEWAY.to_owned()
        + &texts::service("app", "", &[origin.address()])
        + &texts::route("/", "app", "");
    let gateway = Gateway::start(&documents.into(), Options::default()).await;
    let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    let answer = client.exchange("GET / HTTP/1.1\r\nhost: a.test\r\nauthorization: Bearer mine\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    assert_eq!(origin.seen()[0].header("authorization"), Some("Bearer mine"));
}
