//! Bodies from which no model can be read: refused where the route needs it, passed on where it does not.

use portcullis_tests::harness::{Answer, Origin};

use crate::edge::{Edge, http_route, inference_backend, ok, to_inference};

/// What a prompt may be long (16 MiB): longer ones are not held in memory.
const PROMPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// On `needs.test` the model decides, on `free.test` it does not.
async fn edge(origin: &Origin) -> Edge {
    Edge::start(&[
        inference_backend("all", "openai", origin.address(), ""),
        http_route(
            "needs",
            &format!(
                "hostnames: [needs.test]
rules:
- matches: [{{headers: [{{name: x-gateway-model-name, value: special}}]}}]
  backendRefs: [{0}]
- backendRefs: [{0}]",
                to_inference("all")
            ),
        ),
        http_route("free", &format!("hostnames: [free.test]\nrules: [{{backendRefs: [{}]}}]", to_inference("all"))),
    ])
    .await
}

async fn post(edge: &Edge, host: &str, headers: &str, body: &[u8]) -> Answer {
    let mut client = edge.client().await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    client.send(head).await;
    // Who is refused may be cut off while it still sends; the answer counts.
    let _ = client.try_send(body).await;
    client.answer().await
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_only_where_it_matters() {
    let origin = Origin::answering(ok("{}")).await;
    let edge = edge(&origin).await;
    let json = "content-type: application/json\r\n";
    let nested = format!("{{\"model\":\"special\",\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let long_name = format!("{{\"model\":\"{}\"}}", "x".repeat(257));
    let gzip = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    let cases: &[(&str, &str, &[u8], u16)] = &[
        ("encoded", gzip, b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV\xca\xcdOI\xcdQ\xb2R*.HM\xceL\xccQ\xaa\x05\0", 415),
        ("twice encoded", "content-type: application/json\r\ncontent-encoding: gzip, br\r\n", b"x", 415),
        ("a byte order mark", json, b"\xef\xbb\xbf{\"model\":\"special\"}", 400),
        ("UTF-16", json, b"{\0\"\0m\0\"\0:\0", 400),
        ("not UTF-8", json, b"{\"model\":\"special\",\"x\":\"\xff\xfe\"}", 400),
        ("a number", json, b"{\"model\":7}", 400),
        ("an object", json, b"{\"model\":{\"name\":\"special\"}}", 400),
        ("nothing", json, b"{\"model\":\"\"}", 400),
        ("null", json, b"{\"model\":null}", 400),
        ("a space", json, b"{\"model\":\" special\"}", 400),
        ("a control character", json, b"{\"model\":\"special\\n\"}", 400),
        ("a long name", json, long_name.as_bytes(), 400),
        ("cut short", json, b"{\"model\":\"special\"", 400),
        ("two values", json, b"{\"model\":\"special\"}{}", 400),
        ("no JSON", json, b"model=special", 400),
        ("an empty body", json, b"", 400),
        ("deeply nested", json, nested.as_bytes(), 400),
        ("another type", "content-type: application/xml\r\n", b"<model/>", 415),
        (
            "two types",
            "content-type: application/json\r\ncontent-type: text/plain\r\n",
            b"{\"model\":\"special\"}",
            400,
        ),
        ("a form without a boundary", "content-type: multipart/form-data\r\n", b"x", 400),
        ("a form that does not end", "content-type: multipart/form-data; boundary=b\r\n", b"--b\r\n\r\n", 400),
    ];
    for (what, headers, body, status) in cases {
        let before = origin.seen().len();
        let got = post(&edge, "needs.test", headers, body).await;
        assert_eq!(got.status, *status, "{what}: {}", got.text());
        assert!(got.text().contains("\"error\""), "in the client's dialect: {}", got.text());
        assert_eq!(origin.seen().len(), before, "{what}");
        let got = post(&edge, "free.test", headers, body).await;
        assert_eq!(got.status, 200, "{what}: {}", got.text());
        let seen = origin.seen().pop().unwrap();
        assert_eq!(seen.body, *body, "{what}");
        assert_eq!(seen.header("x-gateway-model-name"), None, "{what}");
    }
    for host in ["needs.test", "free.test"] {
        assert_eq!(post(&edge, host, json, b"{\"model\":\"special\"}").await.status, 200);
        assert_eq!(origin.seen().pop().unwrap().header("x-gateway-model-name"), Some("special"));
    }
}

/// An upload beyond the bound passes where nobody needs its model, in memory that does not grow with it.
#[tokio::test]
async fn large_bodies_stream_through_unless_their_model_decides() {
    let origin = Origin::answering(ok("{}")).await;
    let edge = edge(&origin).await;
    let json = "content-type: application/json\r\n";
    let mut large = b"{\"messages\":\"".to_vec();
    large.resize(PROMPT_BYTES_MAX + 1024 * 1024, b'x');
    large.extend_from_slice(b"\",\"model\":\"special\"}");
    let got = post(&edge, "needs.test", json, &large).await;
    assert_eq!(got.status, 413, "{}", got.text());
    assert!(origin.seen().is_empty());
    // With a length, and without one.
    assert_eq!(post(&edge, "free.test", json, &large).await.status, 200);
    assert_eq!(origin.seen()[0].body.len(), large.len());
    let mut client = edge.client().await;
    let head = format!("POST /v1/embeddings HTTP/1.1\r\nhost: free.test\r\n{json}transfer-encoding: chunked\r\n\r\n");
    client.send(head).await;
    for piece in large.chunks(1024 * 1024) {
        client.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    let seen = &origin.seen()[1];
    assert!(seen.body.len() > large.len(), "every byte, and the framing of chunks");
    // Just below the bound both are read.
    let mut fits = b"{\"model\":\"special\",\"x\":\"".to_vec();
    fits.resize(PROMPT_BYTES_MAX - 2, b'x');
    fits.extend_from_slice(b"\"}");
    assert_eq!(post(&edge, "needs.test", json, &fits).await.status, 200);
    assert_eq!(origin.seen()[2].header("x-gateway-model-name"), Some("special"));
}
