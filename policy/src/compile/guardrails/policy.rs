//! One GuardrailPolicy, on its own: its stages, what is wrong with them, and what they cost.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use super::{
    checks, engines,
    rules::{self, RuleDraft},
    service,
};
use crate::{
    compile::{inventory::Inventory, status::arc},
    diagnostics::Diagnostic,
    documents::{
        Document,
        kinds::{
            gateway_api::ObjectReference,
            ours::{
                self, GuardrailAction, GuardrailMode, GuardrailPolicySpec, GuardrailRule, PromptInjection, SpeakerWord,
                TellWord,
            },
        },
    },
    guard::{
        engine::{Action, Unusable},
        injection::embedding::{EmbeddingModel, NotLoaded},
        screen::{
            Detector, OnError, Reaction, SecondOpinion, Speaker, Speakers, Stage, Tell, Thresholds, UnknownFields,
            Unscreened,
        },
    },
};

/// How long an embedding model may take for a document where nobody says otherwise.
const EMBEDDING_TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);

/// One policy, with its rules ready to be put together with those of others.
pub(super) struct PolicyDraft<'d> {
    pub(super) document: &'d Document,
    input: Vec<StageDraft>,
    output: Vec<StageDraft>,
    pub(super) tell: Tell,
    is_shadow: bool,
    unknown_fields: UnknownFields,
    unscreened: Unscreened,
}

/// One stage, and its rules for the engine of its direction.
pub(super) struct StageDraft {
    pub(super) stage: Stage,
    pub(super) rules: Vec<RuleDraft>,
}

impl PolicyDraft<'_> {
    pub(super) fn stages(&self, way: Way) -> &[StageDraft] {
        match way {
            Way::Input => &self.input,
            Way::Output => &self.output,
        }
    }

    /// A policy that only watches takes nothing out.
    pub(super) fn unknown_fields(&self) -> UnknownFields {
        if self.is_shadow && self.unknown_fields == UnknownFields::Drop {
            UnknownFields::Scan
        } else {
            self.unknown_fields
        }
    }

    /// A policy that only watches refuses nothing.
    pub(super) fn unscreened(&self) -> Unscreened {
        if self.is_shadow { Unscreened::Pass } else { self.unscreened }
    }
}

/// What the fields of one document have in common.
pub(super) struct Draft<'a, 'd> {
    pub(super) document: &'d Document,
    pub(super) inventory: &'a Inventory<'d>,
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
}

impl<'d> Draft<'_, 'd> {
    pub(super) fn fail(&mut self, code: &'static str, path: &str, message: impl Into<String>, label: &str, help: &str) {
        let diagnostic = Diagnostic::error(code, message).at(self.document.span(path), label);
        self.diagnostics.push(if help.is_empty() { diagnostic } else { diagnostic.help(help) });
    }

    /// What a reference within the namespace leads to. One that leads nowhere is an error that no route serves: a guard
    /// would be missing.
    pub(super) fn local(&mut self, reference: &ObjectReference, kind: &str, path: &str) -> Option<&'d Document> {
        let written = reference.kind.as_deref().unwrap_or(kind);
        if !reference.group.as_deref().unwrap_or_default().is_empty() || written != kind {
            self.fail("invalid-kind", path, format!("`{written}` is not a {kind}"), "of another kind", "");
            return None;
        }
        let namespace = &self.document.id.namespace;
        if reference.namespace.as_ref().is_some_and(|elsewhere| **elsewhere != **namespace) {
            let message = format!("a GuardrailPolicy refers to a {kind} of its own namespace only");
            self.fail("not-permitted", path, message, "in another namespace", "");
            return None;
        }
        let found = self.inventory.find(kind, namespace, &reference.name);
        if found.is_none() {
            let message = format!("there is no {kind} `{}` in namespace `{namespace}`", reference.name);
            self.diagnostics.push(
                Diagnostic::error("not-found", message).at(self.document.span(path), "leads nowhere").for_want_of(
                    kind,
                    namespace,
                    Some(&reference.name),
                ),
            );
        }
        found
    }
}

