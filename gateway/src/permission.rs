//! What let an exchange in, and whether it still would: long answers do not outlive their permission.
//!
//! An answer that goes on is watched. Every [`RECHECK_INTERVAL`] its worker looks at all that it watches: has the
//! credential expired, is another revision in force, is it time to ask the provider again? Whoever has lost permission
//! gets an error event in the dialect of the stream, and a closed connection where it is a tunnel.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    net::IpAddr,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderMap, Method};
use portcullis_mesh::tls::PeerCertificate;
use portcullis_policy::{
    Snapshot,
    action::Action,
    authorize::{AboutModel, Caller, Denial, Permit, Question, authorize_with, shows_model},
    resolve::about_model,
    roles::Standing,
    snapshot::{Access, ClientValidation, ListenerId, Rule},
};

use crate::{
    authenticate::{Authenticated, Known, introspection::Held, providers::ShownAgain},
    live::Live,
    record::Record,
    refusal::Refusal,
    route::action_of,
    shadow::Decided,
    worker::Worker,
};

/// How often open exchanges are looked at: within this time, and what the provider says is fresh, a permission that was
/// taken away ends them.
pub const RECHECK_INTERVAL: Duration = Duration::from_secs(1);
/// An answer whose length is known and at most this many bytes is not watched.
pub const UNWATCHED_BYTES_MAX: u64 = 64 * 1024;

/// What a request does, and about which model.
#[derive(Debug)]
pub struct Wanted<'r> {
    /// The method.
    pub method: &'r Method,
    /// The canonical path.
    pub path: &'r str,
    /// The model as the request names it.
    pub model: Option<&'r str>,
    /// Without what a client may not say.
    pub headers: &'r HeaderMap,
    /// Where it comes from.
    pub source: IpAddr,
    /// The certificate of its connection.
    pub certificate: &'r PeerCertificate,
    /// How that was judged.
    pub validated_by: Option<&'r Rc<ClientValidation>>,
}

/// What let an exchange in. Without it nothing is forwarded.
#[derive(Debug)]
pub struct Passage<'s> {
    permit: Permit<'s>,
    listener: &'s ListenerId,
    rule: &'s Rule,
    authenticated: Authenticated,
    action: Action,
    /// What may be asked again; `None` where anyone may come in.
    asked: Option<Asked>,
}

/// What an exchange asked for, to be judged again.
#[derive(Debug, Clone)]
struct Asked {
    model: Option<Box<str>>,
    /// Where a rule looks at them.
    headers: Option<HeaderMap>,
    source: IpAddr,
    certificate: PeerCertificate,
    validated_by: Option<Rc<ClientValidation>>,
    held: Option<Held>,
}

/// The same, as far as policy looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'r> {
    /// The model as the request names it.
    pub model: Option<&'r str>,
    /// Without what a client may not say.
    pub headers: &'r HeaderMap,
    /// Where it comes from.
    pub source: IpAddr,
}

impl<'s> Passage<'s> {
    /// Lets a caller in, or says why not. The second set of documents hears of it, if there is one.
    pub fn open(
        live: &'s Live,
        listener: &'s ListenerId,
        rule: &'s Rule,
        authenticated: Authenticated,
        wanted: &Wanted<'_>,
        record: &Record,
    ) -> Result<Self, NoPassage> {
        let action = action_of(&live.snapshot, rule, wanted.method, wanted.path);
        let Wanted { model, headers, source, .. } = *wanted;
        let caller = authenticated.caller();
        let seen = Seen { model, headers, source };
        let judged = seen.judge(&live.snapshot, rule, caller, authenticated.standing(), action);
        let decided = Decided {
            listener,
            rule,
            authenticated: &authenticated,
            method: wanted.method,
            path: wanted.path,
            seen,
            action,
            judged: judged.as_ref(),
        };
        record.worker.shadow.compare(&decided, record);
        let permit = judged?;
        let asked = matches!(rule.access, Access::Guarded(_)).then(|| Asked {
            model: model.map(Box::from),
            headers: live.snapshot.roles.looks_at_headers().then(|| headers.clone()),
            source,
            certificate: wanted.certificate.clone(),
            validated_by: wanted.validated_by.cloned(),
            held: authenticated.held().cloned(),
        });
        Ok(Self { permit, listener, rule, authenticated, action, asked })
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        self.authenticated.caller()
    }

