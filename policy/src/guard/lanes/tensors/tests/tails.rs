//! Tensors behind the JSON of an HTTP body.

use super::*;
use crate::guard::lanes::{
    shape::Form,
    tensors::binary::{Written, rewrite, split},
};

fn json(sizes: [usize; 3]) -> String {
    let [text, numbers, other] = sizes;
    format!(
        r#"{{"inputs":[{{"name":"t","datatype":"BYTES","shape":[2],"parameters":{{"binary_data_size":{text}}}}},
        {{"name":"here","datatype":"BYTES","shape":[1],"data":["a"]}},
        {{"parameters":{{"binary_data_size": {numbers} }},"name":"n","datatype":"FP32","shape":[1]}},
        {{"name":"o","datatype":"BYTES","shape":[1],"parameters":{{"binary_data_size":{other}}}}}]}}"#
    )
}

fn tails(json: &str, tensors: &[u8], settings: Settings) -> Result<Option<Written>, Stop> {
    rewrite(Form::Request, json.as_bytes(), tensors, &settings, &mut Double::default())
}

#[test]
fn elements_behind_the_json_are_screened_and_their_sizes_follow() {
    let body = |first: &[u8], other: &[u8]| [&raw(&[first, b""])[..], b"a\xff\0a", &raw(&[other])].concat();
    let written = tails(&json([12, 4, 5]), &body(b"aaaa", b"b"), CLOSED).unwrap().unwrap();
    assert_eq!(String::from_utf8(written.json).unwrap(), json([16, 4, 5]));
    assert_eq!(written.tensors, body(b"bbbbbbbb", b"b"));
    assert_eq!(tails(&json([12, 4, 5]), &body(b"fine", b"b"), CLOSED).unwrap(), None);
    assert_eq!(tails(&json([12, 4, 13]), &body(b"fine", b"forbidden"), CLOSED).map_err(|_| ()), Err(()));
}

#[test]
fn tails_that_are_not_as_the_json_says_are_refused() {
    let refused = |json: &str, tensors: &[u8]| match tails(json, tensors, CLOSED) {
        Err(Stop::Failed(why)) => why,
        other => panic!("{other:?}"),
    };
    let one = |parameters: &str, datatype: &str| {
        format!(r#"{{"inputs":[{{"name":"t","datatype":"{datatype}","shape":[1],"parameters":{{{parameters}}}}}]}}"#)
    };
    let sized = |size: &str| one(&format!(r#""binary_data_size":{size}"#), "BYTES");
    let tensor = raw(&[b"text"]);
    assert_eq!(tails(&sized("8"), &tensor, CLOSED), Ok(None));
    for size in ["7", "9", "-8", "8.0", "1e1", "99999999999999999999"] {
        let why = refused(&sized(size), &tensor);
        assert!(matches!(why, Unscreenable::Malformed(_)), "{size}: {why:?}");
    }
    assert!(matches!(refused("{", b""), Unscreenable::Malformed(_)));
    assert!(matches!(refused(r#"{"inputs":[]}"#, b"x"), Unscreenable::Malformed(_)));
    assert_eq!(refused(&one(r#""binary_data_size":8"#, "bytes"), &tensor), Unscreenable::UnknownDatatype);
    assert_eq!(refused(&sized("8"), &raw(&[b"\xff\xff\xff\xff"])), Unscreenable::NotText);
    assert_eq!(refused(&one(r#""shared_memory_region":"r""#, "BYTES"), b""), Unscreenable::Elsewhere);
    assert!(split(b"{}", 3).is_err());
    assert_eq!(split(b"{}ab", 2), Ok((&b"{}"[..], &b"ab"[..])));
}
