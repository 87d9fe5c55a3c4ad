//! What a page says for what was counted, how many series there can be, and what counting costs.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{
    hint::black_box,
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use http::{Method, StatusCode};

use super::*;
use crate::{
    endpoints::{BackendSpec, EndpointSpec, Endpoints, Outcome},
    listen::{ConnectionLimits, LimitSpec},
};

/// Every line of the page whose name begins so.
fn lines(registry: &Registry, name: &str) -> Vec<String> {
    let page = registry.page(Format::Prometheus);
    page.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

/// Everything of the catalogue, counted at least once. The result keeps it on the page.
fn everything(registry: &Arc<Registry>) -> impl Sized {
    let catalogue = Catalogue::new(registry, "0.1.0");
    let worker = registry.worker(0).unwrap();
    let listener = catalogue.listener("inference/edge/https");
    worker.inc(listener.accepted);
    worker.shift(listener.open, 1);
    worker.shift(listener.in_flight, 1);
    worker.observe_duration(listener.handshake_duration, Duration::from_millis(3));
    worker.inc(listener.handshakes(Some(rustls::ProtocolVersion::TLSv1_3), Handshake::Resumed));
    worker.inc(listener.handshakes(None, Handshake::Failed));
    let route = catalogue.route("inference/chat");
    worker.inc(route.requests(&Method::POST, Some(StatusCode::OK)));
    worker.observe_duration(route.duration(), Duration::from_millis(30));
    worker.observe_duration(route.time_to_first_byte(), Duration::from_millis(2));
    let backend = catalogue.backend("inference/llama-8b");
    worker.inc(backend.attempts(Outcome::Answered(StatusCode::OK)));
    for counter in [backend.retries_made(), backend.retries_refused()] {
        worker.inc(counter);
    }
    for counter in [backend.connections_opened(), backend.connections_reused()] {
        worker.inc(counter);
    }
    worker.set(catalogue.loop_lag(0), 1_500_000);
    registry.control().inc(catalogue.reloads(ReloadOutcome::Refused));
    catalogue.revision_applied("0123456789abcdef", SystemTime::UNIX_EPOCH + Duration::from_secs(7));
    catalogue.revision_stale();
    let now = Instant::now();
    let spec = BackendSpec::new("inference/llama-8b", vec![EndpointSpec::at([127, 0, 0, 1].into(), 8000)]);
    let endpoints = Endpoints::new(spec, None, now);
    Catalogue::show_endpoints(registry, move || vec![endpoints.status(now)]);
    Catalogue::show_connections(registry, ConnectionLimits::new(LimitSpec::default()));
    (catalogue, listener, route, backend)
}

#[test]
fn a_page_adds_the_workers_up() {
    let registry = Registry::new(2);
    let family = registry.counter(Described::count("x_things", "Things."), ["kind"], 8);
    let (a, b) = (family.with(["a"]), family.with(["b"]));
    let (first, second) = (registry.worker(0).unwrap(), registry.worker(1).unwrap());
    first.add(a, 3);
    second.inc(a);
    registry.control().add(b, 5);
    assert_eq!(lines(&registry, "x_things"), ["x_things_total{kind=\"a\"} 4", "x_things_total{kind=\"b\"} 5"]);
    assert!(registry.worker(0).is_none(), "a shard has one writer");
    assert!(registry.worker(2).is_none());
}

#[test]
fn a_gauge_is_the_sum_of_what_workers_add_and_take() {
    let registry = Registry::new(2);
    let open = registry.gauge(Described::count("x_open", "Open."), [], 1).with([]);
    let (first, second) = (registry.worker(0).unwrap(), registry.worker(1).unwrap());
    first.shift(open, 5);
    second.shift(open, -3);
    assert_eq!(lines(&registry, "x_open"), ["x_open 2"]);
    second.shift(open, -4);
    assert_eq!(lines(&registry, "x_open"), ["x_open -2"]);
}

#[test]
fn a_histogram_counts_a_bound_into_its_own_bucket() {
    let registry = Registry::new(1);
    let described = Described::duration("x_seconds", "Time.");
    let family = registry.histogram(described, ["route"], &[1_000_000, 2_500_000, 1_000_000_000], 8);
    let worker = registry.worker(0).unwrap();
    for microseconds in [1, 1_000, 1_001, 2_500, 999_999, 5_000_000] {
        worker.observe_duration(family.with(["a"]), Duration::from_micros(microseconds));
    }
    assert_eq!(
        lines(&registry, "x_seconds"),
        [
            "x_seconds_bucket{route=\"a\",le=\"0.001\"} 2",
            "x_seconds_bucket{route=\"a\",le=\"0.0025\"} 4",
            "x_seconds_bucket{route=\"a\",le=\"1.0\"} 5",
            "x_seconds_bucket{route=\"a\",le=\"+Inf\"} 6",
            "x_seconds_sum{route=\"a\"} 6.004501",
            "x_seconds_count{route=\"a\"} 6",
        ]
    );
}

#[test]
fn strangers_cannot_make_more_series_than_the_bound() {
    let registry = Registry::new(1);
    let family = registry.counter(Described::count("x_hosts", "Hosts."), ["host", "code"], 3);
    let worker = registry.worker(0).unwrap();
    for stranger in 0..10_000 {
        worker.inc(family.with([&format!("host-{stranger}"), "2xx"]));
    }
    let too_long = "x".repeat(LABEL_VALUE_BYTES_MAX + 1);
    worker.inc(family.with([&too_long, "2xx"]));
    worker.inc(family.with(["host-1", "2xx"]));
    assert_eq!(
        lines(&registry, "x_hosts"),
        [
            "x_hosts_total{host=\"host-0\",code=\"2xx\"} 1",
            "x_hosts_total{host=\"host-1\",code=\"2xx\"} 2",
            "x_hosts_total{host=\"host-2\",code=\"2xx\"} 1",
            "x_hosts_total{host=\"other\",code=\"other\"} 9998",
        ]
    );
}

#[test]
fn invented_methods_and_odd_statuses_have_one_series_each() {
    let registry = Registry::new(1);
    let catalogue = Catalogue::new(&registry, "0");
    let route = catalogue.route("r");
    let worker = registry.worker(0).unwrap();
    for stranger in 0..1_000 {
        let method = Method::from_bytes(format!("M{stranger}").as_bytes()).unwrap();
        worker.inc(route.requests(&method, StatusCode::from_u16(799).ok()));
    }
    worker.inc(route.requests(&Method::GET, None));
    assert_eq!(
        lines(&registry, "portcullis_requests_total"),
        [
            "portcullis_requests_total{route=\"r\",method=\"other\",code=\"5xx\"} 1000",
            "portcullis_requests_total{route=\"r\",method=\"GET\",code=\"none\"} 1",
        ]
    );
}

#[test]
fn series_of_routes_that_are_gone_make_room_for_others() {
    let registry = Registry::new(1);
    let catalogue = Catalogue::new(&registry, "0");
    let worker = registry.worker(0).unwrap();
    let count = |route: &RouteMetrics, backend: &BackendMetrics| {
        worker.inc(route.requests(&Method::GET, Some(StatusCode::OK)));
        worker.observe_duration(route.duration(), Duration::from_millis(1));
        worker.observe_duration(route.time_to_first_byte(), Duration::from_millis(1));
        worker.inc(backend.attempts(Outcome::ConnectFailed));
        worker.inc(backend.connections_opened());
    };
    let (stays, behind) = (catalogue.route("stays"), catalogue.backend("stays"));
    count(&stays, &behind);
    for revision in 0..20_000 {
        let name = format!("route-{revision}");
        count(&catalogue.route(name.as_str()), &catalogue.backend(name.as_str()));
    }
    // A reload: the next revision's metrics are made before the last one's are dropped.
    let (again, behind_again) = (catalogue.route("stays"), catalogue.backend("stays"));
    count(&again, &behind_again);
    drop((stays, behind));
    count(&again, &behind_again);
    for name in ["requests_total", "request_duration_seconds_count", "time_to_first_byte_seconds_count"] {
        let lines = lines(&registry, &format!("portcullis_{name}"));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("route=\"stays\"") && lines[0].ends_with(" 3"), "{lines:?}");
    }
    let attempts = "portcullis_upstream_attempts_total{backend=\"stays\",outcome=\"connect_failed\"} 3";
    assert_eq!(lines(&registry, "portcullis_upstream_attempts_total"), [attempts]);
    assert_eq!(
        lines(&registry, "portcullis_upstream_connections_opened"),
        ["portcullis_upstream_connections_opened_total{backend=\"stays\"} 3"]
    );
    drop((again, behind_again));
    assert_eq!(lines(&registry, "portcullis_requests_total"), [""; 0]);
}

