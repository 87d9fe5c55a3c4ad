//! What a directory said of people, for as long as it may be used.
//!
//! `fresh`: used without asking. Towards the end of it whoever is still there is asked about again in the background.
//! `stale`: used only while no server can be asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use portcullis_policy::{authorize::Group, snapshot::CacheTimes};

use super::password::Tag;
use crate::random::Random;

/// People whom something is remembered of.
const PEOPLE_MAX: usize = 100_000;

/// A person, as the directory knows them.
#[derive(Debug, PartialEq)]
pub(super) struct Person {
    pub(super) name: Arc<str>,
    pub(super) stable_id: Option<Arc<str>>,
    pub(super) groups: Vec<Group>,
}

/// What was said of a name.
#[derive(Debug, Clone)]
pub(super) enum Said {
    /// There is this person.
    Is(Arc<Person>),
    /// There is nobody of this name.
    Nobody,
    /// This account is closed; the word is for logs.
    Closed(&'static str),
}

/// What is remembered, and how it may be used.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) said: Said,
    pub(super) age: Duration,
    /// For so long it may be used without asking, and without a look here.
    pub(super) fresh: Duration,
    pub(super) usable: Usable,
}

/// How what is remembered may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usable {
    /// As it is.
    Fresh,
    /// As it is, and the directory is to be asked in the background.
    Soon,
    /// While no server can be asked.
    Stale,
}

struct Remembered {
    said: Said,
    asked: SystemTime,
    /// The password that was taken, and when.
    verified: Option<(Tag, SystemTime)>,
    /// When the directory is asked again in the background; parts of 1024 of `fresh`, so that it is not asked about
    /// everybody at once.
    soon: u32,
    /// Somebody is asking already.
    asking: bool,
}

/// The people of a directory.
pub(super) struct People {
    people: Mutex<HashMap<Box<str>, Remembered>>,
    times: CacheTimes,
}

impl People {
    pub(super) fn new(times: CacheTimes) -> Self {
        Self { people: Mutex::default(), times }
    }

    /// What is remembered of a name.
    pub(super) fn named(&self, key: &str, now: SystemTime) -> Option<Held> {
        let mut people = self.lock();
        let remembered = people.get_mut(key)?;
        let age = age(remembered.asked, now);
        self.held(remembered, age)
    }

    /// What is remembered of a name, if this password was taken. As old as the older of the two.
    pub(super) fn with_password(&self, key: &str, tag: &Tag, now: SystemTime) -> Option<Held> {
        let mut people = self.lock();
        let remembered = people.get_mut(key)?;
        let (_, at) = remembered.verified.as_ref().filter(|(good, _)| good.is(tag))?;
        let age = age(remembered.asked, now).max(age(*at, now));
        self.held(remembered, age)
    }

    fn held(&self, remembered: &mut Remembered, age: Duration) -> Option<Held> {
        let CacheTimes { fresh, stale } = self.times;
        let soon = fresh.saturating_mul(remembered.soon) / 1024;
        let said = remembered.said.clone();
        let held = |usable, fresh| Some(Held { said, age, fresh, usable });
        if age < soon {
            return held(Usable::Fresh, soon.saturating_sub(age));
        }
        if age < fresh {
            let usable = if remembered.asking { Usable::Fresh } else { Usable::Soon };
            remembered.asking = true;
            return held(usable, Duration::ZERO);
        }
        if age < stale { held(Usable::Stale, Duration::ZERO) } else { None }
    }

    /// Whether this password was taken before, however long ago.
    pub(super) fn was_good(&self, key: &str, tag: &Tag) -> bool {
        self.lock().get(key).and_then(|person| person.verified.as_ref()).is_some_and(|(good, _)| good.is(tag))
    }

    /// The directory said this of a name.
    pub(super) fn keep(&self, key: &str, said: Said, verified: Option<Tag>, now: SystemTime) -> Held {
        let mut people = self.lock();
        if people.len() >= PEOPLE_MAX && !people.contains_key(key) {
            self.make_room(&mut people, now);
        }
        let before = people.remove(key).and_then(|before| before.verified);
        let verified = verified.map(|tag| (tag, now)).or(before);
        // Between five and seven eighths of `fresh`.
        let soon = 640 + Random::from_os().below(256) as u32;
        let fresh = self.times.fresh.saturating_mul(soon) / 1024;
        let held = Held { said: said.clone(), age: Duration::ZERO, fresh, usable: Usable::Fresh };
        people.insert(key.into(), Remembered { said, asked: now, verified, soon, asking: false });
        held
    }

