//! Strictness, paths, duplicates, escapes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::format_collect, reason = "tests")]

use std::ops::Range;

use proptest::prelude::*;
use serde_json::Value;

use super::{DEPTH_MAX, Fault, Path, Quoted, Reason, Step, Visitor, escape, unescape, walk};

/// Notes all that it is shown.
#[derive(Default)]
struct Notes {
    strings: Vec<(String, String)>,
    keys: Vec<String>,
    scalars: Vec<(String, Range<usize>)>,
    opened: usize,
    closed: usize,
}

fn pointer(path: &Path<'_>) -> String {
    path.steps().iter().fold(String::new(), |pointer, step| match step {
        Step::Key(key) => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        Step::Index(index) => format!("{pointer}/{index}"),
    })
}

impl<'b> Visitor<'b> for Notes {
    fn string(&mut self, path: &Path<'b>, text: Quoted<'b>) -> Result<(), Fault> {
        self.strings.push((pointer(path), text.text()?.into_owned()));
        Ok(())
    }

    fn key(&mut self, path: &Path<'b>, key: Quoted<'b>) -> Result<(), Fault> {
        assert_eq!(path.steps().last(), Some(&Step::Key(key.text()?)));
        self.keys.push(pointer(path));
        Ok(())
    }

    fn scalar(&mut self, path: &Path<'b>, range: Range<usize>) -> Result<(), Fault> {
        self.scalars.push((pointer(path), range));
        Ok(())
    }

    fn open(&mut self, path: &Path<'b>, _: usize, _: bool) -> Result<(), Fault> {
        self.opened += 1;
        assert_eq!(path.steps().len(), path.known().len());
        Ok(())
    }

    fn close(&mut self, _: &Path<'b>, _: usize, _: bool) -> Result<(), Fault> {
        self.closed += 1;
        Ok(())
    }
}

fn notes(json: &[u8]) -> Result<Notes, Fault> {
    let mut notes = Notes::default();
    walk(json, &mut notes).map(|()| notes)
}

/// What a tree says of its strings.
fn strings_of(value: &Value, pointer: &str, into: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => into.push((pointer.to_owned(), text.clone())),
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                strings_of(element, &format!("{pointer}/{index}"), into);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                strings_of(member, &format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), into);
            }
        }
        _ => {}
    }
}

#[test]
fn each_value_is_shown_with_its_path() {
    let json = br#" {"a": ["x", {"b": "y"}, [], {}], "\u0063ontent": "\u00e9\ud83d\ude00", "n": -1.5e3, "t": true} "#;
    let notes = notes(json).unwrap();
    let strings: Vec<_> = notes.strings.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(strings, [("/a/0", "x"), ("/a/1/b", "y"), ("/content", "é😀")]);
    assert_eq!(notes.keys, ["/a", "/a/1/b", "/content", "/n", "/t"]);
    let scalars: Vec<_> = notes.scalars.iter().map(|(path, range)| (path.as_str(), &json[range.clone()])).collect();
    assert_eq!(scalars, [("/n", &b"-1.5e3"[..]), ("/t", b"true")]);
    assert_eq!((notes.opened, notes.closed), (5, 5));
}

#[test]
fn what_parsers_might_read_otherwise_is_a_fault() {
    let check = |json: &[u8], reason: Reason, at: usize| {
        let fault = notes(json).map(|_| ()).unwrap_err();
        assert_eq!((fault.reason, fault.at), (reason, at), "{}", String::from_utf8_lossy(json));
    };
    let expected = Reason::Expected;
    check(b"", expected("a value"), 0);
    check(b"\xef\xbb\xbf{}", Reason::ByteOrderMark, 0);
    check(b"{\"a\":\"\xff\"}", Reason::NotUtf8, 6);
    check(b"{\"a\":\"\xed\xa0\x80\"}", Reason::NotUtf8, 6);
    check(b"{\"a\":1}{", expected("the end"), 7);
    check(b"{\"a\":1,}", expected("a key"), 7);
    check(b"[1,]", expected("a value"), 3);
    check(b"[1 2]", expected("`,` or `]`"), 3);
    check(b"{\"a\" 1}", expected("`:`"), 5);
    check(b"{'a':1}", expected("a key"), 1);
    check(b"[01]", expected("`,` or `]`"), 2);
    check(b"[+1]", expected("a value"), 1);
    check(b"[1.]", expected("a digit"), 3);
    check(b"[NaN]", expected("a value"), 1);
    check(b"[\"\x01\"]", expected("no control character"), 2);
    check(b"[\"\\x\"]", expected("no such escape as"), 2);
    check(b"[\"\\u12\"]", expected("four hexadecimal digits after"), 2);
    check(b"[\"a", expected("`\"`"), 3);
    check(b"{\"\\ud800\":1}", Reason::LoneSurrogate, 2);
    check(b"[\"\\ud800\"]", Reason::LoneSurrogate, 2);
    check(b"[\"\\ude00\\ud83d\"]", Reason::LoneSurrogate, 2);
    check(b"[\"\\ud83d\\u0041\"]", Reason::LoneSurrogate, 2);
    check(b"// a\n{}", expected("a value"), 0);
}

