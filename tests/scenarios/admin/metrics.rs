//! The page that scrapers read: well-formed, and bounded whatever strangers send.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_tests::harness::{Origin, Signal, eventually};

use crate::edge::{Edge, http_route, inference_backend, named, to_inference};

/// A gateway, and the origin behind it.
async fn edge() -> (Edge, Origin) {
    let origin = named("here").await;
    let documents = [
        http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("main"))),
        inference_backend("main", "openai", origin.address(), ""),
    ];
    (Edge::start(&documents).await, origin)
}

/// One sample: the name, the labels as written, the value.
type Sample = (String, String, f64);

/// Reads the text format 0.0.4 and checks what `promtool check metrics` checks: each family is announced once with help
/// and type before its samples, its samples stand together and are there once, and names say what they hold.
fn read(page: &str) -> BTreeMap<String, Vec<Sample>> {
    let mut families: BTreeMap<String, (String, Vec<Sample>)> = BTreeMap::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    let mut help = None;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, text) = rest.split_once(' ').unwrap();
            assert!(!text.is_empty(), "no help: {line}");
            help = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(help.take().as_deref(), Some(name), "help comes before the type");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            for unit in ["milliseconds", "minutes", "kilobytes", "ms"] {
                assert!(!name.contains(&format!("_{unit}")), "not in base units: {line}");
            }
            assert!(families.insert(name.to_owned(), (kind.to_owned(), Vec::new())).is_none(), "twice: {line}");
            name.clone_into(&mut current);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            assert!(seen.insert(series.to_owned()), "twice: {line}");
            let value = value.parse::<f64>().unwrap_or_else(|_| panic!("no number: {line}"));
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
            let (kind, samples) = families.get_mut(&current).unwrap_or_else(|| panic!("of no family: {line}"));
            let base = if kind == "histogram" {
                name.strip_suffix("_bucket").or(name.strip_suffix("_sum")).or(name.strip_suffix("_count"))
            } else {
                Some(name)
            };
            assert_eq!(base, Some(current.as_str()), "{line}");
            samples.push((name.to_owned(), labels.trim_end_matches('}').to_owned(), value));
        }
    }
    families.into_iter().map(|(name, (_, samples))| (name, samples)).collect()
}

#[tokio::test]
async fn the_page_is_well_formed_and_counts() {
    let (edge, _origin) = edge().await;
    for _ in 0..3 {
        assert_eq!(edge.get("edge.test", "/", "").await.status, 200);
    }
    eventually("connections are closed", async || edge.gateway.metric("portcullis_connections_open", &[]).await == 0.0)
        .await;
    let page = edge.gateway.metrics().await;
    let families = read(&page);
    let value = |family: &str, labels: &str| {
        let samples = families.get(family).unwrap_or_else(|| panic!("no {family} in {page}"));
        let fitting = samples.iter().filter(|(name, held, _)| name == family && held.contains(labels));
        fitting.map(|(_, _, value)| value).sum::<f64>()
    };
    assert_eq!(value("portcullis_requests_total", "route=\"default/all\",method=\"GET\",code=\"2xx\""), 3.0);
    assert_eq!(value("portcullis_connections_accepted_total", "listener=\"default/edge:80\""), 3.0);
    assert_eq!(
        value("portcullis_upstream_attempts_total", "backend=\"InferenceBackend default/main\",outcome=\"answered\""),
        3.0
    );
    assert_eq!(value("portcullis_endpoints", "backend=\"InferenceBackend default/main\",state=\"ready\""), 1.0);
    assert_eq!(value("portcullis_requests_in_flight", ""), 0.0);
    assert_eq!(value("portcullis_config_stale", ""), 0.0);
    assert_eq!(value("portcullis_config_info", ""), 1.0);
    assert_eq!(value("portcullis_build_info", "version=\""), 1.0);
    assert_eq!(value("portcullis_connections_refused_total", ""), 0.0);
    for family in ["process_resident_memory_bytes", "process_open_fds", "process_max_fds"] {
        assert!(value(family, "") > 0.0, "{family}");
    }
    assert!(families.contains_key("process_cpu_seconds_total"), "it may have used less than a tick");
}

#[tokio::test]
async fn requests_in_flight_are_counted_until_the_last_byte() {
    let origin = crate::lifecycle::origin().await;
    let documents = [
        http_route("all", &format!("rules: [{{backendRefs: [{}]}}]", to_inference("main"))),
        inference_backend("main", "openai", origin.address(), ""),
    ];
    let edge = Edge::start(&documents).await;
    let in_flight = async || edge.gateway.metric("portcullis_requests_in_flight", &["default/edge:80"]).await;
    let mut first = edge.client().await;
    first.send(crate::lifecycle::get("/long")).await;
    assert_eq!(first.head().await.status, 200);
    assert_eq!(in_flight().await, 1.0);
    drop(first);
    eventually("a client that leaves is no longer counted", async || in_flight().await == 0.0).await;
    assert_eq!(edge.get("edge.test", "/events", "").await.status, 200);
    eventually("an answer that has ended is no longer counted", async || in_flight().await == 0.0).await;
}

