//! What a body is by how it begins, where its type says text, or nothing: many readers do not look at the type, and read JSON or
//! an event stream, whose escapes and events no plain text has.

/// Blanks before the first letter of a body whose type says text, in bytes. What has more is not read.
pub(super) const BLANKS_BYTES_MAX: usize = 4096;

/// How a body begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    /// As a JSON document.
    Json,
    /// As an event stream.
    Events,
    /// As anything else.
    Text,
    /// Too little has come to say.
    Unclear,
}

impl Begins {
    /// Of all of it. A bracket that nothing follows is broken JSON.
    pub(super) fn of_whole(body: &[u8]) -> Self {
        match Self::of(body) {
            Self::Unclear if body.trim_ascii().ends_with(b"{") || body.trim_ascii().ends_with(b"[") => Self::Json,
            Self::Unclear => Self::Text,
            begins => begins,
        }
    }

    /// Of what has come of it.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mark = b"\xef\xbb\xbf";
        let unmarked = bytes.strip_prefix(mark).unwrap_or(bytes);
        // Some take more for blank than JSON does.
        let text =
            unmarked.get(unmarked.iter().position(|byte| *byte > b' ').unwrap_or(unmarked.len())..).unwrap_or_default();
        if mark.starts_with(text) {
            return Self::Unclear;
        }
        match text {
            [b':', ..] => Self::Events,
            [b'{', rest @ ..] => of_container(rest, |next| matches!(next, b'"' | b'}')),
            [b'[', rest @ ..] => of_container(rest, |next| {
                matches!(next, b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
            }),
            [b'"', ..] => Self::Json,
            text => of_lines(text),
        }
    }
}

/// A bracket opens: `[Music]` is no JSON.
fn of_container(rest: &[u8], may_follow: impl Fn(u8) -> bool) -> Begins {
    match rest.trim_ascii_start().first() {
        None => Begins::Unclear,
        Some(next) if may_follow(*next) => Begins::Json,
        Some(_) => Begins::Text,
    }
}

/// Perhaps a line of an event.
fn of_lines(text: &[u8]) -> Begins {
    let fields = [&b"data"[..], b"event", b"id", b"retry"];
    let begins = |field: &&[u8]| matches!(text.strip_prefix(*field), Some([b':' | b'\r' | b'\n', ..]));
    if fields.iter().any(begins) {
        return Begins::Events;
    }
    let may_become = |field: &&[u8]| field.starts_with(text);
    if fields.iter().any(may_become) { Begins::Unclear } else { Begins::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_known_by_its_first_letters() {
        let check = |begins: Begins, bodies: &[&str]| {
            for body in bodies {
                assert_eq!(Begins::of(body.as_bytes()), begins, "{body:?}");
                assert_eq!(Begins::of(format!("\u{feff}\r\n \u{b}{body}").as_bytes()), begins, "{body:?}");
            }
        };
        check(Begins::Json, &["{\"a\": 1}", "{ \"", "{}", "[{", "[ \"a\"]", "[]", "[1", "[null, \"a\"]", "\"a\""]);
        check(Begins::Events, &[": hi", "data: a", "data:", "data\n", "event: x", "id:1", "retry: 1\r"]);
        check(Begins::Text, &["a", "WEBVTT", "[Music]", "{curly}", "database", "data is", "Data: a", "1", "# HELP"]);
        check(Begins::Unclear, &["", "{", "[ ", "d", "data", "retry", "i"]);
        assert_eq!(Begins::of(b"\xef\xbb"), Begins::Unclear);
        for (body, begins) in [("{ ", Begins::Json), (" [", Begins::Json), ("", Begins::Text), ("data", Begins::Text)] {
            assert_eq!(Begins::of_whole(body.as_bytes()), begins, "{body:?}");
        }
    }
}
