//! Engines, made once for the same rules: routes under the same policies share one, and a revision that changes nothing about
//! guardrails builds no tables.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use sha2::{Digest, Sha256};

use super::rules::RuleDraft;
use crate::guard::engine::{Cost, Engine, Hold, SAMPLE, Unusable};

/// Sets of rules that are remembered. Beyond them, those that nobody uses are forgotten.
const ENGINES_MAX: usize = 256;

type Key = [u8; 32];

/// What is known of a set of rules. The engine itself lives as long as a snapshot uses it.
struct Known {
    engine: Weak<Engine>,
    cost: Cost,
    hold: Hold,
}

static KNOWN: LazyLock<Mutex<HashMap<Key, Known>>> = LazyLock::new(Mutex::default);

/// The engine of these rules; `None` where there are none. An error names a rule by its place.
pub(super) fn engine(rules: &[&RuleDraft]) -> Result<Option<Arc<Engine>>, Unusable> {
    if rules.is_empty() {
        return Ok(None);
    }
    let key = key(rules);
    if let Some(engine) = known().get(&key).and_then(|known| known.engine.upgrade()) {
        return Ok(Some(engine));
    }
    build(key, rules).map(|(engine, _, _)| Some(engine))
}

/// What these rules cost, on ordinary text too. An error names a rule by its place.
pub(super) fn cost(rules: &[&RuleDraft]) -> Result<(Cost, Hold), Unusable> {
    let key = key(rules);
    if let Some(known) = known().get(&key) {
        return Ok((known.cost, known.hold));
    }
    build(key, rules).map(|(_, cost, hold)| (cost, hold))
}

fn build(key: Key, rules: &[&RuleDraft]) -> Result<(Arc<Engine>, Cost, Hold), Unusable> {
    // Nobody waits for the lock while tables are made.
    let engine = Arc::new(Engine::compile(rules.iter().map(|draft| draft.rule.clone()).collect())?);
    let (cost, hold) = (engine.cost(), engine.hold(SAMPLE.as_bytes()));
    let mut known = known();
    if known.len() >= ENGINES_MAX {
        known.retain(|_, known| known.engine.strong_count() > 0);
    }
    known.insert(key, Known { engine: Arc::downgrade(&engine), cost, hold });
    Ok((engine, cost, hold))
}

fn known() -> std::sync::MutexGuard<'static, HashMap<Key, Known>> {
    // Nothing is half done where a thread could have ended.
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(rules: &[&RuleDraft]) -> Key {
    let mut hash = Sha256::new();
    for draft in rules {
        hash.update(draft.key.len().to_le_bytes());
        hash.update(&draft.key);
    }
    hash.finalize().into()
}
