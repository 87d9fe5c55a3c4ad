//! Forms, and messages of gRPC.

use std::sync::{Arc, LazyLock};

use portcullis_policy::guard::{
    lanes::{
        document::{Edit, Place, Screener, Settings},
        form::{Form, Unreadable},
        tensors::{Answers, Request, Step, write},
    },
    screen::{Guardrails, Scratch, UnknownFields, Unscreened},
};

/// Puts `bb` in the place of each `~`.
struct Doubled;

impl Screener for Doubled {
    fn text(&mut self, _: &Place, text: &str) -> Edit {
        Edit::Ranges(text.match_indices('~').map(|(at, _)| (at..at + 1, "bb".to_owned())).collect())
    }
}

/// Nothing that cannot be screened is refused, so that there is more to look at.
const LENIENT: Settings = Settings { unknown_fields: UnknownFields::Scan, unscreened: Unscreened::Pass };

/// A form behind a byte that says which kind. What was replaced is there when the result is read again.
pub fn guard_form(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else { return };
    let Ok(form) = read_form(*kind, body) else { return };
    let Ok(Some(written)) = form.rewrite(&mut Doubled) else { return };
    let Ok(again) = read_form(*kind, &written) else { panic!("what is written cannot be read") };
    assert!(again.texts().all(|(_, text)| !text.contains('~')), "something was not replaced");
}

fn read_form(kind: u8, body: &[u8]) -> Result<Form<'_>, Unreadable> {
    match kind {
        0..128 => Form::multipart(b"multipart/form-data; boundary=b", body, &LENIENT),
        _ => Form::urlencoded(body, &LENIENT),
    }
}

/// How long pieces are, then a body of gRPC, which is a message of its own as well. Splitting changes nothing, a message in
/// which nothing is replaced stays, and what was replaced is there when the result is read again.
pub fn guard_tensors(input: &[u8]) {
    static GUARDRAILS: LazyLock<Arc<Guardrails>> = LazyLock::new(super::guardrails);
    let Some((size, body)) = input.split_first() else { return };
    let mut framed = Vec::new();
    assert!(write(body, &mut framed).is_ok());
    for (body, is_stream) in [(body, false), (body, true), (&*framed, false), (&*framed, true)] {
        let screened = |size: usize| {
            let mut answers =
                if is_stream { Answers::stream(&GUARDRAILS, None) } else { Answers::whole(&GUARDRAILS, None) };
            let (mut scratch, mut out) = (Scratch::default(), Vec::new());
            for piece in body.chunks(size) {
                let step = answers.push(piece, &mut scratch, &mut out);
                if step != Step::Continue {
                    return (out, step);
                }
            }
            let step = answers.finish(&mut scratch, &mut out);
            (out, step)
        };
        let whole = screened(body.len().max(1));
        assert_eq!(whole, screened(usize::from(*size).max(1)));
        assert_eq!(whole, screened(1));
    }
    let Ok(request) = Request::read(body, &LENIENT) else { return };
    let Ok(Some(written)) = request.rewrite(&mut Doubled) else { return };
    let Ok(again) = Request::read(&written, &LENIENT) else { panic!("what is written cannot be read") };
    assert!(again.texts().all(|(_, text)| !text.contains('~')), "something was not replaced");
}
