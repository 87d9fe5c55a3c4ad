//! Windows: how a guard elsewhere is asked about a text that is still being said.
//!
//! A text is held until there is a window of it, or all of it; then the guard is asked about that window, with the tail of
//! what it has passed before it, so that it knows what it reads. Only what it passes goes on. So what is held is one window
//! and whatever arrives while the guard thinks; who feeds it stops at [`Windows::is_asking`], and then it is one window and one
//! event. What a guard refuses in a later window does not take back an earlier one: a window that is as large as the answer
//! holds all of it.
//!
//! [`Windows`] is the logic, without time and sockets; [`Watch`] asks an [`Asker`].

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use portcullis_policy::guard::screen::Speaker;

use super::{Asker, NoOpinion, Opinion, Question, Way};

/// Of what a guard has passed, so many bytes at most are shown to it again before the next window.
pub const WINDOW_CONTEXT_BYTES_MAX: usize = 1024;

/// One text under one guard.
#[derive(Debug)]
pub struct Windows {
    window_bytes: usize,
    /// The tail of what has passed.
    passed: Told,
    /// What has not.
    held: Told,
    /// So many bytes of it are being asked about.
    asking: usize,
    is_whole: bool,
}

/// Text that is not shown.
#[derive(Default)]
struct Told(String);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Windows {
    /// Nothing said yet. A window has at least one byte.
    pub fn new(window_bytes: usize) -> Self {
        let (passed, held) = (Told::default(), Told::default());
        Self { window_bytes: window_bytes.max(1), passed, held, asking: 0, is_whole: false }
    }

    /// Holds more of the text. What comes after its end counts as well: nothing goes on unasked.
    pub fn push(&mut self, text: &str) {
        self.held.0.push_str(text);
    }

    /// The text ends here.
    pub fn finish(&mut self) {
        self.is_whole = true;
    }

    /// What the guard is to be asked about now, if anything is: it is being asked from here on.
    pub fn ask(&mut self) -> Option<String> {
        let is_due = self.held.0.len() >= self.window_bytes || (self.is_whole && !self.held.0.is_empty());
        if self.is_asking() || !is_due {
            return None;
        }
        // INVARIANT: all that is held, so that what passes is exactly what was asked about.
        self.asking = self.held.0.len();
        Some(format!("{}{}", self.passed.0, self.held.0))
    }

    /// Whether the guard is being asked.
    pub fn is_asking(&self) -> bool {
        self.asking > 0
    }

    /// What it was asked about may go on: so many bytes, from the first that is held.
    pub fn pass(&mut self) -> usize {
        let passed = std::mem::take(&mut self.asking);
        let rest = self.held.0.split_off(passed);
        self.passed.0.push_str(&std::mem::replace(&mut self.held.0, rest));
        let context = WINDOW_CONTEXT_BYTES_MAX.min(self.window_bytes);
        let start = self.passed.0.ceil_char_boundary(self.passed.0.len().saturating_sub(context));
        self.passed.0.drain(..start);
        passed
    }

    /// Bytes that have not passed.
    pub fn held(&self) -> usize {
        self.held.0.len()
    }
}

/// What becomes of the first bytes that are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// So many go on.
    Passes(usize),
    /// Nothing does: the guard's name for why. A guard that would say it in other words refuses: what is said of a window has no
    /// place in the text.
    Refuses(Arc<str>),
    /// The guard says nothing. Whether [`Watch::pass`] or the end comes next, the document says.
    Unanswered(NoOpinion),
}

/// What will be said of a window.
type Asked = Pin<Box<dyn Future<Output = Result<Opinion, NoOpinion>>>>;

/// One text under one guard that is asked about it.
pub struct Watch {
    windows: Windows,
    asker: Asker,
    prompt: Vec<(Speaker, String)>,
    model: Option<Arc<str>>,
    asking: Option<Asked>,
}

impl Watch {
    /// Nothing said yet. `prompt`: what it answers, as far as the guard is to be shown it.
    pub fn new(asker: Asker, prompt: Vec<(Speaker, String)>, model: Option<Arc<str>>) -> Self {
        let windows = Windows::new(asker.service().window_bytes);
        Self { windows, asker, prompt, model, asking: None }
    }

    /// Holds more of the text; [`Watch::poll`] says what becomes of it.
    pub fn push(&mut self, text: &str) {
        self.windows.push(text);
    }

    /// The text ends here: what is held is asked about however little it is.
    pub fn finish(&mut self) {
        self.windows.finish();
    }

    /// Whether the guard is being asked: what arrives meanwhile is held on top of a window, so read no more of it.
    pub fn is_asking(&self) -> bool {
        self.windows.is_asking()
    }

    /// Bytes that have not passed.
    pub fn held(&self) -> usize {
        self.windows.held()
    }

    /// Asks if there is something to ask about. `None`: nothing is due before more arrives.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Seen>> {
        if self.asking.is_none() {
            let Some(text) = self.windows.ask() else { return Poll::Ready(None) };
            self.asking = Some(self.question(text));
        }
        let Some(asking) = &mut self.asking else { return Poll::Ready(None) };
        let opinion = ready!(asking.as_mut().poll(context));
        self.asking = None;
        Poll::Ready(Some(match opinion {
            Ok(Opinion::Passes) => Seen::Passes(self.windows.pass()),
            Ok(Opinion::Refuses { rule } | Opinion::Rewrites { rule, .. }) => Seen::Refuses(rule),
            Err(none) => Seen::Unanswered(none),
        }))
    }

    /// Lets what the guard was asked about go on although it says nothing: so many bytes.
    pub fn pass(&mut self) -> usize {
        self.windows.pass()
    }

    fn question(&self, text: String) -> Asked {
        let mut texts = self.prompt.clone();
        texts.push((Speaker::Assistant, text));
        let (asker, model) = (self.asker.clone(), self.model.clone());
        Box::pin(async move { asker.ask(Question { way: Way::Output, texts, model }).await })
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("windows", &self.windows)
            .field("service", self.asker.service())
            .finish_non_exhaustive()
    }
}