    /// The rule that was met.
    pub fn rule(&self) -> &'s Rule {
        self.rule
    }

    /// Whether a model is on the list that the caller is shown, as far as a rule goes.
    pub fn shows(&self, live: &Live, rule: &Rule, model: &str) -> bool {
        let no_headers = HeaderMap::new();
        let Some(asked) = self.asked.as_ref().map(|asked| asked.seen(&no_headers)) else { return true };
        if about_model(&live.snapshot, rule, Action::Infer, Some(model)).is_err() {
            return false;
        }
        let (action, model_of_list) = (Action::ListModels, AboutModel::None);
        let question = Question { action, model: model_of_list, headers: asked.headers, source: Some(asked.source) };
        shows_model(&live.snapshot, rule, self.caller(), self.authenticated.standing(), &question, model)
    }

    /// What the request does.
    pub fn action(&self) -> Action {
        self.action
    }

    /// What allows it.
    pub fn permit(&self) -> &Permit<'s> {
        &self.permit
    }

    /// Watches an exchange whose answer goes on, from now to its end. `None` where anyone may come in. `sent`: the headers as
    /// they were sent; where no rule looks at headers today, one of tomorrow looks at these.
    pub fn watch(&self, worker: &Rc<Worker>, live: &Live, sent: &HeaderMap, now: Instant) -> Option<Rc<Watched>> {
        let mut asked = self.asked.clone()?;
        asked.headers.get_or_insert_with(|| sent.clone());
        let watched = Rc::new(Watched {
            listener: self.listener.clone(),
            route: self.rule.route.clone(),
            name: self.rule.name.clone(),
            index: self.rule.index,
            action: self.action,
            asked,
            caller: RefCell::new(self.authenticated.caller().clone()),
            generation: Cell::new(live.generation),
            ask_at: Cell::new(now.checked_add(self.authenticated.fresh().max(RECHECK_INTERVAL))),
            is_being_judged: Cell::new(false),
            lost: RefCell::new(None),
            waker: RefCell::new(None),
        });
        worker.watched.borrow_mut().push(Rc::downgrade(&watched));
        Some(watched)
    }
}

/// Why there is no passage.
#[derive(Debug)]
pub enum NoPassage {
    /// No backend of the rule serves the model.
    NotServed,
    /// Policy says no.
    Denied(Denial),
}

impl Asked {
    fn seen<'a>(&'a self, no_headers: &'a HeaderMap) -> Seen<'a> {
        let headers = self.headers.as_ref().unwrap_or(no_headers);
        Seen { model: self.model.as_deref(), headers, source: self.source }
    }
}

impl Seen<'_> {
    /// Whether a set of documents lets a caller in.
    pub fn judge<'s>(
        &self,
        snapshot: &'s Snapshot,
        rule: &'s Rule,
        caller: &Caller,
        standing: Option<&Standing>,
        action: Action,
    ) -> Result<Permit<'s>, NoPassage> {
        let resolved = about_model(snapshot, rule, action, self.model).map_err(|_| NoPassage::NotServed)?;
        let question = Question { action, model: resolved.about(), headers: self.headers, source: Some(self.source) };
        authorize_with(snapshot, rule, caller, standing, &question).map_err(NoPassage::Denied)
    }
}

/// An exchange whose answer goes on.
#[derive(Debug)]
pub struct Watched {
    listener: ListenerId,
    route: portcullis_policy::snapshot::DocumentId,
    name: Option<Arc<str>>,
    index: usize,
    action: Action,
    asked: Asked,
    caller: RefCell<Caller>,
    /// The revision under which it was judged last.
    generation: Cell<u64>,
    /// When the provider is to be asked again; `None`: never.
    ask_at: Cell<Option<Instant>>,
    is_being_judged: Cell<bool>,
    lost: RefCell<Option<Refusal>>,
    waker: RefCell<Option<Waker>>,
}

