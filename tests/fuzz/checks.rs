//! What must hold for any bytes that a stranger sends: the bodies of the fuzz targets.
//!
//! `fuzz_targets/` drives them with coverage (`just fuzz TARGET`); `gateway/tests/fuzz_smoke.rs` includes this file and
//! drives them from the seeds on the stable toolchain, in every test run. Each panics when something does not hold.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::HOST};
use portcullis_dialects::{
    canonical::{Head, canonicalise},
    hygiene,
    model::{GrpcScan, from_json, from_multipart},
    refusal::Dialect,
    sse::{Bounds, Ending, Splitter, Tail},
};
use portcullis_gateway::{
    authenticate::directory::{
        entry::{closed, stable_id},
        entry_in,
    },
    authenticate::dpop::{
        self, Purpose, Secret,
        key::{ProofAlgorithm, ProofKey},
        replays::{Replays, Shown},
    },
    authenticate::oidc::{
        algorithm::Algorithm,
        jwt::{Jwt, is_signed},
        keys::KeySet,
    },
};
use portcullis_mesh::http::{
    framing::decode_chunks,
    head::{HEAD_BYTES_MAX, HeadScanner, parse_request, write_request_head},
};
use portcullis_policy::{
    check::check_sources,
    diagnostics,
    documents::Sources,
    guard::{
        engine::{Action, Rule},
        injection,
        lanes::{
            shape::Api,
            stream::{EventStream, LANES_MAX, Scratch, Step},
        },
        placeholders::{ConversationKey, Placeholders, Restorer},
        screen::{
            Detector, Direction, Guardrails, OnError, Origin, Reaction, Speakers, Stage, Tell, UnknownFields,
            Unscreened,
        },
    },
    snapshot::{DocumentId, Scheme},
};

#[path = "checks/bodies.rs"]
pub mod bodies;
#[path = "checks/document.rs"]
pub mod document;
#[path = "checks/identities.rs"]
pub mod identities;
#[path = "checks/load.rs"]
pub mod load;
#[path = "checks/rules.rs"]
pub mod rules;

/// What is checked of an input.
pub type Check = fn(&[u8]);

/// The targets, by the names of their folders of seeds.
pub const TARGETS: [(&str, Check); 23] = [
    ("bundle", identities::bundle),
    ("canonical", canonical),
    ("chunks", chunks),
    ("csr", identities::csr),
    ("directory", entries),
    ("documents", documents),
    ("guard_document", document::guard_document),
    ("guard_engine", rules::guard_engine),
    ("guard_form", bodies::guard_form),
    ("guard_normalise", guard_normalise),
    ("guard_restore", guard_restore),
    ("guard_stream", guard_stream),
    ("guard_tensors", bodies::guard_tensors),
    ("headers", headers),
    ("http1", http1),
    ("jwks", jwks),
    ("jwt", jwt),
    ("load_page", load::load_page),
    ("load_report", load::load_report),
    ("model", model),
    ("proof", proof),
    ("sse", sse),
    ("svid", identities::svid),
];

/// Lines: target, `Host`, and perhaps `:authority`. A canonical form is a fixed point, and is what it says it is.
pub fn canonical(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let (target, host, authority) = (lines.next().unwrap_or_default(), lines.next(), lines.next());
    let hosts: Vec<_> = host.into_iter().filter_map(|host| HeaderValue::from_bytes(host).ok()).collect();
    for (method, scheme) in [(Method::GET, Scheme::Https), (Method::OPTIONS, Scheme::Http)] {
        let head = Head { method: &method, target, authority, hosts: &hosts, scheme, extended_connect: false };
        let Ok(first) = canonicalise(&head) else { continue };
        let path = first.path();
        assert!(path.bytes().all(|byte| (0x21..0x7f).contains(&byte)), "{path}");
        assert!(first.is_asterisk() || path.starts_with('/'), "{path}");
        assert!(!path.contains("//") && path.split('/').all(|segment| segment != "." && segment != ".."), "{path}");
        let upper = path.to_ascii_uppercase();
        assert!(!["%2F", "%5C", "%00", "%2E", "\\", "?", "#"].iter().any(|bad| upper.contains(bad)), "{path}");
        assert!(!first.host().is_empty() && first.authority().starts_with(first.host()));
        assert_eq!(first.host(), first.host().to_ascii_lowercase());
        let again = first.query().map_or(path.to_owned(), |query| format!("{path}?{query}"));
        let host = HeaderValue::from_str(first.authority()).expect("an authority is a header value");
        let head = Head { target: again.as_bytes(), authority: None, hosts: &[host], ..head };
        let second = canonicalise(&head).expect("a canonical form is canonical");
        assert_eq!(
            (first.host(), first.authority(), first.path(), first.query()),
            (second.host(), second.authority(), second.path(), second.query())
        );
    }
}

