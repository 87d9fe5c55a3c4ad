//! Pages of every engine whose names we know, read. `triton.txt` and `llama.txt` were recorded from real servers
//! (`tests/servers`), the others are written after their engines' sources.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{fs, path::Path, time::Instant};

use portcullis_mesh::load::{
    EngineReading, EngineSample, PageFault,
    Quantity::{
        self, CachedTokens, ComputeSeconds, DecodeSeconds, Failed, Finished, FirstTokenSeconds, FirstTokens,
        GapSeconds, Gaps, InputTokens, KvUsage, LookedUpTokens, OutputTokens, Preempted, PrefillSeconds, QueueSeconds,
        Queued, Running, RunningMax, Waiting,
    },
    engine::ENGINE_LABELS_MAX,
};

fn page(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages").join(name)).unwrap()
}

fn read(page: &[u8]) -> EngineReading {
    EngineReading::read(page, Instant::now()).unwrap()
}

fn check(name: &str, label: &str, expected: &[(Quantity, f64)]) -> EngineSample {
    let reading = read(&page(name));
    let sample = *reading.sample(label).unwrap_or_else(|| panic!("{name} says nothing about {label}"));
    for (quantity, value) in expected {
        let told = sample.value(*quantity);
        assert!(told.is_some_and(|told| (told - value).abs() < 1e-9), "{name}: {quantity:?} is {told:?}, not {value}");
    }
    sample
}

#[test]
fn triton_is_read_as_it_was_recorded() {
    let echo = check("triton.txt", "echo", &[(Finished, 7.0), (Failed, 0.0), (Waiting, 0.0)]);
    let shout = check("triton.txt", "shout", &[(Finished, 3.0)]);
    for sample in [echo, shout] {
        assert!(sample.compute_seconds().unwrap() > 0.0 && sample.compute_seconds().unwrap() < 60.0);
        assert!(sample.value(QueueSeconds).unwrap() > 0.0 && sample.value(QueueSeconds).unwrap() < 60.0);
        assert_eq!((sample.value(Running), sample.kv_usage()), (None, None));
    }
    assert_eq!(read(&page("triton.txt")).samples().count(), 3);
}

#[test]
fn llama_cpp_is_read_as_it_was_recorded() {
    let sample = check("llama.txt", "any label at all", &[(Waiting, 0.0), (Running, 0.0)]);
    assert_eq!(sample.value(OutputTokens), Some(6.0 * 16.0));
    // What it had in its cache came in as well.
    assert_eq!((sample.value(InputTokens), sample.value(CachedTokens)), (Some(146.0 + 52.0), Some(52.0)));
    for quantity in [PrefillSeconds, DecodeSeconds] {
        assert!(sample.value(quantity).unwrap() > 0.0, "{quantity:?}");
    }
    assert!(sample.compute_seconds().unwrap() > 0.0);
}

#[test]
fn tensorrt_llm_inside_triton_tells_more_than_triton_does() {
    let expected = [(Waiting, 3.0), (Running, 28.0), (RunningMax, 512.0), (QueueSeconds, 2.5), (ComputeSeconds, 20.0)];
    let sample = check("triton-trtllm.txt", "tensorrt_llm", &expected);
    assert_eq!((sample.kv_usage(), sample.kv_tokens()), (Some(0.25), Some(64.0 * 6240.0)));
    assert_eq!(sample.kv_tokens_free(), Some(64.0 * 4680.0));
    check("triton-trtllm.txt", "ensemble", &[(Waiting, 0.0), (Finished, 40.0)]);
}

#[test]
fn trtllm_serve_is_read() {
    let expected = [
        (Waiting, 4.0),
        (Running, 12.0),
        (RunningMax, 64.0),
        (KvUsage, 0.625),
        (QueueSeconds, 12.5),
        (Queued, 100.0),
        (ComputeSeconds, 250.0),
        (Finished, 100.0),
        (InputTokens, 51_200.0),
        (OutputTokens, 12_800.0),
    ];
    let sample = check("trtllm-serve.txt", "nemotron-nano-3", &expected);
    assert_eq!((sample.kv_tokens(), sample.kv_tokens_free()), (Some(32_000.0), Some(12_000.0)));
}

#[test]
fn ranks_of_vllm_add_up_but_the_fullest_cache_counts() {
    let expected = [
        // What was deferred does not wait for room.
        (Waiting, 4.0),
        (Running, 20.0),
        (KvUsage, 0.75),
        (QueueSeconds, 12.0),
        (ComputeSeconds, 210.0),
        (PrefillSeconds, 30.0),
        (DecodeSeconds, 180.0),
        (Finished, 100.0),
        (FirstTokenSeconds, 42.0),
        (FirstTokens, 100.0),
        (GapSeconds, 178.0),
        (Gaps, 8900.0),
        (InputTokens, 40_000.0),
        (OutputTokens, 9000.0),
        (CachedTokens, 16_000.0),
        (LookedUpTokens, 40_000.0),
        (Preempted, 2.0),
    ];
    let sample = check("vllm.txt", "meta-llama/Llama-3.1-8B-Instruct", &expected);
    assert_eq!((sample.kv_tokens(), sample.kv_tokens_free()), (Some(432_000.0), Some(108_000.0)));
}

