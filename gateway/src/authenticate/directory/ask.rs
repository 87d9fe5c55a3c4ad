//! Questions that only a server can answer: whether a password is good, and who somebody is.
//!
//! A login is a search for the person, a bind as the one who was found, and a look for their groups; or, with `bindAs`, a
//! bind first. A server that fails hands over to the next. A password that was refused is never tried again by itself.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use portcullis_policy::{
    authorize::Group,
    snapshot::{LdapGroups, LdapUsers},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{
    Directory,
    entry::{Entry, PERSON_ATTRIBUTES, closed, stable_id},
    failure::{Failure, bind_word, code},
    groups::{self, Resolver, base},
    messages::{Scope, Search},
    name::Username,
    password::{Password, Tag},
    people::{Held, Person, Said},
    probe::probe,
    servers::{Binder, Searcher},
    throttle::Leave,
};
use crate::{authenticate::Rejection, random::Random};

/// Questions that are being answered at once.
const UNDER_WAY_MAX: usize = 128;
/// The pause between two looks at the servers.
const CHECK_PAUSE: Duration = Duration::from_millis(200);
/// People are asked about one at a time in each of so many lanes.
const LANES: usize = 256;

/// A question.
pub(super) enum Question {
    /// Whether this password is good.
    Login { username: Username, password: Password, tag: Tag },
    /// Who this is.
    Lookup { username: Username },
}

/// A question, and who waits for the answer; `None`: nobody, what is remembered is renewed.
pub(super) struct Job {
    pub(super) question: Question,
    pub(super) now: SystemTime,
    pub(super) reply: Option<oneshot::Sender<Result<Held, Rejection>>>,
}

/// Who is asked about the same person waits for the first to be answered, who may have asked for both.
pub(super) struct Turns {
    lanes: Vec<tokio::sync::Mutex<()>>,
    hash: RandomState,
}

/// What a search for a person finds.
enum Found {
    One(Entry),
    Nobody,
    Several,
}

/// What became of a login.
enum Verdict {
    Is(Person),
    /// The word is for logs.
    No(&'static str),
}

impl Directory {
    pub(super) async fn serve(&self, mut waiting: mpsc::Receiver<Job>) {
        let mut under_way = FuturesUnordered::new();
        let mut checks = std::pin::pin!(self.check());
        loop {
            tokio::select! {
                () = &mut checks => {}
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                job = waiting.recv(), if under_way.len() < UNDER_WAY_MAX => match job {
                    Some(job) => under_way.push(self.answer_job(job)),
                    None => return,
                },
            }
        }
    }

    /// Looks after servers for ever, and finds out in time how groups are found.
    async fn check(&self) {
        loop {
            self.servers.check().await;
            if self.servers.has_account()
                && self.servers.up() > 0
                && self.fitness.is_due().await
                && let Ok(mut searcher) = self.servers.searcher().await
            {
                match self.find_out(&mut searcher).await {
                    Ok(()) | Err(Failure::Unfit(_)) => searcher.give_back(),
                    Err(failure) => {
                        searcher.failed(&self.servers, &failure);
                    }
                }
            }
            sleep(CHECK_PAUSE).await;
        }
    }

    /// Whether what the document names is there, and works.
    async fn find_out(&self, searcher: &mut Searcher<'_>) -> Result<(), Failure> {
        if let Some(users) = &self.spec.users
            && base(searcher, &users.base, &["1.1"]).await?.is_none()
        {
            let problem = format!("`users.base` is not there: `{}`, or `bind` may not read it", users.base);
            return self.fitness.learn(Err(Failure::Unfit(problem))).await.map(|_| ());
        }
        let Some(groups) = &self.spec.groups else { return self.fitness.learn(Ok(Resolver::Direct)).await.map(|_| ()) };
        self.resolver(searcher, groups).await.map(|_| ())
    }