/// Hostile row A32: nothing that a stranger may choose makes series without a bound.
#[tokio::test]
async fn strangers_cannot_make_series() {
    const STRANGERS: usize = 300;
    let (edge, _origin) = edge().await;
    let mut client = edge.client().await;
    let mut ask = async |number: usize| {
        let body = format!("{{\"model\":\"model-{number}\",\"messages\":[]}}");
        let method = ["POST", "PROPFIND", "PATCH"][number % 3];
        let request = format!(
            "{method} /v1/chat/completions?q={number} HTTP/1.1\r\nhost: host-{number}.test\r\nx-path: /{number}\r\n\
             user-agent: agent-{number}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = client.exchange(request).await;
        if answer.header("connection") == Some("close") {
            client = edge.client().await;
        }
        answer.status
    };
    for number in 0..STRANGERS {
        assert_eq!(ask(number).await, if number % 3 == 1 { 405 } else { 200 });
    }
    let before = edge.gateway.metrics().await;
    for number in STRANGERS..2 * STRANGERS {
        ask(number).await;
    }
    let after = edge.gateway.metrics().await;
    assert_eq!(before.lines().count(), after.lines().count(), "the page does not grow any more");
    for stranger in ["host-", "agent-", "/v1/", "PROPFIND"] {
        assert!(!after.contains(stranger), "{stranger} is on the page");
    }
    let models = read(&after).remove("portcullis_model_requests_total").unwrap();
    assert!(models.len() <= 101, "{} models", models.len());
    let other = models.iter().find(|(_, labels, _)| labels == "model=\"other\"").unwrap();
    let named: f64 = models.iter().map(|(_, _, value)| value).sum();
    assert!(other.2 >= (2 * STRANGERS / 3 - 101) as f64, "{other:?}");
    assert!(named >= (2 * STRANGERS / 3) as f64, "every request is counted: {named}");
    // A name of any length and of any characters leaves the page whole.
    let mut client = edge.client().await;
    for name in ["x".repeat(100_000), "a\\\"b\\n\\u0000\u{1b}[2J".to_owned()] {
        let body = format!("{{\"model\":\"{name}\",\"messages\":[]}}");
        let length = body.len();
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: edge.test\r\ncontent-type: application/json\r\n";
        client.send(format!("{head}content-length: {length}\r\n\r\n{body}")).await;
        let _ = client.try_answer().await;
        client = edge.client().await;
    }
    assert!(edge.gateway.metrics().await.len() < after.len() + 10_000);
    read(&edge.gateway.metrics().await);
}

#[tokio::test]
async fn connections_to_endpoints_are_counted_when_made_and_when_used_again() {
    let (edge, origin) = edge().await;
    // One connection of the client, so one worker.
    let mut client = edge.client().await;
    for _ in 0..3 {
        assert_eq!(client.exchange("GET / HTTP/1.1\r\nhost: edge.test\r\n\r\n").await.status, 200);
    }
    let counted = async |what: &str| {
        edge.gateway.metric(&format!("portcullis_upstream_connections_{what}_total"), &["default/main"]).await
    };
    assert_eq!((counted("opened").await, counted("reused").await), (1.0, 2.0));
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn what_was_counted_of_a_route_outlives_a_reload() {
    let (edge, _origin) = edge().await;
    assert_eq!(edge.get("edge.test", "/", "").await.status, 200);
    let counted = async |name: &str, label: &str| edge.gateway.metric(name, &[label]).await;
    let route = "route=\"default/all\"";
    assert_eq!(counted("portcullis_requests_total", route).await, 1.0);
    for reloads in 1..=2 {
        edge.gateway.signal(Signal::HUP);
        let again = f64::from(reloads);
        eventually("the documents are read again", async || {
            counted("portcullis_config_reloads_total", "outcome=\"unchanged\"").await == again
        })
        .await;
        assert_eq!(counted("portcullis_requests_total", route).await, again);
        assert_eq!(counted("portcullis_upstream_attempts_total", "outcome=\"answered\"").await, again);
        assert_eq!(edge.get("edge.test", "/", "").await.status, 200);
        assert_eq!(counted("portcullis_requests_total", route).await, again + 1.0);
    }
}
