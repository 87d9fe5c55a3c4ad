//! When authorities are made, told, used and forgotten.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

/// A life of 30 days from a fixed time on, driven by hand.
struct Life {
    roots: Vec<RootStanding>,
    lifetimes: Lifetimes,
    begun: SystemTime,
    made: usize,
}

impl Life {
    fn new() -> Self {
        let begun = SystemTime::UNIX_EPOCH + 20_000 * DAY;
        Self { roots: Vec::new(), lifetimes: Lifetimes::default(), begun, made: 0 }
    }

    /// The steps until nothing is left to do.
    fn at(&mut self, since: Duration) -> Vec<Step> {
        self.at_time(self.begun + since)
    }

    /// The steps a minute before that.
    fn before(&mut self, since: Duration) -> Vec<Step> {
        self.at_time(self.begun + since - MINUTE)
    }

    fn at_time(&mut self, now: SystemTime) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(step) = next_step(&self.roots, &self.lifetimes, now) {
            self.take(&step, now);
            steps.push(step);
            assert!(steps.len() < 10, "{steps:?}");
        }
        steps
    }

    fn take(&mut self, step: &Step, now: SystemTime) {
        let mut set = |id: &str, state| {
            let root = self.roots.iter_mut().find(|root| root.id == id).unwrap();
            (root.state, root.since) = (state, now);
        };
        match step {
            Step::Prepare => {
                self.made += 1;
                self.roots.push(RootStanding {
                    id: self.made.to_string(),
                    state: RootState::Prepared,
                    since: now,
                    tainted: false,
                    not_before: now,
                    not_after: now + self.lifetimes.authority,
                });
            }
            Step::Publish(id) => set(id, RootState::Published),
            Step::Activate(id) => {
                set(id, RootState::Active);
                let others = self.roots.iter_mut().filter(|root| root.state == RootState::Active && root.id != *id);
                for root in others {
                    (root.state, root.since) = (RootState::Retired, now);
                }
            }
            Step::Remove(id) => self.roots.retain(|root| root.id != *id),
        }
    }

    fn taint(&mut self, id: &str) {
        self.roots.iter_mut().find(|root| root.id == id).unwrap().tainted = true;
    }
}

fn publish(id: &str) -> Step {
    Step::Publish(id.to_owned())
}
fn activate(id: &str) -> Step {
    Step::Activate(id.to_owned())
}
fn remove(id: &str) -> Step {
    Step::Remove(id.to_owned())
}

#[test]
fn an_authority_is_prepared_at_half_and_active_at_five_sixths_and_leaves_after_the_overlap() {
    let mut life = Life::new();
    assert_eq!(life.at(Duration::ZERO), [Step::Prepare, publish("1"), activate("1")]);
    assert_eq!(life.before(15 * DAY), []);
    assert_eq!(life.at(15 * DAY), [Step::Prepare, publish("2")]);
    assert_eq!(life.before(25 * DAY), []);
    assert_eq!(life.at(25 * DAY), [activate("2")]);
    let overlap = SVID_LIFE_MAX + CLOCK_SKEW_MAX;
    assert_eq!(life.before(25 * DAY + overlap), []);
    assert_eq!(life.at(25 * DAY + overlap), [remove("1")]);
    assert_eq!(life.at(30 * DAY), [Step::Prepare, publish("3")]);
}

#[test]
fn what_signs_has_always_been_told_long_enough_and_outlives_what_it_signed() {
    let mut life = Life::new();
    let mut told = std::collections::HashMap::new();
    let mut signed: Vec<(String, Duration)> = Vec::new();
    for minutes in 0..(120 * 24 * 6) {
        let now = 10 * minutes * MINUTE;
        life.at(now);
        for root in life.roots.iter().filter(|root| root.state != RootState::Prepared) {
            told.entry(root.id.clone()).or_insert(now);
        }
        let active: Vec<_> = life.roots.iter().filter(|root| root.state == RootState::Active).collect();
        assert_eq!(active.len(), 1, "{:?}", life.roots);
        let active = active.first().unwrap();
        if active.id != "1" {
            assert!(told.get(&active.id).is_some_and(|told| now >= *told + PROPAGATION));
        }
        signed.push((active.id.clone(), now + SVID_LIFE_MAX));
        signed.retain(|(_, until)| *until >= now);
        for (id, _) in &signed {
            assert!(life.roots.iter().any(|root| root.id == *id), "{id} left while what it signed is in use");
        }
        assert!(life.begun + now + SVID_LIFE_MAX <= active.not_after, "what it signs would be cut short");
        assert!(life.roots.len() <= 3);
    }
    assert!(life.made >= 6);
}

#[test]
fn a_tainted_authority_is_replaced_as_fast_as_everybody_can_hear_of_it() {
    let mut life = Life::new();
    life.at(Duration::ZERO);
    life.taint("1");
    assert_eq!(life.at(DAY), [Step::Prepare, publish("2")]);
    assert_eq!(life.before(DAY + PROPAGATION), []);
    assert_eq!(life.at(DAY + PROPAGATION), [activate("2")]);
    assert_eq!(life.at(DAY + 2 * PROPAGATION), []);
    assert_eq!(life.at(DAY + 2 * PROPAGATION + CLOCK_SKEW_MAX), [remove("1")]);
}

#[test]
fn after_a_long_sleep_there_is_a_valid_authority_at_once() {
    let mut life = Life::new();
    life.at(Duration::ZERO);
    // Nobody can have been told, but without it nothing works at all.
    assert_eq!(life.at(365 * DAY), [Step::Prepare, publish("2"), activate("2")]);
    let mut life = Life::new();
    life.at(Duration::ZERO);
    life.at(15 * DAY);
    assert_eq!(life.at(365 * DAY), [activate("2"), Step::Prepare, publish("3"), activate("3")]);
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let mut life = Life::new();
    life.at(Duration::ZERO);
    life.at(15 * DAY);
    let before = life.roots.clone();
    assert_eq!(life.at_time(life.begun - DAY), []);
    assert_eq!(life.at_time(SystemTime::UNIX_EPOCH), []);
    assert_eq!(life.roots, before);
}

#[test]
fn lifetimes_fit_together() {
    let good = Lifetimes::default();
    assert_eq!(good.fault(), None);
    let second = Duration::from_secs(1);
    let short = Lifetimes { authority: 60 * second, svid: 5 * second, svid_max: 10 * second, propagation: 2 * second };
    assert_eq!(short.fault(), None);
    for bad in [
        Lifetimes { svid: Duration::ZERO, ..good },
        Lifetimes { svid: 2 * DAY, ..good },
        Lifetimes { svid_max: SVID_LIFE_MAX + second, ..good },
        Lifetimes { authority: 5 * SVID_LIFE_MAX, ..good },
        Lifetimes { propagation: 11 * DAY, ..good },
    ] {
        assert!(bad.fault().is_some(), "{bad:?}");
    }
}
