//! Credentials of no provider in particular, and our own.

use super::{
    super::{Check, Context, Edge, Rule, Set, Suppress, checks::tokens},
    token,
};

/// A private key goes on for so many bytes at most before we stop waiting for its end.
pub(super) const PRIVATE_KEY_BYTES_MAX: usize = 16 * 1024;

pub(super) static RULES: &[Rule] = &[
    token(
        "Portcullis",
        "portcullis-api-key",
        "API key of this gateway",
        r"pcl_[a-z][0-9a-z]{11}_[0-9A-Za-z]{49}",
        &["x-api-key: «pcl_a⟨lower:11⟩_⟨alnum:43⟩⟨crc:60⟩»", "\"«pcl_b⟨lower:11⟩_⟨alnum:49⟩»\""],
        &["pcl_a⟨lower:11⟩_⟨alnum:20⟩", "pcl_a⟨repeat:a*11⟩_⟨repeat:a*49⟩", "pcl_"],
    )
    .check(Check::ChecksumOrEntropy(60)),
    Rule {
        suppress: Some(Suppress {
            until: r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
            bytes_max: PRIVATE_KEY_BYTES_MAX,
        }),
        ..token(
            "any",
            "private-key",
            "private key in PEM (RFC 7468), OpenSSH's or PGP's armour; all of it is suppressed",
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
            &["«-----BEGIN RSA PRIVATE⟨repeat: *1⟩KEY-----»\nMIIE", "«-----BEGIN PRIVATE⟨repeat: *1⟩KEY-----»", "«-----BEGIN PGP PRIVATE⟨repeat: *1⟩KEY BLOCK-----»"],
            &["-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PRIVATE⟨repeat: *1⟩KEY"],
        )
        .check(Check::Nothing)
    },
    token(
        "any",
        "putty-private-key",
        "private key of PuTTY",
        r"PuTTY-User-Key-File-[23]: [0-9A-Za-z@.-]{3,40}",
        &["«PuTTY-User-Key-File-3: ssh-ed25519»"],
        &["PuTTY-User-Key-File"],
    )
    .check(Check::Nothing)
    .edges(Edge::Open, Edge::Name),
    token(
        "any",
        "jwt",
        "JSON Web Token (RFC 7519), signed or encrypted",
        r"ey[A-Za-z0-9_-]{10,1000}\.[A-Za-z0-9_-]{2,2000}\.[A-Za-z0-9_-]{8,1000}(?:\.[A-Za-z0-9_-]{4,1000}\.[A-Za-z0-9_-]{8,60})?",
        &["Bearer «⟨base64url:{\"alg\":\"ES256\",\"typ\":\"JWT\"}⟩.⟨base64url:{\"sub\":\"ann\",\"exp\":1}⟩.⟨url:86⟩»"],
        &["eyes.open.and.closed", "eyJ⟨url:20⟩.⟨url:20⟩.⟨url:20⟩", "⟨base64url:{\"alg\":\"ES256\"}⟩"],
    )
    .edges(Edge::Word, Edge::Name)
    .cut(super::super::CANDIDATE_BYTES_MAX)
    .check(Check::Of("header in JSON with `alg`", tokens::jwt)),
    token(
        "any",
        "url-with-password",
        "user and password in a URL, of a web site, a database or a queue",
        r"(?i:https?|ftps?|sftp|ssh|git|ldaps?|smtps?|imaps?|postgres|postgresql|mysql|mariadb|mongodb|mongodb\+srv|redis|rediss|amqps?|mqtts?|mssql|sqlserver|oracle|clickhouse|cassandra|kafka|nats|jdbc:[a-z]{2,12})://[^\x00-\x20/?#@:\x22'`<>\[\]]{0,64}:[^\x00-\x20/?#@\x22'`<>]{3,128}@",
        &["«https://ann:⟨alnum:12⟩@»git.corp.example/x", "DATABASE_URL=«postgres://app:⟨alnum:16⟩@»db:5432/app", "«redis://:⟨alnum:20⟩@»cache:6379"],
        &["https://corp.example:8443/", "postgres://app@db/app", "postgres://user:password@localhost/db", "https://$USER:$PASSWORD@host/", "https://x/a:b@c"],
    )
    .edges(Edge::Word, Edge::Open)
    .check(Check::Of("a password that is no placeholder", tokens::url_with_password)),
    token(
        "any",
        "basic-authorization",
        "user and password of HTTP's Basic scheme (RFC 7617)",
        r"[A-Za-z0-9+/]{12,400}={0,2}",
        &["Authorization: Basic «⟨base64:ann:correct horse⟩»", "authorization: basic «⟨base64:svc-deploy:Tr0ub4dor⟩»"],
        &["Basic knowledge of arithmetic", "Authorization: Basic x"],
    )
    .context(Context::Behind(&["authorization: basic ", "authorization:basic ", "authorization\": \"basic ", "authorization\":\"basic ", "authorization=basic ", "authorization', 'basic "]))
    .edges(Edge::Open, Edge::Base64)
    .check(Check::Entropy(28)),
    token(
        "any",
        "bearer-authorization",
        "credential of HTTP's Bearer scheme (RFC 6750)",
        r"[A-Za-z0-9._~+/-]{16,2000}={0,2}",
        &["Authorization: Bearer «⟨url:40⟩»", "\"Authorization\": \"Bearer «⟨hex:40⟩»\""],
        &["Authorization: Bearer TOKEN", "the bearer of bad news", "Authorization: Bearer ⟨repeat:x*40⟩"],
    )
    .context(Context::Behind(&["authorization: bearer ", "authorization:bearer ", "authorization\": \"bearer ", "authorization\":\"bearer ", "authorization=bearer ", "authorization', 'bearer ", "authorization: token ", "authorization: apikey "]))
    .edges(Edge::Open, Edge::Base64)
    .check(Check::Entropy(32)),
    token(
        "any",
        "assigned-secret",
        "value of a name that says it is a secret",
        r"[A-Za-z0-9_+/=.~-]{16,150}",
        &["client_secret = \"«⟨alnum:24⟩1a»\"", "API_KEY=«⟨hex:32⟩»", "\"secretKey\": \"«⟨url:40⟩»\"", "access_token: «⟨alnum:30⟩1a»"],
        &["api_key = os.environ[KEY]", "secret: changeme", "token_count: 12345678901234567890", "api_key=your-api-key-goes-here", "key: ⟨alnum:24⟩"],
    )
    .context(Context::Assigned(&[
        "api_key", "apikey", "api-key", "api key", "secret_key", "secretkey", "secret-key", "client_secret", "clientsecret", "client-secret",
        "access_key", "accesskey", "access-key", "access_token", "accesstoken", "access-token", "auth_token", "authtoken", "auth-token",
        "private_token", "refresh_token", "refreshtoken", "bearer_token", "app_secret", "appsecret", "signing_key", "signing_secret",
        "encryption_key", "webhook_secret", "secret_token", "secrettoken", "api_secret", "apisecret", "api_token", "apitoken",
    ]))
    .edges(Edge::Word, Edge::Base64)
    .check(Check::Of("letters and digits, entropy ≥ 3.1", tokens::opaque)),
    token(
        "any",
        "assigned-password",
        "value of a name that says it is a password",
        r"[!#-&(-+\-./0-:=?-_a-~]{6,128}",
        &["password = \"«⟨alnum:14⟩7#»\"", "DB_PASSWORD=«⟨alnum:12⟩!9»\n"],
        &["password: changeme", "password = get_password()", "DB_PASSWORD=${DB_PASSWORD}", "the password is secret", "password: <redacted-12>", "Password: xxxxxxxx"],
    )
    .context(Context::Assigned(&["password", "passwd", "passphrase", "db_pass", "_pwd", "db_pwd"]))
    .edges(Edge::Open, Edge::Word)
    .check(Check::Of("letters and digits, entropy ≥ 3.0, no code", tokens::assigned_password)),
    Rule::new(
        Set::Secrets,
        "any",
        "netrc-password",
        "password in a .netrc file",
        r"[!-~]{4,128}",
        &["machine git.example login ann password «⟨alnum:12⟩»\n"],
        &["the login page asks for a password then", "password prompt"],
    )
    .context(Context::Other("`machine … login … password`", ends_as_netrc, is_netrc))
    .edges(Edge::Authority, Edge::Open),
];

fn ends_as_netrc(last: &[u8]) -> bool {
    matches!(last, [b'd' | b' ' | b'\n' | b'\t', b' ' | b'\n' | b'\t'])
}

fn is_netrc(window: &[u8]) -> bool {
    if !window.trim_ascii_end().ends_with(b"password") {
        return false;
    }
    let text = String::from_utf8_lossy(window);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    text.ends_with([' ', '\n', '\t'])
        && matches!(
            words.as_slice(),
            [.., "machine", _, "login", _, "password"] | [.., "default", "login", _, "password"]
        )
}
