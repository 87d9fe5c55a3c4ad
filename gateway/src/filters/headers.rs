//! `RequestHeaderModifier` and `ResponseHeaderModifier`.

use http::HeaderMap;
use portcullis_policy::snapshot::HeaderChanges;

/// Sets, adds and removes, in this order.
pub fn change(headers: &mut HeaderMap, changes: &HeaderChanges) {
    for (name, value) in &changes.set {
        headers.insert(name, value.clone());
    }
    for (name, value) in &changes.add {
        headers.append(name, value.clone());
    }
    for name in &changes.remove {
        headers.remove(name);
    }
}
