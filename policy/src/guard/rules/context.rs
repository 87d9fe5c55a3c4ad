//! What must stand before a candidate. It is decided when the candidate begins, so that what lacks it is never held back.
//! Here each context is decided alone, by the book; `together` decides those of all rules in one look.

mod together;

/// How many bytes before a candidate are looked at.
pub const CONTEXT_BYTES_MAX: usize = 96;
/// At most so many bytes between the value and the name that it is assigned to: quotes, operators, space.
const OPERATOR_BYTES_MAX: usize = 24;
/// At most so many bytes between a provider's word and the end of the name: `_API_KEY_FOR_TESTS`.
const NAME_BYTES_MAX: usize = 32;

/// Where a value stands rather than a word of a sentence: behind `=`, `@` or `/`, behind a quote that stands behind an operator
/// or a bracket, and where it is assigned to a name like `key`. For what begins as any word does, so that prose is not held
/// back for it.
pub const VALUE: Context = Context::Value;

/// What must stand before a candidate.
#[derive(Debug, Clone, Copy)]
pub enum Context {
    /// Anything.
    Any,
    /// One of these words, in lower case here and in any case there, as a word of its own, anywhere in the window.
    Near(&'static [&'static str]),
    /// A name with one of these words in it, to which the candidate is assigned: `WORD_KEY = "`, `<wordToken>`,
    /// `"word-key": "`, `set("WORD", "`, `word key is `.
    Assigned(&'static [&'static str]),
    /// One of these, right before, in any case.
    Behind(&'static [&'static str]),
    /// None of these, right before, in any case.
    NotBehind(&'static [&'static str]),
    /// Where a value stands: see [`VALUE`].
    Value,
    /// Not in the middle of a word: behind no letter, but for that of an escape (`\n`).
    Apart,
    /// What a function says of the window (the last), and that in words (the first). It can only hold behind bytes of which
    /// the other one holds, given the last two of the window, or all if there are fewer.
    Other(&'static str, fn(&[u8]) -> bool, fn(&[u8]) -> bool),
}

/// The part of the text before a candidate that is looked at.
pub fn window(before: &[u8]) -> &[u8] {
    before.get(before.len().saturating_sub(CONTEXT_BYTES_MAX)..).unwrap_or(before)
}

impl Context {
    /// Whether it holds, given the last [`CONTEXT_BYTES_MAX`] bytes before the candidate, or all if there are fewer.
    pub fn holds(&self, window: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Near(words) => words.iter().any(|word| stands_alone(window, word.as_bytes())),
            Self::Assigned(words) => is_assigned(window, words),
            Self::Behind(ends) => ends.iter().any(|end| ends_with(window, end.as_bytes())),
            Self::NotBehind(ends) => !ends.iter().any(|end| ends_with(window, end.as_bytes())),
            Self::Value => stands_as_value(window),
            Self::Apart => stands_apart(window),
            Self::Other(_, _, holds) => holds(window),
        }
    }
}

