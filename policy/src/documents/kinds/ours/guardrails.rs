//! `GuardrailPolicy`: what may be said, both ways.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::gateway_api::{ObjectReference, PolicyTargetReference},
    object,
};
use crate::guard::rules;

object! {
/// What may be said, both ways. All policies that cover a route hold: those of its Gateway first, then its own; none takes
/// another away, and of what they say differently the stricter counts.
pub struct GuardrailPolicySpec {
    /// Gateways, HTTPRoutes and GRPCRoutes of the same namespace; `sectionName` names one rule of a route.
    #[schemars(length(min = 1))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// Rules for what goes in.
    #[serde(default)]
    pub input: Vec<GuardrailRule>,
    /// Rules for what comes out; they hold for streams exactly as for whole answers.
    #[serde(default)]
    pub output: Vec<GuardrailRule>,
    /// When a guard cannot answer; `Block` when not said.
    pub on_error: Option<OnError>,
    /// Text in fields that no protocol's table knows; `Scan` when not said.
    pub unknown_fields: Option<UnknownFields>,
    /// What cannot be screened: pictures, sound, encodings and protocols that are not known; `Refuse` when not said.
    pub unscreened: Option<Unscreened>,
    /// Whether the policy acts, or only watches; `Enforce` when not said.
    pub mode: Option<GuardrailMode>,
    /// What clients are told of the verdict; nothing when not said.
    pub verdict: Option<VerdictSpec>,
}}

object! {
/// One rule: a name, exactly one detector, an action.
#[schemars(extend("oneOf" = [
    {"required": ["promptInjection"]}, {"required": ["pii"]}, {"required": ["secrets"]}, {"required": ["exfiltration"]},
    {"required": ["canaries"]}, {"required": ["patterns"]}, {"required": ["words"]}, {"required": ["nemo"]},
    {"required": ["service"]}
]))]
pub struct GuardrailRule {
    /// Its name: in masks, metrics, audit entries and verdicts.
    pub name: String,
    /// A score for injected instructions.
    pub prompt_injection: Option<PromptInjection>,
    /// Personal data.
    pub pii: Option<Pii>,
    /// Credentials.
    pub secrets: Option<Secrets>,
    /// What an answer could carry out of the house, or hide in it.
    pub exfiltration: Option<Exfiltration>,
    /// Words that stand in a prompt only so that they can be found where they should never be. They are found spelt out,
    /// backwards and encoded, too.
    #[serde(default)]
    pub canaries: Vec<Canary>,
    /// Expressions.
    #[serde(default)]
    pub patterns: Vec<Pattern>,
    /// Words.
    #[serde(default)]
    pub words: Vec<String>,
    /// Rails of a NeMo Guardrails configuration, as rules.
    pub nemo: Option<NemoRails>,
    /// A guard elsewhere.
    pub service: Option<GuardService>,
    /// What to do.
    pub action: GuardrailAction,
    /// Whose texts it looks at; everybody's when not said.
    #[serde(default)]
    pub from: Vec<SpeakerWord>,
    /// What stands in the place of what `Mask` takes out; the rule's name in brackets when not said.
    pub with: Option<String>,
    /// When it cannot answer; what the policy says when not said.
    pub on_error: Option<OnError>,
    /// Whether it acts, or only watches; what the policy says when not said.
    pub mode: Option<GuardrailMode>,
}}

object! {
/// A score for injected instructions. A text whose score reaches the threshold counts as one.
pub struct PromptInjection {
    /// From 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: f64,
    /// For what tools answer; `threshold` when not said.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub tool: Option<f64>,
    /// For what was looked up; `threshold` when not said.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub retrieved: Option<f64>,
    /// A second opinion on texts whose score is in doubt, of a build with the feature `embedding`; none when not said.
    pub embedding: Option<InjectionEmbedding>,
}}

object! {
/// A second opinion, of the meaning of a text's sentences. It takes milliseconds.
pub struct InjectionEmbedding {
    /// The folder with `model.safetensors` and `vocab.txt` of all-MiniLM-L6-v2, from the root.
    #[schemars(extend("pattern" = "^/"))]
    pub model: String,
    /// From 0 to 1; what it was trained with when not said.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: Option<f64>,
    /// How long all texts of a document together may take; 2 s when not said, 60 s at most.
    #[schemars(extend("format" = "duration"))]
    pub timeout: Option<String>,
}}

object! {
/// Personal data.
pub struct Pii {
    /// Which kinds, as the page of guardrail rules lists them; `all` for all of them. `email` holds about a word of a stream
    /// back; `email-domain` holds nothing of it, and lets what stands before the `@` show.
    #[schemars(length(min = 1), extend("items" = {"type": "string", "enum": pii_kinds()}))]
    pub kinds: Vec<String>,
}}

