//! Forms as clients send them.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::guard::lanes::doubling::Double;

const CLOSED: Settings = Settings { unknown_fields: UnknownFields::Scan, unscreened: Unscreened::Refuse };
const PASS: Settings = Settings { unscreened: Unscreened::Pass, ..CLOSED };
const TYPE: &str = "multipart/form-data; boundary=b";

fn part(head: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
}

fn rewritten(form: &Form<'_>) -> Result<(String, Vec<String>), Unreadable> {
    let mut double = Double::default();
    let written = form.rewrite(&mut double)?;
    Ok((String::from_utf8_lossy(written.as_deref().unwrap_or(form.body)).into_owned(), double.0))
}

fn multipart(body: &str, settings: Settings) -> Result<(String, Vec<String>), Unreadable> {
    rewritten(&Form::multipart(TYPE.as_bytes(), body.as_bytes(), &settings)?)
}

fn urlencoded(body: &str, settings: Settings) -> Result<(String, Vec<String>), Unreadable> {
    rewritten(&Form::urlencoded(body.as_bytes(), &settings)?)
}

#[test]
fn texts_of_a_form_are_replaced_where_they_stand() {
    let body = |prompt: &str, other: &str| {
        part("name=\"model\"", "whisper-1")
            + &part("name=prompt", prompt)
            + &part("name=\"other\"", other)
            + "--b--\r\n"
    };
    let (written, seen) = multipart(&body("write: a\r\nand --b", "ö a"), CLOSED).unwrap();
    assert_eq!(written, body("write: bb\r\nbbnd --b", "ö bb"));
    assert!(
        ["whisper-1", "write: a\r\nand --b", "ö a"].iter().all(|text| seen.contains(&(*text).to_owned())),
        "{seen:?}"
    );
    let fine = body("fine", "too");
    assert!(
        Form::multipart(TYPE.as_bytes(), fine.as_bytes(), &CLOSED).unwrap().rewrite(&mut Double::default()) == Ok(None)
    );
    let refused = multipart(&body("it is forbidden", ""), CLOSED);
    assert!(matches!(refused, Err(Unreadable::Refused { .. })), "{refused:?}");
}

#[test]
fn what_is_no_text_is_refused_unless_it_may_pass() {
    let body = |part: String| part + "--b--";
    let check = |part: String| {
        let body = body(part);
        assert_eq!(multipart(&body, CLOSED), Err(Unreadable::Unscreened { at: 0 }), "{body}");
        multipart(&body, PASS).unwrap()
    };
    // A file stays, and its name is a text.
    let (written, seen) = check(part("name=\"file\"; filename=\"my a.wav\"", "a\u{7}"));
    assert_eq!(written, body(part("name=\"file\"; filename=\"my bb.wbbv\"", "a\u{7}")));
    assert!(seen.contains(&"my a.wav".to_owned()) && !seen.contains(&"a\u{7}".to_owned()), "{seen:?}");
    let typed = |of: &str| part(&format!("name=\"x\"\r\nContent-Type: {of}"), "fine");
    check(typed("application/json"));
    check(typed("text/plain; charset=utf-16"));
    check(part("name=\"x\"\r\nContent-Transfer-Encoding: base64", "YQ=="));
    check(part("name=\"x\"\r\nX-Note: fine", "fine"));
    check(part("name=\"x\"; filename*=UTF-8''%61", "fine"));
    check(part("name=\"x\"; note=\"fine\"", "fine"));
    assert!(multipart(&body(typed("text/plain; charset=UTF-8")), CLOSED).is_ok());
    assert!(multipart(&body(part("name=\"x\"\r\nContent-Length: 4", "fine")), CLOSED).is_ok());
    let binary = [part("name=\"x\"", "").as_bytes().strip_suffix(b"\r\n").unwrap(), b"\xff\r\n--b--"].concat();
    let read = Form::multipart(TYPE.as_bytes(), &binary, &CLOSED);
    assert!(matches!(read, Err(Unreadable::Unscreened { at: 0 })), "{read:?}");
}

#[test]
fn fields_that_no_table_knows_are_screened_or_go_or_pass() {
    let (known, other) = (part("name=prompt", "a"), part("name=x", "a"));
    let body = format!("{known}{other}{known}--b--");
    let out = |unknown_fields| multipart(&body, Settings { unknown_fields, ..CLOSED }).unwrap().0;
    let (masked, masked_other) = (part("name=prompt", "bb"), part("name=x", "bb"));
    assert_eq!(out(UnknownFields::Scan), format!("{masked}{masked_other}{masked}--b--"));
    assert_eq!(out(UnknownFields::Drop), format!("{masked}{masked}--b--"));
    assert_eq!(out(UnknownFields::Pass), format!("{masked}{other}{masked}--b--"));
    let out = |unknown_fields| urlencoded("prompt=a&x=a&text=a", Settings { unknown_fields, ..CLOSED }).unwrap().0;
    assert_eq!(out(UnknownFields::Scan), "prompt=bb&x=bb&text=bb");
    assert_eq!(out(UnknownFields::Drop), "prompt=bb&text=bb");
    assert_eq!(out(UnknownFields::Pass), "prompt=bb&x=a&text=bb");
}