pub(super) fn draft<'d>(
    document: &'d Document,
    spec: &GuardrailPolicySpec,
    inventory: &Inventory<'d>,
    diagnostics: &mut Vec<Diagnostic>,
) -> PolicyDraft<'d> {
    let mut draft = Draft { document, inventory, diagnostics };
    if spec.input.is_empty() && spec.output.is_empty() {
        let help = "write rules under `input` for what goes in, under `output` for what comes out";
        draft.fail("missing-field", "spec", "neither `input` nor `output` has a rule", "guards nothing", help);
    }
    PolicyDraft {
        document,
        input: stages(Way::Input, spec, &mut draft),
        output: stages(Way::Output, spec, &mut draft),
        tell: match spec.verdict.as_ref().map(|verdict| verdict.tell) {
            None | Some(TellWord::Nothing) => Tell::Nothing,
            Some(TellWord::Verdict) => Tell::Verdict,
            Some(TellWord::Signed) => Tell::Signed,
        },
        is_shadow: spec.mode == Some(GuardrailMode::Shadow),
        unknown_fields: match spec.unknown_fields {
            None | Some(ours::UnknownFields::Scan) => UnknownFields::Scan,
            Some(ours::UnknownFields::Drop) => UnknownFields::Drop,
            Some(ours::UnknownFields::Pass) => UnknownFields::Pass,
        },
        unscreened: match spec.unscreened {
            None | Some(ours::Unscreened::Refuse) => Unscreened::Refuse,
            Some(ours::Unscreened::Pass) => Unscreened::Pass,
        },
    }
}

/// Which way texts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Input,
    Output,
}

impl Way {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

fn stages(way: Way, spec: &GuardrailPolicySpec, draft: &mut Draft<'_, '_>) -> Vec<StageDraft> {
    let rules = match way {
        Way::Input => &spec.input,
        Way::Output => &spec.output,
    };
    let mut names = BTreeSet::new();
    let mut stages = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("spec.{}[{index}]", way.as_str());
        checks::name(&rule.name, &format!("{path}.name"), draft);
        if !names.insert(rule.name.as_str()) {
            let message = format!("there are two rules `{}`", rule.name);
            draft.fail(
                "duplicate-rule",
                &format!("{path}.name"),
                message,
                "again here",
                "audit entries could not tell them apart",
            );
        }
        checks::patterns(rule, &path, draft);
        checks::action(way, rule, &path, draft);
        stages.extend(stage(way, spec, rule, &path, draft));
    }
    told_cost(way, &mut stages, draft);
    stages
}

fn stage(
    way: Way,
    spec: &GuardrailPolicySpec,
    rule: &GuardrailRule,
    path: &str,
    draft: &mut Draft<'_, '_>,
) -> Option<StageDraft> {
    let is_shadow = rule.mode.or(spec.mode) == Some(GuardrailMode::Shadow);
    let action = engine_action(rule, is_shadow);
    let told = draft.diagnostics.len();
    let rules = rules::drafts(way, rule, path, &action, draft);
    let detector = match rule {
        GuardrailRule { prompt_injection: Some(injection), .. } => {
            let second = match &injection.embedding {
                None => None,
                Some(embedding) => {
                    Some(second_opinion(embedding, &format!("{path}.promptInjection.embedding"), draft)?)
                }
            };
            Detector::Injection(thresholds(injection), second)
        }
        GuardrailRule { service: Some(service), .. } => {
            Detector::Service(Arc::new(service::compile(service, &format!("{path}.service"), draft)?))
        }
        _ if rules.is_empty() => {
            if draft.diagnostics.len() == told {
                draft.fail(
                    "missing-field",
                    path,
                    format!("rule `{}` looks for nothing", rule.name),
                    "guards nothing",
                    "",
                );
            }
            return None;
        }
        _ => Detector::Patterns,
    };
    let on_error = match rule.on_error.or(spec.on_error) {
        // What only watches is in nobody's way.
        _ if is_shadow => OnError::Pass,
        None | Some(ours::OnError::Block) => OnError::Block,
        Some(ours::OnError::Pass) => OnError::Pass,
    };
    let stage = Stage {
        policy: draft.document.id.clone(),
        name: arc(&rule.name),
        detector,
        reaction: reaction(rule.action),
        speakers: speakers(&rule.from),
        is_shadow,
        on_error,
    };
    Some(StageDraft { stage, rules })
}

fn engine_action(rule: &GuardrailRule, is_shadow: bool) -> Action {
    match rule.action {
        _ if is_shadow => Action::Flag,
        GuardrailAction::Block => Action::Block,
        GuardrailAction::Mask | GuardrailAction::Tokenize => {
            Action::Mask(rule.with.as_deref().map_or_else(|| format!("[{}]", rule.name).into(), arc))
        }
        GuardrailAction::Flag | GuardrailAction::StripTools => Action::Flag,
    }
}

fn reaction(action: GuardrailAction) -> Reaction {
    match action {
        GuardrailAction::Block => Reaction::Block,
        GuardrailAction::Mask => Reaction::Mask,
        GuardrailAction::Tokenize => Reaction::Tokenize,
        GuardrailAction::Flag => Reaction::Flag,
        GuardrailAction::StripTools => Reaction::StripTools,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "from 0 to 1, and a score has no more digits")]
