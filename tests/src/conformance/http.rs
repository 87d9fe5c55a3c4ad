//! Requests of HTTP and what the suite expects of them: the answer, and how the request arrived at a backend.

use std::{collections::BTreeMap, io, net::SocketAddr};

use futures_util::future::join_all;
use http::Uri;
use serde_json::Value;

use super::{CONSECUTIVE, INFRA};
use crate::harness::{H2Client, PATIENCE, RawClient, Tls};

/// Where requests are sent: a port of a Gateway, perhaps over TLS.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) address: SocketAddr,
    /// The port as the Gateway names it; what clients would write into `Host`.
    port: u16,
    tls: Option<Tls>,
}

/// How a request is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Http1,
    H2,
}

/// A request with its expectations.
#[derive(Debug, Clone)]
pub(super) struct Case {
    method: String,
    host: String,
    path: String,
    headers: Vec<(String, String)>,
    spoken: Spoken,
    backend_sets: Vec<(String, String)>,
    statuses: Vec<u16>,
    backend: String,
    namespace: String,
    arrival: Option<Arrival>,
    sni: Option<String>,
    client_certificate: Option<String>,
    answer_headers: Vec<AnswerHeader>,
    answer_lacks: Vec<String>,
    redirect: Option<Redirect>,
}

/// A header that the answer must have.
#[derive(Debug, Clone)]
struct AnswerHeader {
    name: String,
    one_of: Vec<String>,
    /// Lists may have blanks between their elements.
    ignores_blanks: bool,
}

/// How a request arrives where it differs from how it was sent.
#[derive(Debug, Clone, Default)]
struct Arrival {
    method: Option<String>,
    host: Option<String>,
    path: Option<String>,
    headers: Vec<(String, String)>,
    lacks: Vec<String>,
}

/// Where a redirect leads; what is not given is as in the request, or is not looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Redirect {
    pub(super) scheme: Option<&'static str>,
    pub(super) host: Option<&'static str>,
    pub(super) port: Option<u16>,
    pub(super) path: Option<&'static str>,
}

/// An answer, and what the echo in it says.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) status: u16,
    /// The answer's headers in lower case; the values of one name are joined by commas.
    headers: BTreeMap<String, String>,
    /// The echo; null if the answer is none.
    pub(super) echo: Value,
}

/// `GET` a path.
pub(super) fn get(path: &str) -> Case {
    request("GET", path)
}

