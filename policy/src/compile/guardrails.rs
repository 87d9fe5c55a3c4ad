//! GuardrailPolicies: what each route enforces. All policies that cover a route hold: its Gateway's stages come first, then
//! its own, and none takes another away.
//!
//! Every rule is compiled here, so that what blows up is refused before it serves, and what the rest costs is told.

mod checks;
mod engines;
mod policy;
mod rails;
mod rules;
mod service;
mod targets;

use std::{cell::RefCell, sync::Arc};

use foldhash::{HashMap, HashSet};

use self::{
    engines::engine,
    policy::{PolicyDraft, StageDraft, Way},
    targets::Targets,
};
use super::inventory::Inventory;
use crate::{
    diagnostics::Diagnostic,
    documents::{Document, Kind},
    guard::screen::{Direction, Guardrails, Origin, Tell, UnknownFields, Unscreened},
    snapshot::DocumentId,
};

/// Whether exchanges are screened. As long as they are not, `run` refuses GuardrailPolicies, so that nobody believes in them.
pub(super) const GUARDRAILS_ARE_ENFORCED: bool = true;

/// GuardrailPolicies by what they target.
pub(super) struct GuardrailRules<'d> {
    policies: Vec<PolicyDraft<'d>>,
    targets: Targets<'d>,
    /// By the policies that hold together.
    compiled: RefCell<HashMap<Vec<usize>, Arc<Guardrails>>>,
    /// Routes that a policy covers and whose bytes nobody reads, and the places in them, that have been told of.
    told: RefCell<HashSet<(DocumentId, String)>>,
}

impl<'d> GuardrailRules<'d> {
    pub(super) fn new(inventory: &Inventory<'d>, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut policies = Vec::new();
        let mut targets = Targets::default();
        for document in inventory.documents {
            let Kind::GuardrailPolicy(policy) = &document.value else { continue };
            targets.add(document, &policy.spec.target_refs, policies.len(), inventory, diagnostics);
            policies.push(policy::draft(document, &policy.spec, inventory, diagnostics));
        }
        Self { policies, targets, compiled: RefCell::default(), told: RefCell::default() }
    }

    /// What a rule of a route enforces; `None`: no policy covers it.
    pub(super) fn of(
        &self,
        route: &Document,
        rule: Option<&str>,
        gateway: &DocumentId,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Arc<Guardrails>> {
        let covering = self.targets.covering(route, rule, gateway);
        if covering.is_empty() {
            return None;
        }
        if let Some(compiled) = self.compiled.borrow().get(&covering) {
            return Some(compiled.clone());
        }
        let compiled = Arc::new(self.combine(&covering, route, diagnostics));
        self.compiled.borrow_mut().insert(covering, compiled.clone());
        Some(compiled)
    }

    /// Says so if a policy covers a route whose bytes nobody reads.
    pub(super) fn check_tls_route(&self, route: &Document, gateway: &DocumentId, diagnostics: &mut Vec<Diagnostic>) {
        let covering = self.targets.covering(route, None, gateway);
        let drafts = covering.iter().filter_map(|policy| self.policies.get(*policy));
        let Some(draft) = drafts.into_iter().find(|draft| draft.unscreened() == Unscreened::Refuse) else { return };
        if self.told.borrow_mut().insert((route.id.clone(), String::new())) {
            diagnostics.push(
                Diagnostic::error("unscreened-route", "a TLSRoute cannot be screened: nobody reads its bytes")
                    .at(route.name_span(), "covered by a GuardrailPolicy")
                    .note(draft.document.name_span(), "by this one")
                    .help(
                        "end TLS at the listener (`mode: Terminate`) and use an HTTPRoute, let the policy target other routes \
                         only, or write `unscreened: Pass` in it",
                    ),
            );
        }
    }

    /// Says so if a rule under guardrails leads, by the reference at this place, to a Service that speaks WebSocket: its
    /// upgrades are refused, since nobody reads what they carry.
    pub(super) fn check_websocket(
        &self,
        route: &Document,
        place: &str,
        service: &Document,
        guardrails: Option<&Arc<Guardrails>>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let Some(guardrails) = guardrails.filter(|guardrails| guardrails.unscreened == Unscreened::Refuse) else {
            return;
        };
        if self.told.borrow_mut().insert((route.id.clone(), place.to_owned())) {
            let refusing = self.policies.iter().find(|draft| {
                draft.unscreened() == Unscreened::Refuse && guardrails.policies.contains(&draft.document.id)
            });
            let mut told = Diagnostic::warning(
                "unscreened-websocket",
                format!("WebSockets to {} are refused with 415: nobody reads what they carry", service.id),
            )
            .at(route.span(&format!("{place}.name")), "its port says that it speaks WebSocket")
            .help("write `unscreened: Pass` in every GuardrailPolicy that covers this rule, or let them target others");
            if let Some(draft) = refusing {
                told = told.note(draft.document.name_span(), "this GuardrailPolicy takes only what can be screened");
            }
            diagnostics.push(told);
        }
    }

    fn combine(&self, covering: &[usize], route: &Document, diagnostics: &mut Vec<Diagnostic>) -> Guardrails {
        let drafts: Vec<&PolicyDraft<'_>> = covering.iter().filter_map(|place| self.policies.get(*place)).collect();
        let mut direction = |way: Way| {
            let stages: Vec<&StageDraft> = drafts.iter().flat_map(|draft| draft.stages(way)).collect();
            Arc::new(direction(&stages).unwrap_or_else(|reason| {
                let message = format!("rules of {} cannot be used together: {reason}", way.as_str());
                diagnostics.push(
                    Diagnostic::error("unusable-rule", message)
                        .at(route.name_span(), "covered by several GuardrailPolicies")
                        .help("each policy can be used; let fewer of them cover this route"),
                );
                Direction::nothing()
            }))
        };
        let (input, output) = (direction(Way::Input), direction(Way::Output));
        Guardrails {
            policies: drafts.iter().map(|draft| draft.document.id.clone()).collect(),
            input,
            output,
            unknown_fields: drafts
                .iter()
                .map(|draft| draft.unknown_fields())
                .max_by_key(|word| strictness(*word))
                .unwrap_or_default(),
            unscreened: if drafts.iter().any(|draft| draft.unscreened() == Unscreened::Refuse) {
                Unscreened::Refuse
            } else {
                Unscreened::Pass
            },
            tell_verdict: drafts.iter().map(|draft| draft.tell).max_by_key(|tell| told(*tell)).unwrap_or_default(),
        }
    }
}

fn strictness(word: UnknownFields) -> u8 {
    match word {
        UnknownFields::Pass => 0,
        UnknownFields::Scan => 1,
        UnknownFields::Drop => 2,
    }
}

fn told(tell: Tell) -> u8 {
    match tell {
        Tell::Nothing => 0,
        Tell::Verdict => 1,
        Tell::Signed => 2,
    }
}

/// Stages in their order, over one engine.
fn direction(drafts: &[&StageDraft]) -> Result<Direction, String> {
    let stages = drafts.iter().map(|draft| draft.stage.clone()).collect();
    let rules: Vec<_> = drafts.iter().flat_map(|draft| &draft.rules).collect();
    let origins = drafts.iter().enumerate().flat_map(|(stage, draft)| {
        draft.rules.iter().map(move |rule| Origin { stage, rule: rule.name.clone(), kind: rule.kind.clone() })
    });
    let engine = engine(&rules).map_err(|error| error.to_string())?;
    Ok(Direction::over(stages, origins.collect(), engine))
}

#[cfg(test)]
mod tests;
