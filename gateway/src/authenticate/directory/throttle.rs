//! Failed attempts, counted by person: strangers who guess must not lock people out of the directory.
//!
//! A person is throttled after so many failures within a window, counting attempts that are on their way. A password
//! that was good before is no guess and is always tried; the same wrong password again is answered from memory for a
//! while and not counted: a program with an old password fails for ever, and locks nobody out.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::password::Tag;

/// Persons whose failures are remembered.
const THROTTLED_MAX: usize = 100_000;

/// The failures of a directory.
pub(super) struct Throttle {
    persons: Mutex<HashMap<Box<str>, Failures>>,
    failures_max: usize,
    window: Duration,
}

#[derive(Default)]
struct Failures {
    /// The newest last. Never more than `failures_max`, and one for each old password that is not good any more.
    past: Vec<(SystemTime, Tag)>,
    /// Attempts on their way.
    under_way: usize,
}

/// Whether a password may be tried.
pub(super) enum Leave<'t> {
    /// Yes, and this counts it until it is dropped.
    Granted(Attempt<'t>),
    /// No: this very password was wrong a moment ago.
    KnownWrong,
    /// No: too many failures.
    Throttled,
}

/// An attempt on its way.
pub(super) struct Attempt<'t> {
    throttle: &'t Throttle,
    person: Box<str>,
}

impl Throttle {
    pub(super) fn new(failures_max: u32, window: Duration) -> Self {
        Self { persons: Mutex::default(), failures_max: failures_max as usize, window }
    }

    /// Asks for leave to try a password of this person. `was_good`: it was taken before. `repeated`: for how long the
    /// same wrong one is not tried again.
    pub(super) fn ask(
        &self,
        person: &str,
        tag: &Tag,
        was_good: bool,
        repeated: Duration,
        now: SystemTime,
    ) -> Leave<'_> {
        let mut persons = self.lock();
        if persons.len() >= THROTTLED_MAX && !persons.contains_key(person) {
            self.make_room(&mut persons, now);
        }
        let failures = persons.entry(person.into()).or_default();
        failures.past.retain(|(at, _)| age(*at, now) < self.window);
        let known_wrong = failures.past.iter().any(|(at, wrong)| wrong.is(tag) && age(*at, now) < repeated);
        if known_wrong && !was_good {
            return Leave::KnownWrong;
        }
        if !was_good && failures.past.len() + failures.under_way >= self.failures_max {
            return Leave::Throttled;
        }
        failures.under_way += 1;
        Leave::Granted(Attempt { throttle: self, person: person.into() })
    }

    /// How many persons are throttled at `now`.
    pub(super) fn throttled(&self, now: SystemTime) -> usize {
        let persons = self.lock();
        let recent = |failures: &Failures| failures.past.iter().filter(|(at, _)| age(*at, now) < self.window).count();
        persons.values().filter(|failures| recent(failures) >= self.failures_max).count()
    }

    fn make_room(&self, persons: &mut HashMap<Box<str>, Failures>, now: SystemTime) {
        persons.retain(|_, failures| {
            failures.under_way > 0 || failures.past.iter().any(|(at, _)| age(*at, now) < self.window)
        });
        if persons.len() >= THROTTLED_MAX {
            // Whoever has come nearest to no failure at all.
            let idle = persons.iter().filter(|(_, failures)| failures.under_way == 0);
            let least = idle.min_by_key(|(_, failures)| failures.past.len()).map(|(person, _)| person.clone());
            least.and_then(|person| persons.remove(&person));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Failures>> {
        self.persons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// The directory said no.
    pub(super) fn failed(self, tag: Tag, now: SystemTime) {
        if let Some(failures) = self.throttle.lock().get_mut(&self.person) {
            failures.past.push((now, tag));
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut persons = self.throttle.lock();
        if let Some(failures) = persons.get_mut(&self.person) {
            failures.under_way = failures.under_way.saturating_sub(1);
            if failures.under_way == 0 && failures.past.is_empty() {
                persons.remove(&self.person);
            }
        }
    }
}

/// Nothing is older than what lies in the future: a clock that was set back must not open the window again.
fn age(at: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::{
        super::password::{Password, TagKey},
        *,
    };

    const WINDOW: Duration = Duration::from_mins(15);
    const REPEATED: Duration = Duration::from_mins(1);

    struct Test {
        throttle: Throttle,
        key: TagKey,
        now: SystemTime,
    }

    impl Test {
        fn new() -> Self {
            Self { throttle: Throttle::new(3, WINDOW), key: TagKey::random().unwrap(), now: SystemTime::UNIX_EPOCH }
        }

        fn ask(&self, person: &str, password: &str, was_good: bool) -> Leave<'_> {
            let tag = self.key.tag(person, &Password::new(password.as_bytes()));
            self.throttle.ask(person, &tag, was_good, REPEATED, self.now)
        }

        fn fail(&self, person: &str, password: &str) {
            let tag = self.key.tag(person, &Password::new(password.as_bytes()));
            let Leave::Granted(attempt) = self.ask(person, password, false) else { panic!("{password}: no leave") };
            attempt.failed(tag, self.now);
        }
    }

    #[test]
    fn the_fourth_failure_is_answered_here_until_the_window_has_passed() {
        let mut test = Test::new();
        for password in ["a", "b", "c"] {
            test.fail("alice", password);
        }
        assert!(matches!(test.ask("alice", "d", false), Leave::Throttled));
        assert!(matches!(test.ask("bob", "d", false), Leave::Granted(_)));
        assert_eq!(test.throttle.throttled(test.now), 1);
        test.now += WINDOW;
        assert!(matches!(test.ask("alice", "d", false), Leave::Granted(_)));
        assert_eq!(test.throttle.throttled(test.now), 0);
    }

    #[test]
    fn a_password_that_was_good_is_tried_whatever_others_guessed() {
        let test = Test::new();
        for password in ["a", "b", "c"] {
            test.fail("alice", password);
        }
        assert!(matches!(test.ask("alice", "good", true), Leave::Granted(_)));
    }

    #[test]
    fn the_same_wrong_password_is_not_tried_twice_in_a_row() {
        let mut test = Test::new();
        test.fail("alice", "old");
        assert!(matches!(test.ask("alice", "old", false), Leave::KnownWrong));
        test.now += REPEATED;
        assert!(matches!(test.ask("alice", "old", false), Leave::Granted(_)));
    }

    #[test]
    fn attempts_on_their_way_count() {
        let test = Test::new();
        let attempts: Vec<_> = ["a", "b", "c"].map(|password| test.ask("alice", password, false)).into();
        assert!(matches!(test.ask("alice", "d", false), Leave::Throttled));
        drop(attempts);
        assert!(matches!(test.ask("alice", "d", false), Leave::Granted(_)));
        assert!(test.throttle.lock().is_empty(), "what came to nothing is not remembered");
    }

    #[test]
    fn a_clock_that_is_set_back_opens_nothing() {
        let mut test = Test::new();
        test.now += Duration::from_hours(24);
        for password in ["a", "b", "c"] {
            test.fail("alice", password);
        }
        test.now -= Duration::from_hours(1);
        assert!(matches!(test.ask("alice", "d", false), Leave::Throttled));
    }
}
