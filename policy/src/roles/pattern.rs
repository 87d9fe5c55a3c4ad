//! Names with `*` as a wildcard.

use std::{fmt, sync::Arc};

/// A name in which each `*` stands for any characters, none and `/` included. Case counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Arc<str>,
    /// What stands between the wildcards: one part where there is none.
    parts: Arc<[Box<str>]>,
}

impl Pattern {
    /// As a document writes it.
    pub fn new(text: &str) -> Self {
        Self { text: text.into(), parts: text.split('*').map(Into::into).collect() }
    }

    /// As a document writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The one name it matches, if it has no wildcard.
    pub fn exact(&self) -> Option<&str> {
        (self.parts.len() == 1).then_some(&*self.text)
    }

    /// What every name it matches begins with.
    pub fn literal_prefix(&self) -> &str {
        self.parts.first().map_or("", |part| part)
    }

    /// Whether it matches the whole of a name.
    pub fn matches(&self, name: &str) -> bool {
        let Some(((first, last), middle)) = self.parts.split_first().and_then(|(first, rest)| {
            let (last, middle) = rest.split_last()?;
            Some(((first, last), middle))
        }) else {
            return name == &*self.text;
        };
        let Some(rest) = name.strip_prefix(&**first) else { return false };
        let Some(mut rest) = rest.strip_suffix(&**last) else { return false };
        // The first place where a part fits leaves most for those that follow.
        for part in middle {
            let Some(at) = rest.find(&**part) else { return false };
            rest = rest.get(at + part.len()..).unwrap_or_default();
        }
        true
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_any_characters_and_nothing_else_is_special() {
        let check = |pattern: &str, name: &str, expected| {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} {name}");
        };
        check("llama", "llama", true);
        check("llama", "llama-2", false);
        check("llama", "Llama", false);
        check("", "", true);
        check("*", "", true);
        check("*", "meta-llama/Llama-3", true);
        check("llama-*", "llama-", true);
        check("llama-*", "llama-3.1-8b", true);
        check("llama-*", "my-llama-3", false);
        check("*-8b", "llama-3.1-8b", true);
        check("a*a", "a", false);
        check("a*a", "aa", true);
        check("a*b*c", "abc", true);
        check("a*b*c", "a-bb-c-c", true);
        check("a*b*c", "acb", false);
        check("*b*", "abc", true);
        check("**", "x", true);
        check("cert-manager.io", "cert-manager-io", false);
        check("[a-z]+", "x", false);
    }
}