    async fn answer_job(&self, job: Job) {
        let Job { question, now, reply } = job;
        let _turn = self.turns.of(question.key()).await;
        if reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
            // Whoever asked has gone before the first server was asked: when none answers, those who still wait come sooner.
            return;
        }
        let answer = match &question {
            Question::Login { username, password, tag } => self.ask_login(username, password, tag, now).await,
            Question::Lookup { username } => self.ask_lookup(username, now).await,
        };
        if answer.is_err() {
            self.people.asked_in_vain(question.key());
        }
        if let Some(reply) = reply {
            // Whoever waited may have gone; what was learnt is remembered.
            let _ = reply.send(answer);
        }
    }

    async fn ask_login(
        &self,
        username: &Username,
        password: &Password,
        tag: &Tag,
        now: SystemTime,
    ) -> Result<Held, Rejection> {
        let before = self.people.with_password(username.key(), tag, now);
        if let Some(held) = before.filter(|held| held.fresh > Duration::ZERO) {
            return Ok(held);
        }
        match self.try_login(username, password, tag, now).await {
            Ok(Verdict::Is(person)) => {
                Ok(self.people.keep(username.key(), Said::Is(Arc::new(person)), Some(*tag), now))
            }
            Ok(Verdict::No(word)) => {
                self.people.forget_password(username.key(), tag);
                Err(Rejection::Invalid(word))
            }
            Err(failure) => Err(unavailable(&failure)),
        }
    }

    async fn ask_lookup(&self, username: &Username, now: SystemTime) -> Result<Held, Rejection> {
        let before = self.people.named(username.key(), now);
        if let Some(held) = before.filter(|held| held.fresh > Duration::ZERO) {
            return Ok(held);
        }
        match self.try_lookup(username, now).await {
            Ok(Some(said)) => Ok(self.people.keep(username.key(), said, None, now)),
            Ok(None) => Err(Rejection::Invalid("ambiguous_user")),
            Err(failure) => Err(unavailable(&failure)),
        }
    }

    /// Who somebody is; `None`: that cannot be told, because several are.
    async fn try_lookup(&self, username: &Username, now: SystemTime) -> Result<Option<Said>, Failure> {
        let Some(users) = &self.spec.users else {
            return Err(Failure::Unfit("there is no `users`, so nobody can be looked up".to_owned()));
        };
        let entry = match self.find(users, username).await? {
            Found::One(entry) => entry,
            Found::Nobody => return Ok(Some(Said::Nobody)),
            Found::Several => return Ok(None),
        };
        if let Some(word) = closed(&entry, now) {
            return Ok(Some(Said::Closed(word)));
        }
        let groups = self.groups(&entry.dn, now).await?;
        Ok(person(&entry, users, groups).map(|person| Said::Is(Arc::new(person))))
    }

    async fn try_login(
        &self,
        username: &Username,
        password: &Password,
        tag: &Tag,
        now: SystemTime,
    ) -> Result<Verdict, Failure> {
        match (&self.spec.bind_as, &self.spec.users) {
            (None, Some(users)) => self.search_and_bind(users, username, password, tag, now).await,
            (Some((before, after)), users) => match username.bind_name((before, after), users.is_some()) {
                Ok(name) => self.bind_and_search(&name, users.as_ref(), username, password, tag, now).await,
                Err(word) => Ok(Verdict::No(word)),
            },
            (None, None) => Err(Failure::Unfit("neither `users` nor `bindAs`".to_owned())),
        }
    }

    async fn search_and_bind(
        &self,
        users: &LdapUsers,
        username: &Username,
        password: &Password,
        tag: &Tag,
        now: SystemTime,
    ) -> Result<Verdict, Failure> {
        let entry = match self.find(users, username).await? {
            Found::One(entry) => entry,
            nobody => {
                // The same work as for somebody who is there, with a password that is nobody's.
                let nowhere = format!("cn={:032x},{}", u128::from(Random::from_os().next()), users.base);
                let _ = self.bind(&nowhere, &Password::new(nowhere.as_bytes())).await?;
                return Ok(Verdict::No(if matches!(nobody, Found::Several) {
                    "ambiguous_user"
                } else {
                    "unknown_user"
                }));
            }
        };
        let was_good = self.people.was_good(username.key(), tag);
        let key = entry.dn.to_lowercase();
        let attempt = match self.throttle.ask(&key, tag, was_good, self.spec.cache.fresh, now) {
            Leave::Granted(attempt) => attempt,
            Leave::KnownWrong => return Ok(Verdict::No("wrong_password")),
            Leave::Throttled => return Ok(Verdict::No("throttled")),
        };
        match self.bind(&entry.dn, password).await? {
            Ok(binder) => binder.give_back(),
            Err(word) => {
                attempt.failed(*tag, now);
                return Ok(Verdict::No(word));
            }
        }
        drop(attempt);
        if let Some(word) = closed(&entry, now) {
            return Ok(Verdict::No(word));
        }
        let groups = self.groups(&entry.dn, now).await?;
        Ok(person(&entry, users, groups).map_or(Verdict::No("name_attribute"), Verdict::Is))
    }

