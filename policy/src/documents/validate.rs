//! A document against its schema: every mistake, where it stands, and what was probably meant.

use std::ops::Range;

use serde_json::{Map, Number, Value as Json};

use super::{
    formats,
    tree::{Node, Value},
};

/// A mistake, before it has a file.
#[derive(Debug)]
pub(super) struct Mistake {
    /// A stable word.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// Where.
    pub at: Range<usize>,
    /// Beside the place.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
}

/// Checks `node` against `schema`; gives its JSON form if there was nothing to say against it.
pub(super) fn validate(node: &Node, schema: &Json, mistakes: &mut Vec<Mistake>) -> Option<Json> {
    let before = mistakes.len();
    let json = Walker { mistakes }.walk(node, schema);
    (mistakes.len() == before).then_some(json)
}

struct Walker<'m> {
    mistakes: &'m mut Vec<Mistake>,
}

impl Walker<'_> {
    fn report(&mut self, code: &'static str, node: &Node, message: String, label: impl Into<String>) -> &mut Mistake {
        let at = node.at.clone();
        self.mistakes.push(Mistake { code, message, at, label: label.into(), help: None });
        let last = self.mistakes.len() - 1;
        // Just pushed.
        #[expect(clippy::indexing_slicing, reason = "the last element exists")]
        &mut self.mistakes[last]
    }

    fn walk(&mut self, node: &Node, schema: &Json) -> Json {
        let Some((schema, allows_null)) = resolve(schema) else { return untyped(node) };
        if node.is_null() && allows_null {
            if schema.get("properties").is_none() && schema.get("additionalProperties") == Some(&Json::Bool(false)) {
                // A word that says something by standing there, as `plaintext: {}` does, must not half stand there.
                self.report("wrong-type", node, "expected `{}`, found nothing".to_owned(), "`{}` belongs here");
            }
            return Json::Null;
        }
        if let Some(words) = words(schema) {
            return self.word(node, &words);
        }
        match &node.value {
            Value::Mapping(entries) if allows(schema, "object") => self.mapping(node, entries, schema),
            Value::Sequence(items) if allows(schema, "array") => {
                if schema.get("minItems").and_then(Json::as_u64).is_some_and(|least| (items.len() as u64) < least) {
                    self.report("empty-list", node, "an empty list says nothing here".to_owned(), "empty");
                }
                let of = schema.get("items").unwrap_or(&Json::Bool(true));
                items.iter().map(|item| self.walk(item, of)).collect()
            }
            Value::Scalar { text, plain } => self.scalar(node, text, *plain, schema),
            Value::Mapping(_) | Value::Sequence(_) => self.wrong_type(node, schema),
        }
    }

    fn mapping(&mut self, node: &Node, entries: &[(Node, Node)], schema: &Map<String, Json>) -> Json {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&empty);
        let additional = schema.get("additionalProperties");
        let passed_over = schema.get("x-passed-over").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut object = Map::with_capacity(entries.len());
        for (key, value) in entries {
            let name = key.text().unwrap_or_default();
            if let Some(of) = properties.get(name) {
                object.insert(name.to_owned(), self.walk(value, of));
            } else if passed_over.iter().any(|field| field == name) {
                object.insert(name.to_owned(), untyped(value));
            } else if additional == Some(&Json::Bool(false)) {
                self.unknown_field(key, name, properties, entries);
            } else if let Some(of @ Json::Object(_)) = additional {
                object.insert(name.to_owned(), self.walk(value, of));
            } else {
                object.insert(name.to_owned(), untyped(value));
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        for name in required.into_iter().flatten().filter_map(Json::as_str) {
            if !object.contains_key(name) && !entries.iter().any(|(key, _)| key.text() == Some(name)) {
                self.report("missing-field", node, format!("missing field `{name}`"), format!("`{name}` belongs here"));
            }
        }
        self.exactly_one(node, entries, schema);
        Json::Object(object)
    }

    /// What `oneOf` says of an object here: which of several fields belongs into it.
    fn exactly_one(&mut self, node: &Node, entries: &[(Node, Node)], schema: &Map<String, Json>) {
        let choices = schema.get("oneOf").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let names: Vec<&str> = choices.iter().filter_map(|choice| choice.get("required")?.get(0)?.as_str()).collect();
        if names.is_empty() {
            return;
        }
        let present: Vec<&Node> = entries
            .iter()
            .map(|(key, _)| key)
            .filter(|key| key.text().is_some_and(|key| names.contains(&key)))
            .collect();
        let all = list(names.iter().copied(), "and");
        match present.as_slice() {
            [_] => {}
            [] => {
                // Something like them may stand there already, and has been reported.
                let is_misspelt = entries.iter().any(|(key, _)| {
                    let key = key.text().unwrap_or_default();
                    closest(key, names.iter().copied()).is_some()
                });
                if !is_misspelt {
                    let message = format!("exactly one of {all} belongs here, and none is");
                    self.report("exactly-one", node, message, "none of them");
                }
            }
            [_, second, ..] => {
                let message = format!("exactly one of {all} belongs here");
                self.report("exactly-one", second, message, "one too many").help = Some("keep one of them".to_owned());
            }
        }
    }

    fn unknown_field(&mut self, key: &Node, name: &str, known: &Map<String, Json>, present: &[(Node, Node)]) {
        let absent = known.keys().filter(|field| !present.iter().any(|(key, _)| key.text() == Some(field.as_str())));
        let mut message = format!("unknown field `{name}`");
        let mut help = None;
        if let Some(meant) = closest(name, absent.map(String::as_str)) {
            message = format!("{message}, did you mean `{meant}`?");
        } else {
            help = Some(if known.is_empty() {
                "there are no fields here: write `{}`".to_owned()
            } else {
                format!("the fields here are {}", list(known.keys().map(String::as_str), "and"))
            });
        }
        self.report("unknown-field", key, message, "not a field").help = help;
    }

    fn word(&mut self, node: &Node, words: &[&str]) -> Json {
        if let Some(text) = node.text()
            && words.contains(&text)
        {
            return Json::String(text.to_owned());
        }
        let values = list(words.iter().copied(), "or");
        let Some(text) = node.text().filter(|_| !node.is_null()) else {
            let message = format!("expected {values}, found {}", found(node));
            self.report("wrong-type", node, message, "of another type");
            return Json::Null;
        };
        let mistake = self.report("unknown-value", node, format!("unknown value `{text}`"), "not one of the values");
        match closest(text, words.iter().copied()) {
            Some(meant) => mistake.message = format!("unknown value `{text}`, did you mean `{meant}`?"),
            None => mistake.help = Some(format!("write {values}")),
        }
        Json::Null
    }

    fn scalar(&mut self, node: &Node, text: &str, plain: bool, schema: &Map<String, Json>) -> Json {
        let number = plain.then(|| number(text)).flatten();
        if let Some(number) = &number
            && (allows(schema, "integer") && !number.is_f64() || allows(schema, "number"))
        {
            self.range(node, number, schema);
            return Json::Number(number.clone());
        }
        if plain && allows(schema, "boolean") && matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
        {
            return Json::Bool(text.eq_ignore_ascii_case("true"));
        }
        let is_other = plain && (number.is_some() || matches!(text, "true" | "false")) || node.is_null();
        if !allows(schema, "string") || node.is_null() {
            return self.wrong_type(node, schema);
        }
        if let Some(format) = schema.get("format").and_then(Json::as_str)
            && let Err(fault) = formats::check(format, text)
        {
            let mistake = self.report("invalid-value", node, fault.message, fault.label);
            mistake.help = fault.help;
        } else if is_other {
            return self.wrong_type(node, schema);
        } else if text.is_empty() && schema.get("minLength").is_some() {
            self.report("invalid-value", node, "an empty string says nothing here".to_owned(), "empty");
        }
        Json::String(text.to_owned())
    }

    fn range(&mut self, node: &Node, number: &Number, schema: &Map<String, Json>) {
        let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
        let value = number.as_f64().unwrap_or_default();
        let (minimum, maximum) = (bound("minimum"), bound("maximum").or_else(|| width(schema)));
        if minimum.is_some_and(|minimum| value < minimum) || maximum.is_some_and(|maximum| value > maximum) {
            let range = match (minimum, maximum) {
                (Some(minimum), Some(maximum)) => format!("from {minimum} to {maximum}"),
                (Some(minimum), None) => format!("at least {minimum}"),
                (None, maximum) => format!("at most {}", maximum.unwrap_or_default()),
            };
            self.report("out-of-range", node, format!("{number} is out of range: {range}"), "out of range");
        }
    }

    fn wrong_type(&mut self, node: &Node, schema: &Map<String, Json>) -> Json {
        let names = [
            ("object", "a mapping"),
            ("array", "a list"),
            ("string", "a string"),
            ("integer", "a whole number"),
            ("number", "a number"),
            ("boolean", "`true` or `false`"),
        ];
        let expected: Vec<&str> =
            names.iter().filter(|(word, _)| allows(schema, word)).map(|(_, name)| *name).collect();
        let message = format!("expected {}, found {}", expected.join(" or "), found(node));
        let help = match &node.value {
            Value::Scalar { .. } if node.is_null() => None,
            Value::Scalar { plain: true, .. } if allows(schema, "string") => Some("put it in quotes"),
            Value::Scalar { text, plain: false } if is_other_unquoted(text, schema) => Some("remove the quotes"),
            Value::Scalar { text, .. } if allows(schema, "boolean") => match text.to_lowercase().as_str() {
                "yes" | "on" | "y" => Some("write `true`"),
                "no" | "off" | "n" => Some("write `false`"),
                _ => None,
            },
            _ => None,
        };
        let mistake = self.report("wrong-type", node, message, "of another type");
        mistake.help = help.map(str::to_owned);
        Json::Null
    }
}

