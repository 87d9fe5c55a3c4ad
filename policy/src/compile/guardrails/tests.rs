//! What policies come to, together.
#![expect(clippy::unwrap_used, clippy::panic, clippy::float_cmp, reason = "tests")]

use std::sync::Arc;

use crate::{
    Snapshot,
    check::check_sources,
    documents::Sources,
    guard::{
        injection::Source,
        screen::{
            Detector, Flow, Guardrails, OnError, Reaction, Scratch, ServiceKind, Speaker, Tell, Text, UnknownFields,
            Unscreened,
        },
    },
    testing::{self, OPEN_GATEWAY},
};

const ROUTES: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: chat}
spec:
  parentRefs: [{name: edge}]
  rules:
  - {name: chat, matches: [{path: {value: /chat}}]}
  - {name: other, matches: [{path: {value: /other}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: open}
spec:
  parentRefs: [{name: edge}]
  rules: [{name: open, matches: [{path: {value: /open}}]}]
";

fn policy(name: &str, target: &str, rest: &str) -> String {
    let group = "group: gateway.networking.k8s.io";
    format!(
        "---\napiVersion: portcullis.dev/v1alpha1\nkind: GuardrailPolicy\nmetadata: {{name: {name}}}\nspec:\n  \
         targetRefs: [{{{group}, {target}}}]\n{rest}"
    )
}

fn snapshot(policies: &[String]) -> Snapshot {
    testing::snapshot(&format!("{OPEN_GATEWAY}{ROUTES}{}", policies.concat()))
}

/// The guardrails of the rule of this name.
fn of(snapshot: &Snapshot, rule: &str) -> Option<Arc<Guardrails>> {
    let rules = snapshot.listeners.iter().flat_map(|listener| listener.routes.rules());
    let found = rules.into_iter().find(|found| found.name.as_deref() == Some(rule)).unwrap();
    found.guardrails.clone()
}

fn names(guardrails: &Guardrails) -> Vec<String> {
    guardrails.input.stages.iter().map(|stage| format!("{}/{}", stage.policy.name, stage.name)).collect()
}

fn said(guardrails: &Guardrails, speaker: Speaker, text: &str) -> (String, Flow) {
    let direction = &guardrails.input;
    let (mut screened, mut scratch, mut said) = (Text::new(direction, speaker), Scratch::default(), Vec::new());
    let mut flow = screened.push(direction, text.as_bytes(), &mut scratch, &mut said);
    if matches!(flow, Flow::Untouched | Flow::Changed) {
        flow = screened.finish(direction, &mut scratch, &mut said);
    }
    (String::from_utf8(said).unwrap(), flow)
}

const GATEWAY: &str = "kind: Gateway, name: edge";
const ROUTE: &str = "kind: HTTPRoute, name: chat";

#[test]
fn a_route_that_no_policy_covers_has_no_guardrails() {
    let snapshot = snapshot(&[policy("own", ROUTE, "  input: [{name: birds, words: [osprey], action: Block}]\n")]);
    assert!(of(&snapshot, "open").is_none());
    assert_eq!(names(&of(&snapshot, "chat").unwrap()), ["own/birds"]);
}

#[test]
fn the_gateways_stages_come_first_and_none_takes_another_away() {
    // The route's document stands before the Gateway's, and its stage has the same name.
    let own = policy("own", ROUTE, "  input: [{name: birds, words: [osprey], action: Flag}]\n");
    let all = policy("all", GATEWAY, "  input: [{name: birds, words: [osprey], action: Block}]\n");
    let snapshot = snapshot(&[own, all]);
    let both = of(&snapshot, "chat").unwrap();
    assert_eq!(names(&both), ["all/birds", "own/birds"]);
    assert_eq!(both.policies.iter().map(|policy| &*policy.name).collect::<Vec<_>>(), ["all", "own"]);
    assert!(matches!(said(&both, Speaker::User, "an osprey").1, Flow::Blocked(0)));
    assert_eq!(names(&of(&snapshot, "open").unwrap()), ["all/birds"]);
}

#[test]
fn a_section_covers_one_rule_of_a_route() {
    let target = format!("{ROUTE}, sectionName: other");
    let snapshot = snapshot(&[policy("own", &target, "  input: [{name: birds, words: [osprey], action: Block}]\n")]);
    assert!(of(&snapshot, "chat").is_none());
    assert!(of(&snapshot, "other").is_some());
}

#[test]
fn of_what_policies_say_differently_the_stricter_counts() {
    let rule = "  input: [{name: birds, words: [osprey], action: Block}]\n";
    let settings = |all: &str, own: &str| {
        let policies = [policy("all", GATEWAY, &format!("{rule}{all}")), policy("own", ROUTE, &format!("{rule}{own}"))];
        let both = of(&snapshot(&policies), "chat").unwrap();
        (both.unknown_fields, both.unscreened, both.tell_verdict)
    };
    let lax = "  unknownFields: Pass\n  unscreened: Pass\n";
    let strict = "  unknownFields: Drop\n  unscreened: Refuse\n  verdict: {tell: Signed}\n";
    let expected = (UnknownFields::Drop, Unscreened::Refuse, Tell::Signed);
    assert_eq!(settings(lax, strict), expected);
    assert_eq!(settings(strict, lax), expected);
    // What is not said counts as what it means.
    assert_eq!(settings(lax, ""), (UnknownFields::Scan, Unscreened::Refuse, Tell::Nothing));
    assert_eq!(settings(lax, lax), (UnknownFields::Pass, Unscreened::Pass, Tell::Nothing));
    // A policy that only watches is in nobody's way.
    let watching = "  mode: Shadow\n  unknownFields: Drop\n";
    assert_eq!(settings(watching, lax), (UnknownFields::Scan, Unscreened::Pass, Tell::Nothing));
}

#[test]
fn a_shadow_changes_nothing_and_remembers_what_it_would_have_done() {
    let rules = "  mode: Shadow\n  input:\n  - {name: birds, words: [osprey], action: Block}\n  \
                 - {name: numbers, patterns: [{name: number, regex: '[0-9]{6}'}], action: Mask, mode: Enforce}\n";
    let guardrails = of(&snapshot(&[policy("own", ROUTE, rules)]), "chat").unwrap();
    let [birds, numbers] = guardrails.input.stages.as_slice() else { panic!("{:?}", guardrails.input.stages) };
    assert_eq!((birds.is_shadow, birds.reaction, birds.on_error), (true, Reaction::Block, OnError::Pass));
    assert_eq!((numbers.is_shadow, numbers.reaction, numbers.on_error), (false, Reaction::Mask, OnError::Block));
    let (text, flow) = said(&guardrails, Speaker::User, "osprey 123456");
    assert_eq!(text, "osprey [numbers]");
    assert!(matches!(flow, Flow::Untouched | Flow::Changed));
}

#[test]
fn a_stage_looks_at_those_it_names_and_at_whoever_nobody_names() {
    let rules = "  input: [{name: birds, words: [osprey], action: Mask, with: bird, from: [tool, retrieved]}]\n";
    let guardrails = of(&snapshot(&[policy("own", ROUTE, rules)]), "chat").unwrap();
    for (speaker, expected) in [
        (Speaker::Tool, "bird"),
        (Speaker::Retrieved, "bird"),
        (Speaker::Unknown, "bird"),
        (Speaker::User, "osprey"),
        (Speaker::System, "osprey"),
    ] {
        assert_eq!(said(&guardrails, speaker, "osprey").0, expected, "{speaker:?}");
    }
}

#[test]
fn thresholds_are_those_of_the_document() {
    let rules = "  input: [{name: injection, promptInjection: {threshold: 0.9, tool: 0.5}, action: StripTools}]\n";
    let guardrails = of(&snapshot(&[policy("own", ROUTE, rules)]), "chat").unwrap();
    let [stage] = guardrails.input.stages.as_slice() else { panic!("{:?}", guardrails.input.stages) };
    let Detector::Injection(thresholds, None) = &stage.detector else { panic!("{stage:?}") };
    assert_eq!(Source::ALL.map(|source| thresholds.of(source)), [0.9, 0.5, 0.9]);
}

#[cfg(not(feature = "embedding"))]
#[test]
fn an_embedding_that_this_build_cannot_make_is_refused_and_not_left_out() {
    let rules = "  input: [{name: injection, promptInjection: {threshold: 0.9, embedding: {model: /srv/minilm}}, \
                 action: Block}]\n";
    let documents = format!("{ROUTES}{}", policy("own", ROUTE, rules));
    let report = check_sources(&Sources::of_text("test.yaml", &documents));
    let told = report.diagnostics.iter().find(|told| told.code == "not-built").unwrap();
    assert!(told.help.as_ref().is_some_and(|help| help.contains("--features embedding")), "{told:?}");
}

#[test]
fn a_service_has_its_defaults_and_its_credential() {
    let rules = "  output:\n  - {name: judge, service: {kind: webhook, url: 'https://judge.example/', \
                 credentialRef: {name: judge}}, action: Block}\n";
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: judge}\nstringData: {credential: hush-hush}\n";
    let guardrails = of(&snapshot(&[policy("own", ROUTE, rules), secret.to_owned()]), "chat").unwrap();
    let [stage] = guardrails.output.stages.as_slice() else { panic!("{:?}", guardrails.output.stages) };
    let Detector::Service(service) = &stage.detector else { panic!("{stage:?}") };
    assert_eq!((service.kind, &*service.url), (ServiceKind::Webhook, "https://judge.example"));
    assert_eq!((service.timeout.as_secs(), service.window_bytes), (1, 1024));
    assert_eq!(service.credential.as_ref().map(|secret| &*secret.0), Some(b"hush-hush".as_slice()));
    assert!(!format!("{guardrails:?}").contains("hush-hush"));
}

#[test]
fn a_canary_of_a_secret_is_found_however_it_is_told() {
    let rules = "  input: [{name: leak, canaries: [{secretRef: {name: canaries}}], action: Block}]\n";
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: canaries}\nstringData: {one: Heron-4b1e.2207}\n";
    let guardrails = of(&snapshot(&[policy("own", ROUTE, rules), secret.to_owned()]), "chat").unwrap();
    for told in ["Heron-4b1e.2207", "7022.e1b4-noreH", "H e r o n - 4 b 1 e . 2 2 0 7"] {
        assert!(matches!(said(&guardrails, Speaker::User, told).1, Flow::Blocked(_)), "{told}");
    }
    assert!(!matches!(said(&guardrails, Speaker::User, "Heron").1, Flow::Blocked(_)));
}

#[test]
fn the_same_rules_share_one_engine_whatever_revision_asks() {
    let rule = "  input: [{name: birds, words: [osprey, kestrel], action: Mask}]\n";
    let first = snapshot(&[policy("own", ROUTE, rule)]);
    let second = snapshot(&[
        policy("all", GATEWAY, rule),
        policy("later", ROUTE, "  output: [{name: birds, words: [heron], action: Mask}]\n"),
    ]);
    let engine = |snapshot: &Snapshot, rule| of(snapshot, rule).unwrap().input.engine().unwrap().clone();
    assert!(Arc::ptr_eq(&engine(&first, "chat"), &engine(&first, "other")));
    assert!(Arc::ptr_eq(&engine(&first, "chat"), &engine(&second, "open")));
    let third = snapshot(&[policy(
        "own",
        ROUTE,
        "  input: [{name: birds, words: [osprey, kestrel], action: Mask, with: bird}]\n",
    )]);
    assert!(
        !Arc::ptr_eq(&engine(&first, "chat"), &engine(&third, "chat")),
        "what stands in the place is part of the rule"
    );
}
