//! Where models are named, in every way that a client may try (row B35 of the list of hostile inputs).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_policy::guard::lanes::json::DEPTH_MAX;
use proptest::prelude::*;

use super::{GrpcScan, ModelSource, Prompt, from_json, from_multipart, reconcile, source};

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn the_source_follows_from_the_head() {
    let check =
        |method: Method, target: &str, fields: &[(&'static str, &str)], expected: Result<ModelSource<'_>, &str>| {
            let headers = headers(fields);
            let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
            let got = source(&method, path, query, &headers);
            assert_eq!(got.map_err(|refusal| refusal.code), expected, "{method} {target} {fields:?}");
        };
    let here = |model: &'static str| Ok(ModelSource::Here(model.into()));
    let (json, nowhere) = (|| Ok(ModelSource::Json), || Ok(ModelSource::Nowhere));
    // bodies
    check(Method::POST, "/v1/chat/completions", &[JSON], json());
    check(Method::POST, "/v1/messages", &[("content-type", "Application/JSON; charset=utf-8")], json());
    check(Method::POST, "/invocations", &[("content-type", "application/vnd.x+json")], json());
    check(Method::POST, "/v1/chat/completions", &[], json());
    check(Method::POST, "/v1/chat/completions", &[("content-type", "text/plain")], json());
    check(
        Method::POST,
        "/v1/chat/completions",
        &[("content-type", "application/octet-stream")],
        Err("content_type_unsupported"),
    );
    check(
        Method::POST,
        "/v1/chat/completions",
        &[("content-type", "application/x-www-form-urlencoded")],
        Err("content_type_unsupported"),
    );
    check(Method::POST, "/upload", &[("content-type", "application/octet-stream")], nowhere());
    check(Method::POST, "/upload", &[], nowhere());
    check(Method::GET, "/v1/chat/completions", &[JSON], nowhere());
    check(
        Method::POST,
        "/v1/chat/completions",
        &[JSON, ("content-encoding", "gzip")],
        Err("content_encoding_unsupported"),
    );
    check(Method::POST, "/v1/chat/completions", &[JSON, ("content-encoding", "identity")], json());
    check(
        Method::POST,
        "/v1/chat/completions",
        &[JSON, ("content-encoding", "identity"), ("content-encoding", "br")],
        Err("content_encoding_unsupported"),
    );
    check(Method::POST, "/upload", &[("content-encoding", "gzip")], nowhere());
    check(Method::POST, "/v1/chat/completions", &[JSON, ("content-type", "text/plain")], Err("several_content_types"));
    // forms
    check(
        Method::POST,
        "/v1/audio/transcriptions",
        &[("content-type", "multipart/form-data; boundary=abc")],
        Ok(ModelSource::Multipart { boundary: "abc".into() }),
    );
    check(
        Method::POST,
        "/v1/audio/transcriptions",
        &[("content-type", "multipart/form-data; charset=utf-8; Boundary=\"a b\"")],
        Ok(ModelSource::Multipart { boundary: "a b".into() }),
    );
    for bad in [
        "",
        "; boundary=",
        "; boundary=a; boundary=b",
        "; boundary=\"a",
        "; boundary=a\"b",
        "; boundary=a@b",
        "; boundary",
    ] {
        check(
            Method::POST,
            "/v1/audio/transcriptions",
            &[("content-type", &format!("multipart/form-data{bad}"))],
            Err("invalid_form"),
        );
    }
    // paths
    check(Method::POST, "/v2/models/simple/infer", &[], here("simple"));
    check(Method::POST, "/v2/models/simple/versions/3/infer", &[("content-encoding", "gzip")], here("simple"));
    check(Method::GET, "/v2/models/a%20b", &[], here("a b"));
    check(Method::GET, "/v2/models/a%25b/ready", &[], here("a%b"));
    check(Method::GET, "/v2/models/caf%C3%A9", &[], Err("invalid_model"));
    check(Method::GET, &format!("/v2/models/{}", "a".repeat(257)), &[], Err("invalid_model"));
    check(Method::GET, "/v2/models/stats", &[], nowhere());
    check(Method::GET, "/v2/models/stats/stats", &[], here("stats"));
    check(Method::GET, "/v2/models/", &[], nowhere());
    check(Method::GET, "/v2/models", &[], nowhere());
    check(Method::GET, "/v2/health/ready", &[], nowhere());
    check(Method::POST, "/v2/repository/models/simple/load", &[JSON], here("simple"));
    check(Method::POST, "/v2/repository/index", &[JSON], nowhere());
    check(Method::POST, "/v2/repository/prod/models/simple/load", &[JSON], here("simple"));
    check(Method::POST, "/v2/repository/prod/models/a%20b/unload", &[JSON], here("a b"));
    check(Method::POST, "/v2/repository/models/models/simple/load", &[JSON], here("simple"));
    check(Method::POST, "/v2/repository/models/models/load", &[JSON], here("models"));
    check(Method::POST, "/v2/repository/prod/models//load", &[JSON], nowhere());
    check(Method::POST, "/v2/repository/prod/index", &[JSON], nowhere());
    check(Method::GET, "/v1/models/meta-llama/Llama-3.1-8B", &[], here("meta-llama/Llama-3.1-8B"));
    check(Method::DELETE, "/v1/models/ft:m:org", &[], here("ft:m:org"));
    check(Method::GET, "/v1/models", &[], nowhere());
    // queries
    check(Method::GET, "/v1/realtime?model=gpt&x=y", &[], here("gpt"));
    check(Method::GET, "/v1/realtime?mod%65l=a+b", &[], here("a b"));
    check(Method::GET, "/v1/realtime", &[], nowhere());
    check(Method::GET, "/v1/files?model=gpt", &[], nowhere());
    // gRPC, whatever the content type says
    for (method, field) in
        [("ModelInfer", 1), ("ModelStreamInfer", 1), ("ModelMetadata", 1), ("RepositoryModelLoad", 2)]
    {
        check(
            Method::POST,
            &format!("/inference.GRPCInferenceService/{method}"),
            &[JSON],
            Ok(ModelSource::Grpc { field }),
        );
    }
    check(Method::POST, "/inference.GRPCInferenceService/ServerLive", &[], nowhere());
    check(Method::POST, "/inference.GRPCInferenceService/modelinfer", &[], nowhere());
    check(
        Method::POST,
        "/inference.GRPCInferenceService/ModelInfer",
        &[("content-encoding", "gzip")],
        Err("content_encoding_unsupported"),
    );
}

#[test]
fn every_place_must_name_the_same_model() {
    let check = |model, query, claims: &[&str], expected: bool| {
        let got = reconcile(model, query, claims.iter().map(|claim| claim.as_bytes()));
        assert_eq!(got.is_ok(), expected, "{model:?} {query:?} {claims:?}");
    };
    check(Some("a"), None, &[], true);
    check(Some("a"), Some("x=y&model=a"), &["a"], true);
    check(Some("a"), Some("model=b"), &[], false);
    check(Some("a"), Some("model=a&model=b"), &[], false);
    check(Some("a"), Some("%6dodel=b"), &[], false);
    check(Some("a"), Some("model=%ff"), &[], false);
    check(Some("a"), Some("model"), &[], false);
    check(Some("a b"), Some("model=a+b"), &[], true);
    check(Some("a"), None, &["b"], false);
    check(Some("a"), None, &["a", "b"], false);
    check(None, Some("model=b"), &["c"], true);
}

#[test]
fn json_names_its_model() {
    let check = |body: &str, model: Option<&str>, stream: Option<bool>| {
        let expected = Prompt { model: model.map(Into::into), stream };
        assert_eq!(from_json(body.as_bytes()), Ok(expected), "{body}");
    };
    check(r#"{"model":"m"}"#, Some("m"), None);
    check(r#" { "model" : "m" , "stream" : true } "#, Some("m"), Some(true));
    check(r#"{"messages":[{"role":"user","content":"model"}],"stream":false,"model":"m"}"#, Some("m"), Some(false));
    check(r#"{"x":{"model":"inner"},"model":"m","y":[{"model":"inner"}]}"#, Some("m"), None);
    check(r#"{"mod\u0065l":"m"}"#, Some("m"), None);
    check(r#"{"\u006D\u006f\u0064\u0065\u006c":"\u006d"}"#, Some("m"), None);
    check(r#"{"model":"meta-llama\/Llama"}"#, Some("meta-llama/Llama"), None);
    check(r#"{"stream":null,"a":"\ud800","\ud800":1}"#, None, None);
    check("{}", None, None);
    check("[]", None, None);
    check("[[],{},\"model\",-0.5e+10,0,1E5,true,false,null]", None, None);
    check("\"model\"", None, None);
    check(r#"{"models":"a","modelx":"b","mode":"c"}"#, None, None);
    let name = "n".repeat(256);
    check(&format!(r#"{{"model":"{name}"}}"#), Some(&name), None);
}

#[test]
fn json_that_others_might_read_differently_is_refused() {
    let check = |body: &str, expected: &str| {
        assert_eq!(from_json(body.as_bytes()).map_err(|refusal| refusal.code), Err(expected), "{body}");
    };
    check(r#"{"model":"a","model":"b"}"#, "duplicate_model");
    check(r#"{"model":"a","model":"a"}"#, "duplicate_model");
    check(r#"{"model":"a","mod\u0065l":"b"}"#, "duplicate_model");
    check(r#"{"model":"a","MODEL":"b"}"#, "ambiguous_model");
    check(r#"{"Mod\u0045l":"b"}"#, "ambiguous_model");
    check(r#"{"stream":true,"stream":false}"#, "duplicate_stream");
    check(r#"{"stream":"true"}"#, "invalid_stream");
    check(r#"{"stream":1}"#, "invalid_stream");
    for value in [
        "1",
        "null",
        "true",
        "[]",
        "{}",
        "[\"a\"]",
        "\"\"",
        "\" a\"",
        "\"a \"",
        r#""a\nb""#,
        r#""a\u0000""#,
        r#""\ud800""#,
        r#""\ud800\u0041""#,
        "\"é\"",
    ] {
        check(&format!(r#"{{"model":{value}}}"#), "invalid_model");
    }
    check(&format!(r#"{{"model":"{}"}}"#, "n".repeat(257)), "invalid_model");
    for body in [
        "",
        " ",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1}}",
        "{} {}",
        "{}x",
        "[1,]",
        "[1 2]",
        "[",
        "]",
        "[}",
        "{\"a\":[}",
        "nul",
        "nulll",
        "True",
        "NaN",
        "Infinity",
        "-",
        "01",
        "1.",
        ".5",
        "1e",
        "+1",
        "0x1",
        "1_0",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12G4\"",
        "\"\t\"",
        "\"\n\"",
        "\"a\u{0}b\"",
        "/**/{}",
        "{}//",
        "\u{feff}{}",
        "\u{a0}{}",
        "{\"model\":\"a\",\"x\":tru}",
        "{\"model\":\"a\"",
        "{1:2}",
        "{\"a\"::1}",
    ] {
        check(body, "invalid_json");
    }
    for invalid in [
        &b"{\"a\":\"\xff\"}"[..],
        b"{\"a\":\"\xc0\xaf\"}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"\xff\xfe{\0}\0",
        b"{\"a\":\"\xc3",
    ] {
        assert_eq!(from_json(invalid).unwrap_err().code, "invalid_json");
    }
    let refusal = from_json(br#"{"a": 01}"#).unwrap_err();
    assert_eq!(refusal.message, "the request body is not valid JSON: expected `,` or `}` at byte 7");
}

#[test]
fn json_depth_is_bounded() {
    let depth = DEPTH_MAX as usize;
    let arrays = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(from_json(arrays(depth).as_bytes()).is_ok());
    assert!(from_json(objects(depth).as_bytes()).is_ok());
    assert_eq!(from_json(arrays(depth + 1).as_bytes()).unwrap_err().code, "json_too_deep");
    assert_eq!(from_json(objects(depth + 1).as_bytes()).unwrap_err().code, "json_too_deep");
    assert_eq!(from_json("[".repeat(1_000_000).as_bytes()).unwrap_err().code, "json_too_deep");
}

/// Any JSON text, small.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,20}".prop_map(Into::into),
        "[\"\\\\a-c\\n\u{0}-\u{20}é€😀]{0,40}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("\\PC{0,8}", inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn whatever_is_json_is_read_as_json(value in any_json(), model in "[!-~]{1,30}", pretty in any::<bool>()) {
        let mut object = serde_json::Map::new();
        object.insert("before".into(), value.clone());
        object.insert("model".into(), model.clone().into());
        object.insert("stream".into(), true.into());
        object.insert("after".into(), value.clone());
        let write = |value: &serde_json::Value| if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
        let body = write(&object.into()).unwrap();
        prop_assert_eq!(from_json(&body), Ok(Prompt { model: Some(model.into()), stream: Some(true) }));
        prop_assert!(from_json(&write(&serde_json::Value::Array(vec![value])).unwrap()).is_ok());
    }

    /// We may refuse what serde_json takes (duplicates, lone surrogates nowhere), never take what it refuses.
    #[test]
    fn whatever_is_not_json_is_refused(
        body in prop::collection::vec(prop_oneof![
            6 => prop::sample::select(br#"{}[]",:\u0eE+-.1 ntrfalsmod"#.to_vec()), 1 => any::<u8>()
        ], 0..40)
    ) {
        let taken = from_json(&body);
        if taken.is_ok() {
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok());
        }
    }

    #[test]
    fn damage_is_never_taken_for_json(value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = serde_json::to_vec(&serde_json::json!({"a": value, "model": "m"})).unwrap();
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(prompt) = from_json(&body) {
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok());
            // Numbers beyond f64 and halves of surrogate pairs are JSON, but nothing that a Value can hold.
            let Ok(reference) = serde_json::from_slice::<serde_json::Value>(&body) else { return Ok(()) };
            prop_assert_eq!(prompt.model.as_deref(), reference.get("model").and_then(|model| model.as_str()));
        }
    }
}

const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
                    RIFF\r\n--bx\r\n\0\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--b--\r\n";

#[test]
fn forms_name_their_model() {
    let check = |body: &str, expected: Result<Option<&str>, &str>| {
        let got = from_multipart(body.as_bytes(), "b").map_err(|refusal| refusal.code);
        assert_eq!(got, expected.map(|model| model.map(Into::into)), "{body:?}");
    };
    let part = |head: &str, value: &str| format!("--b\r\n{head}\r\n\r\n{value}\r\n--b--\r\n");
    let field = |name: &str| part(&format!("content-disposition: form-data; {name}"), "m");
    // `--bx` in the file is no boundary to some and one to others: the parts after it would be read differently.
    check(FORM, Err("invalid_form"));
    check(&FORM.replace("--bx", "--x"), Ok(Some("whisper")));
    check(&field("name=\"model\""), Ok(Some("m")));
    check(&field("name=model"), Ok(Some("m")));
    check(&field("NAME=\"model\" "), Ok(Some("m")));
    check(&field("name=\"Model\""), Ok(None));
    check("--b--", Ok(None));
    let two = field("name=\"model\"").replace("--b--\r\n", "") + &field("name=\"model\"");
    check(&two, Err("duplicate_model"));
    for disposition in [
        "name=\"mod\\el\"",
        "name=\"mod%65l\"",
        "name*=utf-8''model",
        "name=model; name=x",
        "x=y",
        "name=\"model",
        "name=\"model\"x",
        "name",
        "=model",
        "name=mo del",
    ] {
        check(&field(disposition), Err("invalid_form"));
    }
    check(&field("name=\"model\"; filename=\"x\""), Err("invalid_model"));
    check(
        &part("content-disposition: form-data; name=\"model\"\r\ncontent-transfer-encoding: base64", "bQ=="),
        Err("invalid_model"),
    );
    check(&part("content-disposition: form-data; name=\"model\"", "a\r\nb"), Err("invalid_model"));
    check(&part("content-disposition: form-data; name=\"model\"", &"m".repeat(257)), Err("invalid_model"));
    for body in [
        "",
        "--c\r\n",
        "\r\n--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--\r\n",
        "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n",
        "--b\ncontent-disposition: form-data; name=\"model\"\n\nm\n--b--\n",
        "--b\r\ncontent-disposition: form-data;\r\n name=\"model\"\r\n\r\nm\r\n--b--\r\n",
        "--b\r\ncontent-type: a\r\n\r\nm\r\n--b--\r\n",
        "--b--\r\n--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--\r\n",
    ] {
        check(body, Err("invalid_form"));
    }
    let many = "--b\r\ncontent-disposition: form-data; name=\"x\"\r\n\r\n\r\n".repeat(1000) + "--b--\r\n";
    check(&many, Err("invalid_form"));
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A field with a length.
fn field(number: u64, value: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn message(fields: &[Vec<u8>]) -> Vec<u8> {
    let body = fields.concat();
    [&[0][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
}

/// Scans a whole body in chunks of this size.
fn scan(body: &[u8], chunk: usize) -> Result<Option<String>, &'static str> {
    let mut scan = GrpcScan::new(1);
    for chunk in body.chunks(chunk.max(1)) {
        scan.push(chunk).map_err(|refusal| refusal.code)?;
    }
    scan.finish().map_err(|refusal| refusal.code)?;
    Ok(scan.model().flatten().map(str::to_owned))
}

#[test]
fn grpc_messages_name_their_model() {
    let check = |body: &[u8], expected: Result<Option<&str>, &'static str>| {
        for chunk in [1, 2, 3, 7, body.len()] {
            assert_eq!(scan(body, chunk), expected.map(|model| model.map(str::to_owned)), "{body:02x?} by {chunk}");
        }
    };
    let other =
        || [varint(2 << 3), varint(300), varint(3 << 3 | 1), vec![0; 8], varint(4 << 3 | 5), vec![0; 4]].concat();
    check(&message(&[field(1, b"m")]), Ok(Some("m")));
    check(&message(&[field(2, b"1"), other(), field(5, &[7; 3000]), field(1, b"m")]), Ok(Some("m")));
    check(&message(&[field(1, b"m"), field(5, b""), field(7, &[0; 500])]), Ok(Some("m")));
    check(&message(&[]), Ok(None));
    check(&message(&[field(2, b"x")]), Ok(None));
    check(&[], Ok(None));
    // streams
    check(&[message(&[field(1, b"m")]), message(&[field(5, b"x"), field(1, b"m")])].concat(), Ok(Some("m")));
    check(&[message(&[field(1, b"m")]), message(&[field(1, b"n")])].concat(), Err("model_changed"));
    check(&[message(&[field(1, b"m")]), message(&[])].concat(), Err("model_changed"));
    check(&[message(&[]), message(&[field(1, b"m")])].concat(), Err("model_changed"));
    // duplicates and lies
    check(&message(&[field(1, b"m"), field(1, b"m")]), Err("duplicate_model"));
    check(&message(&[field(1, b"m"), varint(1 << 3), vec![1]]), Err("duplicate_model"));
    check(&message(&[varint(1 << 3), vec![1]]), Err("invalid_model"));
    check(&message(&[field(1, b"")]), Err("invalid_model"));
    check(&message(&[field(1, b"a\nb")]), Err("invalid_model"));
    check(&message(&[field(1, b"\xff")]), Err("invalid_model"));
    check(&message(&[field(1, &[b'a'; 257])]), Err("invalid_model"));
    check(&message(&[field(1, &[b'a'; 256])]), Ok(Some(&"a".repeat(256))));
    // a tag written longer than it needs to be is the same tag
    check(&message(&[vec![0x8a, 0x00, 1, b'm']]), Ok(Some("m")));
    check(&message(&[field(1, b"m"), vec![0x8a, 0x80, 0x00, 1, b'n']]), Err("duplicate_model"));
    // broken ones
    for broken in [
        vec![0, 0, 0, 0],
        vec![2, 0, 0, 0, 0],
        vec![0, 0, 0, 0, 1, 0x0a],
        vec![0, 0, 0, 0, 2, 0x0a, 1],
        vec![0, 0, 0, 0, 2, 0x0a, 1, b'm'],
        vec![0, 0, 0, 0, 1, 0x80],
        vec![0, 0, 0, 0, 2, 0x02, 0],
        vec![0, 0, 0, 0, 1, 0x13],
        vec![0, 0, 0, 0, 1, 0x17],
        message(&[vec![0xff; 11]]),
        message(&[varint(u64::MAX)]),
        message(&[varint(2 << 3 | 2), varint(1 << 40)]),
        message(&[varint(2 << 3 | 2), varint(u64::from(u32::MAX))]),
        message(&[varint(2 << 3 | 1), vec![0; 7]]),
    ] {
        check(&broken, Err("invalid_grpc"));
    }
    let compressed = scan(&[1, 0, 0, 0, 1, 0], 9);
    assert_eq!(compressed, Err("content_encoding_unsupported"));
}

#[test]
fn the_model_is_known_before_the_tensors_have_come() {
    let body = message(&[field(1, b"m"), field(7, &vec![0; 1 << 20])]);
    let mut scan = GrpcScan::new(1);
    scan.push(&body[..9]).unwrap();
    assert_eq!(scan.model(), Some(Some("m")));
    let mut scan = GrpcScan::new(1);
    scan.push(&body[..7]).unwrap();
    assert_eq!(scan.model(), None);
}

proptest! {
    #[test]
    fn grpc_chunking_does_not_matter(
        body in prop::collection::vec(prop_oneof![3 => 0_u8..16, 1 => any::<u8>()], 0..64), chunk in 1_usize..9
    ) {
        prop_assert_eq!(scan(&body, chunk), scan(&body, 64));
    }

    #[test]
    fn grpc_bodies_as_prost_writes_them_are_read(model in "[a-z]{1,40}", rest in prop::collection::vec((2_u64..20, prop::collection::vec(any::<u8>(), 0..50)), 0..6)) {
        let mut fields: Vec<_> = rest.iter().map(|(number, value)| field(*number, value)).collect();
        fields.insert(rest.len() / 2, field(1, model.as_bytes()));
        prop_assert_eq!(scan(&message(&fields), 5), Ok(Some(model)));
    }
}