pub(super) fn ends_with(text: &[u8], end: &[u8]) -> bool {
    text.len().checked_sub(end.len()).and_then(|at| text.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// Where a word begins in a text, in any case of ASCII.
fn occurrences<'t>(text: &'t [u8], word: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    text.windows(word.len().max(1)).enumerate().filter(|(_, part)| part.eq_ignore_ascii_case(word)).map(|(at, _)| at)
}

fn stands_apart(window: &[u8]) -> bool {
    match window {
        [] | [.., b'\\', b'n' | b'r' | b't'] => true,
        [.., last] => !last.is_ascii_alphabetic(),
    }
}

/// Words of names to which values are assigned that nobody should see.
const VALUE_NAMES: [&str; 14] = [
    "key",
    "apikey",
    "token",
    "secret",
    "password",
    "credential",
    "credentials",
    "bearer",
    "pat",
    "auth",
    "license",
    "licence",
    "k",
    "pwd",
];

/// Whether a value may stand right behind these, the last two bytes.
fn may_precede_value(last: &[u8]) -> bool {
    match last {
        [.., b'=' | b'@' | b'/']
        | [b'"' | b'\'' | b'`' | b'\\' | b'=' | b':' | b'(' | b'[' | b'{' | b',' | b'>', b'"' | b'\'' | b'`' | b'\\'] => {
            true
        }
        // A word of those names may end here, or a blank before this one hides what does.
        [letter, b' ' | b'\t'] => {
            letter.is_ascii_whitespace() || *letter == b'=' || ends_a_name(*letter) || may_precede_assigned(last)
        }
        [blank, b'"' | b'\'' | b'`' | b'\\'] => blank.is_ascii_whitespace() || may_precede_assigned(last),
        _ => may_precede_assigned(last),
    }
}

/// Whether one of the names ends in this letter.
fn ends_a_name(letter: u8) -> bool {
    VALUE_NAMES.iter().any(|name| name.as_bytes().last() == Some(&letter.to_ascii_lowercase()))
}

/// Whether what stands behind these, the last two bytes, may be assigned to a name: see [`name_assigned_to`].
fn may_precede_assigned(last: &[u8]) -> bool {
    match last {
        [.., last] if is_operator(*last) => true,
        [before, last] => is_between(*last) && (is_between(*before) || matches!(before, b's' | b'S')),
        _ => false,
    }
}

fn stands_as_value(window: &[u8]) -> bool {
    stands_in_place_of_value(window) || is_assigned(window, &VALUE_NAMES)
}

/// Whether what is right before says so alone, whatever the name.
fn stands_in_place_of_value(window: &[u8]) -> bool {
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b'`' | b'\\');
    let blank = |text: &[u8]| text.trim_ascii_end().len();
    match window.last() {
        Some(b'=' | b'@' | b'/') => true,
        // `the token …`, `Bearer …`
        Some(b' ' | b'\t') => {
            let text = window.get(..blank(window)).unwrap_or_default();
            let word = text.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
            let word = text.get(text.len() - word..).unwrap_or_default();
            let is_name = |name: &&str| word.eq_ignore_ascii_case(name.as_bytes());
            text.last() == Some(&b'=') || matches!(word.len(), 5..=11) && VALUE_NAMES.iter().any(is_name)
        }
        Some(quote) if is_quote(quote) => {
            let quotes = window.iter().rev().take_while(|byte| is_quote(byte)).count();
            let text = window.get(..window.len() - quotes).unwrap_or_default();
            let text = text.get(..blank(text)).unwrap_or_default();
            matches!(text.last(), Some(b'=' | b':' | b'(' | b'[' | b'{' | b',' | b'>'))
        }
        _ => false,
    }
}

fn stands_alone(text: &[u8], word: &[u8]) -> bool {
    occurrences(text, word).any(|at| stands_alone_at(text, at, at + word.len()))
}

/// Whether what stands here is a word of its own.
fn stands_alone_at(text: &[u8], at: usize, end: usize) -> bool {
    let beside = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte < 0x80);
    let before = at.checked_sub(1).and_then(|at| text.get(at));
    // In CJK there is no space between words, so a word that begins or ends beyond ASCII has no edge there.
    let begins = text.get(at).is_some_and(u8::is_ascii);
    let ends = end.checked_sub(1).and_then(|last| text.get(last)).is_some_and(u8::is_ascii);
    (!begins || beside(before)) && (!ends || beside(text.get(end)))
}

/// Whether what follows is the value of something whose name has one of the words in it.
fn is_assigned(window: &[u8], words: &[&str]) -> bool {
    name_assigned_to(window).is_some_and(|name| {
        words.iter().any(|word| {
            occurrences(name, word.as_bytes())
                .any(|at| begins_a_word(name, at) && name.len().saturating_sub(at + word.len()) <= NAME_BYTES_MAX)
        })
    })
}

/// Whether this may stand between a name and its value.
fn is_between(byte: u8) -> bool {
    is_operator(byte)
        || matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b'`' | b'\\' | b'?' | b'(' | b'[' | b'{' | b'-')
}

fn is_operator(byte: u8) -> bool {
    matches!(byte, b'=' | b':' | b'>' | b',' | b'|')
}

/// The name of that to which what follows is assigned.
fn name_assigned_to(window: &[u8]) -> Option<&[u8]> {
    let between = window.iter().rev().take_while(|byte| is_between(**byte)).count();
    let (name, between) = window.split_at_checked(window.len() - between)?;
    let name = if between.iter().any(|byte| is_operator(*byte)) {
        name
    } else if !between.is_empty() && matches!(name.last(), Some(b's' | b'S')) && ends_with(name, b" is") {
        name.get(..name.len() - 3).unwrap_or_default()
    } else {
        return None;
    };
    if between.len() > OPERATOR_BYTES_MAX {
        return None;
    }
    // The name: back to what cannot stand in one. A space can, for `The Datadog API key is …`.
    let is_name = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-' | b'.' | b' ' | b'\t' | b'/' | b'[' | b']' | b'"' | b'\'')
    };
    let length = name.iter().rev().take_while(|byte| is_name(**byte)).count();
    name.get(name.len() - length..)
}