/// The schema itself, behind what schemars wraps around optional things, and whether nothing may stand there instead.
/// `None`: anything goes.
fn resolve(schema: &Json) -> Option<(&Map<String, Json>, bool)> {
    let object = schema.as_object()?;
    if let Some(any) = object.get("anyOf").and_then(Json::as_array) {
        let is_null = |schema: &&Json| schema.get("type").and_then(Json::as_str) == Some("null");
        let other = any.iter().find(|schema| !is_null(schema))?;
        return resolve(other).map(|(schema, _)| (schema, true));
    }
    let says_something = ["type", "enum", "oneOf", "properties"].iter().any(|word| object.contains_key(*word));
    says_something.then(|| (object, allows(object, "null")))
}

/// What stands there, in words.
fn found(node: &Node) -> String {
    match &node.value {
        Value::Mapping(_) => "a mapping".to_owned(),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Scalar { .. } if node.is_null() => "nothing".to_owned(),
        Value::Scalar { text, plain: true } => format!("`{text}`"),
        Value::Scalar { text, plain: false } => format!("`\"{text}\"`"),
    }
}

/// Whether a quoted text would be of the right type without its quotes.
fn is_other_unquoted(text: &str, schema: &Map<String, Json>) -> bool {
    let is_number = number(text).is_some_and(|number| !number.is_f64() || allows(schema, "number"));
    is_number && allows(schema, "integer") || allows(schema, "boolean") && matches!(text, "true" | "false")
}

