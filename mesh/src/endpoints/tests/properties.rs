//! What must hold whatever happens, in one thread and in several.

use std::{sync::Arc, thread};

use proptest::{
    prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest},
    strategy::Strategy as Generator,
};

use super::*;

/// Something that can happen to a backend.
#[derive(Debug, Clone)]
enum Event {
    Pick,
    Report(usize, Outcome),
    End(usize),
    Wait(u64),
    Reload(usize),
}

fn events() -> impl Generator<Value = Vec<Event>> {
    let outcome = prop_oneof![
        3 => Just(OK),
        1 => Just(Outcome::Answered(StatusCode::BAD_GATEWAY)),
        4 => Just(Outcome::ConnectFailed),
        1 => Just(Outcome::ResetBeforeAnswer { reused: true }),
        1 => Just(Outcome::ResetMidAnswer),
        1 => Just(Outcome::Cancelled),
    ];
    let event = prop_oneof![
        6 => Just(Event::Pick),
        6 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Event::Report(which, outcome)),
        4 => any::<usize>().prop_map(Event::End),
        2 => (0_u64..20_000).prop_map(Event::Wait),
        1 => (1_usize..24).prop_map(Event::Reload),
    ];
    prop::collection::vec(event, 1..300)
}

/// Whether this state may be chosen although there is no panic.
fn usable(state: EndpointState) -> bool {
    matches!(state, EndpointState::Ready | EndpointState::Warming(_) | EndpointState::OnTrial)
}

proptest! {
    #[test]
    fn counts_are_right_and_nobody_ejected_is_chosen_without_a_panic(
        events in events(),
        count in 1_usize..24,
        round_robin: bool,
    ) {
        let strategy = if round_robin { Strategy::RoundRobin } else { Strategy::LeastRequests };
        let mut now = start();
        let mut endpoints = Endpoints::new(BackendSpec { strategy, ..equals(count) }, None, now);
        let mut held: Vec<Placement> = Vec::new();
        for event in events {
            match event {
                Event::Pick => {
                    // With many endpoints the share of healthy ones is a tenth of a second old.
                    now += milliseconds(101);
                    let before = endpoints.status(now);
                    let placement = endpoints.pick(now, &[]).unwrap();
                    let chosen = before.endpoints.iter().find(|e| e.address == placement.endpoint().address()).unwrap();
                    prop_assert!(chosen.state != EndpointState::Draining);
                    prop_assert!(before.panic || usable(chosen.state), "{:?} was chosen", chosen);
                    held.push(placement);
                }
                Event::Report(which, outcome) if !held.is_empty() => held[which % held.len()].report(now, outcome),
                Event::End(which) if !held.is_empty() => drop(held.swap_remove(which % held.len())),
                Event::Report(..) | Event::End(_) => {}
                Event::Wait(n) => now += milliseconds(n),
                Event::Reload(count) => {
                    endpoints = Endpoints::new(BackendSpec { strategy, ..equals(count) }, Some(&endpoints), now);
                }
            }
            let status = endpoints.status(now);
            prop_assert_eq!(status.endpoints.iter().map(|e| e.in_flight as usize).sum::<usize>(), held.len());
        }
        held.clear();
        prop_assert!(endpoints.list().iter().all(|endpoint| endpoint.in_flight() == 0));
        // Nothing stays out for ever: trials that ended are followed by others.
        now += seconds(300);
        for _ in 0..endpoints.list().len() * 40 {
            endpoints.pick(now, &[]).unwrap().report(now, OK);
        }
        now += seconds(60);
        let status = endpoints.status(now);
        prop_assert!(status.endpoints.iter().all(|e| e.state == EndpointState::Ready), "{status:?}");
    }

    #[test]
    fn load_follows_capacity(capacities in prop::collection::vec(0.25_f64..8.0, 1..60)) {
        let now = start();
        let endpoints = Endpoints::new(backend(&capacities), None, now);
        let total: f64 = capacities.iter().sum();
        let each = 40.0;
        let held: Vec<Placement> = (0..(total * each) as usize).map(|_| endpoints.pick(now, &[]).unwrap()).collect();
        for (at, capacity) in capacities.iter().enumerate() {
            let got = held.iter().filter(|placement| number(placement) == at).count() as f64;
            let fair = capacity * each;
            prop_assert!((got - fair).abs() <= 3.0 + fair * 0.3, "{at}: {got}, not {fair}");
        }
    }

    #[test]
    fn samples_follow_weights(weights in prop::collection::vec(0.01_f64..100.0, 1..50)) {
        let sampler = sampler::Sampler::new(weights.iter().copied());
        let total: f64 = weights.iter().sum();
        let mut counts = vec![0_u32; weights.len()];
        for step in 0..20_000 {
            counts[sampler.at(sampler::spread(step))] += 1;
        }
        for (count, weight) in counts.iter().zip(&weights) {
            let expected = weight / total * 20_000.0;
            prop_assert!((f64::from(*count) - expected).abs() <= 30.0 + expected * 0.02, "{count} for {expected}");
        }
    }
}

#[test]
fn workers_agree_at_the_end() {
    for count in [3, 40] {
        let now = start();
        let endpoints = Arc::new(Endpoints::new(equals(count), None, now));
        let workers: Vec<_> = (0..4_u64)
            .map(|worker| {
                let endpoints = Arc::clone(&endpoints);
                thread::spawn(move || {
                    let mut held = Vec::new();
                    for step in 0..20_000_u64 {
                        let now = now + milliseconds(step);
                        let placement = endpoints.pick(now, &[]).unwrap();
                        let failing = (number(&placement) as u64 + step / 4_000).is_multiple_of(3);
                        placement.report(now, if failing { Outcome::ConnectFailed } else { OK });
                        held.push(placement);
                        if held.len() as u64 > worker * 3 {
                            held.swap_remove(step as usize % held.len());
                        }
                        assert!(endpoints.list().iter().all(|endpoint| endpoint.in_flight() <= 4 * 12));
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        assert!(endpoints.list().iter().all(|endpoint| endpoint.in_flight() == 0));
        let now = now + seconds(400);
        for _ in 0..count * 40 {
            endpoints.pick(now, &[]).unwrap().report(now, OK);
        }
        assert!(!endpoints.status(now).panic);
        let later = now + seconds(60);
        assert!((0..count).all(|at| state_of(&endpoints, at, later) == EndpointState::Ready), "a trial is stuck");
    }
}
