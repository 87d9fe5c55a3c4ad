//! What lets an exchange in, and whether it still would: long answers do not outlive their permission, nor connections the
//! trust that let their peer in.
//!
//! Each second, and whenever rules or trust change, a worker looks at the peers that are connected ([`KnownPeer`]) and at
//! the answers that go on ([`Watched`]). Whoever has lost permission gets an error event in the dialect of its stream.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use http::Method;
use portcullis_certs::{
    SpiffeId,
    verify::{PeerId, PeerRefusal, PeerVerifier},
};
use portcullis_dialects::refusal::Refusal;
use portcullis_policy::authorize::{WorkloadDenial, WorkloadPermit, WorkloadQuestion, WorkloadRules};

/// How often what is open is looked at: within this time a permission that was taken away ends it.
pub const RECHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The peer of a connection, judged again while it is open.
#[derive(Debug)]
pub struct KnownPeer {
    id: SpiffeId,
    judged: RefCell<PeerId>,
    verifier: Arc<PeerVerifier>,
    is_lost: Cell<bool>,
}

impl KnownPeer {
    /// A peer that has just proved who it is.
    pub fn new(peer: PeerId, verifier: Arc<PeerVerifier>) -> Self {
        Self { id: peer.id().clone(), judged: RefCell::new(peer), verifier, is_lost: Cell::new(false) }
    }

    /// Who it is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// Whether it is believed no longer.
    pub fn is_lost(&self) -> bool {
        self.is_lost.get()
    }

    fn judge_again(&self, now: SystemTime) {
        let judged = self.verifier.judge_open(&self.judged.borrow(), now);
        match judged {
            Ok(judged) => *self.judged.borrow_mut() = judged,
            Err(refusal) => self.lose(&refusal),
        }
    }

    fn lose(&self, refusal: &PeerRefusal) {
        if !self.is_lost.replace(true) {
            tracing::info!(peer = %self.id, reason = refusal.label(), %refusal, "a peer that is connected is believed no longer");
        }
    }
}

/// What a peer asked for, by which port.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who asks.
    pub peer: Rc<KnownPeer>,
    /// The port that it came by.
    pub port: u16,
    /// The method.
    pub method: Method,
    /// The canonical path.
    pub path: Box<str>,
    /// The model that the request names.
    pub model: Option<Box<str>>,
}

impl Asked {
    /// Whether rules let it in.
    ///
    /// # Errors
    /// What they say instead.
    pub fn permit(&self, rules: &WorkloadRules) -> Result<WorkloadPermit, WorkloadDenial> {
        rules.permit(&WorkloadQuestion {
            peer: self.peer.id(),
            port: self.port,
            method: &self.method,
            path: &self.path,
            model: self.model.as_deref(),
        })
    }
}

/// An exchange whose answer goes on.
#[derive(Debug)]
pub struct Watched {
    asked: Asked,
    is_lost: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Watched {
    /// Ready once permission has been lost, with what to tell the peer; registers the task to be woken then.
    pub fn poll_lost(&self, cx: &mut Context<'_>) -> Poll<Refusal> {
        if self.is_lost.get() {
            return Poll::Ready(Refusal::permission_denied().closing());
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn judge_again(&self, rules: &WorkloadRules) {
        if self.asked.peer.is_lost() || self.asked.permit(rules).is_err() {
            self.is_lost.set(true);
            self.waker.borrow_mut().take().into_iter().for_each(Waker::wake);
        }
    }
}

/// What is open on one worker.
#[derive(Debug, Default)]
pub struct Open {
    peers: RefCell<Vec<Weak<KnownPeer>>>,
    answers: RefCell<Vec<Weak<Watched>>>,
}

impl Open {
    /// Judges a peer again while it is connected.
    pub fn peer(&self, peer: &Rc<KnownPeer>) {
        self.peers.borrow_mut().push(Rc::downgrade(peer));
    }

    /// Judges an exchange again while its answer goes on.
    pub fn answer(&self, asked: Asked) -> Rc<Watched> {
        let watched = Rc::new(Watched { asked, is_lost: Cell::new(false), waker: RefCell::new(None) });
        self.answers.borrow_mut().push(Rc::downgrade(&watched));
        watched
    }

    /// Looks at all of them.
    pub fn judge_again(&self, rules: &WorkloadRules, now: SystemTime) {
        self.peers.borrow_mut().retain(|peer| match peer.upgrade() {
            Some(peer) => {
                peer.judge_again(now);
                !peer.is_lost()
            }
            None => false,
        });
        self.answers.borrow_mut().retain(|watched| match watched.upgrade() {
            Some(watched) => {
                watched.judge_again(rules);
                true
            }
            None => false,
        });
    }
}