fn thresholds(injection: &PromptInjection) -> Thresholds {
    let or_all = |own: Option<f64>| own.unwrap_or(injection.threshold) as f32;
    Thresholds {
        user: injection.threshold as f32,
        tool: or_all(injection.tool),
        retrieved: or_all(injection.retrieved),
    }
}

/// The model of a folder. A document whose model cannot be asked is refused: a guard would be missing.
#[expect(clippy::cast_possible_truncation, reason = "from 0 to 1, and a score has no more digits")]
fn second_opinion(spec: &ours::InjectionEmbedding, path: &str, draft: &mut Draft<'_, '_>) -> Option<SecondOpinion> {
    let at = format!("{path}.model");
    let folder = Path::new(&spec.model);
    if !folder.is_absolute() {
        draft.fail(
            "invalid-value",
            &at,
            format!("`{}` is not a path from the root", spec.model),
            "relative to what?",
            "",
        );
        return None;
    }
    match EmbeddingModel::load(folder) {
        Ok(model) => {
            let threshold = spec.threshold.map_or_else(|| model.threshold(), |threshold| threshold as f32);
            let timeout = service::timeout(spec.timeout.as_deref(), EMBEDDING_TIMEOUT_DEFAULT, path, draft);
            Some(SecondOpinion { folder: folder.into(), model, threshold, timeout })
        }
        Err(error @ NotLoaded::NotBuilt) => {
            let help =
                "build it with `cargo build --release --bin portcullis --features embedding`, or leave `embedding` out";
            draft.fail("not-built", path, error.to_string(), "nobody could be asked", help);
            None
        }
        Err(error) => {
            let help = "`just real-embedding` shows where the files come from";
            draft.fail("unusable-model", &at, error.to_string(), "not a model that can be asked", help);
            None
        }
    }
}

/// Those that are named, and whoever is not: what nobody says could be anybody's.
fn speakers(from: &[SpeakerWord]) -> Speakers {
    if from.is_empty() {
        return Speakers::EVERYBODY;
    }
    let named = from.iter().map(|word| match word {
        SpeakerWord::System => Speaker::System,
        SpeakerWord::User => Speaker::User,
        SpeakerWord::Tool => Speaker::Tool,
        SpeakerWord::Retrieved => Speaker::Retrieved,
        SpeakerWord::Assistant => Speaker::Assistant,
    });
    Speakers::of(named.chain([Speaker::Unknown]))
}

/// Says what rules cost. What cannot be used is told and left out: one error does not hide another.
fn told_cost(way: Way, stages: &mut [StageDraft], draft: &mut Draft<'_, '_>) {
    loop {
        let rules: Vec<&RuleDraft> = stages.iter().flat_map(|stage| &stage.rules).collect();
        if rules.is_empty() {
            return;
        }
        let error = match engines::cost(&rules) {
            Ok((cost, hold)) => {
                let message = format!(
                    "{} rule{} of {}: {} states, {} KiB; on ordinary text {:.2} bytes are held on average, {} at most",
                    rules.len(),
                    if rules.len() == 1 { "" } else { "s" },
                    way.as_str(),
                    cost.states,
                    cost.bytes.div_ceil(1024),
                    hold.mean,
                    hold.max
                );
                let at = draft.document.span(&format!("spec.{}", way.as_str()));
                draft.diagnostics.push(Diagnostic::remark("guardrail-cost", message).at(at, "compiled"));
                return;
            }
            Err(error) => error,
        };
        let fault = error.rule().filter(|rule| *rule < rules.len());
        let path =
            fault.and_then(|rule| rules.get(rule)).map_or(format!("spec.{}", way.as_str()), |rule| rule.path.clone());
        draft.diagnostics.push(unusable(draft.document, &path, &error));
        let Some(mut left) = fault else { return };
        for stage in &mut *stages {
            if left < stage.rules.len() {
                stage.rules.remove(left);
                break;
            }
            left -= stage.rules.len();
        }
    }
}

fn unusable(document: &Document, path: &str, error: &Unusable) -> Diagnostic {
    let help = match error {
        Unusable::RuleTooLarge { .. } | Unusable::TooLarge => {
            "counted repetitions that overlap with what stands before them blow up: write `+` for `{1,64}`, begin with \
             something fixed, and `(?-u:\\w)` where ASCII will do"
        }
        Unusable::MatchesNothing { .. } => "write `+` for `*` where something has to be there, and no empty word",
        _ => "the syntax is that of https://docs.rs/regex, of what is UTF-8",
    };
    Diagnostic::error("unusable-rule", format!("the rule cannot be used: {error}"))
        .at(document.span(path), "this rule")
        .help(help)
}
