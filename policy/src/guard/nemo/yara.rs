//! YARA rules that are nothing but words: any of these, with or without regard to case.
//!
//! That is the part of YARA which is exactly a list of expressions: strings of ASCII text, of which any makes the rule true.
//! Expressions (they are of bytes there), hexadecimal strings, counts, places and one word together with another are refused:
//! NeMo's own four (`code`, `sqli`, `template`, `xss`) are of that sort.

/// The expressions of a rule, as we write them, or why it is none of ours.
pub(super) fn expressions(source: &str) -> Result<Vec<String>, String> {
    let mut words = Words { rest: source };
    let mut strings = Vec::new();
    words.name("rule")?;
    words.identifier()?;
    words.sign('{')?;
    if words.is_next("meta") {
        words.section("meta")?;
        // `name = "text"`, up to the strings.
        while !words.is_next("strings") {
            words.identifier()?;
            words.sign('=')?;
            words.text()?;
        }
    }
    words.section("strings")?;
    while words.rest().starts_with('$') {
        let name = words.variable()?;
        words.sign('=')?;
        let text = words.text()?;
        let mut is_insensitive = false;
        while words.is_next("nocase") || words.is_next("ascii") {
            is_insensitive |= words.is_next("nocase");
            words.identifier()?;
        }
        strings.push((name, word(&text, is_insensitive)?));
    }
    words.section("condition")?;
    let named = words.condition()?;
    words.sign('}')?;
    if !words.rest().is_empty() {
        return Err("one rule, and nothing behind it".to_owned());
    }
    match named {
        None => Ok(strings.into_iter().map(|(_, expression)| expression).collect()),
        Some(named) => {
            let find = |name: &String| strings.iter().find(|(string, _)| string == name);
            let found: Option<Vec<_>> = named.iter().map(|name| Some(find(name)?.1.clone())).collect();
            found.ok_or_else(|| "its condition names a string that is not there".to_owned())
        }
    }
}

/// A word found anywhere. Case is that of ASCII alone, as in YARA.
fn word(text: &str, is_insensitive: bool) -> Result<String, String> {
    if text.is_empty() || !text.is_ascii() {
        return Err("a string that is not ASCII text".to_owned());
    }
    let escaped = regex_syntax::escape(text);
    Ok(if is_insensitive { format!("(?i-u:{escaped})") } else { escaped })
}

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// What follows white space and comments.
    fn rest(&mut self) -> &'a str {
        loop {
            self.rest = self.rest.trim_start();
            let comment = self.rest.strip_prefix("//").map(|text| text.split_once('\n').map_or("", |(_, rest)| rest));
            let comment = comment.or_else(|| {
                self.rest.strip_prefix("/*").map(|text| text.split_once("*/").map_or("", |(_, rest)| rest))
            });
            match comment {
                Some(rest) => self.rest = rest,
                None => return self.rest,
            }
        }
    }

    fn is_next(&mut self, word: &str) -> bool {
        let rest = self.rest().strip_prefix(word);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    }

    fn name(&mut self, word: &str) -> Result<(), String> {
        if self.is_next(word) {
            self.identifier().map(|_| ())
        } else {
            Err(format!(
                "`{word}` belongs where it says `{}`",
                self.rest.chars().take(20).collect::<String>().escape_debug()
            ))
        }
    }

    fn section(&mut self, word: &str) -> Result<(), String> {
        self.name(word)?;
        self.sign(':')
    }

    fn identifier(&mut self) -> Result<&'a str, String> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            return Err(format!("not a name: `{}`", rest.chars().take(20).collect::<String>().escape_debug()));
        }
        let (name, rest) = rest.split_at(end);
        self.rest = rest;
        Ok(name)
    }

    fn variable(&mut self) -> Result<String, String> {
        self.sign('$')?;
        self.identifier().map(str::to_owned)
    }

    fn sign(&mut self, sign: char) -> Result<(), String> {
        let rest = self.rest();
        self.rest = rest.strip_prefix(sign).ok_or_else(|| {
            format!(
                "only strings of text and `any of them` are words: `{}`",
                rest.chars().take(20).collect::<String>().escape_debug()
            )
        })?;
        Ok(())
    }

    /// `"text"`, unescaped.
    fn text(&mut self) -> Result<String, String> {
        self.sign('"')?;
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(text);
                }
                '\n' => break,
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 'r')) => text.push('\r'),
                    _ => return Err("an escape besides `\\\"`, `\\\\`, `\\t`, `\\n` and `\\r`".to_owned()),
                },
                character => text.push(character),
            }
        }
        Err("a string does not end".to_owned())
    }

    /// The strings of which any will do; `None`: all that there are.
    fn condition(&mut self) -> Result<Option<Vec<String>>, String> {
        if self.is_next("any") {
            for word in ["any", "of", "them"] {
                self.name(word)?;
            }
            return Ok(None);
        }
        let mut named = vec![self.variable()?];
        while self.is_next("or") {
            self.identifier()?;
            named.push(self.variable()?);
        }
        Ok(Some(named))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use regex::Regex;

    use super::*;

    fn rule(strings: &str, condition: &str) -> String {
        format!("rule birds {{\n meta:\n  author = \"me\"\n strings:\n{strings}\n condition:\n  {condition}\n}}\n")
    }

    #[test]
    fn words_are_expressions() {
        let strings = r#"  $a = "osprey" nocase // a bird
  $b = "a.b\"c" /* another */ ascii"#;
        let expected = [r"(?i-u:osprey)".to_owned(), "a\\.b\"c".to_owned()];
        assert_eq!(expressions(&rule(strings, "any of them")).as_deref(), Ok(expected.as_slice()));
        assert_eq!(expressions(&rule(strings, "$b")).as_deref(), Ok(&expected[1..]));
        assert_eq!(expressions(&rule(strings, "$a or $b")).as_deref(), Ok(expected.as_slice()));
        let regex = Regex::new(&expected[0]).unwrap();
        // Case is that of ASCII alone: U+017F folds to `s` only in Unicode.
        assert!(regex.is_match("OsPrEy") && !regex.is_match("o\u{17f}prey"));
    }

    #[test]
    fn what_is_more_than_words_is_refused() {
        for (strings, condition) in [
            (r#"$a = "a" $b = "b""#, "$a and $b"),
            (r#"$a = "a""#, "#a > 2"),
            (r#"$a = "a""#, "all of them"),
            (r#"$a = "a""#, "any of ($a*)"),
            (r#"$a = "a""#, "not $a"),
            (r#"$a = "a""#, "$b"),
            (r#"$a = "a""#, "@a < 3"),
            (r#"$a = "a" wide"#, "any of them"),
            (r#"$a = "a" fullword"#, "any of them"),
            ("$a = /a+/", "any of them"),
            ("$a = { 41 42 }", "any of them"),
            (r#"$a = "ä""#, "any of them"),
            (r#"$a = """#, "any of them"),
            (r#"$a = "\x41""#, "any of them"),
            (r#"$a = "a"#, "any of them"),
        ] {
            assert!(expressions(&rule(strings, condition)).is_err(), "{strings} {condition}");
        }
        let one = rule(r#"$a = "a""#, "any of them");
        for source in
            ["", "rule", "private rule a {}", "import \"pe\"", "rule a { condition: true }", &format!("{one}{one}")]
        {
            assert!(expressions(source).is_err(), "{source}");
        }
    }
}