/// Documents are read, checked and compiled, or said to be wrong, and the same way each time.
pub fn documents(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let sources = Sources::of_text("fuzz.yaml", text);
    let (first, second) = (check_sources(&sources), check_sources(&sources));
    assert_eq!(diagnostics::text(&first.diagnostics, false), diagnostics::text(&second.diagnostics, false));
    assert_eq!(first.snapshot.revision, second.snapshot.revision);
    for diagnostic in &first.diagnostics {
        assert!(!diagnostic.message.is_empty());
    }
}

/// The first byte chooses: JSON, gRPC or a form. Whoever reads the same body in another way finds the same model.
pub fn model(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else { return };
    match kind % 3 {
        0 => {
            let Ok(prompt) = from_json(body) else { return };
            serde_json::from_slice::<serde::de::IgnoredAny>(body).expect("what we take is JSON");
            // Numbers beyond f64 and halves of surrogate pairs are JSON, but nothing that a Value can hold.
            let Ok(reference) = serde_json::from_slice::<serde_json::Value>(body) else { return };
            assert_eq!(prompt.model.as_deref(), reference.get("model").and_then(serde_json::Value::as_str));
            assert_eq!(prompt.stream, reference.get("stream").and_then(serde_json::Value::as_bool));
        }
        1 => {
            let scan = |size: usize| {
                let mut scan = GrpcScan::new(1);
                let pushed = body.chunks(size).try_for_each(|chunk| scan.push(chunk));
                let outcome = pushed.and_then(|()| scan.finish()).map_err(|refusal| refusal.code);
                (outcome, scan.model().map(|model| model.map(str::to_owned)))
            };
            let whole = scan(body.len().max(1));
            assert_eq!(whole, scan(1));
            assert_eq!(whole, scan(3));
        }
        _ => {
            if let Ok(Some(model)) = from_multipart(body, "b") {
                assert!(!model.is_empty() && model.len() <= 256 && !model.contains(char::is_control));
                assert!(memchr::memmem::find(body, b"model").is_some());
            }
        }
    }
}

/// How long pieces are, then a text; control characters in it stand for placeholders. Splitting changes nothing, nothing else
/// is changed, and no more is held than a spelling is long.
pub fn guard_restore(input: &[u8]) {
    let Some((size, written)) = input.split_first() else { return };
    let mut placeholders = Placeholders::new(ConversationKey::derive(&[0; 32], "tenant", b"conversation"));
    let made: Vec<String> = ["email", "email", "us-ssn", "e"]
        .iter()
        .zip(["\u{b5}", "<EMAIL_", ">", ""])
        .filter_map(|(kind, value)| placeholders.placeholder(kind, value).map(str::to_owned))
        .collect();
    let values = placeholders.into_values();
    let expand = |byte: &u8| match made.get(usize::from(*byte).wrapping_sub(1)) {
        Some(placeholder) => placeholder.clone().into_bytes(),
        None => vec![*byte],
    };
    let text: Vec<u8> = written.iter().flat_map(expand).collect();
    let restored = |size: usize| {
        let (mut restorer, mut out) = (Restorer::new(values.clone()), Vec::new());
        for piece in text.chunks(size) {
            restorer.restore(piece, &mut out);
            assert!(restorer.held() <= 64, "{} bytes are held", restorer.held());
        }
        restorer.finish(&mut out);
        out
    };
    let whole = restored(text.len().max(1));
    assert_eq!(whole, restored(usize::from(*size).max(1)));
    assert_eq!(whole, restored(1));
    let plain = String::from_utf8_lossy(&text)
        .to_ascii_lowercase()
        .replace("\\_", "_")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    let has_one = made.iter().any(|placeholder| plain.contains(&placeholder.to_ascii_lowercase()));
    assert!(has_one || whole == text, "only placeholders are replaced");
}

