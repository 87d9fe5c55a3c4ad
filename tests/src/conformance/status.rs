//! Conditions, as `/snapshot` shows them, and the suite's demands on them.

use std::net::SocketAddr;

use serde_json::Value;

use super::INFRA;

/// How every document fares.
pub(super) struct Status(Value);

/// A demand on one condition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition {
    kind: &'static str,
    holds: bool,
    reason: Option<&'static str>,
}

/// A demand on one listener of a Gateway.
#[derive(Debug)]
pub(super) struct ListenerDemand<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Kinds that it must say it takes; if there are none, it must say that it takes none.
    pub(super) kinds: Option<&'a [&'a str]>,
    /// How many routes are attached to it.
    pub(super) attached: u64,
    /// Its conditions.
    pub(super) conditions: &'a [Condition],
}

/// It holds, for this reason.
pub(super) const fn holds_as(kind: &'static str, reason: &'static str) -> Condition {
    Condition { kind, holds: true, reason: Some(reason) }
}

/// It holds.
pub(super) const fn holds(kind: &'static str) -> Condition {
    Condition { kind, holds: true, reason: None }
}

/// It does not hold, for this reason.
pub(super) const fn fails_as(kind: &'static str, reason: &'static str) -> Condition {
    Condition { kind, holds: false, reason: Some(reason) }
}

/// It does not hold.
pub(super) const fn fails(kind: &'static str) -> Condition {
    Condition { kind, holds: false, reason: None }
}

/// What listeners must be before traffic is sent to them.
const PROGRAMMED: [Condition; 3] = [holds("ResolvedRefs"), holds("Accepted"), holds("Programmed")];

impl Condition {
    fn is_among(self, conditions: &Value) -> bool {
        let status = if self.holds { "True" } else { "False" };
        conditions.as_array().into_iter().flatten().any(|condition| {
            condition["type"] == self.kind
                && condition["status"] == status
                && self.reason.is_none_or(|reason| condition["reason"] == reason)
        })
    }
}

impl Status {
    pub(super) fn new(snapshot: Value) -> Self {
        Self(snapshot)
    }

    /// Where a port of a Gateway (`namespace/name`) is bound.
    pub(super) fn bound(&self, gateway: &str, port: u16) -> Option<SocketAddr> {
        self.0["listeners"].as_array()?.iter().find_map(|listener| {
            let of_gateway = listener["id"].as_str()?.rsplit_once('/')?.0 == gateway;
            (of_gateway && listener["port"] == port).then(|| listener["bound"][0].as_str()?.parse().ok())?
        })
    }

    /// A document of this namespace.
    fn document(&self, kind: &str, namespace: &str, name: &str) -> &Value {
        let mut documents = self.0["documents"].as_array().unwrap().iter();
        let is = |document: &&Value| {
            document["kind"] == kind && document["name"] == name && document["namespace"] == namespace
        };
        documents.find(is).unwrap_or_else(|| panic!("/snapshot has no {kind} {namespace}/{name}"))
    }

    /// A document has a condition.
    pub(super) fn document_has(&self, kind: &str, namespace: &str, name: &str, condition: Condition) {
        let conditions = &self.document(kind, namespace, name)["conditions"];
        assert!(condition.is_among(conditions), "{kind} {name} has no {condition:?}: {conditions:#}");
    }

    /// Every condition of a document is about this change of it.
    pub(super) fn conditions_are_about(&self, kind: &str, namespace: &str, name: &str, generation: i64) {
        let document = self.document(kind, namespace, name);
        let of = |field: &str| document[field].as_array().unwrap().iter().map(|part| &part["conditions"]);
        let lists = [&document["conditions"]].into_iter().chain(of("parents")).chain(of("listeners"));
        let conditions: Vec<_> = lists.flat_map(|list| list.as_array().unwrap()).collect();
        assert!(!conditions.is_empty(), "{kind} {name} has no conditions");
        let is_about_it = |condition: &&&Value| condition["observedGeneration"] == generation;
        assert!(conditions.iter().all(|condition| is_about_it(&condition)), "{kind} {name}: {conditions:#?}");
    }

    /// A Gateway has a condition.
    pub(super) fn gateway_has(&self, name: &str, condition: Condition) {
        self.document_has("Gateway", INFRA, name, condition);
    }

    /// A listener of a Gateway has conditions.
    pub(super) fn listener_has(&self, gateway: &str, name: &str, conditions: &[Condition]) {
        let listeners = self.document("Gateway", INFRA, gateway)["listeners"].as_array().unwrap();
        let listener = listeners.iter().find(|listener| listener["name"] == name);
        let listener = listener.unwrap_or_else(|| panic!("{gateway} has no listener {name}"));
        for condition in conditions {
            let held = &listener["conditions"];
            assert!(condition.is_among(held), "listener {name} of {gateway} has no {condition:?}: {held:#}");
        }
    }

