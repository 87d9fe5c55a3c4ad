//! What is joined, on a clock of the test's.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::load::measure::{Outcome, Priority};

/// A measured worker and a window over it, on a clock of the test's.
struct Bench {
    measure: Measure,
    worker: crate::load::Measuring,
    window: Window,
    begun: Instant,
}

const SETTING: Setting = Setting { in_flight_max: None, engine_period: Duration::from_secs(1), is_draining: false };

impl Bench {
    fn new() -> Self {
        let begun = Instant::now();
        let measure = Measure::new(1, begun);
        let worker = measure.worker(0).unwrap();
        Self { measure, worker, window: Window::default(), begun }
    }

    fn at(&self, after: f64) -> Instant {
        self.begun + Duration::from_secs_f64(after)
    }

    fn arrived(&self, after: f64) -> crate::load::Flight {
        self.worker.arrived(self.measure.label("m"), Priority::default(), self.at(after))
    }

    /// One that is held, read, answered in two tokens, and ends, in the seconds that are given.
    fn exchange(&self, at: f64, held: f64, prefill: f64, decode: f64, outcome: Outcome) {
        let mut flight = self.arrived(at);
        flight.sent(self.at(at + held));
        flight.token(self.at(at + held + prefill));
        flight.token(self.at(at + held + prefill + decode));
        flight.ended(outcome, self.at(at + held + prefill + decode));
    }

    fn push(&mut self, after: f64) {
        let totals = self.measure.totals(self.measure.label("m"));
        self.window.push(totals, self.at(after));
    }

    fn push_engine(&mut self, sample: &EngineSample, after: f64) {
        let reading = EngineReading::of(self.at(after), [("m".into(), *sample)]);
        self.window.push_engine(&reading, "m");
    }

    fn report(&self, setting: &Setting, after: f64) -> LoadReport {
        self.window.report(&self.measure, setting, self.at(after))
    }
}

/// What Triton says: requests that ended, the seconds that they waited and were worked on, and requests that wait.
fn triton(ended: u32, queue: f64, compute: f64, pending: u32) -> EngineSample {
    EngineSample::default()
        .with(Quantity::Finished, f64::from(ended))
        .with(Quantity::QueueSeconds, queue)
        .with(Quantity::ComputeSeconds, compute)
        .with(Quantity::Waiting, f64::from(pending))
}

/// What vLLM says of now: requests that wait, requests that run, and the cache's use.
fn vllm(waiting: u32, running: u32, kv_usage: f64) -> EngineSample {
    EngineSample::default()
        .with(Quantity::Waiting, f64::from(waiting))
        .with(Quantity::Running, f64::from(running))
        .with(Quantity::KvUsage, kv_usage)
}

fn close(value: Option<f64>, expected: f64) {
    assert!(value.is_some_and(|value| (value - expected).abs() < 1e-6), "{value:?} is not {expected}");
}

#[test]
fn rates_need_two_moments_and_do_not_count_clients_that_left() {
    let mut bench = Bench::new();
    bench.push(0.0);
    assert_eq!(bench.window.rates(bench.at(0.0)), None);
    for n in 0..8 {
        let outcome = match n {
            0 => Outcome::Failed,
            1 => Outcome::Cancelled,
            _ => Outcome::Completed,
        };
        bench.exchange(0.1, 0.0, 0.1, 0.1, outcome);
    }
    bench.push(2.0);
    assert_eq!(bench.window.rates(bench.at(2.0)), Some((3.5, 0.5)));
    // Nothing happens for longer than the window.
    for second in 3..20 {
        bench.push(f64::from(second));
    }
    assert_eq!(bench.window.rates(bench.at(19.0)), Some((0.0, 0.0)));
    // Nobody has looked for longer.
    assert_eq!(bench.window.rates(bench.at(40.0)), None);
}