/// A request; it must be answered by 200, and arrive as it was sent.
pub(super) fn request(method: &str, path: &str) -> Case {
    Case {
        method: method.to_owned(),
        host: String::new(),
        path: path.to_owned(),
        headers: Vec::new(),
        spoken: Spoken::Http1,
        backend_sets: Vec::new(),
        statuses: vec![200],
        backend: String::new(),
        namespace: INFRA.to_owned(),
        arrival: None,
        sni: None,
        client_certificate: None,
        answer_headers: Vec::new(),
        answer_lacks: Vec::new(),
        redirect: None,
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Case {
    pub(super) fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    pub(super) fn with(mut self, headers: &[(&str, &str)]) -> Self {
        self.headers.extend(pairs(headers));
        self
    }

    /// Over HTTP/2.
    pub(super) fn over_h2(mut self) -> Self {
        self.spoken = Spoken::H2;
        self
    }

    /// The backend is asked to set these headers in its answer.
    pub(super) fn backend_sets(mut self, headers: &[(&str, &str)]) -> Self {
        self.backend_sets.extend(pairs(headers));
        self
    }

    /// One of these is the status.
    pub(super) fn status(mut self, statuses: &[u16]) -> Self {
        self.statuses = statuses.to_vec();
        self
    }

    /// A pod of this Deployment gets the request.
    pub(super) fn reaches(mut self, backend: &str) -> Self {
        backend.clone_into(&mut self.backend);
        self
    }

    pub(super) fn in_namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    fn arrival(&mut self) -> &mut Arrival {
        self.arrival.get_or_insert_default()
    }

    pub(super) fn arrives_at(mut self, path: &str) -> Self {
        self.arrival().path = Some(path.to_owned());
        self
    }

    pub(super) fn arrives_for(mut self, host: &str) -> Self {
        self.arrival().host = Some(host.to_owned());
        self
    }

    pub(super) fn arrives_with(mut self, headers: &[(&str, &str)]) -> Self {
        self.arrival().headers.extend(pairs(headers));
        self
    }

    pub(super) fn arrives_without(mut self, headers: &[&str]) -> Self {
        self.arrival().lacks.extend(headers.iter().map(|name| (*name).to_owned()));
        self
    }

    /// Nothing arrives: the gateway answers a preflight itself.
    pub(super) fn stays_at_the_gateway(mut self) -> Self {
        self.namespace.clear();
        self.arrival().path = Some(String::new());
        self
    }

    /// The backend was asked for by this name.
    pub(super) fn sni(mut self, name: &str) -> Self {
        self.sni = Some(name.to_owned());
        self
    }

    /// The gateway showed this certificate to the backend.
    pub(super) fn shows_backend(mut self, certificate_pem: &str) -> Self {
        self.client_certificate = Some(certificate_pem.to_owned());
        self
    }

    pub(super) fn answer_has(mut self, headers: &[(&str, &str)]) -> Self {
        self.answer_headers.extend(pairs(headers).into_iter().map(|(name, value)| AnswerHeader {
            name,
            one_of: vec![value],
            ignores_blanks: false,
        }));
        self
    }

    pub(super) fn answer_has_one_of(mut self, name: &str, values: &[&str]) -> Self {
        let one_of = values.iter().map(|value| (*value).to_owned()).collect();
        self.answer_headers.push(AnswerHeader { name: name.to_owned(), one_of, ignores_blanks: true });
        self
    }

    pub(super) fn answer_lacks(mut self, headers: &[&str]) -> Self {
        self.answer_lacks.extend(headers.iter().map(|name| (*name).to_owned()));
        self
    }

    pub(super) fn redirects(mut self, status: u16, to: Redirect) -> Self {
        self.statuses = vec![status];
        self.redirect = Some(to);
        self
    }

    /// With one more parameter in the query, which arrives.
    pub(super) fn marked(mut self, name: &str, value: &str) -> Self {
        let mark = |path: &mut String| {
            let before = if path.contains('?') { "&" } else { "?" };
            path.extend([before, name, "=", value]);
        };
        mark(&mut self.path);
        if let Some(path) = self.arrival.as_mut().and_then(|arrival| arrival.path.as_mut()) {
            mark(path);
        }
        self
    }

    /// The path and query that are sent.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether an answer is what was expected.
    pub(super) fn check(&self, door: &Door, captured: &Captured) -> Result<(), String> {
        let is_timeout = |status: &u16| matches!(status, 408 | 504);
        if is_timeout(&captured.status) && self.statuses.iter().any(is_timeout) {
            return Ok(());
        }
        if !self.statuses.contains(&captured.status) {
            return Err(format!("expected one of {:?}, got {captured:?}", self.statuses));
        }
        match captured.status {
            200 | 204 => {
                self.check_arrival(&captured.echo)?;
                self.check_answer(captured)
            }
            300..=399 => {
                self.redirect.as_ref().map_or(Ok(()), |expected| self.check_redirect(expected, door, captured))
            }
            _ => Ok(()),
        }
    }

    fn check_arrival(&self, echo: &Value) -> Result<(), String> {
        let sent = Arrival { headers: self.headers.clone(), ..Arrival::default() };
        let arrival = self.arrival.as_ref().unwrap_or(&sent);
        let same = |what: &str, expected: &str, field: &Value| {
            let got = field.as_str().unwrap_or_default();
            if got == expected { Ok(()) } else { Err(format!("expected {what} {expected:?}, got {got:?} in {echo}")) }
        };
        let host = arrival.host.as_deref().or(self.arrival.is_none().then_some(self.host.as_str()));
        if let Some(host) = host.filter(|host| !host.is_empty()) {
            same("host", host, &echo["host"])?;
        }
        same("path", arrival.path.as_deref().unwrap_or(&self.path), &echo["path"])?;
        if !echo.is_null() {
            same("method", arrival.method.as_deref().unwrap_or(&self.method), &echo["method"])?;
        }
        same("namespace", &self.namespace, &echo["namespace"])?;
        for (name, expected) in &arrival.headers {
            same(name, expected, &Value::String(arrived(echo, name).ok_or(format!("no {name} in {echo}"))?))?;
        }
        if let Some(name) = arrival.lacks.iter().find(|name| arrived(echo, name).is_some()) {
            return Err(format!("{name} arrived in {echo}"));
        }
        if !echo["pod"].as_str().unwrap_or_default().starts_with(&self.backend) {
            return Err(format!("expected pod {:?}, got {:?}", self.backend, echo["pod"]));
        }
        if let Some(name) = &self.sni {
            same("server name", name, &echo["tls"]["serverName"])?;
        }
        if let Some(expected) = &self.client_certificate {
            let plain = |pem: &str| pem.split_whitespace().collect::<String>();
            let shown = echo["tls"]["peerCertificates"].as_array().into_iter().flatten();
            if !shown.filter_map(Value::as_str).any(|pem| plain(pem) == plain(expected)) {
                return Err(format!("the certificate was not shown: {echo}"));
            }
        }
        Ok(())
    }

    fn check_answer(&self, captured: &Captured) -> Result<(), String> {
        for expected in &self.answer_headers {
            let name = &expected.name;
            let got = captured.headers.get(&name.to_lowercase()).ok_or(format!("no {name} in {captured:?}"))?;
            let read = |text: &str| if expected.ignores_blanks { text.replace(' ', "") } else { text.to_owned() };
            if !expected.one_of.iter().any(|value| read(value) == read(got)) {
                return Err(format!("expected {expected:?}, got {got:?}"));
            }
        }
        match self.answer_lacks.iter().find(|name| captured.headers.contains_key(&name.to_lowercase())) {
            Some(name) => Err(format!("{name} is in {captured:?}")),
            None => Ok(()),
        }
    }

    fn check_redirect(&self, expected: &Redirect, door: &Door, captured: &Captured) -> Result<(), String> {
        let location = captured.headers.get("location").ok_or("a redirect without location")?;
        let uri: Uri = location.parse().map_err(|error| format!("{location}: {error}"))?;
        let scheme = uri.scheme_str().unwrap_or(door.scheme());
        let fault = |what: &str| Err(format!("unexpected {what} in {location}, expected {expected:?}"));
        if expected.host.is_some_and(|host| uri.host() != Some(host)) {
            return fault("host");
        }
        let port = uri.port_u16();
        let port_fits = match expected.port {
            Some(expected) => port == Some(expected),
            None => port.is_none() || port == Some(if scheme == "https" { 443 } else { 80 }),
        };
        if !port_fits {
            return fault("port");
        }
        if scheme != expected.scheme.unwrap_or(door.scheme()) {
            return fault("scheme");
        }
        let sent = self.path.split('?').next().unwrap_or_default();
        if uri.path() == expected.path.unwrap_or(sent) { Ok(()) } else { fault("path") }
    }
}

fn arrived(echo: &Value, name: &str) -> Option<String> {
    let values = echo["headers"][name.to_lowercase()].as_array()?;
    Some(values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
}

impl Door {
    pub(super) fn new(address: SocketAddr, port: u16) -> Self {
        Self { address, port, tls: None }
    }

    /// The same over TLS.
    pub(super) fn tls(&self, tls: &Tls) -> Self {
        Self { tls: Some(tls.clone()), ..self.clone() }
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// What a client writes into `Host` when a case names none.
    fn authority(&self) -> String {
        match (self.scheme(), self.port) {
            ("http", 80) | ("https", 443) => self.address.ip().to_string(),
            (_, port) => format!("{}:{port}", self.address.ip()),
        }
    }

    /// Sends a request, several times, as the suite does, and demands that each is answered as expected. A gateway that
    /// has read its files is ready: nothing needs to converge, so the first time counts.
    pub(super) async fn expect(&self, case: Case) {
        let sent = (0..CONSECUTIVE).map(|_| self.send(&case));
        for captured in join_all(sent).await {
            let result = captured.map_err(|error| error.to_string()).and_then(|captured| case.check(self, &captured));
            if let Err(fault) = result {
                panic!("{} {:?} {}: {fault}", case.method, case.host, case.path);
            }
        }
    }

    /// Sends several requests at once.
    pub(super) async fn expect_all(&self, cases: impl IntoIterator<Item = Case>) {
        join_all(cases.into_iter().map(|case| self.expect(case))).await;
    }

    /// Demands that a request is answered by something that is neither 200 nor a timeout.
    pub(super) async fn expect_error(&self, case: Case) {
        for _ in 0..CONSECUTIVE {
            let captured = self.send(&case).await.unwrap();
            assert!(!matches!(captured.status, 200 | 408 | 504), "{}: {captured:?}", case.path);
        }
    }

    /// Demands that a request gets no answer at all.
    pub(super) async fn expect_no_answer(&self, case: Case) {
        for _ in 0..CONSECUTIVE {
            if let Ok(captured) = self.send(&case).await {
                panic!("{} is answered: {captured:?}", case.path);
            }
        }
    }

    /// Sends one request on a connection of its own.
    pub(super) async fn send(&self, case: &Case) -> io::Result<Captured> {
        let sets: Vec<_> = case.backend_sets.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        let mut headers = case.headers.clone();
        headers.push(("X-Echo-Set-Header".to_owned(), sets.join(",")));
        let host = if case.host.is_empty() { self.authority() } else { case.host.clone() };
        let sent = async {
            match case.spoken {
                Spoken::Http1 => self.send_http1(case, &host, &headers).await,
                Spoken::H2 => self.send_h2(case, &host, &headers).await,
            }
        };
        tokio::time::timeout(PATIENCE, sent).await?
    }

    async fn send_http1(&self, case: &Case, host: &str, headers: &[(String, String)]) -> io::Result<Captured> {
        let mut client = match &self.tls {
            None => RawClient::over(tokio::net::TcpStream::connect(self.address).await?),
            Some(tls) => RawClient::connect_tls(self.address, tls).await?,
        };
        let fields: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let fields = fields.concat();
        let (method, path) = (&case.method, &case.path);
        client
            .try_send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n"))
            .await?;
        let answer = if method == "HEAD" { client.answer_to_head().await } else { client.try_answer().await? };
        Ok(Captured::new(answer.status, answer.headers.into_iter(), &answer.body))
    }

    async fn send_h2(&self, case: &Case, host: &str, headers: &[(String, String)]) -> io::Result<Captured> {
        let client = match &self.tls {
            None => H2Client::connect(self.address).await,
            Some(tls) => H2Client::connect_tls(self.address, tls).await?,
        };
        let uri = format!("{}://{host}{}", self.scheme(), case.path);
        let mut request = http::Request::builder().method(case.method.as_str()).uri(uri);
        for (name, value) in headers {
            request = request.header(name.to_lowercase(), value);
        }
        let answer = client.send(request.body("").map_err(io::Error::other)?).await.map_err(io::Error::other)?;
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.head.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        Ok(Captured::new(answer.status(), headers, &answer.body))
    }
}

impl Captured {
    fn new(status: u16, headers: impl Iterator<Item = (String, String)>, body: &[u8]) -> Self {
        let mut joined = BTreeMap::<String, String>::new();
        for (name, value) in headers {
            joined.entry(name.to_lowercase()).and_modify(|held| *held = format!("{held},{value}")).or_insert(value);
        }
        let is_echo = joined.get("content-type").is_some_and(|kind| kind == "application/json");
        let echo = if is_echo { serde_json::from_slice(body).unwrap_or_default() } else { Value::Null };
        Self { status, headers: joined, echo }
    }

    /// A header that arrived at the backend; its values are joined by commas.
    pub(super) fn arrived(&self, name: &str) -> Option<String> {
        arrived(&self.echo, name)
    }

    /// The pod that answered.
    pub(super) fn pod(&self) -> &str {
        self.echo["pod"].as_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn door() -> Door {
        Door::new("127.0.0.1:18080".parse().unwrap(), 80)
    }

    /// A plain echo of `GET /a` by a pod of `backend`, with headers `(name, value)` of the answer.
    fn echoed(headers: &[(&str, &str)]) -> Captured {
        let echo = json!({
            "path": "/a", "host": "a.test", "method": "GET", "namespace": INFRA, "pod": "backend-7d9f-0",
            "headers": {"x-one": ["1"], "x-two": ["2", "3"]}, "tls": null,
        });
        let headers = pairs(&[headers, &[("Content-Type", "application/json")]].concat());
        Captured::new(200, headers.into_iter(), echo.to_string().as_bytes())
    }

    #[test]
    fn what_arrived_is_compared() {
        let check = |case: Case, fits: bool| {
            let result = case.check(&door(), &echoed(&[]));
            assert_eq!(result.is_ok(), fits, "{case:?}: {result:?}");
        };
        check(get("/a"), true);
        check(get("/a").host("a.test").reaches("backend").with(&[("X-One", "1")]), true);
        check(get("/b"), false);
        check(get("/b").arrives_at("/a"), true);
        check(get("/a").host("b.test"), false);
        check(get("/a").arrives_for("b.test"), false);
        check(request("POST", "/a"), false);
        check(get("/a").reaches("other"), false);
        check(get("/a").in_namespace("other"), false);
        check(get("/a").status(&[404]), false);
        check(get("/a").with(&[("X-One", "2")]), false);
        check(get("/a").arrives_with(&[("X-Two", "2,3")]), true);
        check(get("/a").arrives_with(&[("X-Three", "3")]), false);
        check(get("/a").arrives_without(&["X-Three"]), true);
        check(get("/a").arrives_without(&["X-One"]), false);
        check(get("/a").sni("a.test"), false);
        check(get("/a").shows_backend("a certificate"), false);
        check(get("/a").stays_at_the_gateway(), false);
    }

    #[test]
    fn what_was_answered_is_compared() {
        let check = |case: Case, fits: bool| {
            let captured = echoed(&[("X-Set", "a"), ("X-Set", "b"), ("X-List", "a, b")]);
            assert_eq!(case.check(&door(), &captured).is_ok(), fits, "{case:?}");
        };
        check(get("/a").answer_has(&[("x-set", "a,b")]), true);
        check(get("/a").answer_has(&[("x-set", "a")]), false);
        check(get("/a").answer_has(&[("x-list", "a,b")]), false);
        check(get("/a").answer_has_one_of("x-list", &["b,a", "a,b"]), true);
        check(get("/a").answer_has_one_of("x-list", &["b,a"]), false);
        check(get("/a").answer_lacks(&["x-other"]), true);
        check(get("/a").answer_lacks(&["x-list"]), false);
    }

    #[test]
    fn redirects_are_compared() {
        let check = |location: &str, expected: Redirect, fits: bool| {
            let headers = pairs(&[("Location", location)]);
            let captured = Captured::new(302, headers.into_iter(), b"");
            let case = get("/a").redirects(302, expected);
            assert_eq!(case.check(&door(), &captured).is_ok(), fits, "{location} {case:?}");
        };
        let to = Redirect::default;
        check("http://127.0.0.1/a", to(), true);
        check("http://127.0.0.1:80/a", to(), true);
        check("http://127.0.0.1:81/a", to(), false);
        check("http://127.0.0.1/b", to(), false);
        check("https://127.0.0.1/a", to(), false);
        check("https://127.0.0.1/a", Redirect { scheme: Some("https"), ..to() }, true);
        check("http://a.test/a", Redirect { host: Some("b.test"), ..to() }, false);
        check(
            "http://a.test:8080/b",
            Redirect { host: Some("a.test"), port: Some(8080), path: Some("/b"), ..to() },
            true,
        );
        check("http://a.test/b", Redirect { port: Some(8080), path: Some("/b"), ..to() }, false);
    }
}
