//! Who is next, as long as everyone is well.

use std::{collections::VecDeque, hint::black_box};

use super::*;

#[test]
fn idle_endpoints_take_turns() {
    let now = start();
    for count in [1, 2, 3, 4, 7, 16] {
        for strategy in [Strategy::LeastRequests, Strategy::RoundRobin] {
            let endpoints = Endpoints::new(BackendSpec { strategy, ..equals(count) }, None, now);
            for (at, times) in spread_of(&endpoints, now, count * 100) {
                assert_eq!(times, 100, "endpoint {at} of {count}, {strategy:?}");
            }
        }
    }
}

#[test]
fn idle_endpoints_take_turns_whoever_is_busy() {
    let now = start();
    let endpoints = Endpoints::new(equals(4), None, now);
    let busy = endpoints.pick(now, &[]).unwrap();
    let counts = spread_of(&endpoints, now, 300);
    assert_eq!(counts.get(&number(&busy)), None);
    assert!(counts.values().all(|times| *times == 100), "{counts:?}");
}

#[test]
fn idle_endpoints_are_used_in_proportion_to_capacity() {
    let now = start();
    for strategy in [Strategy::LeastRequests, Strategy::RoundRobin] {
        let endpoints = Endpoints::new(BackendSpec { strategy, ..backend(&[1.0, 0.5, 2.0]) }, None, now);
        let counts = spread_of(&endpoints, now, 3_500);
        for (at, expected) in [(0, 1_000), (1, 500), (2, 2_000)] {
            assert!(counts[&at].abs_diff(expected) <= expected / 20, "{strategy:?}: {counts:?}");
        }
    }
}

#[test]
fn the_least_loaded_is_chosen() {
    let now = start();
    let endpoints = Endpoints::new(equals(5), None, now);
    let mut held = Vec::new();
    for placed in 1..=100 {
        held.push(endpoints.pick(now, &[]).unwrap());
        let in_flight: Vec<u32> = endpoints.list().iter().map(|e| e.in_flight()).collect();
        let (least, most) = (in_flight.iter().min().unwrap(), in_flight.iter().max().unwrap());
        assert!(most - least <= 1, "{in_flight:?} after {placed}");
    }
    // Those of one endpoint end: it is the one that gets the next.
    held.retain(|placement| number(placement) != 3);
    for _ in 0..20 {
        let placement = endpoints.pick(now, &[]).unwrap();
        assert_eq!(number(&placement), 3);
        held.push(placement);
    }
    drop(held);
    assert!(endpoints.list().iter().all(|e| e.in_flight() == 0));
}

#[test]
fn load_is_relative_to_capacity() {
    let now = start();
    let endpoints = Endpoints::new(backend(&[1.0, 0.5, 4.0, 2.5]), None, now);
    let held: Vec<Placement> = (0..800).map(|_| endpoints.pick(now, &[]).unwrap()).collect();
    let count = |at| held.iter().filter(|placement| number(placement) == at).count();
    for (at, expected) in [(0, 100), (1, 50), (2, 400), (3, 250)] {
        assert!(count(at).abs_diff(expected) <= 2, "endpoint {at} has {}, not {expected}", count(at));
    }
}

/// Keeps so many exchanges in flight, ending the oldest, and returns the greatest load seen of one endpoint.
fn greatest_load(endpoints: &Endpoints, now: Instant, in_flight: usize, exchanges: usize) -> u32 {
    let mut held = VecDeque::new();
    let mut greatest = 0;
    for _ in 0..exchanges {
        let placement = endpoints.pick(now, &[]).unwrap();
        greatest = greatest.max(placement.endpoint().in_flight());
        held.push_back(placement);
        if held.len() > in_flight {
            held.pop_front();
        }
    }
    greatest
}

#[test]
fn sampling_comes_close_to_looking_at_all() {
    let now = start();
    let endpoints = Endpoints::new(equals(200), None, now);
    let greatest = greatest_load(&endpoints, now, 2_000, 20_000);
    assert!(greatest <= 13, "10 in flight each would be fair, one endpoint had {greatest}");
}

#[test]
fn sampling_respects_capacity() {
    let now = start();
    let capacities: Vec<f64> = (0..100).map(|at| if at < 10 { 8.0 } else { 1.0 }).collect();
    for strategy in [Strategy::LeastRequests, Strategy::RoundRobin] {
        let endpoints = Endpoints::new(BackendSpec { strategy, ..backend(&capacities) }, None, now);
        let held: Vec<Placement> = (0..1_700).map(|_| endpoints.pick(now, &[]).unwrap()).collect();
        let large = held.iter().filter(|placement| number(placement) < 10).count();
        assert!(large.abs_diff(800) <= 40, "{large} of 1700 at those with 80 of 170, {strategy:?}");
        let greatest = held.iter().map(|placement| placement.endpoint().in_flight()).max().unwrap();
        assert!(greatest <= 96, "80 would be fair, one endpoint has {greatest}, {strategy:?}");
    }
}

#[test]
fn sampling_leaves_no_one_out() {
    let now = start();
    for strategy in [Strategy::LeastRequests, Strategy::RoundRobin] {
        let endpoints = Endpoints::new(BackendSpec { strategy, ..equals(50) }, None, now);
        let counts = spread_of(&endpoints, now, 5_000);
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        assert_eq!(counts.len(), 50);
        assert!(*least >= 70 && *most <= 130, "between {least} and {most}, {strategy:?}");
    }
}

#[test]
fn tried_endpoints_are_avoided_while_there_are_others() {
    let now = start();
    for count in [3, 40] {
        let endpoints = Endpoints::new(equals(count), None, now);
        let mut tried = Vec::new();
        for _ in 0..count {
            let placement = endpoints.pick(now, &tried).unwrap();
            assert!(!tried.contains(&placement.endpoint().id()));
            tried.push(placement.endpoint().id());
        }
        assert!(endpoints.pick(now, &tried).is_ok(), "all are avoided, so any is as good");
    }
}

#[test]
fn no_endpoints_is_an_error() {
    let now = start();
    assert_eq!(Endpoints::new(equals(0), None, now).pick(now, &[]).unwrap_err(), NoEndpoint::Empty);
}

#[test]
fn absurd_capacities_do_no_harm() {
    let now = start();
    for absurd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0, 1e300, 1e-300] {
        for count in [2, 30] {
            let mut capacities = vec![1.0; count];
            capacities[0] = absurd;
            let endpoints = Endpoints::new(backend(&capacities), None, now);
            assert_eq!(spread_of(&endpoints, now, 100).values().sum::<usize>(), 100);
        }
    }
}

/// Prints what a choice costs, and fails if it grows with the number of endpoints.
#[test]
fn a_choice_costs_the_same_among_ten_thousand() {
    let now = start();
    let mut costs = Vec::new();
    for count in [1, 4, 16, 100, 10_000] {
        let endpoints = Endpoints::new(equals(count), None, now);
        // The best of several rounds: other work on the machine only makes it slower.
        let rounds = (0..10).map(|_| {
            let began = Instant::now();
            for _ in 0..2_000 {
                drop(black_box(endpoints.pick(now, &[]).unwrap()));
            }
            began.elapsed().as_nanos() / 2_000
        });
        let each = rounds.min().unwrap();
        eprintln!("{count} endpoints: {each} ns a choice");
        costs.push(each);
    }
    assert!(costs[4] < costs[3] * 4, "{costs:?}");
}
