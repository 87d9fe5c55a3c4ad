//! How the server is: measured here, asked of its own metrics page, joined and told.
//!
//! Workers count; this task, on the control thread, looks at the counts ten times a second, asks the server for its page
//! every [`ENGINE_PERIOD`], and keeps the report that answers carry and streams tell (ORCA). What the server does not answer in
//! time is not waited for: a report says how old what it repeats is.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use portcullis_mesh::{
    connections::connect_tcp,
    load::{EngineReading, Format, LoadReport, Measure, OpenRca, PageFault, Phase, Setting, Window, page},
    telemetry::{Kind, Page},
};
use tokio::{sync::watch, time::MissedTickBehavior};

/// How often counts are looked at: reports are so fresh.
pub const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// How often the server is asked for its metrics page.
pub const ENGINE_PERIOD: Duration = Duration::from_secs(1);
/// The time in which it must have answered, whole.
pub const ENGINE_TIMEOUT: Duration = Duration::from_secs(1);

/// Where the server tells how it is: `http://127.0.0.1:18000/metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnginePage {
    /// Its address, on loopback.
    pub address: SocketAddr,
    /// The path of the page.
    pub path: Box<str>,
}

impl std::str::FromStr for EnginePage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse =
            || format!("`{text}` is not the URL of a page on this machine; write `http://127.0.0.1:18000/metrics`");
        let rest = text.strip_prefix("http://").ok_or_else(refuse)?;
        let (address, path) = rest.split_once('/').ok_or_else(refuse)?;
        let address: SocketAddr = address.parse().map_err(|_| refuse())?;
        if !address.ip().is_loopback() {
            return Err(refuse());
        }
        Ok(Self { address, path: format!("/{path}").into() })
    }
}

/// What is told now.
#[derive(Debug, Default)]
pub struct Told {
    /// Of everything the server does.
    pub whole: LoadReport,
    /// Of each label, where there are several.
    pub by_label: BTreeMap<Arc<str>, LoadReport>,
}

/// The report in force, and the stream of reports. Clones share both.
#[derive(Debug, Clone)]
pub struct Reporting {
    told: Arc<ArcSwap<Told>>,
    /// Tells it out of band.
    pub open_rca: OpenRca,
}

impl Reporting {
    /// Nothing is known yet. `phase`: how far along its life the sidecar is.
    pub fn new(phase: watch::Receiver<Phase>) -> Self {
        let told = Arc::new(ArcSwap::from_pointee(Told::default()));
        let source = Arc::clone(&told);
        Self { open_rca: OpenRca::new(move || source.load().whole.clone(), phase), told }
    }

    /// What is told now.
    pub fn told(&self) -> Arc<Told> {
        self.told.load_full()
    }

    /// The report for an answer, completed by what the server said of itself in it. `None` where nothing is known.
    pub fn in_answer(&self, of_server: Option<&LoadReport>, format: Format) -> Option<HeaderValue> {
        self.completed(of_server).to_value(format)
    }

    /// The same for the trailers of gRPC.
    pub fn in_trailers(&self, of_server: Option<&LoadReport>) -> Option<HeaderValue> {
        self.completed(of_server).to_trailer()
    }

    fn completed(&self, of_server: Option<&LoadReport>) -> LoadReport {
        let mut report = self.told.load().whole.clone();
        if let Some(said) = of_server {
            report.complete(said);
        }
        report
    }
}

/// Keeps reports up to date, until it is dropped.
pub async fn keep(
    measure: Arc<Measure>,
    reporting: Reporting,
    engine: Option<EnginePage>,
    phase: watch::Receiver<Phase>,
) {
    let mut windows = Windows::default();
    let (tell, mut read) = tokio::sync::mpsc::channel(1);
    if let Some(page) = engine {
        tokio::spawn(ask_again_and_again(page, tell));
    }
    let mut ticks = tokio::time::interval(LOOK_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Some(reading) = read.recv() => windows.take(&reading),
        }
        let setting = Setting {
            in_flight_max: None,
            engine_period: ENGINE_PERIOD,
            is_draining: *phase.borrow() >= Phase::Draining,
        };
        reporting.told.store(Arc::new(windows.look(&measure, &setting, Instant::now())));
    }
}

/// The last seconds of everything, and of each label.
#[derive(Debug, Default)]
struct Windows {
    whole: Window,
    by_label: BTreeMap<Arc<str>, Window>,
}

impl Windows {
    fn take(&mut self, reading: &EngineReading) {
        for (label, window) in &mut self.by_label {
            window.push_engine(reading, label);
        }
        // An engine that serves one thing answers for any label, and for the whole.
        let mut samples = reading.samples();
        if let (Some((only, _)), None) = (samples.next(), samples.next()) {
            self.whole.push_engine(reading, only);
        }
    }

