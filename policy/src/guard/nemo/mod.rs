//! Rails of a NeMo Guardrails configuration as rules of our own: read from its YAML, for whoever has such a file and needs
//! no server for what it says.
//!
//! A rail is taken where a rule of ours finds the same, and refused with the reason where none does: a rail that asks a
//! model, one that weighs the whole text, an entity that has no format. All that is refused is told at once, and then nothing
//! is taken: half of somebody's rails is not what they wrote. Expressions are Python's there; [`expression`] says which of
//! them mean the same here, and writes those anew that do not quite.
//!
//! What the file says of models, their prompts and of its server is not about rails, and is left alone.

mod entities;
mod expression;
#[cfg(test)]
mod tests;
mod yara;

use std::sync::Arc;

use super::screen::Reaction;
use crate::{
    diagnostics::Source,
    documents::tree::{self, Node, Value},
};

/// A configuration file.
pub const CONFIG_BYTES_MAX: usize = 1024 * 1024;

/// Which way a rail looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// At prompts.
    Input,
    /// At answers.
    Output,
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// A rail as a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeRule {
    /// Which way it looks.
    pub way: Way,
    /// What it looks for.
    pub finds: Finds,
    /// What is done about it: `Block` or `Mask`.
    pub reaction: Reaction,
    /// Where the file says so: `rails.config.regex_detection.input.patterns[0]`.
    pub path: String,
    /// And in which line.
    pub line: usize,
}

/// What a rule of a rail looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finds {
    /// An expression, as we write them.
    Pattern(String),
    /// A kind of personal data, as documents write it; and what stands in its place where it is masked.
    Pii {
        /// One of [`pii::KINDS`](super::rules::pii::KINDS).
        kind: &'static str,
        /// `<EMAIL_ADDRESS>`.
        with: String,
    },
}

/// A part of the file that no rule of ours is exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Where it is: `rails.input.flows[2]`.
    pub path: String,
    /// Why.
    pub reason: String,
    /// In which line, from 1.
    pub line: usize,
}

/// What a configuration says besides its rails.
const BESIDE_RAILS: [&str; 9] = [
    "colang_version",
    "docs",
    "instructions",
    "knowledge_base",
    "models",
    "prompts",
    "sample_conversation",
    "streaming",
    "tracing",
];

/// Reads the rails of a configuration (`config.yml`), or says everything that cannot be taken.
pub fn read(yaml: &str) -> Result<Vec<NativeRule>, Vec<Refused>> {
    if yaml.len() > CONFIG_BYTES_MAX {
        return Err(vec![Refused {
            path: String::new(),
            reason: format!("a configuration of more than {CONFIG_BYTES_MAX} bytes is not read"),
            line: 1,
        }]);
    }
    let source = Arc::new(Source::new("config.yml", yaml));
    let mut reader = Reader { yaml, rules: Vec::new(), refused: Vec::new() };
    let (documents, diagnostics) = tree::parse(&source);
    for diagnostic in diagnostics {
        let at = diagnostic.span.map_or(0, |span| span.range.start);
        reader.refuse("", at, diagnostic.message);
    }
    match documents.as_slice() {
        [root] => reader.root(root),
        [] => reader.refuse("", 0, "the configuration is empty"),
        [_, second, ..] => reader.refuse("", second.at.start, "a configuration is one document"),
    }
    if reader.refused.is_empty() && reader.rules.is_empty() {
        reader.refuse("rails", 0, "no rail is switched on: `rails.input.flows` and `rails.output.flows` are empty");
    }
    if reader.refused.is_empty() { Ok(reader.rules) } else { Err(reader.refused) }
}

struct Reader<'a> {
    yaml: &'a str,
    rules: Vec<NativeRule>,
    refused: Vec<Refused>,
}