#[test]
fn older_names_of_vllm_are_known() {
    let expected = [
        (Waiting, 1.0),
        (Running, 3.0),
        (KvUsage, 0.5),
        (CachedTokens, 5.0),
        (LookedUpTokens, 20.0),
        (GapSeconds, 2.0),
    ];
    check("vllm-old.txt", "facebook/opt-125m", &expected);
}

#[test]
fn what_sglang_tells_by_priority_and_by_rank_counts_once() {
    let expected = [
        (Waiting, 3.0),
        (Running, 11.0),
        (KvUsage, 0.5),
        (QueueSeconds, 4.0),
        (PrefillSeconds, 3.0),
        (DecodeSeconds, 13.0),
        (Finished, 20.0),
        (Failed, 1.0),
        (InputTokens, 12_000.0),
        (CachedTokens, 3000.0),
    ];
    let sample = check("sglang.txt", "qwen/qwen3-8b", &expected);
    assert_eq!((sample.kv_tokens(), sample.kv_tokens_free()), (Some(16_000.0), Some(1750.0)));
    assert_eq!((sample.compute_seconds(), sample.ended()), (Some(16.0), Some(21.0)));
    // Ranks of one tensor-parallel group tell of the same requests.
    let twice = "sglang:queue_time_seconds_sum{model_name=\"m\",tp_rank=\"0\"} 4\n\
                 sglang:queue_time_seconds_sum{model_name=\"m\",tp_rank=\"1\"} 4\n";
    assert_eq!(read(twice.as_bytes()).sample("m").unwrap().value(QueueSeconds), Some(4.0));
}

#[test]
fn nim_is_read_alone_and_around_vllm() {
    let expected = [
        (Waiting, 2.0),
        (Running, 7.0),
        (RunningMax, 256.0),
        (KvUsage, 0.3),
        (InputTokens, 603.0),
        (Finished, 33.0),
        (Failed, 1.0),
        (FirstTokens, 34.0),
        (FirstTokenSeconds, 3.75),
    ];
    check("nim.txt", "meta/llama-3.1-8b-instruct", &expected);
    check("nim-vllm.txt", "google/gemma-4-31b-it", &[(Waiting, 2.0), (Running, 3.0), (RunningMax, 1024.0)]);
}

#[test]
fn values_that_nothing_can_have_are_dropped() {
    let page = "vllm:num_requests_waiting{model_name=\"m\"} NaN\nvllm:num_requests_running{model_name=\"m\"} -3\n\
                vllm:kv_cache_usage_perc{model_name=\"m\"} 55\nvllm:prompt_tokens_total{model_name=\"m\"} +Inf\n\
                vllm:cache_config_info{model_name=\"m\",block_size=\"None\",num_gpu_blocks=\"8\"} 1\n";
    let reading = read(page.as_bytes());
    let sample = reading.sample("m").unwrap();
    assert_eq!(reading.dropped(), 5);
    for quantity in [Waiting, Running, KvUsage, InputTokens, Quantity::KvBlockTokens] {
        assert_eq!(sample.value(quantity), None, "{quantity:?}");
    }
    assert_eq!(sample.value(Quantity::KvBlocks), Some(8.0));
}

#[test]
fn a_page_of_endless_labels_is_a_bounded_number_of_samples() {
    let line = |n: usize| format!("vllm:num_requests_waiting{{model_name=\"m{n}\"}} 1\n");
    let reading = read((0..1000).map(line).collect::<String>().as_bytes());
    assert_eq!(reading.samples().count(), ENGINE_LABELS_MAX + 1);
    let other = reading.sample("other").unwrap().value(Waiting).unwrap();
    assert!((other - (1000 - ENGINE_LABELS_MAX) as f64).abs() < 1e-9, "{other}");
    let long = format!("vllm:num_requests_waiting{{model_name=\"{}\"}} 1\n", "m".repeat(10_000));
    assert!(read(long.as_bytes()).sample("other").is_some());
}

#[test]
fn what_is_no_page_of_an_engine_is_none() {
    let fault = |page: &str| EngineReading::read(page.as_bytes(), Instant::now()).unwrap_err();
    assert_eq!(fault("<html>\n<body>404</body>\n</html>\n"), PageFault::Strange);
    assert_eq!(fault("process_cpu_seconds_total 1\n"), PageFault::Strange);
    assert_eq!(fault("a 1\nvllm:num_requests_waiting{model_name=\"m\" 1\n"), PageFault::Malformed(2));
    assert_eq!(fault("vllm:num_requests_waiting 1"), PageFault::CutOff);
    assert_eq!(PageFault::Malformed(2).to_string(), "line 2 of the page is malformed");
}