/// The first byte is the size of the pieces. Any pieces give the same events, and not a byte is lost.
pub fn sse(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else { return };
    let bounds = Bounds { line_bytes_max: 64, event_bytes_max: 200 };
    let split = |size: usize| {
        let mut splitter = Splitter::new(bounds);
        let (mut events, mut raw) = (Vec::new(), Vec::new());
        for piece in stream.chunks(size) {
            let mut rest = piece;
            loop {
                match splitter.next(&mut rest) {
                    Ok(Some(event)) => {
                        raw.extend_from_slice(event.raw());
                        events.push((event.name().map(<[u8]>::to_vec), event.data().map(Cow::into_owned)));
                    }
                    Ok(None) => break,
                    Err(error) => return (events, Err(error)),
                }
            }
        }
        assert!(stream.starts_with(&raw), "events are the stream's own bytes");
        (events, Ok(splitter.is_mid_event()))
    };
    let whole = split(stream.len().max(1));
    assert_eq!(whole, split(usize::from(*size).max(1)));
    assert_eq!(whole, split(1));
    for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Plain] {
        let mut tail = Tail::new(dialect);
        stream.chunks(usize::from(*size).max(1)).for_each(|piece| tail.push(piece));
        if let Ok(ending) = whole.1 {
            let is_between = tail.ending() != Ending::MidEvent;
            assert_eq!(is_between, !ending, "{dialect:?}");
        }
    }
}

/// The first byte is the size of the pieces and the API. Any pieces come to the same, and what must not be said is not.
pub fn guard_stream(input: &[u8]) {
    static GUARDRAILS: LazyLock<Arc<Guardrails>> = LazyLock::new(guardrails);
    let Some((first, stream)) = input.split_first() else { return };
    let apis = [Api::Chat, Api::Completions, Api::Responses, Api::Messages, Api::Generate, Api::Other];
    let api = apis[usize::from(first % 6)];
    let bounds = Bounds { line_bytes_max: 4096, event_bytes_max: 8192 };
    let screen = |size: usize| {
        let mut screened = EventStream::with_bounds(api, GUARDRAILS.clone(), bounds);
        let (mut scratch, mut out) = (Scratch::default(), Vec::new());
        for piece in stream.chunks(size) {
            let step = screened.push(piece, &mut scratch, &mut out);
            assert!(screened.held() <= stream.len().min(8192 + 4096 * LANES_MAX));
            if step != Step::Continue {
                return (out, step);
            }
        }
        let step = screened.finish(&mut scratch, &mut out);
        (out, step)
    };
    let whole = screen(stream.len().max(1));
    assert_eq!(whole, screen(1 + usize::from(first / 6)));
    assert_eq!(whole, screen(1));
    let said = |word: &[u8]| memchr::memmem::find(&whole.0, word).is_some();
    assert!(!said(b"SECRET-12") && !said(b"FORBIDDEN-12"), "{}", String::from_utf8_lossy(&whole.0));
}

/// Masks `SECRET-12`, blocks `FORBIDDEN-12`.
fn guardrails() -> Arc<Guardrails> {
    let name = |name: &str| name.into();
    let policy = DocumentId { group: name("g"), kind: name("k"), namespace: name("n"), name: name("p") };
    let stage = |reaction| Stage {
        policy: policy.clone(),
        name: "output".into(),
        detector: Detector::Patterns,
        reaction,
        speakers: Speakers::EVERYBODY,
        is_shadow: false,
        on_error: OnError::Block,
    };
    let origin = |stage, rule: &str| Origin { stage, rule: rule.into(), kind: rule.into() };
    let rules = vec![
        (origin(0, "secret"), Rule::new("secret", "SECRET-12", Action::Mask("[secret]".into()))),
        (origin(1, "forbidden"), Rule::new("forbidden", "FORBIDDEN-12", Action::Block)),
    ];
    let stages = vec![stage(Reaction::Mask), stage(Reaction::Block)];
    Arc::new(Guardrails {
        policies: vec![policy],
        input: Arc::new(Direction::nothing()),
        output: Arc::new(Direction::new(stages, rules).expect("rules compile")),
        unknown_fields: UnknownFields::Scan,
        unscreened: Unscreened::Refuse,
        tell_verdict: Tell::Nothing,
    })
}

