//! Which rule of one set of documents is the same as a rule of another: of the same listener and route by its name, and
//! if it has none by its place. Open answers are judged again by it, and so is what a second set would have decided;
//! `portcullis diff` takes rules for the same in this way too.

use std::sync::Arc;

use foldhash::HashMap;
use portcullis_policy::{
    Snapshot,
    snapshot::{DocumentId, ListenerId, Rule},
};

/// The rules of a set of documents by what they are known by.
#[derive(Debug, Default)]
pub struct RulesByName(HashMap<ListenerId, HashMap<DocumentId, OfRoute>>);

#[derive(Debug, Default)]
struct OfRoute {
    named: HashMap<Arc<str>, Arc<Rule>>,
    unnamed: HashMap<usize, Arc<Rule>>,
}

impl RulesByName {
    /// Those of a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut listeners: HashMap<ListenerId, HashMap<DocumentId, OfRoute>> = HashMap::default();
        for listener in &snapshot.listeners {
            let routes = listeners.entry(listener.id.clone()).or_default();
            for rule in listener.routes.rules() {
                let route = routes.entry(rule.route.clone()).or_default();
                match &rule.name {
                    Some(name) => route.named.insert(name.clone(), rule.clone()),
                    None => route.unnamed.insert(rule.index, rule.clone()),
                };
            }
        }
        Self(listeners)
    }

    /// The rule of this name, or without one at this place, if there is one.
    pub fn find(
        &self,
        listener: &ListenerId,
        route: &DocumentId,
        name: Option<&str>,
        index: usize,
    ) -> Option<&Arc<Rule>> {
        let rules = self.0.get(listener)?.get(route)?;
        match name {
            Some(name) => rules.named.get(name),
            None => rules.unnamed.get(&index),
        }
    }
}