object! {
/// Credentials, of every provider that the page of guardrail rules lists unless it is said here.
pub struct Secrets {
    /// Rules that do not count, as the page of guardrail rules lists them.
    #[serde(default)]
    pub except: Vec<String>,
}}

object! {
/// What an answer could carry out of the house, or hide in it.
pub struct Exfiltration {
    /// Hosts that links and pictures may lead to; `*.` before one admits every host below it.
    #[serde(default)]
    #[schemars(extend("items" = {"type": "string", "format": "hostname-pattern"}))]
    pub allowed_hosts: Vec<String>,
    /// Which kinds; all of them when not said.
    #[serde(default)]
    #[schemars(extend("items" = {"type": "string", "enum": exfiltration_kinds()}))]
    pub kinds: Vec<String>,
}}

object! {
/// Exactly one.
#[schemars(extend("oneOf" = [{"required": ["word"]}, {"required": ["secretRef"]}]))]
pub struct Canary {
    /// The word itself.
    pub word: Option<String>,
    /// A Secret of the same namespace: each of its values is one.
    pub secret_ref: Option<ObjectReference>,
}}

object! {
/// A named expression.
pub struct Pattern {
    /// Its name.
    pub name: String,
    /// The expression.
    #[schemars(extend("format" = "regex"))]
    pub regex: String,
}}

object! {
/// Rails of a NeMo Guardrails configuration, as rules: those that look the way that this rule stands for, each of which has
/// to be exactly a rule.
pub struct NemoRails {
    /// A ConfigMap of the same namespace with `config.yml`.
    pub config_map_ref: ObjectReference,
}}

object! {
/// A guard elsewhere.
pub struct GuardService {
    /// What it speaks.
    pub kind: GuardServiceKind,
    /// Where it is: `https`, or `http` on this machine.
    #[schemars(extend("format" = "url"))]
    pub url: String,
    /// Its configuration's name; of a guard model the form of its verdict, `llama-guard` (when not said) or `nemoguard`.
    pub config: Option<String>,
    /// Its model's name.
    pub model: Option<String>,
    /// How long it may take; 1 s when not said, 60 s at most.
    #[schemars(extend("format" = "duration"))]
    pub timeout: Option<String>,
    /// Streams are shown to it so many bytes at a time, and so many are held for it; 1024 when not said.
    #[schemars(range(min = 64, max = 65536))]
    pub window_bytes: Option<u32>,
    /// ConfigMaps or Secrets with `ca.crt`: whose certificates are trusted; the system's authorities when not said.
    #[serde(default)]
    pub ca_certificate_refs: Vec<ObjectReference>,
    /// A Secret whose one value it is told as `Authorization: Bearer`.
    pub credential_ref: Option<ObjectReference>,
}}

/// What a guard speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum GuardServiceKind {
    NemoGuardrails,
    #[serde(rename = "openai")]
    OpenAi,
    Webhook,
}

/// What a guardrail does with what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum GuardrailAction {
    /// Nothing of it goes on.
    Block,
    /// Something else stands in its place.
    Mask,
    /// A placeholder stands in its place, and the answer has the value again.
    Tokenize,
    /// It is told: counted, logged, in the verdict.
    Flag,
    /// The model gets no tools.
    StripTools,
}

/// Who says a text. Texts of which nobody says whose they are always count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpeakerWord {
    /// The operator: system and developer texts.
    System,
    /// The person, or whoever asks.
    User,
    /// A tool's result.
    Tool,
    /// A document that was looked up.
    Retrieved,
    /// The model.
    Assistant,
}

/// What happens when a guard cannot answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum OnError {
    /// It has not passed.
    Block,
    /// It passes.
    Pass,
}

/// What happens with text in fields that no protocol's table knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum UnknownFields {
    /// It is screened as any other.
    Scan,
    /// It is taken out.
    Drop,
    /// It passes unseen.
    Pass,
}

/// What happens with what cannot be screened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Unscreened {
    /// It is refused.
    Refuse,
    /// It passes unseen.
    Pass,
}

/// Whether guardrails act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum GuardrailMode {
    /// They do.
    Enforce,
    /// What they would have done is counted and logged, and nothing changes.
    Shadow,
}

object! {
/// What clients are told of the verdict.
pub struct VerdictSpec {
    /// How much.
    pub tell: TellWord,
}}

/// What clients are told of the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TellWord {
    /// Nothing.
    Nothing,
    /// The policies' revision and which rules found how much: in a header, at the end of an event stream in a comment.
    Verdict,
    /// The same, signed with the gateway's key.
    Signed,
}

/// The word for all kinds of personal data.
pub const ALL_KINDS: &str = "all";

fn pii_kinds() -> Value {
    json!([&[ALL_KINDS], &rules::pii::KINDS[..]].concat())
}

fn exfiltration_kinds() -> Value {
    rules::exfiltration::RULES.iter().map(|rule| rule.kind).collect()
}