    /// This password is not good any more.
    pub(super) fn forget_password(&self, key: &str, tag: &Tag) {
        if let Some(person) = self.lock().get_mut(key)
            && person.verified.as_ref().is_some_and(|(good, _)| good.is(tag))
        {
            person.verified = None;
        }
    }

    /// Asking in the background came to nothing; somebody else may try.
    pub(super) fn asked_in_vain(&self, key: &str) {
        if let Some(person) = self.lock().get_mut(key) {
            person.asking = false;
        }
    }

    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// First go those who cannot be used any more, then whoever comes first.
    fn make_room(&self, people: &mut HashMap<Box<str>, Remembered>, now: SystemTime) {
        people.retain(|_, person| age(person.asked, now) < self.times.stale);
        if people.len() >= PEOPLE_MAX {
            let mut spared = PEOPLE_MAX / 16 * 15;
            people.retain(|_, _| {
                let stays = spared > 0;
                spared = spared.saturating_sub(1);
                stays
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Remembered>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was said in the future is too old for anything: the clock was set back.
fn age(at: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(at).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::{
        super::password::{Password, TagKey},
        *,
    };

    const TIMES: CacheTimes = CacheTimes { fresh: Duration::from_mins(1), stale: Duration::from_mins(15) };
    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn said(name: &str) -> Said {
        Said::Is(Arc::new(Person { name: name.into(), stable_id: None, groups: Vec::new() }))
    }

    fn tag(key: &TagKey, password: &str) -> Tag {
        key.tag("alice", &Password::new(password.as_bytes()))
    }

    #[test]
    fn an_answer_is_fresh_then_asked_about_then_stale_then_gone() {
        let people = People::new(TIMES);
        people.keep("alice", said("alice"), None, START);
        let usable = |seconds: u64| people.named("alice", START + Duration::from_secs(seconds)).map(|held| held.usable);
        assert_eq!(usable(0), Some(Usable::Fresh));
        assert_eq!(usable(37), Some(Usable::Fresh), "five eighths of fresh are not over");
        assert_eq!(usable(58), Some(Usable::Soon));
        assert_eq!(usable(58), Some(Usable::Fresh), "one question is enough");
        people.asked_in_vain("alice");
        assert_eq!(usable(59), Some(Usable::Soon));
        assert_eq!(usable(60), Some(Usable::Stale));
        assert_eq!(usable(899), Some(Usable::Stale));
        assert_eq!(usable(900), None);
        let before = people.named("alice", START - Duration::from_secs(1));
        assert!(before.is_none(), "a clock that was set back makes nothing younger");
    }

    #[test]
    fn what_may_be_remembered_elsewhere_ends_before_fresh_does() {
        let people = People::new(TIMES);
        let held = people.keep("alice", said("alice"), None, START);
        assert!(held.fresh < TIMES.fresh && held.fresh >= TIMES.fresh / 2);
        let later = START + Duration::from_secs(20);
        let held = people.named("alice", later).unwrap();
        assert!(held.age + held.fresh < TIMES.fresh);
    }

    #[test]
    fn a_password_is_as_old_as_its_verification() {
        let (people, key) = (People::new(TIMES), TagKey::random().unwrap());
        people.keep("alice", said("alice"), Some(tag(&key, "good")), START);
        let later = START + Duration::from_secs(70);
        // Her groups were read again; her password was not tried.
        people.keep("alice", said("alice"), None, later);
        assert_eq!(people.named("alice", later).unwrap().usable, Usable::Fresh);
        assert_eq!(people.with_password("alice", &tag(&key, "good"), later).unwrap().usable, Usable::Stale);
        assert!(people.with_password("alice", &tag(&key, "bad"), later).is_none());
        people.forget_password("alice", &tag(&key, "bad"));
        assert!(people.was_good("alice", &tag(&key, "good")));
        people.forget_password("alice", &tag(&key, "good"));
        assert!(people.with_password("alice", &tag(&key, "good"), later).is_none());
    }

    #[test]
    fn no_more_are_remembered_than_the_bound() {
        let people = People::new(TIMES);
        for number in 0..=PEOPLE_MAX {
            people.keep(&number.to_string(), Said::Nobody, None, START);
        }
        assert!(people.len() <= PEOPLE_MAX);
        assert!(people.len() > PEOPLE_MAX / 2);
    }
}