    /// A Gateway has exactly these listeners, and they are so.
    pub(super) fn listeners_are(&self, gateway: &str, demands: &[ListenerDemand<'_>]) {
        let listeners = self.document("Gateway", INFRA, gateway)["listeners"].as_array().unwrap();
        assert_eq!(listeners.len(), demands.len(), "listeners of {gateway}: {listeners:#?}");
        for demand in demands {
            let listener = listeners.iter().find(|listener| listener["name"] == demand.name);
            let listener = listener.unwrap_or_else(|| panic!("{gateway} has no listener {}", demand.name));
            let kinds = listener["supportedKinds"].as_array().unwrap();
            if let Some(demanded) = demand.kinds {
                assert_eq!(demanded.is_empty(), kinds.is_empty(), "kinds of {gateway}/{}: {kinds:?}", demand.name);
                for kind in demanded {
                    let is = |held: &&Value| held["kind"] == *kind && held["group"] == "gateway.networking.k8s.io";
                    assert!(kinds.iter().any(|held| is(&held)), "{gateway}/{} does not take {kind}", demand.name);
                }
            }
            assert_eq!(listener["attachedRoutes"], demand.attached, "routes of {gateway}/{}", demand.name);
            self.listener_has(gateway, demand.name, demand.conditions);
        }
    }

    /// Listeners of a Gateway (all, if none is named) are ready for traffic.
    pub(super) fn listeners_are_programmed(&self, gateway: &str, names: &[&str]) {
        let listeners = self.document("Gateway", INFRA, gateway)["listeners"].as_array().unwrap();
        for listener in listeners {
            let name = listener["name"].as_str().unwrap();
            if names.is_empty() || names.contains(&name) {
                self.listener_has(gateway, name, &PROGRAMMED);
            }
        }
        for name in names {
            assert!(listeners.iter().any(|listener| listener["name"] == *name), "{gateway} has no listener {name}");
        }
    }

    /// A Gateway has no listener, or one without routes.
    pub(super) fn gateway_has_no_routes(&self, gateway: &str) {
        let listeners = self.document("Gateway", INFRA, gateway)["listeners"].as_array().unwrap();
        assert!(
            matches!(listeners.as_slice(), [] | [_])
                && listeners.iter().all(|listener| listener["attachedRoutes"] == 0),
            "{gateway} has routes: {listeners:#?}"
        );
    }

    /// Towards a Gateway, something with parents has a condition.
    pub(super) fn parent_has(&self, kind: &str, namespace: &str, name: &str, gateway: &str, condition: Condition) {
        let parents = self.document(kind, namespace, name)["parents"].as_array().unwrap();
        let towards = |parent: &&Value| {
            parent["parent"]["kind"] == "Gateway"
                && parent["parent"]["name"] == gateway
                && parent["parent"]["namespace"] == INFRA
        };
        let mut towards = parents.iter().filter(towards);
        assert!(
            towards.any(|parent| condition.is_among(&parent["conditions"])),
            "{kind} {name} has no {condition:?} towards {gateway}: {parents:#?}"
        );
    }

    /// A route of the infrastructure's namespace has a condition towards a Gateway.
    pub(super) fn route_has(&self, kind: &str, name: &str, gateway: &str, condition: Condition) {
        self.parent_has(kind, INFRA, name, gateway, condition);
    }

    /// A route is attached.
    pub(super) fn route_is_accepted(&self, kind: &str, name: &str, gateway: &str) {
        self.route_has(kind, name, gateway, holds_as("Accepted", "Accepted"));
    }

    /// Every reference of a route leads somewhere.
    pub(super) fn route_is_resolved(&self, kind: &str, name: &str, gateway: &str) {
        self.route_has(kind, name, gateway, holds_as("ResolvedRefs", "ResolvedRefs"));
    }

    /// A route has no parent, or one that does not accept it.
    pub(super) fn route_has_no_accepted_parent(&self, kind: &str, namespace: &str, name: &str) {
        let parents = self.document(kind, namespace, name)["parents"].as_array().unwrap();
        let refused = |parent: &Value| fails("Accepted").is_among(&parent["conditions"]);
        assert!(
            matches!(parents.as_slice(), [] | [_]) && parents.iter().all(refused),
            "{kind} {name} is accepted: {parents:#?}"
        );
    }

    /// A BackendTLSPolicy is in force, as a Gateway sees it.
    pub(super) fn policy_is_in_force(&self, name: &str, gateway: &str) {
        self.policy_has(name, gateway, holds_as("Accepted", "Accepted"));
        self.policy_has(name, gateway, holds_as("ResolvedRefs", "ResolvedRefs"));
    }

    /// A BackendTLSPolicy has a condition, as a Gateway sees it.
    pub(super) fn policy_has(&self, name: &str, gateway: &str, condition: Condition) {
        self.parent_has("BackendTLSPolicy", INFRA, name, gateway, condition);
    }
}