    async fn bind_and_search(
        &self,
        name: &str,
        users: Option<&LdapUsers>,
        username: &Username,
        password: &Password,
        tag: &Tag,
        now: SystemTime,
    ) -> Result<Verdict, Failure> {
        let was_good = self.people.was_good(username.key(), tag);
        let attempt = match self.throttle.ask(&name.to_lowercase(), tag, was_good, self.spec.cache.fresh, now) {
            Leave::Granted(attempt) => attempt,
            Leave::KnownWrong => return Ok(Verdict::No("wrong_password")),
            Leave::Throttled => return Ok(Verdict::No("throttled")),
        };
        let binder = match self.bind(name, password).await? {
            Ok(binder) => binder,
            Err(word) => {
                attempt.failed(*tag, now);
                return Ok(Verdict::No(word));
            }
        };
        let Some(users) = users else {
            binder.give_back();
            let name = username.key().into();
            return Ok(Verdict::Is(Person { name, stable_id: None, groups: Vec::new() }));
        };
        // Searched as the gateway where it has an account, else as the person.
        let (found, mut binder) = if self.servers.has_account() {
            (self.find(users, username).await?, binder)
        } else {
            let mut searcher = binder.into_searcher();
            (find(&mut searcher, users, username).await?, searcher.into_binder())
        };
        let entry = match found {
            Found::One(entry) => entry,
            Found::Nobody => return Ok(Verdict::No("unknown_user")),
            Found::Several => return Ok(Verdict::No("ambiguous_user")),
        };
        // Two people can have a claim to one user principal name (one is given it, the other has it by the name of her
        // account). Whoever was found must be the one whose password this is.
        if !entry.dn.eq_ignore_ascii_case(name) {
            let outcome = binder.bind(&entry.dn, password).await?;
            if outcome.code != code::SUCCESS {
                let word = bind_word(outcome.code, &outcome.text);
                attempt.failed(*tag, now);
                return word
                    .map(|_| Verdict::No("ambiguous_user"))
                    .ok_or(Failure::Code { code: outcome.code, text: outcome.text });
            }
        }
        drop(attempt);
        if let Some(word) = closed(&entry, now) {
            return Ok(Verdict::No(word));
        }
        let groups = if self.servers.has_account() {
            binder.give_back();
            self.groups(&entry.dn, now).await?
        } else {
            let mut searcher = binder.into_searcher();
            let groups = self.groups_with(&mut searcher, &entry.dn, now).await?;
            searcher.give_back();
            groups
        };
        Ok(person(&entry, users, groups).map_or(Verdict::No("name_attribute"), Verdict::Is))
    }

    /// Tries a password: a connection bound as its person, or the word for why not.
    async fn bind(&self, dn: &str, password: &Password) -> Result<Result<Binder<'_>, &'static str>, Failure> {
        for _ in 0..self.attempts_max() {
            let mut binder = self.servers.binder().await?;
            let failure = match binder.bind(dn, password).await {
                Ok(outcome) if outcome.code == code::SUCCESS => return Ok(Ok(binder)),
                Ok(outcome) => match bind_word(outcome.code, &outcome.text) {
                    Some(word) => {
                        binder.give_back();
                        return Ok(Err(word));
                    }
                    None => Failure::Code { code: outcome.code, text: outcome.text },
                },
                Err(failure) => failure,
            };
            if !binder.failed(&self.servers, &failure) {
                return Err(failure);
            }
        }
        Err(Failure::NoServer("each of them failed".to_owned()))
    }

