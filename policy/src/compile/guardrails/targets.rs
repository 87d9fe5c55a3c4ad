//! Which policies cover which routes.

use foldhash::HashMap;

use crate::{
    compile::inventory::Inventory,
    diagnostics::Diagnostic,
    documents::{
        Document, Kind, closest,
        kinds::{GATEWAY_GROUP, gateway_api::PolicyTargetReference},
    },
    snapshot::DocumentId,
};

const TARGETS: [&str; 3] = ["Gateway", "HTTPRoute", "GRPCRoute"];

/// Kind, namespace and name.
type Target<'d> = (&'d str, &'d str, &'d str);

/// Policies, by their place, and the rule of a route that each is for.
#[derive(Default)]
pub(super) struct Targets<'d> {
    by_target: HashMap<Target<'d>, Vec<(usize, Option<&'d str>)>>,
}

impl<'d> Targets<'d> {
    pub(super) fn add(
        &mut self,
        document: &'d Document,
        references: &'d [PolicyTargetReference],
        policy: usize,
        inventory: &Inventory<'d>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        for (index, target) in references.iter().enumerate() {
            let path = |field: &str| format!("spec.targetRefs[{index}].{field}");
            if target.group != GATEWAY_GROUP || !TARGETS.contains(&target.kind.as_str()) {
                let help = if target.kind == "TLSRoute" {
                    "nobody reads the bytes of a TLSRoute: end TLS at the listener and use an HTTPRoute"
                } else {
                    "targets are Gateway, HTTPRoute and GRPCRoute of `gateway.networking.k8s.io`"
                };
                let message = format!("a GuardrailPolicy cannot target a `{}`", target.kind);
                diagnostics.push(
                    Diagnostic::error("unknown-target", message)
                        .at(document.span(&path("kind")), "not a target")
                        .help(help),
                );
                continue;
            }
            let Some(found) = inventory.find(&target.kind, &document.id.namespace, &target.name) else {
                diagnostics.push(inventory.not_found(document, &path("name"), &target.kind, &target.name));
                continue;
            };
            let section = target.section_name.as_deref();
            if let Some(section) = section
                && let Err(help) = has_rule(found, section)
            {
                let message = format!("a GuardrailPolicy cannot target `{section}` of {}", found.id);
                diagnostics.push(
                    Diagnostic::error("unknown-target", message)
                        .at(document.span(&path("sectionName")), "not a target")
                        .help(help),
                );
                continue;
            }
            let key = (target.kind.as_str(), &*document.id.namespace, target.name.as_str());
            self.by_target.entry(key).or_default().push((policy, section));
        }
    }

    /// The policies of a route's rule, each once: its Gateway's first.
    pub(super) fn covering(&self, route: &Document, rule: Option<&str>, gateway: &DocumentId) -> Vec<usize> {
        let of = |kind: &str, namespace: &str, name: &str| {
            let targeting = self.by_target.get(&(kind, namespace, name)).map(Vec::as_slice).unwrap_or_default();
            let covers = |(_, section): &&(usize, Option<&str>)| section.is_none() || *section == rule;
            targeting.iter().filter(covers).map(|(policy, _)| *policy).collect::<Vec<_>>()
        };
        let mut covering = of("Gateway", &gateway.namespace, &gateway.name);
        covering.extend(of(&route.id.kind, &route.id.namespace, &route.id.name));
        let mut seen = Vec::with_capacity(covering.len());
        covering.retain(|policy| {
            let first = !seen.contains(policy);
            seen.push(*policy);
            first
        });
        covering
    }
}

/// Whether a route has a rule of this name; if not, what to do.
fn has_rule(target: &Document, section: &str) -> Result<(), String> {
    let names: Vec<&str> = match &target.value {
        Kind::HttpRoute(route) => route.spec.rules.iter().filter_map(|rule| rule.name.as_deref()).collect(),
        Kind::GrpcRoute(route) => route.spec.rules.iter().filter_map(|rule| rule.name.as_deref()).collect(),
        _ => return Err("a Gateway's guardrails hold on all of its listeners: leave `sectionName` out".to_owned()),
    };
    if names.contains(&section) {
        return Ok(());
    }
    Err(match closest(section, names.into_iter()) {
        Some(meant) => format!("did you mean its rule `{meant}`?"),
        None => "`sectionName` is the `name` of one of the route's rules".to_owned(),
    })
}
