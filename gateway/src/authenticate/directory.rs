//! A directory (LDAP, Active Directory): it takes names with passwords, and says which groups people are in.
//!
//! Whoever asks ([`Directory::login`], [`Directory::enrich`]) is answered from memory where that is fresh. Otherwise the
//! question goes to [`Directory::run`], on the runtime of control work, and is waited for with a deadline. Read on in
//! [`ask`], which puts questions to servers.
//!
//! Messages are read by our own decoder: `ldap3`, whose filters and escaping are used, reads what a server sends with
//! `expect`, and before StartTLS anybody can send something.

mod ask;
mod ber;
pub mod entry;
mod failure;
mod fitness;
mod groups;
mod messages;
mod name;
mod password;
mod people;
mod probe;
mod servers;
mod status;
mod throttle;
mod wire;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use portcullis_certs::{
    crypto_provider,
    verify::{Authorities, ServerVerifier},
};
use portcullis_policy::{
    authorize::{Caller, Method, Principal, PrincipalKind},
    snapshot::{DocumentId, LdapProvider},
};
use rustls::{ClientConfig, client::Resumption};
use rustls_pki_types::ServerName;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use self::{
    ask::{Job, Question},
    fitness::Fitness,
    groups::KnownNames,
    name::{Username, is_password},
    password::{Password, TagKey},
    people::{Held, People, Person, Said, Usable},
    servers::Servers,
    status::{Counters, Lookup},
    throttle::Throttle,
    wire::Target,
};
pub use self::{
    ber::Malformed,
    status::{Status, show},
};
use super::{Known, Rejection, credential::Credential};

/// Questions that wait for a directory.
const WAITING_MAX: usize = 1_024;
/// Waiting for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The same, where what was said before may still be used.
const STALE_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// How long what was said before is used until the next look whether a server answers again.
const STALE_LOOK: Duration = Duration::from_secs(1);
/// "No" is said at multiples of this time after the question, so that the time says nothing about why.
const REJECTION_STEP: Duration = Duration::from_millis(200);

/// A directory.
pub struct Directory {
    document: Arc<DocumentId>,
    spec: LdapProvider,
    /// What was read from files; with something else in them, nothing that was learnt holds.
    read: Files,
    servers: Servers,
    key: TagKey,
    people: Arc<People>,
    throttle: Arc<Throttle>,
    known_groups: Arc<KnownNames>,
    fitness: Fitness,
    turns: ask::Turns,
    counters: Arc<Counters>,
    jobs: mpsc::Sender<Job>,
    waiting: Mutex<Option<mpsc::Receiver<Job>>>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("document", &self.document).finish_non_exhaustive()
    }
}

#[derive(PartialEq)]
struct Files {
    trust: Option<Arc<[u8]>>,
    account: Option<(Arc<str>, Password)>,
}

