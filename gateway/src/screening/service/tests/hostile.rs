//! What a guard must not be able to do to us.

use super::*;

/// What comes of a guard that says this, of any kind. Less patience than usual, because nobody answers.
async fn asked(says: impl Fn(&str) -> Says + Send + Sync + 'static) -> (Result<Opinion, NoOpinion>, Guard) {
    let guard = Guard::start(says).await;
    let service = Service { timeout: Duration::from_millis(500), ..service(ServiceKind::Webhook, &guard.url()) };
    let begun = Instant::now();
    let opinion = asker(service).ask(hello()).await;
    assert!(begun.elapsed() < PATIENCE, "the deadline holds");
    (opinion, guard)
}

#[tokio::test]
async fn a_guard_that_is_slow_or_silent_has_no_opinion_in_time() {
    assert_eq!(asked(|_| Says::Nothing).await.0, Err(NoOpinion::Timeout));
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{\"verdict\":\"pass\"}";
    assert_eq!(asked(|_| Says::Drip(half.to_vec())).await.0, Err(NoOpinion::Timeout));
    assert_eq!(asked(|_| Says::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec())).await.0, Err(NoOpinion::Timeout));
}

#[tokio::test]
async fn a_guard_that_is_down_is_unreachable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let asker = asker(service(ServiceKind::Webhook, &format!("http://127.0.0.1:{port}")));
    assert_eq!(asker.ask(hello()).await, Err(NoOpinion::Unreachable));
}

#[tokio::test]
async fn a_guard_that_breaks_off_is_unreachable_and_half_a_verdict_is_none() {
    for said in
        ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"verdict\":\"pass\"}", "SSH-2.0-x\r\n"]
    {
        let (opinion, guard) = asked(|_| Says::Last(said.into())).await;
        assert_eq!(opinion, Err(NoOpinion::Unreachable), "{said}");
        assert_eq!(guard.requests().len(), 1, "a fresh connection that fails is not tried again");
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_not_taken() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40000000\r\n",
    ] {
        let (opinion, guard) = asked(|_| Says::Endless(head.into())).await;
        assert_eq!(opinion, Err(NoOpinion::TooLarge), "{head}");
        guard.until(|guard| guard.open() == 0).await;
        // What the kernel's buffers hold is taken without being read.
        assert!(guard.taken() < 64 * 1024 * 1024, "{} bytes of {head}", guard.taken());
    }
}

#[tokio::test]
async fn an_endless_head_is_not_taken() {
    let (opinion, guard) = asked(|_| Says::Endless(b"HTTP/1.1 200 OK\r\nx: ".to_vec())).await;
    assert_eq!(opinion, Err(NoOpinion::Unreachable));
    guard.until(|guard| guard.open() == 0).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Guard::start(|_| Says::json(r#"{"verdict":"pass"}"#)).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent", "304 Not Modified"] {
        let location = format!("location: {}\r\n", target.url());
        let (opinion, _guard) = asked(move |_| Says::status(status, &location, "")).await;
        assert_eq!(opinion, Err(NoOpinion::Status), "{status}");
    }
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn what_is_not_exactly_a_verdict_is_none() {
    let pass = r#"{"verdict":"pass"}"#;
    for (says, expected) in [
        (Says::status("500 Broken", "", pass), NoOpinion::Status),
        (Says::status("404 Not Found", "", pass), NoOpinion::Status),
        (Says::status("201 Created", "", pass), NoOpinion::Status),
        (Says::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()), NoOpinion::Status),
        (Says::status("200 OK", "content-type: text/html\r\n", "<html>pass</html>"), NoOpinion::Malformed),
        (Says::status("200 OK", "content-encoding: gzip\r\n", pass), NoOpinion::Malformed),
        (Says::json(""), NoOpinion::Malformed),
        (Says::json(r#"["verdict","pass"]"#), NoOpinion::Malformed),
        (Says::json(r#""pass""#), NoOpinion::Malformed),
        (Says::json(r#"{"verdict":"block","verdict":"pass"}"#), NoOpinion::Malformed),
        (Says::json(r#"{"verdict":"pass"} {"verdict":"block"}"#), NoOpinion::Malformed),
        (Says::json(&format!("{}1{}", r#"{"a":"#.repeat(5000), "}".repeat(5000))), NoOpinion::Malformed),
        (Says::json("{}"), NoOpinion::WrongVerdict),
        (Says::json(r#"{"verdict":true}"#), NoOpinion::WrongVerdict),
        (Says::json(r#"{"verdict":["pass"]}"#), NoOpinion::WrongVerdict),
        (Says::json(r#"{"verdict":"PASS"}"#), NoOpinion::WrongVerdict),
        (Says::json(r#"{"verdict":"allow"}"#), NoOpinion::WrongVerdict),
        (Says::json(r#"{"verdict":"pass","because":"I say so"}"#), NoOpinion::WrongVerdict),
        (Says::json(r#"{"status":"passed","content":"hello"}"#), NoOpinion::WrongVerdict),
    ] {
        let shown = match &says {
            Says::Bytes(bytes) => String::from_utf8_lossy(bytes).chars().take(200).collect(),
            _ => String::new(),
        };
        let says = std::sync::Mutex::new(Some(says));
        let (opinion, _guard) = asked(move |_| says.lock().unwrap().take().unwrap_or(Says::Nothing)).await;
        assert_eq!(opinion, Err(expected), "{shown}");
    }
}

#[tokio::test]
async fn a_question_may_have_so_many_bytes_and_none_more() {
    let guard = Guard::start(|_| Says::json(r#"{"verdict":"pass"}"#)).await;
    let asker = asker(service(ServiceKind::Webhook, &guard.url()));
    let whole = "x".repeat(QUESTION_BYTES_MAX);
    assert_eq!(asker.ask(question(&[(Speaker::User, &whole)])).await, Ok(Opinion::Passes));
    let more = question(&[(Speaker::User, &whole), (Speaker::Tool, "x")]);
    assert_eq!(asker.ask(more).await, Err(NoOpinion::TooLarge));
    assert_eq!(guard.requests().len(), 1);
}

#[tokio::test]
async fn a_guard_that_answers_again_is_believed_again() {
    let calls = AtomicUsize::new(0);
    let guard = Guard::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Says::status("503 Busy", "", ""),
        _ => Says::json(r#"{"verdict":"pass"}"#),
    })
    .await;
    let asker = asker(service(ServiceKind::Webhook, &guard.url()));
    assert_eq!(asker.ask(hello()).await, Err(NoOpinion::Status));
    assert!(asker.0.is_failing.load(Ordering::Relaxed));
    assert_eq!(asker.ask(hello()).await, Ok(Opinion::Passes));
    assert!(!asker.0.is_failing.load(Ordering::Relaxed));
}