/// The first byte is the size of the pieces. A chunked body is the same however it comes, and is no longer than what it
/// came in.
pub fn chunks(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else { return };
    let whole = decode_chunks([stream]);
    for size in [usize::from(*size).max(1), 1] {
        let pieces = decode_chunks(stream.chunks(size));
        match (&whole, &pieces) {
            // What comes late may have been refused before.
            (Err(_), Err(_)) => {}
            (whole, pieces) => assert_eq!(whole, pieces),
        }
    }
    let Ok(Some((body, trailers, taken))) = whole else { return };
    assert!(body.len() < taken && taken <= stream.len());
    assert!(stream.get(..taken).is_some_and(|taken| taken.ends_with(b"\r\n")));
    assert!(["content-length", "transfer-encoding", "host"].iter().all(|name| !trailers.contains_key(*name)));
    let again = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    if !body.is_empty() {
        assert_eq!(decode_chunks([again.as_slice()]), Ok(Some((body, HeaderMap::new(), again.len()))));
    }
}

/// Lines of `name: value`, as HTTP/1.1 or HPACK gives them. What is left when they are cleansed, a client may say.
pub fn headers(input: &[u8]) {
    let mut fields = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').take(100) {
        let at = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at(at);
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            fields.append(name, value);
        }
    }
    let before = fields.clone();
    hygiene::clean_request(&mut fields);
    for name in fields.keys() {
        assert!(!hygiene::is_dropped_from_requests(name.as_str()), "{name}");
        assert!(before.contains_key(name));
    }
    let te: Vec<_> = fields.get_all("te").iter().collect();
    assert!(te.is_empty() || te == ["trailers"]);
    for name in ["host", "authorization", "content-length", "x-request-id"] {
        assert_eq!(fields.get_all(name).iter().count(), before.get_all(name).iter().count(), "{name}");
    }
    let once = fields.clone();
    hygiene::clean_request(&mut fields);
    assert_eq!(once, fields);
}

/// A head that is taken says the same when it is written again.
pub fn http1(input: &[u8]) {
    let find = |size: usize| {
        let mut scanner = HeadScanner::default();
        let mut ends = (1..=input.len()).step_by(size).chain([input.len()]);
        ends.find_map(|end| scanner.find_end(input.get(..end).unwrap_or_default()).transpose())
    };
    let whole = find(input.len().max(1) + 1);
    if let (Some(Ok(whole)), Some(Ok(pieces))) = (&whole, &find(1)) {
        assert_eq!(whole, pieces);
    }
    let Some(Ok(end)) = whole else { return };
    assert!(end <= HEAD_BYTES_MAX);
    let head = Bytes::copy_from_slice(input.get(..end).unwrap_or_default());
    let Ok(first) = parse_request(&head) else { return };
    let request = &first.request;
    assert!(request.headers().get_all(HOST).iter().count() <= 1);
    let mut written = BytesMut::new();
    let mut headers = request.headers().clone();
    headers.remove(http::header::CONTENT_LENGTH);
    headers.remove(http::header::TRANSFER_ENCODING);
    write_request_head(&mut written, request.method(), &request.uri().to_string(), &headers, first.framing);
    let written = written.freeze();
    if request.version() == http::Version::HTTP_11 {
        let second = parse_request(&written).expect("what was written can be read");
        assert_eq!((request.method(), request.uri()), (second.request.method(), second.request.uri()));
        assert_eq!(first.framing, second.framing);
    }
}

