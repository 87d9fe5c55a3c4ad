//! All documents by what they are called, and who may refer to whom.

use std::{cell::Cell, collections::BTreeMap};

use foldhash::HashMap;

use crate::{
    diagnostics::{Diagnostic, PRINTED_MAX},
    documents::{
        Document, Kind, closest,
        kinds::{
            Labels,
            gateway_api::{self, From, LabelOperator, LabelSelector, RouteNamespaces},
        },
    },
};

/// The label that clusters put on every namespace.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Documents by kind, namespace and name.
pub(super) struct Inventory<'d> {
    pub(super) documents: &'d [Document],
    by_name: HashMap<(&'static str, &'d str, &'d str), &'d Document>,
    grants: Vec<(&'d str, &'d gateway_api::ReferenceGrantSpec)>,
    namespaces: BTreeMap<&'d str, &'d Labels>,
    suggestions_left: Cell<usize>,
}

/// Who refers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Referrer<'a> {
    pub(super) group: &'a str,
    pub(super) kind: &'a str,
    pub(super) namespace: &'a str,
}

impl<'d> Inventory<'d> {
    pub(super) fn new(documents: &'d [Document]) -> Self {
        let mut inventory = Self {
            documents,
            by_name: HashMap::default(),
            grants: Vec::new(),
            namespaces: BTreeMap::new(),
            suggestions_left: Cell::new(PRINTED_MAX),
        };
        for document in documents {
            let kind = kind_name(&document.id.kind);
            // The first of two with one name; the second has been refused already.
            inventory.by_name.entry((kind, &document.id.namespace, &document.id.name)).or_insert(document);
            match &document.value {
                Kind::ReferenceGrant(grant) => inventory.grants.push((&document.id.namespace, &grant.spec)),
                Kind::Namespace(namespace) => {
                    inventory.namespaces.insert(&document.id.name, &namespace.metadata.labels);
                }
                _ => {}
            }
        }
        inventory
    }

    pub(super) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&'d Document> {
        self.by_name.get(&(kind_name(kind), namespace, name)).copied()
    }

    /// What to say about a reference within a namespace that leads nowhere.
    pub(super) fn not_found(&self, document: &Document, path: &str, kind: &str, name: &str) -> Diagnostic {
        self.not_found_in(document, path, kind, &document.id.namespace, name)
    }

    /// What to say about a reference that leads nowhere: what was probably meant, or where it is instead.
    pub(super) fn not_found_in(
        &self,
        document: &Document,
        path: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Diagnostic {
        let diagnostic =
            Diagnostic::reference("not-found", format!("there is no {kind} `{name}` in namespace `{namespace}`"))
                .at(document.span(path), "leads nowhere")
                .for_want_of(kind, namespace, Some(name));
        // Each suggestion looks at every document; nobody reads more of them than are printed.
        let left = self.suggestions_left.get();
        if left == 0 {
            return diagnostic;
        }
        self.suggestions_left.set(left - 1);
        let of_kind = || self.documents.iter().filter(|other| *other.id.kind == *kind).map(|other| &other.id);
        let nearby = of_kind().filter(|id| *id.namespace == *namespace).map(|id| &*id.name);
        if let Some(meant) = closest(name, nearby) {
            return diagnostic.help(format!("did you mean `{meant}`?"));
        }
        match of_kind().find(|id| *id.name == *name) {
            Some(elsewhere) => diagnostic.help(format!("there is one in namespace `{}`", elsewhere.namespace)),
            None => diagnostic,
        }
    }

    /// Whether a reference to another namespace is permitted by a ReferenceGrant there.
    pub(super) fn permits(
        &self,
        from: Referrer<'_>,
        to_group: &str,
        to_kind: &str,
        namespace: &str,
        name: &str,
    ) -> bool {
        from.namespace == namespace
            || self.grants.iter().any(|(at, grant)| {
                *at == namespace
                    && grant.from.iter().any(|source| {
                        source.group == from.group && source.kind == from.kind && source.namespace == from.namespace
                    })
                    && grant.to.iter().any(|target| {
                        target.group == to_group
                            && target.kind == to_kind
                            && target.name.as_deref().is_none_or(|only| only.is_empty() || only == name)
                    })
            })
    }

    /// Whether routes of `namespace` may attach where these rules stand, in `home`.
    pub(super) fn admits(&self, rules: Option<&RouteNamespaces>, home: &str, namespace: &str) -> bool {
        match rules.and_then(|rules| rules.from).unwrap_or(From::Same) {
            From::All => true,
            From::Same => home == namespace,
            From::None => false,
            From::Selector => {
                let Some(selector) = rules.and_then(|rules| rules.selector.as_ref()) else { return false };
                let mut labels = self.namespaces.get(namespace).copied().cloned().unwrap_or_default();
                labels.insert(NAMESPACE_NAME_LABEL.to_owned(), namespace.to_owned());
                selects(selector, &labels)
            }
        }
    }
}

pub(super) fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|expression| {
            let value = labels.get(&expression.key);
            match expression.operator {
                LabelOperator::In => value.is_some_and(|value| expression.values.contains(value)),
                LabelOperator::NotIn => value.is_none_or(|value| !expression.values.contains(value)),
                LabelOperator::Exists => value.is_some(),
                LabelOperator::DoesNotExist => value.is_none(),
            }
        })
}

/// The kind's own static name, so that the index holds no copies.
fn kind_name(kind: &str) -> &'static str {
    crate::documents::KINDS.iter().find(|info| info.kind == kind).map_or("", |info| info.kind)
}