#[test]
fn the_ratio_is_that_of_the_engines_counters() {
    let mut bench = Bench::new();
    bench.push_engine(&triton(10, 5.0, 20.0, 0), 0.0);
    let now = bench.at(0.5);
    assert_eq!(bench.window.queue_compute(&SETTING, now).ratio(), None, "one page is not two");
    bench.push_engine(&triton(14, 6.0, 24.0, 0), 1.0);
    assert_eq!(bench.window.queue_compute(&SETTING, bench.at(1.0)).ratio(), None, "four requests are too few");
    bench.push_engine(&triton(20, 8.0, 26.0, 0), 2.0);
    let told = bench.window.queue_compute(&SETTING, bench.at(2.0));
    assert_eq!(told, QueueCompute { queue_seconds: 3.0, compute_seconds: 6.0, requests: 10.0 });
    close(told.ratio(), 0.5);
    close(bench.report(&SETTING, 2.0).named_metrics.value("queue_to_compute_ratio"), 0.5);
}

#[test]
fn no_compute_is_no_data_and_a_jammed_queue_shows_all_the_same() {
    let mut bench = Bench::new();
    let _stuck: Vec<_> = (0..3).map(|_| bench.arrived(0.0)).collect();
    for second in 0..40 {
        bench.push(f64::from(second));
        bench.push_engine(&triton(100, 5.0, 20.0, 9), f64::from(second));
    }
    let report = bench.report(&SETTING, 39.0);
    assert_eq!(report.named_metrics.value("queue_to_compute_ratio"), None);
    assert_eq!(report.named_metrics.value("num_requests_waiting"), Some(12.0));
    assert_eq!(report.named_metrics.value("oldest_waiting_s"), Some(39.0));
    assert_eq!(report.rps_fractional, Some(0.0));
    close(report.application_utilization, 1.0);
}

#[test]
fn an_engine_that_began_again_is_read_from_there() {
    let mut bench = Bench::new();
    bench.push_engine(&triton(1000, 500.0, 100.0, 0), 0.0);
    bench.push_engine(&triton(0, 0.0, 0.0, 0), 1.0);
    assert_eq!(bench.window.queue_compute(&SETTING, bench.at(1.0)), QueueCompute::default());
    bench.push_engine(&triton(10, 1.0, 10.0, 0), 2.0);
    close(bench.window.queue_compute(&SETTING, bench.at(2.0)).ratio(), 0.1);
}

#[test]
fn what_an_engine_said_long_ago_is_not_told() {
    let mut bench = Bench::new();
    bench.push_engine(&vllm(4, 1, 0.75), 0.0);
    bench.push(3.0);
    let fresh = bench.report(&SETTING, 3.0);
    assert_eq!((fresh.application_utilization, fresh.utilization.value("kv_cache")), (Some(0.8), Some(0.75)));
    assert_eq!(fresh.named_metrics.value("engine_age_s"), Some(3.0));
    let stale = bench.report(&SETTING, 3.1);
    assert_eq!((stale.application_utilization, stale.utilization.value("kv_cache")), (None, None));
    assert_eq!(stale.named_metrics.value("engine_age_s"), None);
    assert_eq!(stale.named_metrics.value("num_requests_waiting"), Some(0.0));
}

#[test]
fn utilisation_is_that_of_the_fullest() {
    let limit = |max| Setting { in_flight_max: max, ..SETTING };
    for (waiting, running, kv, max, expected) in [
        (0, 8, 0.25, None, 0.25),
        (0, 8, 0.25, Some(16), 0.5),
        (0, 8, 0.75, Some(16), 0.75),
        (6, 2, 0.1, None, 0.75),
        (8, 8, 0.1, Some(8), 2.0),
    ] {
        let mut bench = Bench::new();
        bench.push_engine(&vllm(waiting, running, kv), 0.0);
        bench.push(0.0);
        let report = bench.report(&limit(max), 0.0);
        close(report.application_utilization, expected);
        assert!(report.utilization.iter().all(|(_, share)| share <= 1.0));
    }
    let mut bench = Bench::new();
    let mut flight = bench.arrived(0.0);
    flight.sent(bench.at(0.0));
    bench.push(0.0);
    assert_eq!(bench.report(&limit(Some(4)), 0.0).application_utilization, Some(0.25));
}

