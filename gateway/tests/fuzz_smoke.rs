//! Drives the bodies of the fuzz targets on the stable toolchain: every seed, and mutations of them.
//!
//! The mutations are the same in every run, so a failure here is a regression and not luck. `PORTCULLIS_FUZZ_SEED` and
//! `PORTCULLIS_FUZZ_MUTATIONS` change that; both are printed with the input that failed. To look for new failures, run
//! `just fuzz`.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "tests")]

#[path = "../../tests/fuzz/checks.rs"]
#[expect(unreachable_pub, clippy::indexing_slicing, clippy::panic, reason = "shared with the fuzz targets")]
mod checks;

use std::{env, fs, panic, path::Path};

/// What mutations insert: what parsers trip over.
const WORDS: [&[u8]; 30] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"%2e",
    b"%2f",
    b"%00",
    b"%25",
    b"..",
    b"//",
    b"\"model\":",
    b"\"mod\\u0065l\":",
    b"\"stream\":true",
    b"[",
    b"{\"a\":",
    b"\\ud800",
    b"\xef\xbb\xbf",
    b"\xc0\xaf",
    b"--b",
    b"--b--",
    b"\x0a\x01m",
    b"data: ",
    b"event: ",
    b"\0\0\0\0\x03",
    b"\xff\xff\xff\xff\x0f",
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"0\r\n\r\n",
    b"5;a=b\r\nhello\r\n",
    b"\nX_Forwarded.User: root",
    b"\nConnection: X-Hop, Host",
];

#[test]
fn texts_are_read_and_scored() {
    drive("guard_normalise");
}

#[test]
fn canonical_forms_hold() {
    drive("canonical");
}

#[test]
fn documents_on_guarded_routes_are_read_or_refused() {
    drive("guard_document");
}

#[test]
fn proofs_are_judged() {
    drive("proof");
}

#[test]
fn key_sets_are_read_or_refused() {
    drive("jwks");
}

#[test]
fn credentials_are_read_or_refused() {
    drive("jwt");
}

#[test]
fn chunks_hold() {
    drive("chunks");
}

#[test]
fn cleansed_headers_hold() {
    drive("headers");
}

#[test]
fn entries_of_directories_hold() {
    drive("directory");
}

#[test]
fn documents_hold() {
    drive("documents");
}

#[test]
fn screened_forms_hold() {
    drive("guard_form");
}

#[test]
fn screened_tensors_hold() {
    drive("guard_tensors");
}

#[test]
fn restored_texts_hold() {
    drive("guard_restore");
}

#[test]
fn http1_heads_hold() {
    drive("http1");
}

#[test]
fn load_reports_are_read_or_rejected() {
    drive("load_report");
}

#[test]
fn metric_pages_are_read_or_refused() {
    drive("load_page");
}

#[test]
fn model_names_hold() {
    drive("model");
}

#[test]
fn event_streams_hold() {
    drive("sse");
}

#[test]
fn rules_and_texts_hold() {
    drive("guard_engine");
}

#[test]
fn screened_event_streams_hold() {
    drive("guard_stream");
}

#[test]
fn requests_for_certificates_are_read_or_refused() {
    drive("csr");
}

#[test]
fn identities_are_read_or_refused() {
    drive("svid");
}

#[test]
fn bundles_are_read_or_refused() {
    drive("bundle");
}

#[test]
fn every_target_has_a_test_and_seeds() {
    let tested = [
        "bundle",
        "canonical",
        "chunks",
        "csr",
        "directory",
        "documents",
        "guard_document",
        "guard_engine",
        "guard_form",
        "guard_normalise",
        "guard_restore",
        "guard_stream",
        "guard_tensors",
        "headers",
        "http1",
        "jwks",
        "jwt",
        "load_page",
        "load_report",
        "model",
        "proof",
        "sse",
        "svid",
    ];
    assert_eq!(checks::TARGETS.map(|(name, _)| name), tested);
    for name in tested {
        assert!(!seeds(name).is_empty(), "{name} has no seeds");
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds").join(name);
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the seeds are there").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.iter().map(|path| fs::read(path).expect("a seed can be read")).collect()
}

fn drive(name: &str) {
    let from_env = |variable| env::var(variable).ok().and_then(|value| value.parse().ok());
    let seed = from_env("PORTCULLIS_FUZZ_SEED").unwrap_or(0x706f_7274_6375_6c6c);
    // An engine is compiled for each.
    let usual = if name == "guard_engine" { 2_000 } else { 20_000 };
    let mutations = from_env("PORTCULLIS_FUZZ_MUTATIONS").unwrap_or(usual);
    println!("seed {seed}, {mutations} mutations");
    let (_, check) = checks::TARGETS.into_iter().find(|(target, _)| *target == name).expect("a target");
    let seeds = seeds(name);
    let mut random = Random(seed);
    for input in &seeds {
        try_input(name, check, input);
    }
    for _ in 0..mutations {
        let mut input = random.pick(&seeds).cloned().unwrap_or_default();
        for _ in 0..=random.below(4) {
            mutate(&mut input, &seeds, &mut random);
        }
        try_input(name, check, &input);
    }
}

fn try_input(name: &str, check: checks::Check, input: &[u8]) {
    if let Err(panic) = panic::catch_unwind(|| check(input)) {
        println!("{name} failed on {:?}", input.escape_ascii().to_string());
        panic::resume_unwind(panic);
    }
}

/// One small change.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + random.below(8)).min(input.len());
    match random.below(7) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.below(256) as u8;
            }
        }
        2 => input.insert(at, random.below(256) as u8),
        3 => drop(input.drain(at..end)),
        4 => {
            let copy = input.get(at..end).map(<[u8]>::to_vec).unwrap_or_default();
            let to = random.below(input.len() + 1);
            input.splice(to..to, copy);
        }
        5 => {
            let word = random.pick(&WORDS).copied().unwrap_or_default();
            input.splice(at..at, word.iter().copied());
        }
        // The rest of another seed.
        _ => {
            let other = random.pick(seeds).cloned().unwrap_or_default();
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend(other.get(from..).unwrap_or_default());
        }
    }
    input.truncate(8192);
}

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}