/// Whether a word begins here: `KEY`, `my_key`, `myKey`, but not `monkey`.
fn begins_a_word(name: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| name.get(at));
    before.is_none_or(|before| {
        !before.is_ascii_alphabetic() || before.is_ascii_lowercase() && name.get(at).is_some_and(u8::is_ascii_uppercase)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_assigned_to_a_name() {
        let context = Context::Assigned(&["datadog", "dd_api"]);
        let check = |before: &str, expected| {
            assert_eq!(context.holds(window(before.as_bytes())), expected, "{before}");
        };
        for before in [
            "DATADOG_API_KEY=",
            "export DD_API_KEY=\"",
            "\"datadogToken\": \"",
            "myDatadogKey := '",
            "<datadogToken>\n  ",
            "set(\"DATADOG_TOKEN\", \"",
            "datadog_key ||= `",
            "datadog.key => \"",
            "The Datadog API key is ",
            "our datadog key is: `",
            "{ \\\"datadog\\\": \\\"",
        ] {
            check(before, true);
        }
        for before in [
            "",
            "datadog ",
            "datadog is fine, commit ",
            "nodatadog = ",
            "datadog; key = ",
            "datadog is a service (see there) = ",
            "datadog_a_name_that_goes_on_for_much_too_long_a_while = ",
        ] {
            check(before, false);
        }
        check(&format!("datadog_key = {}", " ".repeat(40)), false);
    }

    #[test]
    fn a_word_is_near_when_it_stands_alone() {
        let context = Context::Near(&["tax id", "téléphone", "tel", "身份证"]);
        let check = |before: &str, expected| {
            assert_eq!(context.holds(window(before.as_bytes())), expected, "{before}");
        };
        for before in
            ["Tax ID: ", "tel. ", "TEL", "mon téléphone est le ", "我的身份证号是", "tel and then a few words "]
        {
            check(before, true);
        }
        for before in ["", "telling ", "hotel ", "taxi d", "étel ", &format!("tel {}", " ".repeat(96))] {
            check(before, false);
        }
    }

    #[test]
    fn a_value_is_told_from_a_word_of_a_sentence() {
        for before in [
            "key = ",
            "x = ",
            "x=",
            "key: ",
            "{\"k\":\"",
            "f('",
            "my token ",
            "the key is ",
            "The key is: `",
            "-H 'Bearer ",
            "https://",
            "the secret:\n```\n",
        ] {
            assert!(VALUE.holds(before.as_bytes()), "{before}");
        }
        for before in [
            "",
            "\n",
            "the ",
            "monkey ",
            "this ",
            "a-",
            "word. ",
            "(see ",
            "x: ",
            "a, ",
            "\"",
            "he said: ",
            "use ",
            "(",
        ] {
            assert!(!VALUE.holds(before.as_bytes()), "{before}");
        }
    }

    #[test]
    fn what_stands_apart_is_no_part_of_a_word() {
        for before in ["", " ", "=", "x_", "7", "日", "a\\n", "\\t", "é"] {
            assert!(Context::Apart.holds(before.as_bytes()), "{before}");
        }
        for before in ["a", "in", "\\x", "task", "N"] {
            assert!(!Context::Apart.holds(before.as_bytes()), "{before}");
        }
    }

    #[test]
    fn what_stands_right_before_decides_alone() {
        assert!(Context::Behind(&["](", "src=\""]).holds(b"<img SRC=\""));
        assert!(!Context::Behind(&["](", "src=\""]).holds(b"](a"));
        assert!(Context::NotBehind(&["version "]).holds(b""));
        assert!(!Context::NotBehind(&["version "]).holds(b"in Version "));
        assert!(Context::Any.holds(b"") && Context::Other("no", |_| true, <[u8]>::is_empty).holds(b""));
    }

    #[test]
    fn the_window_is_bounded() {
        assert_eq!(window(&[0; 200]).len(), CONTEXT_BYTES_MAX);
        assert_eq!(window(b"ab"), b"ab");
    }
}
