//! Reading the second set of documents, and reading it again when its files change.
//!
//! It has a watch of its own: whatever becomes of it, the first set is not read, not compiled and not replaced. A set
//! that is not usable at the start is a mistake on the command line and refuses the start; later the last good one goes on.

use std::{path::PathBuf, sync::Arc};

use arc_swap::{ArcSwap, ArcSwapOption};
use portcullis_policy::{
    check::check,
    diagnostics::{self, Class},
};
use tokio::{
    sync::{mpsc, watch},
    task::block_in_place,
};

use super::Shadow;
use crate::{
    watch::{Watched, watch},
    worker::Command,
};

/// What the admin pages and metrics show of the second set.
#[derive(Debug)]
pub struct State {
    /// The set that is asked.
    pub set: ArcSwap<Shadow>,
    /// Why its documents as they are were refused.
    pub error: ArcSwapOption<String>,
}

/// Keeps the second set as its documents are.
#[derive(Debug)]
pub struct Follower {
    paths: Vec<PathBuf>,
    references_may_fail: bool,
    state: Arc<State>,
    /// What was read last, whether it is asked or not.
    read: watch::Sender<Watched>,
    workers: Vec<mpsc::UnboundedSender<Command>>,
}

impl Follower {
    /// Reads the set; without paths there is none. An error says in full what is wrong with it.
    pub fn new(paths: &[PathBuf], references_may_fail: bool) -> Result<Option<Self>, String> {
        if paths.is_empty() {
            return Ok(None);
        }
        let mut read = watch::channel(Watched::default()).0;
        let set = load(paths, references_may_fail, &mut read)
            .map_err(|error| format!("the documents of `--shadow` cannot be used\n{error}"))?;
        let state = Arc::new(State { set: ArcSwap::from_pointee(set), error: ArcSwapOption::empty() });
        Ok(Some(Self { paths: paths.to_vec(), references_may_fail, state, read, workers: Vec::new() }))
    }

    /// What is asked, and how it is.
    pub fn state(&self) -> Arc<State> {
        self.state.clone()
    }

    /// Gives the set to these workers, now and whenever it changes.
    pub fn serve(&mut self, workers: Vec<mpsc::UnboundedSender<Command>>) {
        self.workers = workers;
        self.give();
        let set = self.state.set.load();
        tracing::info!(revision = %set.snapshot.revision, "a shadow set is asked beside the documents, and not heeded");
    }

    fn give(&self) {
        let set = self.state.set.load_full();
        for worker in &self.workers {
            let _ = worker.send(Command::Shadow(set.clone()));
        }
    }

    /// Tells `changed` when its files are not as they were read, until its receiver is gone.
    pub fn watch(&self, changed: mpsc::Sender<()>) {
        tokio::spawn(watch(self.read.subscribe(), changed));
    }

    /// Reads the set again. The last good one goes on if anything is wrong with it.
    pub fn reload(&mut self) {
        match block_in_place(|| load(&self.paths, self.references_may_fail, &mut self.read)) {
            Ok(set) => {
                let set = Arc::new(set);
                let before = self.state.set.swap(set.clone());
                self.state.error.store(None);
                // Locations may have moved without a change of meaning: what is logged shall name the lines as they are.
                self.give();
                tracing::info!(revision = %set.snapshot.revision, before = %before.snapshot.revision, "shadow set read");
            }
            Err(error) => {
                let revision = &self.state.set.load().snapshot.revision;
                tracing::error!(%revision, "shadow set refused; the last good one goes on\n{error}");
                self.state.error.store(Some(Arc::new(error)));
            }
        }
    }
}

/// Reads and compiles the set, or says in full what is wrong with it. `read` learns what was looked at.
fn load(paths: &[PathBuf], references_may_fail: bool, read: &mut watch::Sender<Watched>) -> Result<Shadow, String> {
    let mut watched = Watched::default();
    watched.look(paths.to_vec());
    let report = check(paths);
    read.send_replace(watched);
    // What a later version will enforce is nobody's access.
    let refusals = report.refusals(references_may_fail).filter(|diagnostic| diagnostic.class != Class::Enforcement);
    let refusals: Vec<_> = refusals.cloned().collect();
    if !refusals.is_empty() {
        return Err(diagnostics::text(&refusals, false));
    }
    if report.documents.is_empty() {
        return Err("there is no document of a kind that Portcullis reads".to_owned());
    }
    Ok(Shadow::new(report.snapshot))
}