#[test]
fn without_an_engines_page_our_own_clocks_tell() {
    let mut bench = Bench::new();
    bench.push(0.0);
    for _ in 0..10 {
        let mut flight = bench.arrived(0.0);
        flight.sent(bench.at(0.5));
        flight.token(bench.at(1.5));
        flight.token(bench.at(2.5));
        flight.used(1000, 200, 2);
        flight.ended(Outcome::Completed, bench.at(2.5));
    }
    bench.push(3.0);
    let report = bench.report(&Setting { is_draining: true, ..SETTING }, 3.0);
    let named = |name| report.named_metrics.value(name);
    close(named("queue_to_compute_ratio"), 0.25);
    close(named("ttft_ewma_s"), 1.5);
    close(named("tpot_ewma_s"), 1.0);
    close(named("prefill_rate"), 800.0);
    assert_eq!((named("draining"), named("seq")), (Some(1.0), Some(2.0)));
    close(report.rps_fractional, 10.0 / 3.0);
    assert!(report.keys() < crate::load::report::KEYS_MAX);
    let told = report.to_value(crate::load::Format::Text).unwrap();
    assert_eq!(LoadReport::from_value(told.to_str().unwrap()), Ok(report));
}

#[test]
fn means_follow_what_is_new() {
    let mut bench = Bench::new();
    bench.push(0.0);
    bench.exchange(0.0, 0.0, 1.0, 0.0, Outcome::Completed);
    bench.push(1.0);
    for second in 1..30 {
        bench.exchange(f64::from(second), 0.0, 3.0, 0.0, Outcome::Completed);
        bench.push(f64::from(second + 3));
    }
    let mean = bench.report(&SETTING, 32.0).named_metrics.value("ttft_ewma_s").unwrap();
    assert!((2.9..3.0).contains(&mean), "{mean}");
}

proptest! {
    /// However often and irregularly it is looked at: memory is bounded, and a rate is that of the window and a little more.
    #[test]
    fn a_window_holds_what_it_says(steps in prop::collection::vec(0.01_f64..4.0, 2..400)) {
        let mut moments = Moments::default();
        let begun = Instant::now();
        let mut after = 0.0;
        for step in steps {
            after += step;
            let now = begun + Duration::from_secs_f64(after);
            // What is counted is the time itself, so that every rate is 1.
            moments.push(after, now);
            prop_assert!(moments.0.len() <= MOMENTS_MAX);
            for window in [RATE_WINDOW, RATIO_WINDOW] {
                let Some((seconds, before, last)) = moments.over(window, now) else { continue };
                prop_assert!((seconds - (last - before)).abs() < 1e-6);
                prop_assert!((last - after).abs() < 1e-9);
                // Moments are at most one step of the test, and one of the window, apart.
                prop_assert!(seconds <= window.as_secs_f64() + 5.0, "{seconds}");
                if after > 40.0 {
                    prop_assert!(seconds >= window.as_secs_f64() - 1e-6, "{seconds}");
                }
            }
        }
    }

    #[test]
    fn no_report_says_what_a_report_cannot(
        figures in prop::collection::vec((0_u32..2000, 0.0_f64..1e6, 0.0_f64..1e6, 0_u32..100), 1..20),
        max in prop::option::of(0_u32..100),
    ) {
        let mut bench = Bench::new();
        for (second, (ended, queue, compute, pending)) in figures.into_iter().enumerate() {
            bench.push(second as f64);
            bench.push_engine(&triton(ended, queue, compute, pending), second as f64);
            let report = bench.report(&Setting { in_flight_max: max, ..SETTING }, second as f64);
            let told = report.to_value(crate::load::Format::Text).unwrap();
            prop_assert_eq!(LoadReport::from_value(told.to_str().unwrap()), Ok(report));
        }
    }
}
