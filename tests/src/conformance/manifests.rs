//! The suite's manifests as they lie beside the tests, and what its own code does to them: names filled in where it
//! leaves a place for them, documents changed and removed in the course of a test.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::harness::read_yaml;

/// The class that the suite is told to use.
pub(super) const GATEWAY_CLASS: &str = "portcullis";
/// The controller that it is told to test.
pub(super) const CONTROLLER: &str = "portcullis.dev/gateway";

/// One file of manifests.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    text: String,
}

impl Manifest {
    /// What every test builds upon.
    pub(super) fn base() -> Self {
        Self::read("base/manifests.yaml")
    }

    /// A test's own: `httproute-matching`.
    pub(super) fn of_test(name: &str) -> Self {
        Self::read(&format!("tests/{name}.yaml"))
    }

    fn read(path: &str) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conformance/manifests/gateway-api");
        let path = root.join(path);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            text: text.replace("{GATEWAY_CLASS_NAME}", GATEWAY_CLASS).replace("{GATEWAY_CONTROLLER_NAME}", CONTROLLER),
        }
    }

    /// The text to load.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Its documents.
    pub(super) fn documents(&self) -> Vec<Value> {
        read_yaml(&self.text).unwrap_or_else(|error| panic!("a manifest is not YAML: {error}"))
    }

    /// With one document changed, or removed if `change` gives nothing.
    #[must_use]
    pub(super) fn with(&self, kind: &str, name: &str, change: impl FnOnce(Value) -> Option<Value>) -> Self {
        let mut change = Some(change);
        let mut parts = Vec::new();
        for part in self.text.split("\n---") {
            let document = read_yaml(part).unwrap_or_default().pop().unwrap_or_default();
            if document["kind"] != kind || document["metadata"]["name"] != name {
                parts.push(part.to_owned());
                continue;
            }
            let change = change.take().unwrap_or_else(|| panic!("two documents are {kind} `{name}`"));
            // JSON is YAML.
            parts.extend(change(document).map(|changed| format!("\n{changed}\n")));
        }
        assert!(change.is_none(), "no document is {kind} `{name}`");
        Self { text: parts.join("\n---") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_changed_and_removed_where_it_stands() {
        let manifest =
            Manifest { text: "---\nkind: A\nmetadata: {name: a}\n---\nkind: B\nmetadata: {name: b}\n".into() };
        let changed = manifest.with("A", "a", |mut document| {
            document["spec"] = 1.into();
            Some(document)
        });
        assert_eq!(changed.documents()[0]["spec"], 1);
        assert_eq!(changed.documents()[1], manifest.documents()[1]);
        let removed = manifest.with("A", "a", |_| None);
        assert_eq!(removed.documents(), manifest.documents()[1..]);
    }

    #[test]
    fn the_base_names_our_class() {
        let documents = Manifest::base().documents();
        let gateway = documents.iter().find(|document| document["kind"] == "Gateway").unwrap();
        assert_eq!(gateway["spec"]["gatewayClassName"], GATEWAY_CLASS);
    }
}