/// A DPoP proof as it is sent, or its header and its claims on two lines. Whatever comes is judged, the same way each time;
/// what is good is good once; and a URL in it has one form or none.
pub fn proof(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (header, claims) = text.split_once('\n').unwrap_or((text, "{}"));
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let put_together = format!("{}.{}.{}", encode(header), encode(claims), encode(text));
    // The credential is bound to whatever key the header shows, so that the rest is looked at.
    let shown = |proof: &str| {
        let header = BASE64_URL_SAFE_NO_PAD.decode(proof.split('.').next()?).ok()?;
        let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
        let algorithm = ProofAlgorithm::parse(header.get("alg")?.as_str()?)?;
        Some(*ProofKey::new(algorithm, header.get("jwk")?.as_object()?)?.thumbprint())
    };
    for proof in [text, &put_together] {
        let thumbprint = shown(proof).unwrap_or_default();
        // The example of RFC 9449 §7.1 is good then and there.
        let purpose = Purpose {
            thumbprint: &thumbprint,
            access: Secret("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
            method: &Method::GET,
            url: "https://resource.example.org/protectedresource",
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_562_262_618),
        };
        let judged = dpop::judge(proof, &purpose);
        assert_eq!(judged, dpop::judge(proof, &purpose));
        if let Ok(proven) = judged {
            assert!(!proven.id.is_empty() && proven.until >= 1_562_262_618);
            let replays = Replays::new(16);
            assert_eq!(replays.show(&thumbprint, &proven, purpose.now), Shown::First);
            assert_eq!(replays.show(&thumbprint, &proven, purpose.now), Shown::Again);
        }
    }
    if let Some(form) = dpop::one_form(text) {
        assert!(!form.contains(['?', '#', '@']), "{form}");
        assert_eq!(dpop::one_form(&form).as_deref(), Some(&*form));
    }
}

/// One message of a directory's server: whatever it holds, names and ids that are taken from it can be said in documents,
/// and nothing that is no message is read as one.
pub fn entries(input: &[u8]) {
    for message in [input, input.get(1..).unwrap_or_default()] {
        let Ok(Some(entry)) = entry_in(message) else { continue };
        let said = |name: &str| !name.is_empty() && name.len() <= 256 && !name.chars().any(char::is_control);
        for attribute in ["cn", "uid", "sAMAccountName", "memberOf", "objectSid"] {
            assert!(entry.names(attribute).all(said), "{entry:?}");
            let one = entry.one_name(attribute);
            assert!(one.is_none_or(|name| entry.names(attribute).eq([name])), "{entry:?}");
        }
        assert!(stable_id(&entry).is_none_or(|id| said(&id)), "{entry:?}");
        let words = [None, Some("account_disabled"), Some("account_expired")];
        assert!(words.contains(&closed(&entry, SystemTime::UNIX_EPOCH)));
    }
}

const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// A key set is read or refused, the same way each time; what is left can be found, and nothing verifies by chance.
pub fn jwks(input: &[u8]) {
    let (Ok(first), Ok(second)) = (KeySet::parse(input, &ALGORITHMS), KeySet::parse(input, &ALGORITHMS)) else {
        return;
    };
    assert!(first == second && !first.is_empty());
    let text = String::from_utf8_lossy(input);
    for name in text.split('"').map(Some).chain([None]) {
        let Some(key) = first.find(name) else { continue };
        for algorithm in ALGORITHMS {
            assert!(!key.verify(algorithm, "message", "AAAA"));
        }
    }
}

/// A credential is read or refused; whatever it says, only its algorithm and type let it on.
pub fn jwt(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(credential) = Jwt::read(text) else { return };
    assert!(is_signed(text));
    assert!(credential.judge_header(&[], &["at+jwt".into()]).is_err());
    assert!(credential.judge_header(&ALGORITHMS, &[]).is_err());
}

/// Reading what was read changes nothing, readings are bounded, and a score lies between 0 and 1.
pub fn guard_normalise(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let once = injection::normalise(&text);
    let again = injection::normalise(&once.text);
    assert!(once.text == again.text && again.hidden.is_empty() && again.signals.is_empty());
    if text.len() <= injection::BLOCK_BYTES {
        let (mut readings, mut bytes) = (0, 0);
        injection::views::read(&text, |_, read| {
            readings += 1;
            bytes += read.len();
        });
        // Compatibility forms of a character are up to eighteen, of three bytes.
        assert!(
            readings <= 1 + injection::views::VIEWS_MAX
                && bytes <= 18 * (text.len() + injection::views::VIEW_BYTES_MAX)
        );
    }
    let first = injection::score(&text, injection::Source::Tool);
    assert!((0.0..=1.0).contains(&first.value) && first == injection::score(&text, injection::Source::Tool));
}
