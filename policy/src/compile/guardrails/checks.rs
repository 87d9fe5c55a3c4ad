//! What of a rule makes no sense as it is written: names that cannot be told apart, actions that are out of place.

use std::collections::BTreeSet;

use super::policy::{Draft, Way};
use crate::documents::kinds::ours::{self, GuardrailAction, GuardrailRule, SpeakerWord};

/// The longest name of a rule, in bytes: it stands in headers and metrics.
const RULE_NAME_BYTES_MAX: usize = 64;
/// The longest text in the place of what is masked, in bytes.
const MASK_BYTES_MAX: usize = 256;

/// Names stand in headers, metrics and audit entries.
pub(super) fn name(name: &str, path: &str, draft: &mut Draft<'_, '_>) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > RULE_NAME_BYTES_MAX || !name.bytes().all(fits) {
        let message = format!("`{}` is not the name of a rule", name.escape_debug());
        let help = "up to 64 letters, digits, `-`, `_` and `.`: it stands in headers and metrics";
        draft.fail("invalid-value", path, message, "not a name", help);
    }
}

pub(super) fn patterns(rule: &GuardrailRule, path: &str, draft: &mut Draft<'_, '_>) {
    let mut names = BTreeSet::new();
    for (index, pattern) in rule.patterns.iter().enumerate() {
        let path = format!("{path}.patterns[{index}].name");
        name(&pattern.name, &path, draft);
        if !names.insert(pattern.name.as_str()) {
            let message = format!("there are two patterns `{}`", pattern.name);
            draft.fail("duplicate-rule", &path, message, "again here", "audit entries could not tell them apart");
        }
    }
}

/// Says so where an action makes no sense for what is looked for, or on the way that texts go.
pub(super) fn action(way: Way, rule: &GuardrailRule, path: &str, draft: &mut Draft<'_, '_>) {
    use GuardrailAction::{Mask, StripTools, Tokenize};
    let at = format!("{path}.action");
    let mut fail = |message: &str, help: &str| draft.fail("action-out-of-place", &at, message, "not here", help);
    match (way, rule.action) {
        (Way::Output, Tokenize) => {
            fail(
                "only what goes in becomes placeholders",
                "write `Mask`; values of the caller's own are put back by `Tokenize` of the input",
            );
        }
        (Way::Output, StripTools) => {
            fail("tools are offered on the way in", "write `StripTools` for a rule of `input`");
        }
        (_, Mask | Tokenize) if rule.prompt_injection.is_some() => {
            fail("a score is of a whole text, of which no part can be taken", "write `Block`, `StripTools` or `Flag`");
        }
        (_, Mask | Tokenize) if rule.service.is_some() => {
            let webhook = rule.service.as_ref().is_some_and(|service| service.kind == ours::GuardServiceKind::Webhook);
            if rule.action == Tokenize || !webhook {
                fail("this guard says yes or no, and not where", "write `Block` or `Flag`; a `webhook` can mask");
            }
        }
        _ => {}
    }
    if way == Way::Output && rule.prompt_injection.is_some() {
        let help = "put it under `input`; what tools answer goes in, too";
        draft.fail("action-out-of-place", path, "answers are not scored for injected instructions", "not here", help);
    }
    if way == Way::Output && !rule.from.is_empty() && !rule.from.contains(&SpeakerWord::Assistant) {
        let help = "leave `from` out: whatever comes out is said by the assistant";
        draft.fail(
            "action-out-of-place",
            &format!("{path}.from"),
            "nobody of these says what comes out",
            "without effect",
            help,
        );
    }
    if let Some(with) = &rule.with {
        let at = format!("{path}.with");
        if rule.action != Mask {
            let help = "`with` says what stands in the place of what `Mask` takes out";
            draft.fail("action-out-of-place", &at, "nothing is replaced here", "without effect", help);
        } else if with.len() > MASK_BYTES_MAX || with.chars().any(char::is_control) {
            let help = "up to 256 bytes without control characters";
            draft.fail("invalid-value", &at, "this cannot stand in a text", "too long, or not to be printed", help);
        }
    }
}
