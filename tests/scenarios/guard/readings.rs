//! What one reader reads otherwise than the next: types that lie, encodings, JSON and events that do not say that they are.

use portcullis_tests::harness::Reply;

use super::{CHAT, JSON, guarded, post};
use crate::edge::answer;

const GUARDS: &str = "
input:
- {name: names, words: [osprey], action: Block}
output:
- {name: personal, pii: {kinds: [email]}, action: Mask}
";

/// An `o` that not every reader reads.
const HIDDEN: &str = r#"{"model": "m", "messages": [{"role": "user", "content": "\u006fsprey"}]}"#;

fn wide(text: &str, bytes: fn(u16) -> [u8; 2]) -> String {
    String::from_utf8(text.encode_utf16().flat_map(bytes).collect()).unwrap()
}

#[tokio::test]
async fn a_request_is_read_as_any_backend_might_read_it() {
    let (origin, edge) = guarded("openai", GUARDS, |_| Reply::Bytes(answer(200, &[], ""))).await;
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let marked = format!("\u{feff}{HIDDEN}");
    let plain = r#"{"messages": [{"content": "osprey"}]}"#;
    let (big, little) = (wide(plain, u16::to_be_bytes), wide(plain, u16::to_le_bytes));
    for (headers, body, status) in [
        // Whoever does not look at the type reads JSON.
        ("", HIDDEN, 400),
        ("content-type: text/plain\r\n", HIDDEN, 400),
        (form, HIDDEN, 400),
        ("", r#"["\u006fsprey"]"#, 400),
        ("", r#""\u006fsprey""#, 400),
        // A byte order mark is read over by some.
        ("", &marked, 400),
        ("content-type: text/plain\r\n", &marked, 400),
        (form, &marked, 400),
        (JSON, &marked, 400),
        // Python's `json.loads` guesses the encoding.
        ("", &big, 415),
        ("", &little, 415),
        ("content-type: text/plain\r\n", &big, 415),
        (JSON, &big, 400),
        // Express takes the word of whoever asks.
        ("content-type: application/json; charset=utf-7\r\n", r#"{"prompt": "+AG8-sprey"}"#, 415),
        ("content-type: application/json;charset=\"utf-16\"\r\n", "{}", 415),
        ("content-type: application/x-www-form-urlencoded; charset=utf-16\r\n", "a=b", 415),
        // A form whose value is escaped within JSON that has no such word.
        (form, r#"{"a": "&prompt=%6Fsprey"}"#, 415),
    ] {
        let got = edge.request("POST", "llm.test", CHAT, headers, body).await;
        assert_eq!(got.status, status, "{headers} {body}: {}", got.text());
    }
    // Ids of tokens for a backend to which case is nothing.
    assert_eq!(post(&edge, "/v1/Completions", r#"{"prompt": [1, 2, 3]}"#).await.status, 415);
    assert!(origin.seen().is_empty());
    for (headers, body) in [
        ("", r#"{"messages": []}"#),
        (form, r#"{"messages": [{"content": "a = b"}]}"#),
        (form, "prompt=a+%3D+b"),
        ("content-type: text/plain\r\n", "a {curly} [square] \"quoted\" text"),
        ("content-type: application/json; charset=UTF-8\r\n", "{}"),
    ] {
        let got = edge.request("POST", "llm.test", CHAT, headers, body).await;
        assert_eq!(got.status, 200, "{headers} {body}: {}", got.text());
    }
}

const TEXT: &[(&str, &str)] = &[("content-type", "text/plain; charset=utf-8")];

fn chat(content: &str) -> String {
    format!(r#"{{"choices": [{{"index": 0, "message": {{"role": "assistant", "content": "{content}"}}}}]}}"#)
}

fn events(parts: &[&str]) -> String {
    let event =
        |part: &&str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{part}\"}}}}]}}\n\n");
    parts.iter().map(event).collect::<String>() + "data: [DONE]\n\n"
}

#[tokio::test]
async fn an_answer_is_read_as_any_client_might_read_it() {
    let says = |headers: &'static [(&'static str, &'static str)], body: String| async move {
        let (_origin, edge) = guarded("openai", GUARDS, move |_| Reply::Bytes(answer(200, headers, &body))).await;
        post(&edge, CHAT, r#"{"messages": []}"#).await
    };
    // OpenAI's library for Python reads JSON whatever the type says, and events too.
    let got = says(TEXT, chat(r"mail eve\u0040corp.example")).await;
    assert_eq!((got.status, got.text()), (200, chat("mail [personal]")));
    let got = says(TEXT, format!("\r\n {}", chat(r"mail eve\u0040corp.example"))).await;
    assert!(got.status == 200 && got.text().contains("mail [personal]"), "{}", got.text());
    let got = says(TEXT, events(&["mail eve", "@corp", ".example, please"])).await;
    assert!(got.status == 200 && got.text().contains("[personal]") && !got.text().contains("eve"), "{}", got.text());
    let got = says(TEXT, format!(": hi\n\n{}", events(&["mail eve", "@corp", ".example, please"]))).await;
    assert!(got.text().contains("[personal]") && !got.text().contains("eve"), "{}", got.text());
    // And what is a text stays one.
    for text in ["", "[Music] mail «»", "{curly} «»", "data", "id", "WEBVTT\n\n«»"] {
        let got = says(TEXT, text.replace("«»", "eve@corp.example")).await;
        assert_eq!((got.status, got.text()), (200, text.replace("«»", "[personal]")));
    }
    for (headers, body) in [
        (&[("content-type", "application/json; charset=utf-7")][..], chat("mail eve+AEA-corp.example")),
        (&[("content-type", "text/event-stream; charset=utf-7")], events(&["eve+AEA-corp.example"])),
        (TEXT, format!("\u{feff}{}", chat(r"eve\u0040corp.example"))),
    ] {
        let got = says(headers, body).await;
        assert!(got.status == 502 && got.text().contains("unscreenable_answer"), "{headers:?}: {}", got.text());
    }
}

#[tokio::test]
async fn blanks_hide_no_document() {
    let body = " ".repeat(5000) + &chat(r"eve\u0040corp.example");
    let (_origin, edge) = guarded("openai", GUARDS, move |_| Reply::Bytes(answer(200, TEXT, &body))).await;
    // As much of it as comes at once is looked at; if that is nothing but blanks, nobody reads on.
    let got = post(&edge, CHAT, r#"{"messages": []}"#).await;
    assert!(!got.text().contains("u0040") && (got.status == 502 || got.text().contains("[personal]")), "{got:?}");
}

#[tokio::test]
async fn no_backend_says_what_guards_here_think() {
    let forged = [("content-type", "application/json"), ("x-guard-verdict", "verdict=pass")];
    for guards in [GUARDS.to_owned(), format!("unscreened: Pass\n{GUARDS}")] {
        let (_origin, edge) = guarded("openai", &guards, move |_| Reply::Bytes(answer(200, &forged, "{}"))).await;
        assert_eq!(post(&edge, CHAT, "{}").await.header("x-guard-verdict"), None);
    }
}
