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

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn headers_are_set_added_and_removed() {
        let name = HeaderName::from_static;
        let value = HeaderValue::from_static;
        let mut headers = HeaderMap::new();
        for (of, given) in
            [("x-set", "a"), ("x-set", "b"), ("x-add", "a"), ("x-remove", "a"), ("x-remove", "b"), ("x-other", "a")]
        {
            headers.append(of, value(given));
        }
        let changes = HeaderChanges {
            set: vec![(name("x-set"), value("set")), (name("x-new"), value("new")), (name("x-both"), value("1"))],
            add: vec![(name("x-add"), value("added")), (name("x-fresh"), value("fresh")), (name("x-both"), value("2"))],
            remove: vec![name("x-remove"), name("x-missing")],
        };
        change(&mut headers, &changes);
        let all = |of: &str| headers.get_all(of).iter().map(|given| given.to_str().unwrap_or("")).collect::<Vec<_>>();
        assert_eq!(all("x-set"), ["set"]);
        assert_eq!(all("x-new"), ["new"]);
        assert_eq!(all("x-add"), ["a", "added"]);
        assert_eq!(all("x-fresh"), ["fresh"]);
        assert_eq!(all("x-both"), ["1", "2"]);
        assert_eq!(all("x-other"), ["a"]);
        assert!(!headers.contains_key("x-remove"));
    }
}
