#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::{
    testing::{Provider, answer},
    *,
};

fn url(text: &str) -> HttpsUrl {
    HttpsUrl::parse(text).unwrap()
}

async fn fetch(provider: &Provider, path: &str) -> Result<Response, FetchError> {
    let client = HttpsClient::new(Some(&provider.trust())).unwrap();
    client.get(&url(&provider.url(path)), HeaderMap::new()).await
}

#[tokio::test]
async fn a_document_is_read_with_what_is_said_of_it() {
    let fields =
        "content-type: application/JSON; charset=utf-8\r\netag: \"a\"\r\ncache-control: public, max-age=60\r\n";
    let provider = Provider::start(move |_| answer("200 OK", fields, "{}")).await;
    let response = fetch(&provider, "/keys?a=b").await.unwrap();
    assert_eq!((response.status, &*response.body), (StatusCode::OK, b"{}".as_slice()));
    assert_eq!(response.media_type().as_deref(), Some("application/json"));
    assert_eq!(response.etag().unwrap(), "\"a\"");
    assert_eq!(response.max_age(), Some(Duration::from_mins(1)));
    let requests = provider.requests();
    assert!(requests[0].starts_with("GET /keys?a=b HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("host: localhost:"), "{}", requests[0]);
}

#[tokio::test]
async fn a_form_is_posted_with_a_client_s_secret() {
    let provider = Provider::start(|_| answer("200 OK", "", "{}")).await;
    let client = HttpsClient::new(Some(&provider.trust())).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(http::header::AUTHORIZATION, basic("gate way", "a:b&c").unwrap());
    client.post_form(&url(&provider.url("/ask")), headers, &[("token", "a b&c=d"), ("x", "ü")]).await.unwrap();
    let requests = provider.requests();
    assert!(requests[0].starts_with("POST /ask HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("content-type: application/x-www-form-urlencoded\r\n"), "{}", requests[0]);
    // `gate%20way:a%3Ab%26c`
    assert!(requests[0].contains("authorization: Basic Z2F0ZSUyMHdheTphJTNBYiUyNmM=\r\n"), "{}", requests[0]);
    assert!(requests[0].ends_with("\r\n\r\ntoken=a%20b%26c%3Dd&x=%C3%BC"), "{}", requests[0]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let target = Provider::start(|_| answer("200 OK", "", "{}")).await;
        let location = format!("location: {}\r\n", target.url("/"));
        let provider = Provider::start(move |_| answer(status, &location, "")).await;
        assert!(matches!(fetch(&provider, "/").await, Err(FetchError::Redirect(_))), "{status}");
        assert!(target.requests().is_empty());
    }
}

#[tokio::test]
async fn not_modified_is_an_answer_to_a_conditional_question_alone() {
    let provider = Provider::start(|_| (b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(), false)).await;
    assert!(matches!(fetch(&provider, "/").await, Err(FetchError::Redirect(_))));
    let client = HttpsClient::new(Some(&provider.trust())).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(http::header::IF_NONE_MATCH, "\"a\"".parse().unwrap());
    assert_eq!(client.get(&url(&provider.url("/")), headers).await.unwrap().status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn an_answer_may_have_so_many_bytes_and_none_more() {
    let provider = Provider::start(|request| {
        let chunked = || {
            // As much as is allowed and one byte, without an announcement of its length.
            let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            bytes.extend_from_slice(format!("{:x}\r\n", RESPONSE_BYTES_MAX + 1).as_bytes());
            bytes.extend(std::iter::repeat_n(b'a', RESPONSE_BYTES_MAX + 1));
            bytes.extend_from_slice(b"\r\n0\r\n\r\n");
            (bytes, false)
        };
        match request.split(' ').nth(1) {
            Some("/fits") => answer("200 OK", "", vec![b'a'; RESPONSE_BYTES_MAX]),
            Some("/announced") => answer("200 OK", "", vec![b'a'; RESPONSE_BYTES_MAX + 1]),
            _ => chunked(),
        }
    })
    .await;
    assert_eq!(fetch(&provider, "/fits").await.unwrap().body.len(), RESPONSE_BYTES_MAX);
    assert!(matches!(fetch(&provider, "/announced").await, Err(FetchError::TooLarge)));
    assert!(matches!(fetch(&provider, "/chunked").await, Err(FetchError::TooLarge)));
}

#[tokio::test]
async fn a_compressed_or_broken_answer_is_refused() {
    let encoded = Provider::start(|_| answer("200 OK", "content-encoding: gzip\r\n", "x")).await;
    assert!(matches!(fetch(&encoded, "/").await, Err(FetchError::Encoded)));
    let short = Provider::start(|_| (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{".to_vec(), false)).await;
    assert!(matches!(fetch(&short, "/").await, Err(FetchError::Http(_))));
    let other = Provider::start(|_| (b"SSH-2.0-OpenSSH\r\n".to_vec(), false)).await;
    assert!(matches!(fetch(&other, "/").await, Err(FetchError::Http(_))));
}

/// In real time: a paused clock would jump while the handshake is under way.
#[tokio::test]
async fn a_server_that_says_nothing_costs_a_bounded_time() {
    let hanging = Provider::start(|_| (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{".to_vec(), true)).await;
    let client = HttpsClient::new(Some(&hanging.trust())).unwrap();
    assert_eq!(client.timeout, FETCH_TIMEOUT);
    let client = client.within(Duration::from_millis(500));
    let asked = client.get(&url(&hanging.url("/")), HeaderMap::new()).await;
    assert!(matches!(asked, Err(FetchError::TimedOut)), "{asked:?}");
}

#[tokio::test]
async fn a_server_of_another_authority_or_name_is_refused() {
    let provider = Provider::start(|_| answer("200 OK", "", "{}")).await;
    let other = Provider::start(|_| answer("200 OK", "", "{}")).await;
    let client = HttpsClient::new(Some(&other.trust())).unwrap();
    let error = client.get(&url(&provider.url("/")), HeaderMap::new()).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error}");
    let client = HttpsClient::new(Some(&provider.trust())).unwrap();
    let by_address = provider.url("/").replace("localhost", "127.0.0.1");
    let error = client.get(&url(&by_address), HeaderMap::new()).await.unwrap_err();
    assert!(matches!(error, FetchError::Tls { .. }), "{error}");
    assert!(provider.requests().is_empty());
}

#[tokio::test]
async fn nobody_there_is_an_error_that_says_where() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let provider = Provider::start(|_| answer("200 OK", "", "{}")).await;
    let client = HttpsClient::new(Some(&provider.trust())).unwrap();
    let error = client.get(&url(&format!("https://127.0.0.1:{port}/")), HeaderMap::new()).await.unwrap_err();
    assert_eq!((error.as_str(), error.to_string().contains("127.0.0.1")), ("connect", true), "{error}");
}

#[test]
fn urls_are_https_without_user_information_and_fragment() {
    for text in [
        "http://id.example/",
        "id.example",
        "/path",
        "https://user@id.example/",
        "https://user:secret@id.example/",
        "https://id.example/#a",
        "https://id.example:0/",
        "https://id.example:99999/",
        "https://",
        "file:///etc/passwd",
        "",
    ] {
        assert!(HttpsUrl::parse(text).is_err(), "{text}");
    }
    for (text, host, port) in [
        ("https://id.example", "id.example", 443),
        ("https://id.example:8443/a?b=c", "id.example", 8443),
        ("https://127.0.0.1:1/", "127.0.0.1", 1),
        ("https://[::1]/", "::1", 443),
        ("https://[::1]:444/", "::1", 444),
    ] {
        let url = HttpsUrl::parse(text).unwrap();
        assert_eq!((url.host(), url.0.port), (host, port), "{text}");
    }
}

#[test]
fn cache_control_says_how_long_an_answer_is_kept() {
    let max_age = |fields: &[&str]| {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(CACHE_CONTROL, field.parse().unwrap());
        }
        Response { status: StatusCode::OK, headers, body: Bytes::new() }.max_age()
    };
    assert_eq!(max_age(&[]), None);
    assert_eq!(max_age(&["public"]), None);
    assert_eq!(max_age(&["max-age=5"]), Some(Duration::from_secs(5)));
    assert_eq!(max_age(&["public, Max-Age = 5 , must-revalidate"]), Some(Duration::from_secs(5)));
    assert_eq!(max_age(&["public", "max-age=5"]), Some(Duration::from_secs(5)));
    assert_eq!(max_age(&["max-age=5, no-store"]), Some(Duration::ZERO));
    assert_eq!(max_age(&["max-age=-5"]), None);
}

#[test]
fn a_missing_or_useless_file_of_authorities_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let refused = |path: &Path| HttpsClient::new(Some(path)).unwrap_err();
    assert!(refused(&path).contains("ca.pem"));
    std::fs::write(&path, "nothing").unwrap();
    assert!(refused(&path).contains("ca.pem"));
}
