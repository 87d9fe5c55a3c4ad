//! Whole documents on guarded routes: the body of the fuzz target `guard_document`.

use portcullis_policy::guard::{
    lanes::{
        document::{Document, Edit, Place, Screener, Settings, Unreadable, rewrite},
        known::Known,
        shape::{Api, Shape, is_word},
    },
    screen::{UnknownFields, Unscreened},
};

/// A byte that says which document of which API it is, then the document. It is refused, or each string that `serde_json`
/// reads was shown; and what is written in its place has the same structure.
pub fn guard_document(input: &[u8]) {
    let Some((first, json)) = input.split_first() else { return };
    let apis =
        [Api::Chat, Api::Completions, Api::Responses, Api::Lists, Api::Messages, Api::Infer, Api::Generate, Api::Other];
    let api = apis[usize::from(first % 8)];
    let shape = [Shape::request(api), Shape::answer(api), Shape::event(api)][usize::from(first / 8 % 3)];
    let Ok(document) = Document::read(shape, json, &Settings::default()) else { return };
    let mut shown = Seen::default();
    let written = document.rewrite(&mut shown);
    for unknown_fields in [UnknownFields::Drop, UnknownFields::Pass] {
        let settings = Settings { unknown_fields, unscreened: Unscreened::Pass };
        if let Ok(Some(fewer)) = rewrite(shape, json, &settings, &mut Seen::default()) {
            assert!(Document::read(shape, &fewer, &settings).is_ok(), "{}", String::from_utf8_lossy(&fewer));
        }
    }
    // It does not read numbers that are no 64-bit float.
    let Ok(before) = serde_json::from_slice::<serde_json::Value>(json) else { return };
    strings(&before, &mut |text, is_key| assert!(shown.has(text, is_key), "{text:?}"));
    match written {
        Ok(Some(written)) => {
            let after = serde_json::from_slice(&written).expect("what was written is JSON");
            assert!(are_alike(&before, &after), "{before} {after}");
        }
        Ok(None) => strings(&before, &mut |text, is_key| {
            assert!(is_key || !text.contains('e') || text.contains('\\') || Seen::hides(text));
        }),
        Err(refused) => assert_eq!(refused, Unreadable::SameKeys),
    }
}

/// Notes texts, and masks a letter in them.
#[derive(Default)]
struct Seen(Vec<String>);

impl Screener for Seen {
    fn text(&mut self, _: &Place, text: &str) -> Edit {
        self.0.push(text.to_owned());
        let found = text.match_indices('e').map(|(at, _)| (at..at + 1, "<\"\\\n>".to_owned()));
        Edit::Ranges(found.collect())
    }
}

impl Seen {
    fn has(&self, text: &str, is_key: bool) -> bool {
        let is_shown = || self.0.iter().any(|shown| shown.contains(text));
        Self::hides(text) || is_key && Known::knows(text) || is_shown() || {
            // What is JSON in itself is shown with its escapes decoded.
            let Ok(inner) = serde_json::from_str::<serde_json::Value>(text) else { return false };
            let mut has_all = true;
            strings(&inner, &mut |text, _| has_all &= self.0.iter().any(|shown| shown.contains(text)));
            has_all
        }
    }

    /// What is never shown: the words of protocols, and embeddings.
    fn hides(text: &str) -> bool {
        let is_numbers =
            || text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte));
        text.is_empty() || is_word(text) || is_numbers()
    }
}

fn strings(value: &serde_json::Value, look: &mut impl FnMut(&str, bool)) {
    match value {
        serde_json::Value::String(text) => look(text, false),
        serde_json::Value::Array(elements) => elements.iter().for_each(|element| strings(element, look)),
        serde_json::Value::Object(members) => members.iter().for_each(|(key, value)| {
            look(key, true);
            strings(value, look);
        }),
        _ => {}
    }
}

/// The same containers; strings may differ, a scalar may have become one, and logprobs may be gone.
fn are_alike(before: &serde_json::Value, after: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Object, String};
    match (before, after) {
        (Array(before), Array(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(|(before, after)| are_alike(before, after))
        }
        (Object(before), Object(after)) => {
            before.len() == after.len()
                && before
                    .iter()
                    .zip(after)
                    .all(|((key, before), (_, after))| key == "logprobs" || are_alike(before, after))
        }
        (Array(_) | Object(_), _) => false,
        (before, after) => before == after || matches!(after, String(_)),
    }
}
