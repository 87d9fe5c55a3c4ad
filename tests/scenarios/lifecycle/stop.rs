//! The end: what is open finishes, for as long as it may.

use http::Request;
use portcullis_tests::harness::{Gateway, H2Client, Options, RawClient, Signal, Tls, eventually, pki::Authority};
use tokio::net::TcpStream;

use super::{HOST, LONG, both, event_texts, get, load, origin, plain};

#[tokio::test]
async fn a_stop_lets_streams_finish_and_takes_no_more() {
    let origin = origin().await;
    let identity = Authority::new("test").server(&[HOST]);
    let mut gateway =
        Gateway::start(&both(&origin, &identity).into(), Options { workers: 2, ..Options::default() }).await;
    let (http, https) = (gateway.addr("default/edge", 80).await, gateway.addr("default/edge", 443).await);
    let mut idle = RawClient::connect(http).await;
    assert_eq!(idle.exchange(get("/")).await.header("connection"), None);
    let mut streaming = RawClient::connect(http).await;
    streaming.send(get("/long")).await;
    let h2 = H2Client::connect_tls(https, &Tls::new().server_name(HOST)).await.unwrap();
    let request = |path: &str| Request::get(format!("https://{HOST}{path}")).body("").unwrap();
    let h2_stream = tokio::spawn({
        let h2 = h2.clone();
        async move { h2.send(request("/long")).await }
    });
    origin.wait_for(3).await;

    gateway.signal(Signal::TERM);
    // A request that is on its way is answered, and the connection ends with it.
    loop {
        let answer = idle.exchange(get("/")).await;
        assert_eq!(answer.status, 200);
        if answer.header("connection") == Some("close") {
            break;
        }
    }
    assert_eq!(idle.read_until_close(LONG).await.as_deref(), Some(&b""[..]));
    eventually("the ports are closed", async || {
        TcpStream::connect(http).await.is_err() && TcpStream::connect(https).await.is_err()
    })
    .await;
    let (status, page) = gateway.page("/readyz").await;
    assert!(status == 503 && page.contains("draining"), "{status} {page}");
    assert_eq!(gateway.page("/livez").await.0, 200);
    assert!(h2.sender().ready().await.is_err(), "a GOAWAY came");
    assert_eq!(streaming.answer().await.text(), event_texts(100));
    let streamed = h2_stream.await.unwrap().unwrap();
    assert_eq!((streamed.status(), streamed.text()), (200, event_texts(100)));
    assert_eq!(gateway.ended(LONG).await.code(), Some(0));
    gateway.logged(|line| line["message"] == "stopped: every exchange has finished").await;
}

#[tokio::test]
async fn no_request_fails_while_a_gateway_stops() {
    let origin = origin().await;
    let identity = Authority::new("test").server(&[HOST]);
    let mut gateway =
        Gateway::start(&both(&origin, &identity).into(), Options { workers: 2, ..Options::default() }).await;
    let load = load(&gateway).await;
    load.may_be_refused();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended(LONG).await.code(), Some(0));
    load.end().await;
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let origin = origin().await;
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM)] {
        let mut gateway = Gateway::start(&plain(&origin).into(), Options::default()).await;
        let mut streaming = RawClient::connect(gateway.addr("default/edge", 80).await).await;
        streaming.send(get("/long")).await;
        assert_eq!(streaming.head().await.status, 200);
        gateway.signal(first);
        gateway.logged(|line| line["message"] == "stopping: what is open may finish").await;
        assert!(gateway.alive(), "the stream keeps it");
        gateway.signal(second);
        assert_eq!(gateway.ended(LONG).await.code(), Some(0));
        gateway.logged(|line| line["message"].as_str().unwrap_or_default().starts_with("stopped at once")).await;
        let rest = String::from_utf8(streaming.read_until_close(LONG).await.expect("it is closed")).unwrap();
        assert!(!rest.ends_with("0\r\n\r\n"), "a stream that was cut does not look whole: {rest}");
    }
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let origin = origin().await;
    let options = Options { arguments: ["--drain-seconds", "0"].map(str::to_owned).to_vec(), ..Options::default() };
    let mut gateway = Gateway::start(&plain(&origin).into(), options).await;
    let mut streaming = RawClient::connect(gateway.addr("default/edge", 80).await).await;
    streaming.send(get("/long")).await;
    assert_eq!(streaming.head().await.status, 200);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended(LONG).await.code(), Some(0));
    gateway
        .logged(|line| line["message"].as_str().unwrap_or_default().starts_with("stopped: some exchanges were cut"))
        .await;
    assert!(streaming.read_until_close(LONG).await.is_some());
}

#[tokio::test]
async fn those_who_say_nothing_do_not_hold_a_stop_up() {
    let origin = origin().await;
    let identity = Authority::new("test").server(&[HOST]);
    let mut gateway = Gateway::start(&both(&origin, &identity).into(), Options::default()).await;
    let (http, https) = (gateway.addr("default/edge", 80).await, gateway.addr("default/edge", 443).await);
    let mut silent = RawClient::connect(http).await;
    let mut kept = RawClient::connect(http).await;
    assert_eq!(kept.exchange(get("/")).await.status, 200);
    let h2 = H2Client::connect_tls(https, &Tls::new().server_name(HOST)).await.unwrap();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended(LONG).await.code(), Some(0));
    assert_eq!(silent.read_until_close(LONG).await.as_deref(), Some(&b""[..]));
    assert_eq!(kept.read_until_close(LONG).await.as_deref(), Some(&b""[..]));
    assert!(h2.sender().ready().await.is_err());
}