impl Directory {
    /// Reads the files that the document names. `previous`: the directory of the same document before, whose answers
    /// stay good if nothing changed that they depend on, and whose failed attempts stay counted.
    pub fn new(spec: &LdapProvider, document: Arc<DocumentId>, previous: Option<&Self>) -> Result<Self, String> {
        if spec.service_account.is_none() && spec.bind_as.is_none() {
            return Err("a directory needs `bind` or `bindAs`: nobody is looked up anonymously".to_owned());
        }
        if spec.bind_as.is_none() && spec.users.is_none() {
            return Err("a directory needs `users` or `bindAs`".to_owned());
        }
        if spec.groups.is_some() && spec.users.is_none() {
            return Err("`groups` needs `users`: groups have people's entries as members".to_owned());
        }
        let read = Files::read(spec)?;
        let servers = Servers::new(targets(spec, &read)?, read.account.clone());
        let previous = previous.filter(|previous| previous.document == document);
        let same = previous.filter(|previous| previous.spec == *spec && previous.read == read);
        let throttle = previous.filter(|previous| {
            (previous.spec.failures_max, previous.spec.failures_window) == (spec.failures_max, spec.failures_window)
        });
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        Ok(Self {
            servers,
            key: previous.map_or_else(TagKey::random, |previous| Ok(previous.key.clone()))?,
            people: same.map_or_else(|| Arc::new(People::new(spec.cache)), |same| Arc::clone(&same.people)),
            throttle: throttle.map_or_else(
                || Arc::new(Throttle::new(spec.failures_max, spec.failures_window)),
                |previous| Arc::clone(&previous.throttle),
            ),
            known_groups: same.map_or_else(Arc::default, |same| Arc::clone(&same.known_groups)),
            counters: previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.counters)),
            fitness: Fitness::default(),
            turns: ask::Turns::default(),
            document,
            spec: spec.clone(),
            read,
            jobs,
            waiting: Mutex::new(Some(waiting)),
        })
    }

    /// Puts the questions to the servers and looks after these. Runs once, until it is dropped.
    pub async fn run(self: Arc<Self>) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waiting) = waiting {
            self.serve(waiting).await;
        }
    }

    /// Whoever has this name and password.
    pub async fn login(&self, username: &str, password: &str, now: SystemTime) -> Result<Known, Rejection> {
        let begun = Instant::now();
        let result = match (Username::new(username), is_password(password)) {
            (Ok(username), Ok(())) => self.log_in(username, &Password::new(password.as_bytes()), now).await,
            (Err(word), _) | (_, Err(word)) => Err(Rejection::Invalid(word)),
        };
        if let Err(Rejection::Invalid(word)) = &result {
            self.counters.count(if *word == "throttled" { Lookup::Throttled } else { Lookup::Refused });
            let steps = begun.elapsed().as_millis() / REJECTION_STEP.as_millis() + 1;
            sleep_until(begun + REJECTION_STEP * u32::try_from(steps).unwrap_or(u32::MAX)).await;
        }
        result
    }

    async fn log_in(&self, username: Username, password: &Password, now: SystemTime) -> Result<Known, Rejection> {
        let tag = self.key.tag(username.key(), password);
        let held = self.people.with_password(username.key(), &tag, now);
        let question = Question::Login { username, password: password.clone(), tag };
        let (person, fresh) = self.answer(held, question, now).await?;
        let person = person.ok_or(Rejection::Invalid("unknown_user"))?;
        Ok(Known { caller: Caller::known(self.principal(&person)), fresh, lacks_groups: false })
    }

    /// Adds the groups of a caller whom another provider knows, by the name that one gives. Somebody whom the directory
    /// does not know has none here; somebody whose account here is closed is refused.
    pub async fn enrich(&self, known: Known, now: SystemTime) -> Result<Known, Rejection> {
        let Some(principal) = known.caller.principal() else { return Ok(known) };
        let (person, fresh) = self.look_up(principal, now).await?;
        let fresh = fresh.min(known.fresh);
        // Whose groups did not fit into a credential still lacks them if nobody here is of the name.
        let Some(person) = person else { return Ok(Known { fresh, ..known }) };
        let mut principal = principal.clone();
        principal.groups.extend(person.groups.iter().cloned());
        Ok(Known { caller: Caller::known(principal), fresh, lacks_groups: false })
    }

    async fn look_up(
        &self,
        principal: &Principal,
        now: SystemTime,
    ) -> Result<(Option<Arc<Person>>, Duration), Rejection> {
        if principal.kind == PrincipalKind::Workload {
            // Directories know people.
            return Ok((None, self.spec.cache.fresh));
        }
        let username = Username::new(&principal.name).map_err(Rejection::Invalid)?;
        let held = self.people.named(username.key(), now);
        let result = self.answer(held, Question::Lookup { username }, now).await;
        if let Err(Rejection::Invalid(_)) = result {
            self.counters.count(Lookup::Refused);
        }
        result
    }

    /// Judges somebody again who logged in here. Without the password, it is asked whether the account is still open.
    pub async fn renew(
        &self,
        principal: &Principal,
        credential: Option<&Credential<'_>>,
        now: SystemTime,
    ) -> Result<Known, Rejection> {
        if let Some(Credential::Basic { username, password }) = credential {
            let known = self.login(username, password, now).await?;
            let same = known.caller.principal().is_some_and(|known| {
                known.name == principal.name
                    && (known.stable_id == principal.stable_id || principal.stable_id.is_none())
            });
            return if same { Ok(known) } else { Err(Rejection::Invalid("another_person")) };
        }
        let (person, fresh) = self.look_up(principal, now).await?;
        let person = person.filter(|person| principal.stable_id.is_none() || person.stable_id == principal.stable_id);
        let person = person.ok_or(Rejection::Invalid("unknown_user"))?;
        Ok(Known { caller: Caller::known(self.principal(&person)), fresh, lacks_groups: false })
    }

    /// Drops what the directory said: everybody is asked about again.
    pub fn forget(&self) {
        self.people.forget();
        self.known_groups.forget();
    }

    /// For metrics and status pages.
    pub fn status(&self, now: SystemTime) -> Status {
        Status {
            servers_up: self.servers.up(),
            servers: self.servers.len(),
            nested: self.fitness.nested(),
            problem: self.fitness.problem(),
            lookups: self.counters.lookups(),
            oldest_in_use: self.counters.take_oldest_in_use(),
            remembered: self.people.len(),
            throttled: self.throttle.throttled(now),
        }
    }

    /// What is remembered, if that will do; else what the directory says. `None`: it knows nobody of the name.
    async fn answer(
        &self,
        held: Option<Held>,
        question: Question,
        now: SystemTime,
    ) -> Result<(Option<Arc<Person>>, Duration), Rejection> {
        match held {
            Some(held) if held.usable != Usable::Stale => {
                if held.usable == Usable::Soon {
                    self.ask_in_background(question, now);
                }
                self.counters.count(Lookup::Remembered);
                self.use_held(held)
            }
            Some(held) => match self.ask(question, now, STALE_ANSWER_TIMEOUT).await {
                Err(Rejection::Unavailable(_)) => {
                    self.counters.count(Lookup::Stale);
                    self.use_held(Held {
                        fresh: STALE_LOOK.min(self.spec.cache.stale.saturating_sub(held.age)),
                        ..held
                    })
                }
                answered => self.use_held(answered?),
            },
            None => match self.ask(question, now, ANSWER_TIMEOUT).await {
                Err(Rejection::Unavailable(word)) => {
                    self.counters.count(Lookup::Unavailable);
                    Err(Rejection::Unavailable(word))
                }
                answered => self.use_held(answered?),
            },
        }
    }

    fn use_held(&self, held: Held) -> Result<(Option<Arc<Person>>, Duration), Rejection> {
        self.counters.used(held.age);
        match held.said {
            Said::Is(person) => Ok((Some(person), held.fresh)),
            Said::Nobody => Ok((None, held.fresh)),
            Said::Closed(word) => Err(Rejection::Invalid(word)),
        }
    }

    async fn ask(&self, question: Question, now: SystemTime, patience: Duration) -> Result<Held, Rejection> {
        let (reply, answer) = oneshot::channel();
        let job = Job { question, now, reply: Some(reply) };
        self.jobs.try_send(job).map_err(|_| Rejection::Unavailable("too_many_waiting"))?;
        let held = match timeout(patience, answer).await {
            Ok(Ok(answer)) => answer?,
            Ok(Err(_)) => return Err(Rejection::Unavailable("stopped")),
            Err(_) => return Err(Rejection::Unavailable("timeout")),
        };
        self.counters.count(Lookup::Asked);
        Ok(held)
    }

    fn ask_in_background(&self, question: Question, now: SystemTime) {
        if let Err(full) = self.jobs.try_send(Job { question, now, reply: None }) {
            self.people.asked_in_vain(full.into_inner().question.key());
        }
    }

    fn principal(&self, person: &Person) -> Principal {
        Principal {
            provider: Arc::clone(&self.document),
            method: Method::Password,
            kind: PrincipalKind::User,
            name: Arc::clone(&person.name),
            stable_id: person.stable_id.clone(),
            groups: person.groups.clone(),
            scopes: Vec::new(),
            claims: serde_json::Map::new(),
            expires: None,
        }
    }
}