/// `` `a`, `b` or `c` ``.
fn list<'w>(words: impl Iterator<Item = &'w str>, joint: &str) -> String {
    let mut words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} {joint} {last}", words.join(", ")),
        None => String::new(),
    }
}

fn allows(schema: &Map<String, Json>, word: &str) -> bool {
    match schema.get("type") {
        Some(Json::String(kind)) => kind == word || (kind == "number" && word == "integer"),
        Some(Json::Array(kinds)) => kinds.iter().any(|kind| kind == word),
        _ => false,
    }
}

/// The words of an enumeration, in either of the shapes that schemars gives it.
pub(crate) fn words(schema: &Map<String, Json>) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        return Some(words.iter().filter_map(Json::as_str).collect());
    }
    let choices = schema.get("oneOf")?.as_array()?;
    let mut words = Vec::new();
    for choice in choices {
        words.extend(choice.get("const").and_then(Json::as_str));
        words.extend(choice.get("enum").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str));
    }
    (!words.is_empty()).then_some(words)
}

/// The greatest value of an unsigned integer format.
fn width(schema: &Map<String, Json>) -> Option<f64> {
    match schema.get("format").and_then(Json::as_str)? {
        "uint16" => Some(f64::from(u16::MAX)),
        "uint32" => Some(f64::from(u32::MAX)),
        _ => None,
    }
}

/// A number as YAML 1.2's core schema writes it.
fn number(text: &str) -> Option<Number> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    if let Ok(integer) = text.parse::<i64>() {
        return Some(integer.into());
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Some(integer.into());
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(Number::from);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok().map(Number::from);
    }
    let decimal = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    text.parse::<f64>().ok().filter(|_| decimal).and_then(Number::from_f64)
}

/// A part of a document that no schema describes.
pub(super) fn untyped(node: &Node) -> Json {
    match &node.value {
        Value::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (key.text().unwrap_or_default().to_owned(), untyped(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Sequence(items) => items.iter().map(untyped).collect(),
        Value::Scalar { .. } if node.is_null() => Json::Null,
        Value::Scalar { text, plain: true } if matches!(text.as_str(), "true" | "false") => Json::Bool(text == "true"),
        Value::Scalar { text, plain } => match number(text).filter(|_| *plain) {
            Some(number) => Json::Number(number),
            None => Json::String(text.clone()),
        },
    }
}

/// The candidate that was probably meant: few letters away, for the length of the word.
pub fn closest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_ascii_lowercase();
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (distance(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let above = rows.last().map_or(&[][..], Vec::as_slice);
            let mut best = (cell(above, j + 1) + 1).min(cell(&row, j) + 1).min(cell(above, j) + usize::from(x != y));
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                let before = rows.len().checked_sub(2).and_then(|at| rows.get(at)).map_or(&[][..], Vec::as_slice);
                best = best.min(cell(before, j - 1) + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_close() {
        let fields = ["models", "endpoints", "protocol", "hostnames"];
        let check = |word: &str, expected| assert_eq!(closest(word, fields.into_iter()), expected, "{word}");
        check("modles", Some("models"));
        check("Models", Some("models"));
        check("endpoint", Some("endpoints"));
        check("hostname", Some("hostnames"));
        check("colour", None);
    }
}