#[test]
fn label_values_and_help_are_escaped() {
    let registry = Registry::new(1);
    let family = registry.counter(Described::count("x_odd", "A \\ and\na \"quote\"."), ["value"], 8);
    registry.control().inc(family.with(["a\\b\"c\nd"]));
    let page = registry.page(Format::Prometheus);
    assert_eq!(
        page,
        "# HELP x_odd_total A \\\\ and\\na \"quote\".\n# TYPE x_odd_total counter\nx_odd_total{value=\"a\\\\b\\\"c\\nd\"} 1\n"
    );
}

#[test]
fn open_metrics_has_units_and_an_end() {
    let registry = Registry::new(1);
    let family = registry.counter(Described::bytes("x_sent_bytes", "Bytes."), [], 1);
    registry.control().add(family.with([]), 7);
    assert_eq!(
        registry.page(Format::OpenMetrics),
        "# HELP x_sent_bytes Bytes.\n# TYPE x_sent_bytes counter\n# UNIT x_sent_bytes bytes\nx_sent_bytes_total 7\n# EOF\n"
    );
    let asked = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    assert_eq!(Format::accepted(Some(asked)), Format::OpenMetrics);
    assert_eq!(Format::accepted(Some("*/*")), Format::Prometheus);
    assert_eq!(Format::accepted(None), Format::Prometheus);
}