impl Files {
    fn read(spec: &LdapProvider) -> Result<Self, String> {
        let trust = spec.trust.as_deref().map(read).transpose()?.map(Arc::from);
        let account = spec.service_account.as_ref().map(|(dn, file)| {
            let bytes = read(file)?;
            let text =
                str::from_utf8(&bytes).map_err(|_| format!("the password in `{}` is not UTF-8", file.display()))?;
            // Editors end files with a line feed.
            let password = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
            is_password(password)
                .map_err(|word| format!("the password in `{}` cannot be used: {word}", file.display()))?;
            if dn.trim().is_empty() {
                return Err("`bind.dn` is empty: nobody is looked up anonymously".to_owned());
            }
            Ok((Arc::clone(dn), Password::new(password.as_bytes())))
        });
        Ok(Self { trust, account: account.transpose()? })
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))
}

/// Reads one message of a server: the entry in it, if that is what it is.
pub fn entry_in(message: &[u8]) -> Result<Option<entry::Entry>, Malformed> {
    Ok(match messages::read(message)? {
        (_, messages::Answer::Entry(entry)) => Some(entry),
        _ => None,
    })
}

/// Where the servers are, and how their certificates are judged: by the host as the document names it.
fn targets(spec: &LdapProvider, read: &Files) -> Result<Vec<Target>, String> {
    let authorities = match &read.trust {
        Some(pem) => Authorities::Pem(vec![Arc::clone(pem)]),
        None => Authorities::System,
    };
    let verifier = ServerVerifier::new(&authorities, &[]).map_err(|error| error.to_string())?;
    let builder = ClientConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut tls = builder
        // Our own verifier is no weaker than rustls': it judges the same chains and names.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    // Every connection is judged: one that is resumed would not be.
    tls.resumption = Resumption::disabled();
    let tls = Arc::new(tls);
    let target = |server: &portcullis_policy::snapshot::LdapServer| {
        let host = server.host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("`{host}` is not a host name"))?;
        Ok(Target { host: host.into(), port: server.port, start_tls: server.start_tls, name, tls: Arc::clone(&tls) })
    };
    spec.servers.iter().map(target).collect()
}