impl Watched {
    /// Ready once permission has been lost, with what to tell the client; registers the task to be woken then.
    pub fn poll_lost(&self, cx: &mut Context<'_>) -> Poll<Refusal> {
        if let Some(refusal) = self.lost.borrow_mut().take() {
            return Poll::Ready(refusal);
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits until permission has been lost.
    pub async fn lost(self: Rc<Self>) -> Refusal {
        poll_fn(|cx| self.poll_lost(cx)).await
    }

    fn lose(&self, word: &'static str) {
        *self.lost.borrow_mut() = Some(Refusal::permission_lost().detail(word));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    fn has_expired(&self, now: SystemTime) -> bool {
        let caller = self.caller.borrow();
        let expires = caller.principal().and_then(|principal| principal.expires);
        expires.is_some_and(|expires| now >= expires)
    }

    fn is_due(&self, live: &Live, now: Instant) -> bool {
        self.generation.get() != live.generation || self.ask_at.get().is_some_and(|ask_at| now >= ask_at)
    }

    /// Asks the provider and the policy again.
    async fn judge(&self, live: &Live, now: SystemTime) -> Result<(), &'static str> {
        let caller = self.caller.borrow().clone();
        let Some(principal) = caller.principal() else { return Ok(()) };
        let is_asked_at = self.ask_at.get();
        let mut listeners = live.snapshot.listeners.iter();
        let listener = listeners.find(|listener| listener.id == self.listener).ok_or("route_gone")?;
        if listener.client_validation() != self.asked.validated_by.as_deref() {
            return Err("certificate_authorities");
        }
        let credential = self.asked.held.as_ref().map(Held::credential);
        let shown = ShownAgain {
            credential: credential.as_ref(),
            certificate: &self.asked.certificate,
            source: self.asked.source,
        };
        let Known { caller, fresh, .. } =
            live.providers.renew(principal, &shown, now).await.map_err(|rejection| rejection.word())?;
        let rule =
            live.rules().find(&self.listener, &self.route, self.name.as_deref(), self.index).ok_or("route_gone")?;
        self.asked.seen(&HeaderMap::new()).judge(&live.snapshot, rule, &caller, None, self.action).map_err(|no| {
            match no {
                NoPassage::NotServed => "model_gone",
                NoPassage::Denied(_) => "permission_denied",
            }
        })?;
        *self.caller.borrow_mut() = caller;
        self.generation.set(live.generation);
        // Unless somebody wants it to be asked again meanwhile.
        if self.ask_at.get() == is_asked_at {
            self.ask_at.set(Instant::now().checked_add(fresh.max(RECHECK_INTERVAL)));
        }
        Ok(())
    }
}

/// Exchanges of one worker whose answers go on.
pub type AllWatched = RefCell<Vec<Weak<Watched>>>;

/// At the next look every watched exchange is due.
pub fn ask_again(worker: &Worker) {
    let now = Instant::now();
    for watched in worker.watched.borrow().iter().filter_map(Weak::upgrade) {
        watched.ask_at.set(Some(now));
    }
}

/// Looks at every watched exchange; those that are due are judged again, each on a task of its own.
pub fn recheck(worker: &Rc<Worker>, now: Instant, time: SystemTime) {
    worker.watched.borrow_mut().retain(|watched| watched.strong_count() > 0);
    let all: Vec<Rc<Watched>> = worker.watched.borrow().iter().filter_map(Weak::upgrade).collect();
    let live = worker.live();
    for watched in all {
        if watched.has_expired(time) {
            watched.lose("credential_expired");
        } else if watched.is_due(&live, now) && !watched.is_being_judged.replace(true) {
            let live = live.clone();
            tokio::task::spawn_local(async move {
                if let Err(word) = watched.judge(&live, time).await {
                    watched.lose(word);
                }
                watched.is_being_judged.set(false);
            });
        }
    }
}