#[test]
fn a_family_has_one_meaning() {
    let registry = Registry::new(1);
    let first = registry.counter(Described::count("x", "X."), ["a"], 8);
    let again = registry.counter(Described::count("x", "X."), ["a"], 8);
    assert_eq!(first.with(["1"]), again.with(["1"]));
    let different = registry.counter(Described::count("x", "X."), ["b"], 8);
    registry.control().inc(different.with(["1"]));
    assert_eq!(lines(&registry, "x_total"), ["x_total{a=\"1\"} 0"]);
}

#[test]
fn cells_end_without_a_panic() {
    let registry = Registry::new(1);
    let family = registry.histogram(Described::duration("x_seconds", "X."), ["n"], LATENCY_BOUNDS, usize::MAX);
    let worker = registry.worker(0).unwrap();
    for n in 0..60_000 {
        worker.observe_duration(family.with([&n.to_string()]), Duration::from_secs(1));
    }
    let counted = lines(&registry, "x_seconds_count").len();
    let room = 512 * 2048 / (LATENCY_BOUNDS.len() + 2);
    assert_eq!(counted, room);
    // What is given back is clean when it is used again.
    let seven = family.with(["7"]);
    family.release(seven);
    family.release(seven);
    worker.observe_duration(family.with(["next"]), Duration::from_secs(3));
    assert_eq!(lines(&registry, "x_seconds_sum{n=\"next\"}"), ["x_seconds_sum{n=\"next\"} 3"]);
    assert_eq!(lines(&registry, "x_seconds_count").len(), room);
}

#[test]
fn no_increment_is_lost_while_pages_are_made() {
    let registry = Arc::new(Registry::new(2));
    let family = registry.counter(Described::count("x", "X."), ["a"], 8);
    let counter = family.with(["1"]);
    let workers = [0, 1].map(|index| {
        let worker = registry.worker(index).unwrap();
        thread::spawn(move || (0..200_000).for_each(|_| worker.inc(counter)))
    });
    let control = registry.control();
    let also = thread::spawn({
        let control = control.clone();
        move || (0..10_000).for_each(|_| control.inc(counter))
    });
    for _ in 0..10_000 {
        control.inc(counter);
    }
    let _ = registry.page(Format::Prometheus);
    also.join().unwrap();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(lines(&registry, "x_total"), ["x_total{a=\"1\"} 420000"]);
}

#[test]
fn the_catalogue_has_every_family_once() {
    let registry = Arc::new(Registry::new(1));
    let _kept = everything(&registry);
    let page = registry.page(Format::Prometheus);
    let mut names: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let listed = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), listed);
    for expected in [
        "portcullis_requests_total{route=\"inference/chat\",method=\"POST\",code=\"2xx\"} 1",
        "portcullis_tls_handshakes_total{listener=\"inference/edge/https\",version=\"1.3\",outcome=\"resumed\"} 1",
        "portcullis_upstream_attempts_total{backend=\"inference/llama-8b\",outcome=\"answered\"} 1",
        "portcullis_worker_loop_lag_seconds{worker=\"0\"} 0.0015",
        "portcullis_config_info{revision=\"0123456789abcdef\"} 1",
        "portcullis_config_stale 1",
        "portcullis_config_applied_timestamp_seconds 7",
        "portcullis_endpoints{backend=\"inference/llama-8b\",state=\"ready\"} 1",
        "portcullis_endpoint_requests_in_flight{backend=\"inference/llama-8b\",endpoint=\"127.0.0.1:8000\"} 0",
        "portcullis_config_reloads_total{outcome=\"refused\"} 1",
    ] {
        assert!(page.lines().any(|line| line == expected), "{expected} is not in\n{page}");
    }
    assert!(page.contains("\nprocess_cpu_seconds_total "));
}

/// Debian's package `prometheus` brings promtool. Without it the test says so and checks nothing.
#[test]
fn promtool_finds_nothing_to_say() {
    let registry = Arc::new(Registry::new(1));
    let _kept = everything(&registry);
    let page = registry.page(Format::Prometheus);
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        eprintln!("promtool is not installed: not checked");
        return;
    };
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}\n{page}", String::from_utf8_lossy(&said));
}

#[test]
fn counting_is_cheap() {
    const TIMES: u32 = 1_000_000;
    let registry = Registry::new(1);
    let catalogue = Catalogue::new(&registry, "0");
    let route = catalogue.route("r");
    let worker = registry.worker(0).unwrap();
    let each = |what: &str, work: &dyn Fn()| {
        let started = Instant::now();
        for _ in 0..TIMES {
            work();
        }
        eprintln!("{what}: {:.1} ns", started.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES));
    };
    let counter = route.requests(&Method::POST, Some(StatusCode::OK));
    each("inc", &|| worker.inc(black_box(counter)));
    each("resolve and inc", &|| worker.inc(route.requests(black_box(&Method::POST), Some(StatusCode::OK))));
    let histogram = route.duration();
    each("observe", &|| worker.observe(black_box(histogram), black_box(30_000_000)));
}