    fn look(&mut self, measure: &Measure, setting: &Setting, now: Instant) -> Told {
        self.whole.push(measure.totals_of_all(), now);
        let whole = self.whole.report(measure, setting, now);
        let mut by_label = BTreeMap::new();
        for (label, name) in measure.labels() {
            let totals = measure.totals(label);
            if totals.arrived() == 0 {
                continue;
            }
            let window = self.by_label.entry(Arc::clone(&name)).or_default();
            window.push(totals, now);
            by_label.insert(name, window.report(measure, setting, now));
        }
        Told { whole, by_label }
    }
}

/// Writes what is told to a page of metrics.
pub fn write(page: &mut Page, told: &Told) {
    const NAMED: [(&str, &str, &str); 4] = [
        (
            "portcullis_queue_to_compute_ratio",
            "queue_to_compute_ratio",
            "Time that requests waited by time they were worked on, over the last half minute; absent where too little ended to say.",
        ),
        ("portcullis_requests_waiting", "num_requests_waiting", "Requests that wait, here or with the server."),
        ("portcullis_requests_running", "num_requests_running", "Requests that the server works on."),
        (
            "portcullis_oldest_waiting_seconds",
            "oldest_waiting_s",
            "For how long the oldest request has waited for the first byte of its answer.",
        ),
    ];
    for (family, name, help) in NAMED {
        let values =
            told.by_label.iter().filter_map(|(label, report)| Some((label, report.named_metrics.value(name)?)));
        let values: Vec<_> = values.collect();
        if values.is_empty() {
            continue;
        }
        let unit = if family.ends_with("_seconds") { "seconds" } else { "" };
        page.family(family, help, unit, Kind::Gauge);
        for (label, value) in values {
            page.gauge(&[("model", label)], value);
        }
    }
}

async fn ask_again_and_again(page: EnginePage, tell: tokio::sync::mpsc::Sender<EngineReading>) {
    let mut ticks = tokio::time::interval(ENGINE_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_well = true;
    loop {
        ticks.tick().await;
        let asked = tokio::time::timeout(ENGINE_TIMEOUT, ask(&page)).await;
        match asked.unwrap_or(Err(EngineFault::TimedOut)) {
            Ok(reading) => {
                was_well = true;
                if tell.send(reading).await.is_err() {
                    return;
                }
            }
            Err(fault) => {
                // Said once: a server that is starting has no page for minutes.
                if std::mem::take(&mut was_well) {
                    tracing::warn!(address = %page.address, path = %page.path, %fault, "the server's metrics cannot be read");
                }
            }
        }
    }
}

/// Why the server's page is of no use.
#[derive(Debug, thiserror::Error)]
enum EngineFault {
    /// It took too long.
    #[error("no page within {ENGINE_TIMEOUT:?}")]
    TimedOut,
    /// No connection, or no HTTP.
    #[error("{0}")]
    Http(Box<dyn std::error::Error + Send + Sync>),
    /// Another status than 200.
    #[error("it answers {0}")]
    Status(StatusCode),
    /// The page itself.
    #[error("{0}")]
    Page(#[from] PageFault),
}

async fn ask(asked: &EnginePage) -> Result<EngineReading, EngineFault> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| EngineFault::Http(error);
    let stream = connect_tcp(asked.address).await.map_err(|error| failed(error.into()))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.into()))?;
    let connection = tokio::spawn(connection);
    let _ends_with_us = Ends(connection);
    let request = Request::get(&*asked.path).header(HOST, asked.address.to_string()).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| failed(error.into()))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(error.into()))?;
    if answer.status() != StatusCode::OK {
        return Err(EngineFault::Status(answer.status()));
    }
    page::accept(answer.headers())?;
    let mut body = answer.into_body();
    let mut gathered = page::Gathered::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failed(error.into()))?;
        if let Some(chunk) = frame.data_ref() {
            gathered.push(chunk)?;
        }
    }
    Ok(EngineReading::read(gathered.bytes(), Instant::now())?)
}

/// A connection that nobody waits for any more.
struct Ends<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Ends<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_elsewhere_is_refused() {
        let check = |text: &str, is_page: bool| assert_eq!(text.parse::<EnginePage>().is_ok(), is_page, "{text}");
        check("http://127.0.0.1:18000/metrics", true);
        check("http://[::1]:8002/metrics", true);
        check("http://127.0.0.1:18000", false);
        check("https://127.0.0.1:18000/metrics", false);
        check("http://10.0.0.1:8000/metrics", false);
        check("http://localhost/metrics", false);
    }
}