#[test]
fn a_key_stands_once_in_an_object() {
    let duplicate = |json: &str| notes(json.as_bytes()).map(|_| ()).map_err(|fault| (fault.reason, fault.at));
    assert_eq!(duplicate(r#"{"content":1,"content":2}"#), Err((Reason::DuplicateKey, 14)));
    assert_eq!(duplicate(r#"{"content":1,"\u0063ontent":2}"#), Err((Reason::DuplicateKey, 14)));
    assert_eq!(duplicate(r#"{"x":[{"what":1,"ever":2,"what":3}]}"#), Err((Reason::DuplicateKey, 26)));
    assert_eq!(duplicate(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#), Ok(()));
    let many = |count: usize, last: &str| {
        let keys: String = (0..count).map(|key| format!("\"k{key}\":0,")).collect();
        format!("{{{keys}\"{last}\":0}}")
    };
    for count in [1, 15, 16, 17, 18, 500] {
        assert_eq!(duplicate(&many(count, "last")), Ok(()));
        assert!(duplicate(&many(count, "k0")).is_err(), "{count}");
        assert!(duplicate(&many(count, &format!("k{}", count - 1))).is_err(), "{count}");
    }
    // Pairs would be compared 5 * 10^9 times, which takes minutes.
    assert_eq!(duplicate(&many(100_000, "last")), Ok(()));
    assert!(duplicate(&many(100_000, "k70000")).is_err());
}

#[test]
fn depth_is_bounded() {
    let depth = DEPTH_MAX as usize;
    let arrays = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(notes(arrays(depth).as_bytes()).is_ok());
    assert!(notes(objects(depth).as_bytes()).is_ok());
    assert_eq!(notes(arrays(depth + 1).as_bytes()).map(|_| ()).unwrap_err().reason, Reason::TooDeep);
    assert_eq!(notes(objects(depth + 1).as_bytes()).map(|_| ()).unwrap_err().reason, Reason::TooDeep);
    assert!(notes("[".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn faults_say_where_and_never_what() {
    let fault = |json: &str| notes(json.as_bytes()).map(|_| ()).unwrap_err().to_string();
    assert_eq!(fault(r#"{"secret":1,"secret":2}"#), "an object has a key twice at byte 13");
    assert_eq!(fault("[secret]"), "expected a value at byte 1");
    assert_eq!(fault(r#"["\ud800"]"#), "half of a surrogate pair at byte 2");
}

#[test]
fn escapes_are_read_as_they_are_meant() {
    let check = |raw: &str, text: Option<&str>| assert_eq!(unescape(raw).as_deref(), text, "{raw}");
    check(r"plain", Some("plain"));
    check(r"a\u0040b", Some("a@b"));
    check(r#"\"\\\/\b\f\n\r\t"#, Some("\"\\/\u{8}\u{c}\n\r\t"));
    check(r"\ud83d\ude00!", Some("😀!"));
    check(r"\u0000", Some("\0"));
    check(r"é\u00E9\u00e9", Some("ééé"));
    check(r"\ud83d", None);
    check(r"\ud83dx", None);
    check(r"\ude00", None);
    check(r"\ud83d\ud83d\ude00", None);
}

/// Any JSON, small.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![Just("content".to_owned()), Just("text".to_owned()), "[a-z\"\\\\/~é😀\n]{0,4}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_string_of_a_document_is_shown_once_in_order(value in any_json(), is_pretty: bool) {
        let json = if is_pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        let mut expected = Vec::new();
        strings_of(&value, "", &mut expected);
        prop_assert_eq!(notes(&json).unwrap().strings, expected);
    }

    #[test]
    fn what_is_a_document_here_is_one_for_serde_json(json in "[\\[\\]{}:,\"a\\\\u0 1.eE+-]{0,16}") {
        if let Ok(notes) = notes(json.as_bytes()) {
            // Numbers beyond 64 bits of a float are the only thing that it refuses.
            let value: Result<Value, _> = serde_json::from_str(&json);
            prop_assert!(value.is_ok() || json.contains(['e', 'E']), "{json}: {} strings", notes.strings.len());
        }
    }

    #[test]
    fn a_text_survives_being_written(text: String) {
        let mut raw = b"\"".to_vec();
        escape(&text, &mut raw);
        raw.push(b'"');
        prop_assert_eq!(serde_json::from_slice::<String>(&raw).unwrap(), text.clone());
        let raw = std::str::from_utf8(&raw).unwrap();
        prop_assert_eq!(unescape(&raw[1..raw.len() - 1]).unwrap(), text);
    }
}
