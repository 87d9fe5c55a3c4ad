//! How a server is, as its sidecar tells it.

use bytes::Bytes;
use portcullis_mesh::load::{LoadReport, open_rca};
use portcullis_tests::harness::{H2Client, Origin, RawClient, Reply, Seen, Sidecar, Tls, eventually, pki::Authority};

use super::{EDGE, LLAMA, POLICY, STRANGER};

const CHAT: &str = "POST /v1/chat/completions HTTP/1.1\r\nhost: llama\r\ncontent-type: application/json\r\n\
                    content-length: 13\r\nendpoint-load-metrics-format: TEXT\r\n\r\n{\"model\":\"m\"}";
/// What vLLM tells of itself.
const PAGE: &str = "# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{model_name=\"m\"} 3.0\n\
                    # TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"m\"} 5.0\n\
                    # TYPE vllm:kv_cache_usage_perc gauge\nvllm:kv_cache_usage_perc{model_name=\"m\"} 0.75\n";

fn answer(seen: &Seen) -> Reply {
    let (report, body) = match &*seen.target {
        "/metrics" => ("", PAGE),
        _ => ("endpoint-load-metrics: TEXT named_metrics.of_the_engine=1\r\n", "ok"),
    };
    Reply::Bytes(format!("HTTP/1.1 200 OK\r\n{report}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

struct Told {
    authority: Authority,
    sidecar: Sidecar,
    _origin: Origin,
}

impl Told {
    async fn start() -> Self {
        let (authority, origin) = (Authority::new("corp"), Origin::start(answer).await);
        let policy = POLICY.replace("[infer, list-models]", "[infer, list-models, metrics]");
        let page = format!("http://{}/metrics", origin.address());
        let arguments = ["--engine-metrics", &page];
        let identity = authority.workload(LLAMA);
        let sidecar = Sidecar::start_with(&identity, &authority.pem, &policy, origin.address(), &arguments).await;
        Self { authority, sidecar, _origin: origin }
    }

    fn tls(&self, id: &str, protocol: &str) -> Tls {
        Tls::new().server_name("llama").alpn(&[protocol]).identity(&self.authority.workload(id))
    }

    async fn in_answer(&self) -> Option<LoadReport> {
        let mut client = RawClient::connect_tls(self.sidecar.inbound(), &self.tls(EDGE, "http/1.1")).await.unwrap();
        let answer = client.exchange(CHAT).await;
        assert_eq!(answer.status, 200);
        answer.header("endpoint-load-metrics").map(|value| LoadReport::from_value(value).unwrap())
    }
}

#[tokio::test]
async fn an_answer_tells_what_the_engine_says_and_what_is_measured() {
    let told = Told::start().await;
    let is_whole = |report: &LoadReport| {
        report.named_metrics.value("num_requests_waiting") == Some(3.0)
            && report.utilization.value("kv_cache") == Some(0.75)
            && report.application_utilization.is_some_and(|utilization| utilization >= 0.75)
            && report.rps_fractional.is_some_and(|rps| rps > 0.0)
            && report.named_metrics.value("of_the_engine") == Some(1.0)
    };
    eventually("the report is whole", async || told.in_answer().await.as_ref().is_some_and(is_whole)).await;
    let line = "portcullis_requests_waiting{model=\"m\"} 3";
    eventually(line, async || told.sidecar.page("/metrics").await.1.contains(line)).await;
}

#[tokio::test]
async fn who_may_read_metrics_is_told_again_and_again() {
    let told = Told::start().await;
    let ask = async |id: &str| {
        let client = H2Client::connect_tls(told.sidecar.inbound(), &told.tls(id, "h2")).await.unwrap();
        let mut sender = client.sender();
        let request = http::Request::post(format!("https://llama{}", open_rca::PATH))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (answer, mut body) = sender.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), true).unwrap();
        (client, answer.await.unwrap())
    };
    let (_client, answer) = ask(EDGE).await;
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    let mut body = answer.into_body();
    let mut received = Vec::new();
    let mut reports = Vec::new();
    while reports.len() < 3 {
        let chunk = body.data().await.expect("reports go on").unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        received.extend_from_slice(&chunk);
        while received.len() >= 5 {
            let length = u32::from_be_bytes(received[1..5].try_into().unwrap()) as usize;
            if received.len() < 5 + length {
                break;
            }
            reports.push(LoadReport::from_binary(&received[5..5 + length]).unwrap());
            received.drain(..5 + length);
        }
    }
    assert!(reports.iter().all(|report| report.named_metrics.value("seq").is_some()), "{reports:?}");
    let (_client, refused) = ask(STRANGER).await;
    assert_eq!(refused.headers()["grpc-status"], "7", "permission denied");
}