impl Reader<'_> {
    fn root(&mut self, root: &Node) {
        for (name, value) in self.members("", root) {
            match name {
                "rails" => self.rails(value, root),
                name if BESIDE_RAILS.contains(&name) => {}
                name => self.refuse(name, value.at.start, "no rule of ours does what this field says"),
            }
        }
    }

    fn rails(&mut self, rails: &Node, root: &Node) {
        for (name, value) in self.members("rails", rails) {
            match name {
                "input" => self.flows(Way::Input, value, root),
                "output" => self.flows(Way::Output, value, root),
                // Read where a flow asks for it.
                "config" => {}
                "retrieval" => self.refuse(
                    "rails.retrieval",
                    value.at.start,
                    "what is looked up goes through here as a part of prompts, so nothing of it alone can be dropped",
                ),
                "dialog" | "actions" | "tool_input" | "tool_output" => {
                    let reason = "it steers a dialogue or tools, which only the NeMo server itself can do";
                    self.refuse(&format!("rails.{name}"), value.at.start, reason);
                }
                name => self.refuse(&format!("rails.{name}"), value.at.start, "there is no such kind of rail here"),
            }
        }
    }

    fn flows(&mut self, way: Way, node: &Node, root: &Node) {
        let path = format!("rails.{}", way.as_str());
        for (name, value) in self.members(&path, node) {
            match (name, &value.value) {
                ("flows", Value::Sequence(flows)) => {
                    for (index, flow) in flows.iter().enumerate() {
                        self.flow(way, &format!("{path}.flows[{index}]"), flow, root);
                    }
                }
                ("flows", _) if value.is_null() => {}
                // Rules have no order, and streams are screened exactly: both hold as they are.
                ("parallel" | "speculative_generation", _) => {}
                ("streaming", _) if way == Way::Output => {}
                (name, _) => {
                    self.refuse(&format!("{path}.{name}"), value.at.start, "no rule of ours does what this says");
                }
            }
        }
    }

    fn flow(&mut self, way: Way, path: &str, flow: &Node, root: &Node) {
        let config = |name: &str| ["rails", "config", name].iter().try_fold(root, |node, name| node.get(name));
        let name = flow.text().unwrap_or_default();
        let direction = way.as_str();
        if name == format!("regex check {direction}") {
            self.expressions(way, path, flow, config("regex_detection"));
        } else if name == format!("detect sensitive data on {direction}") {
            self.entities(way, Reaction::Block, path, flow, config("sensitive_data_detection"));
        } else if name == format!("mask sensitive data on {direction}") {
            self.entities(way, Reaction::Mask, path, flow, config("sensitive_data_detection"));
        } else if name == "injection detection" && way == Way::Output {
            self.injections(path, flow, config("injection_detection"));
        } else {
            self.refuse(path, flow.at.start, why_not(name));
        }
    }

    /// `injection_detection`: YARA rules that are written in the configuration, as far as they are words.
    fn injections(&mut self, flow: &str, at: &Node, config: Option<&Node>) {
        let path = "rails.config.injection_detection";
        let Some(options) = config else {
            self.refuse(flow, at.at.start, format!("the rail has nothing to look for: `{path}` is missing"));
            return;
        };
        let written = options.get("yara_rules");
        for (name, value) in self.members(path, options) {
            let here = format!("{path}.{name}");
            match (name, &value.value) {
                ("injections", Value::Sequence(names)) if !names.is_empty() => {
                    for (index, name) in names.iter().enumerate() {
                        self.injection(&format!("{here}[{index}]"), name, written);
                    }
                }
                ("injections", _) => self.refuse(&here, value.at.start, "the rail has nothing to look for"),
                ("action", _) if value.text() == Some("reject") => {}
                ("action", _) => self.refuse(&here, value.at.start, "only `reject` is what a rule does that blocks"),
                ("yara_rules", _) => {}
                _ => {
                    self.refuse(&here, value.at.start, "rules in other files are not read; write them as `yara_rules`");
                }
            }
        }
    }

    fn injection(&mut self, path: &str, name: &Node, written: Option<&Node>) {
        let source = name.text().and_then(|name| written?.get(name));
        let Some(source) = source else {
            self.refuse(path, name.at.start, why_not("injection detection"));
            return;
        };
        match yara::expressions(source.text().unwrap_or_default()) {
            Ok(expressions) => {
                for expression in expressions {
                    self.rule(Way::Output, Finds::Pattern(expression), Reaction::Block, path, source);
                }
            }
            Err(reason) => self.refuse(path, source.at.start, format!("the YARA rule is more than words: {reason}")),
        }
    }

    /// `regex_detection`: any match blocks.
    fn expressions(&mut self, way: Way, flow: &str, at: &Node, config: Option<&Node>) {
        let direction = way.as_str();
        let path = format!("rails.config.regex_detection.{direction}");
        let Some(options) = config.and_then(|config| config.get(direction)) else {
            self.refuse(flow, at.at.start, format!("the rail has nothing to look for: `{path}` is missing"));
            return;
        };
        let is_insensitive = options.get("case_insensitive").and_then(Node::text) == Some("true");
        for (name, value) in self.members(&path, options) {
            let here = format!("{path}.{name}");
            match (name, &value.value) {
                ("patterns", Value::Sequence(patterns)) if !patterns.is_empty() => {
                    for (index, pattern) in patterns.iter().enumerate() {
                        self.expression(way, &format!("{here}[{index}]"), pattern, is_insensitive);
                    }
                }
                ("patterns", _) => self.refuse(&here, value.at.start, "the rail has nothing to look for"),
                ("case_insensitive", _) if matches!(value.text(), Some("true" | "false")) => {}
                ("case_insensitive", _) => self.refuse(&here, value.at.start, "`true` or `false`"),
                _ => self.refuse(&here, value.at.start, "no rule of ours does what this says"),
            }
        }
    }

    fn expression(&mut self, way: Way, path: &str, pattern: &Node, is_insensitive: bool) {
        let Some(text) = pattern.text() else {
            self.refuse(path, pattern.at.start, "an expression is text");
            return;
        };
        match expression::translated(text, is_insensitive) {
            Ok(regex) => self.rule(way, Finds::Pattern(regex), Reaction::Block, path, pattern),
            Err(reason) => self.refuse(path, pattern.at.start, reason),
        }
    }

    /// `sensitive_data_detection`: Presidio's entities.
    fn entities(&mut self, way: Way, reaction: Reaction, flow: &str, at: &Node, config: Option<&Node>) {
        let direction = way.as_str();
        let path = format!("rails.config.sensitive_data_detection.{direction}");
        let Some(options) = config.and_then(|config| config.get(direction)) else {
            self.refuse(flow, at.at.start, format!("the rail has nothing to look for: `{path}` is missing"));
            return;
        };
        if let Some(own) = config.and_then(|config| config.get("recognizers")) {
            let reason =
                "recognizers of one's own have scores, which rules do not have; write their expressions as `patterns`";
            self.refuse("rails.config.sensitive_data_detection.recognizers", own.at.start, reason);
        }
        for (name, value) in self.members(&path, options) {
            let here = format!("{path}.{name}");
            match (name, &value.value) {
                ("entities", Value::Sequence(entities)) if !entities.is_empty() => {
                    for (index, entity) in entities.iter().enumerate() {
                        self.entity(way, reaction, &format!("{here}[{index}]"), entity);
                    }
                }
                ("entities", _) => self.refuse(&here, value.at.start, "the rail has nothing to look for"),
                // NeMo reads it and does not use it.
                ("mask_token", _) => {}
                ("score_threshold", _) => {
                    let reason =
                        "rules have no scores: a number with a checksum is one or is not; leave the threshold out";
                    self.refuse(&here, value.at.start, reason);
                }
                _ => self.refuse(&here, value.at.start, "no rule of ours does what this says"),
            }
        }
    }

    fn entity(&mut self, way: Way, reaction: Reaction, path: &str, entity: &Node) {
        let name = entity.text().unwrap_or_default();
        match entities::kind(name) {
            Ok(kind) => self.rule(way, Finds::Pii { kind, with: format!("<{name}>") }, reaction, path, entity),
            Err(reason) => self.refuse(path, entity.at.start, reason),
        }
    }

    fn rule(&mut self, way: Way, finds: Finds, reaction: Reaction, path: &str, at: &Node) {
        let line = self.line(at.at.start);
        self.rules.push(NativeRule { way, finds, reaction, path: path.to_owned(), line });
    }

    fn refuse(&mut self, path: &str, at: usize, reason: impl Into<String>) {
        let line = self.line(at);
        self.refused.push(Refused { path: path.to_owned(), reason: reason.into(), line });
    }

    fn line(&self, at: usize) -> usize {
        1 + self.yaml.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    /// The members of a mapping; nothing is a mapping without members.
    fn members<'n>(&mut self, path: &str, node: &'n Node) -> Vec<(&'n str, &'n Node)> {
        match &node.value {
            Value::Mapping(entries) => entries.iter().filter_map(|(name, value)| Some((name.text()?, value))).collect(),
            _ if node.is_null() => Vec::new(),
            Value::Scalar { .. } | Value::Sequence(_) => {
                self.refuse(path, node.at.start, "a mapping belongs here");
                Vec::new()
            }
        }
    }
}

/// Why no rule of ours is exactly this rail.
fn why_not(flow: &str) -> String {
    let name = flow.split('$').next().unwrap_or_default().trim();
    let reason = match name {
        "injection detection" => {
            "its YARA rules weigh what stands anywhere in the whole text (one word and, elsewhere, another), which no expression \
             over a stream says; of what answers must not carry out, `exfiltration` finds links, pictures and hidden text"
        }
        "jailbreak detection heuristics" => {
            "it measures perplexity with a language model; `promptInjection` is a score of our own, and not the same one"
        }
        "jailbreak detection model" => "it asks a model; `promptInjection` is a score of our own, and not the same one",
        "" => "a flow has a name",
        _ if name.starts_with("self check") => "it asks a language model",
        _ if name.starts_with("content safety check") || name.starts_with("llama guard check") => {
            "it asks a guard model, which `service: {kind: openai}` does, too"
        }
        _ if name.starts_with("topic safety check") => "it asks a guard model",
        _ => "it is not one of the rails that rules can say",
    };
    format!("`{}`: {reason}; a NeMo server can be asked: `service: {{kind: nemo-guardrails}}`", flow.escape_debug())
}
