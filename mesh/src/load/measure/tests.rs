//! Exchanges on a clock of the test's.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

struct Bench {
    measure: Measure,
    worker: Measuring,
    begun: Instant,
}

impl Bench {
    fn new() -> Self {
        let begun = Instant::now();
        let measure = Measure::new(2, begun);
        let worker = measure.worker(0).unwrap();
        Self { measure, worker, begun }
    }

    fn at(&self, after: f64) -> Instant {
        self.begun + seconds(after)
    }

    fn arrived(&self, label: Label, after: f64) -> Flight {
        self.worker.arrived(label, Priority::default(), self.at(after))
    }
}

#[test]
fn an_exchange_is_in_flight_until_its_last_byte() {
    let bench = Bench::new();
    let label = bench.measure.label("llama");
    let now = |bench: &Bench| {
        let totals = bench.measure.totals(label);
        (totals.held(), totals.prefill(), totals.decode(), totals.in_flight())
    };
    let mut flight = bench.arrived(label, 1.0);
    assert_eq!(now(&bench), (1, 0, 0, 1));
    flight.sent(bench.at(1.5));
    assert_eq!(now(&bench), (0, 1, 0, 1));
    flight.token(bench.at(2.0));
    assert_eq!(now(&bench), (0, 0, 1, 1));
    flight.token(bench.at(2.1));
    flight.token(bench.at(2.4));
    flight.used(100, 60, 3);
    flight.ended(Outcome::Completed, bench.at(3.0));
    assert_eq!(now(&bench), (0, 0, 0, 0));

    let totals = bench.measure.totals(label);
    assert_eq!((totals.arrived(), totals.answered(), totals.ended()), (1, 1, 1));
    assert_eq!((totals.failed(), totals.cancelled()), (0, 0));
    assert_eq!((totals.queue_time(), totals.prefill_time()), (seconds(0.5), seconds(0.5)));
    assert_eq!((totals.decode_time(), totals.first_token_time()), (seconds(1.0), seconds(1.0)));
    assert_eq!((totals.gap_time(), totals.gaps()), (seconds(0.4), 2));
    assert_eq!((totals.input_tokens(), totals.cached_tokens(), totals.output_tokens()), (100, 60, 3));
}

#[test]
fn a_dropped_exchange_was_cancelled_and_is_no_longer_in_flight() {
    let bench = Bench::new();
    let label = bench.measure.label("llama");
    drop(bench.arrived(label, 0.0));
    let mut failed = bench.arrived(label, 0.0);
    failed.sent(bench.at(0.1));
    failed.ended(Outcome::Failed, bench.at(0.2));
    let totals = bench.measure.totals(label);
    assert_eq!((totals.in_flight(), totals.ended(), totals.cancelled(), totals.failed()), (0, 2, 1, 1));
}

#[test]
fn the_age_of_what_waits_is_known_while_it_waits() {
    let bench = Bench::new();
    let label = bench.measure.label("llama");
    let other = bench.measure.worker(1).unwrap();
    let ages = |after: f64| {
        let totals = bench.measure.totals(label);
        let now = bench.at(after);
        (bench.measure.oldest_age(&totals, now), bench.measure.oldest_waiting_age(&totals, now))
    };
    assert_eq!(ages(9.0), (None, None));
    let mut first = bench.arrived(label, 1.0);
    let second = bench.arrived(label, 2.0);
    let third = other.arrived(label, Priority(3), bench.at(3.0));
    assert_eq!(ages(9.0), (Some(seconds(8.0)), Some(seconds(8.0))));
    first.token(bench.at(4.0));
    assert_eq!(ages(9.0), (Some(seconds(8.0)), Some(seconds(7.0))));
    second.ended(Outcome::Completed, bench.at(5.0));
    assert_eq!(ages(9.0), (Some(seconds(8.0)), Some(seconds(6.0))));
    first.ended(Outcome::Completed, bench.at(5.0));
    assert_eq!(ages(9.0), (Some(seconds(6.0)), Some(seconds(6.0))));
    third.ended(Outcome::Completed, bench.at(6.0));
    assert_eq!(ages(9.0), (None, None));
}

#[test]
fn labels_and_priorities_are_told_apart_and_bounded() {
    let bench = Bench::new();
    let labels: Vec<Label> = (0..MEASURED_LABELS_MAX).map(|n| bench.measure.label(&n.to_string())).collect();
    assert_eq!(labels.get(3), Some(&bench.measure.label("3")));
    let other = bench.measure.label("one too many");
    for name in ["another", OTHER, &"x".repeat(LABEL_VALUE_BYTES_MAX + 1)] {
        assert_eq!(bench.measure.label(name), other);
    }
    assert_eq!(bench.measure.labels().len(), MEASURED_LABELS_MAX + 1);
    let _flights: Vec<Flight> =
        (0..=255).map(|priority| bench.worker.arrived(other, Priority(priority), bench.at(0.0))).collect();
    let of = |priority| bench.measure.totals_of(other, Priority(priority)).in_flight();
    assert_eq!((of(0), of(1), of(3), of(200)), (1, 1, 253, 253));
    assert_eq!((bench.measure.totals(other).in_flight(), bench.measure.totals_of_all().in_flight()), (256, 256));
    assert_eq!(bench.measure.totals(bench.measure.label("0")).arrived(), 0);
}

#[test]
fn a_worker_is_handed_out_once() {
    let bench = Bench::new();
    assert!(bench.measure.worker(0).is_none() && bench.measure.worker(2).is_none());
    assert!(bench.measure.worker(1).is_some());
}

proptest! {
    /// Whatever happens in whatever order: gauges come back to nothing, what ended arrived, and the oldest is the oldest.
    #[test]
    fn counts_add_up(steps in prop::collection::vec((0_usize..8, 0_u8..5), 1..200)) {
        let bench = Bench::new();
        let label = bench.measure.label("llama");
        // Each with when it arrived, and whether it was answered.
        let mut open: Vec<(Flight, f64, bool)> = Vec::new();
        let mut arrived = 0;
        for (step, (which, what)) in steps.into_iter().enumerate() {
            let after = step as f64;
            let index = which % open.len().max(1);
            match (what, open.get_mut(index)) {
                (0, _) | (_, None) => {
                    open.push((bench.arrived(label, after), after, false));
                    arrived += 1;
                }
                (1, Some((flight, _, _))) => flight.sent(bench.at(after)),
                (2, Some((flight, _, answered))) => {
                    flight.token(bench.at(after));
                    *answered = true;
                }
                (3, _) => open.swap_remove(index).0.ended(Outcome::Completed, bench.at(after)),
                (_, _) => drop(open.swap_remove(index)),
            }
            let totals = bench.measure.totals(label);
            prop_assert_eq!(totals.in_flight(), open.len() as u64);
            prop_assert_eq!((totals.arrived(), totals.ended()), (arrived, arrived - open.len() as u64));
            let oldest = |waiting: bool| {
                let ages = open.iter().filter(|(_, _, answered)| !(waiting && *answered)).map(|(_, at, _)| *at);
                ages.reduce(f64::min).map(|at| seconds(after - at))
            };
            prop_assert_eq!(bench.measure.oldest_age(&totals, bench.at(after)), oldest(false));
            prop_assert_eq!(bench.measure.oldest_waiting_age(&totals, bench.at(after)), oldest(true));
        }
        open.clear();
        let totals = bench.measure.totals(label);
        prop_assert_eq!((totals.in_flight(), totals.ended()), (0, arrived));
        prop_assert!(totals.answered() <= totals.arrived());
    }
}