#[test]
fn escapes_of_urls_hide_nothing() {
    let (written, seen) = urlencoded("pr%6fmpt=%61+%26b&n%61me=c", CLOSED).unwrap();
    assert_eq!(written, "pr%6fmpt=bb+%26b&nbbme=c");
    assert_eq!(seen, ["prompt", "a &b", "name", "c"].into_iter().filter(|text| !is_word(text)).collect::<Vec<_>>());
    assert!(matches!(urlencoded("prompt=%f", CLOSED), Err(Unreadable::Malformed(_))));
    assert!(matches!(urlencoded("prompt=forbidden", CLOSED), Err(Unreadable::Refused { .. })));
}

#[test]
fn forms_that_can_be_read_in_two_ways_are_refused() {
    let end = "--b--\r\n";
    for body in [
        String::new(),
        "--b".to_owned(),
        part("name=\"x\"", "v"),
        format!("preamble\r\n{}{end}", part("name=\"x\"", "v")),
        format!("{}{end}epilogue", part("name=\"x\"", "v")),
        format!("{}{end}", part("nam=\"x\"", "v")),
        format!("{}{end}", part("name=\"x\"; name=\"y\"", "v")),
        format!("{}{end}", part("name=\"x\"; name*=UTF-8''y", "v")),
        format!("{}{end}", part("name=\"x%22\"", "v")),
        format!("{}{end}", part("name=\"x\"\r\n folded", "v")),
        format!("{}{end}", part("name=\"x\"\r\nContent-Disposition: form-data; name=y", "v")),
        format!("{}{end}", part("name=\"x\"\r\nContent-Type: text/plain\r\nContent-Type: text/vtt", "v")),
        format!("{}{end}", part("name=\"x\"", "v").repeat(multipart::PARTS_MAX + 1)),
        format!("{}{end}", part(&format!("name=\"{}\"", "x".repeat(multipart::PART_HEAD_BYTES_MAX)), "v")),
    ] {
        let read = multipart(&body, PASS);
        assert!(matches!(read, Err(Unreadable::Malformed(_))), "{body}: {read:?}");
    }
    assert!(multipart(&format!("{}{end}", part("name=\"x\"", "v").repeat(multipart::PARTS_MAX)), CLOSED).is_ok());
    for content_type in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"b"] {
        assert!(Form::multipart(content_type.as_bytes(), b"--b--", &CLOSED).is_err(), "{content_type}");
    }
    let long = format!("multipart/form-data; boundary={}", "b".repeat(multipart::BOUNDARY_BYTES_MAX + 1));
    assert!(Form::multipart(long.as_bytes(), b"--b--", &CLOSED).is_err());
}

#[test]
fn what_is_put_in_ends_no_part() {
    let of = |boundary: &str| format!("multipart/form-data; boundary={boundary}");
    let body = "--xbb\r\nContent-Disposition: form-data; name=prompt\r\n\r\n\r\n--xa\r\n--xbb--";
    let content_type = of("xbb");
    let form = Form::multipart(content_type.as_bytes(), body.as_bytes(), &CLOSED).unwrap();
    assert_eq!(form.rewrite(&mut Double::default()), Err(Unreadable::Refused { at: 0 }));
    let (body, content_type) = (body.replace("xbb", "xcc"), of("xcc"));
    let form = Form::multipart(content_type.as_bytes(), body.as_bytes(), &CLOSED).unwrap();
    assert_eq!(rewritten(&form).unwrap().0, body.replace("xa", "xbb"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_replaced_reads_as_if_it_had_been_written_so(
        fields in prop::collection::vec(("[a-c]{1,3}", "[ab\u{e4}\r\n&=+% ]{0,9}"), 0..5),
    ) {
        let body = |double: bool| {
            let of = |text: &str| if double { text.replace('a', "bb") } else { text.to_owned() };
            fields.iter().map(|(name, value)| part(&format!("name=\"{}\"", of(name)), &of(value))).collect::<String>() + "--b--"
        };
        prop_assert_eq!(multipart(&body(false), CLOSED).unwrap().0, body(true));
        let body = |double: bool| {
            let of = |text: &str| encode(&if double { text.replace('a', "bb") } else { text.to_owned() });
            fields.iter().map(|(name, value)| format!("{}={}", of(name), of(value))).collect::<Vec<_>>().join("&")
        };
        prop_assert_eq!(urlencoded(&body(false), CLOSED).unwrap().0, body(true));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let body = [b"--b\r\n", &bytes[..], b"\r\n--b--"].concat();
        for body in [&body, &bytes] {
            let _ = Form::multipart(TYPE.as_bytes(), body, &PASS).map(|form| rewritten(&form));
            let _ = Form::urlencoded(body, &PASS).map(|form| rewritten(&form));
        }
    }
}