    async fn find(&self, users: &LdapUsers, username: &Username) -> Result<Found, Failure> {
        for _ in 0..self.attempts_max() {
            let mut searcher = self.servers.searcher().await?;
            match find(&mut searcher, users, username).await {
                Ok(found) => {
                    searcher.give_back();
                    return Ok(found);
                }
                Err(failure) if !searcher.failed(&self.servers, &failure) => return Err(failure),
                Err(_) => {}
            }
        }
        Err(Failure::NoServer("each of them failed".to_owned()))
    }

    async fn groups(&self, dn: &str, now: SystemTime) -> Result<Vec<Group>, Failure> {
        if self.spec.groups.is_none() {
            return Ok(Vec::new());
        }
        for _ in 0..self.attempts_max() {
            let mut searcher = self.servers.searcher().await?;
            match self.groups_with(&mut searcher, dn, now).await {
                Ok(groups) => {
                    searcher.give_back();
                    return Ok(groups);
                }
                Err(failure) if !searcher.failed(&self.servers, &failure) => return Err(failure),
                Err(_) => {}
            }
        }
        Err(Failure::NoServer("each of them failed".to_owned()))
    }

    async fn groups_with(&self, searcher: &mut Searcher<'_>, dn: &str, now: SystemTime) -> Result<Vec<Group>, Failure> {
        let Some(spec) = &self.spec.groups else { return Ok(Vec::new()) };
        let resolver = self.resolver(searcher, spec).await?;
        let question =
            groups::Question { spec, resolver, known: &self.known_groups, fresh: self.spec.cache.fresh, now };
        let names = question.ask(searcher, dn).await?;
        Ok(names.into_iter().map(|name| Group { provider: Arc::clone(&self.document), name }).collect())
    }

    /// The way to find groups that is known to work.
    async fn resolver(&self, searcher: &mut Searcher<'_>, spec: &LdapGroups) -> Result<Resolver, Failure> {
        if let Some(known) = self.fitness.known().await {
            return known;
        }
        let probed = if base(searcher, &spec.base, &["1.1"]).await?.is_none() {
            let problem = format!("`groups.base` is not there: `{}`, or `bind` may not read it", spec.base);
            Err(Failure::Unfit(problem))
        } else {
            probe(searcher, spec).await
        };
        self.fitness.learn(probed).await
    }

    /// Each server once, on a connection that lay idle and on a new one.
    fn attempts_max(&self) -> usize {
        2 * self.servers.len()
    }
}

/// Looks for a person. There must be one.
async fn find(searcher: &mut Searcher<'_>, users: &LdapUsers, username: &Username) -> Result<Found, Failure> {
    let mut attributes = vec![&*users.name];
    attributes.extend(PERSON_ATTRIBUTES);
    let filter = username.filter(&users.filter);
    let search = Search { base: &users.base, scope: Scope::Subtree, filter, attributes: &attributes, entries_max: 2 };
    let (mut entries, more) = searcher.first(&search).await?;
    Ok(match (entries.pop(), entries.is_empty() && !more) {
        (None, _) => Found::Nobody,
        (Some(entry), true) if !entry.dn.is_empty() => Found::One(entry),
        (Some(_), _) => Found::Several,
    })
}

/// `None`: the entry does not say one name.
fn person(entry: &Entry, users: &LdapUsers, groups: Vec<Group>) -> Option<Person> {
    let name = entry.one_name(&users.name)?.into();
    Some(Person { name, stable_id: stable_id(entry).map(Arc::from), groups })
}

fn unavailable(failure: &Failure) -> Rejection {
    tracing::debug!(error = %failure, "a directory gave no answer");
    Rejection::Unavailable(failure.word())
}

impl Question {
    /// The name that it is about, for tables.
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Login { username, .. } | Self::Lookup { username } => username.key(),
        }
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self { lanes: (0..LANES).map(|_| tokio::sync::Mutex::default()).collect(), hash: RandomState::new() }
    }
}

impl Turns {
    async fn of(&self, key: &str) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let lane = self.lanes.get(self.hash.hash_one(key) as usize % LANES)?;
        Some(lane.lock().await)
    }
}
