//! What the shipped guardrail rules hold back and cost on texts of one's own, as lines of JSON.
//!
//! `cargo run --release -p portcullis-policy --example guard -- WHAT [FILE or FOLDER …]`, where WHAT is
//! - `hold`: bytes held after each word piece, pieces until the first byte comes out, and which rules it was that held;
//! - `cost`: time for a whole text of 1 KiB and for one piece of a stream, time to compile, memory;
//! - `hostile`: a text of 10 MB of word characters that never matches.
//!
//! A file is one text; of a file that ends in `.jsonl` each line is one (a string, or an object with `text` or `output`). Of a
//! folder, all files below it whose name begins with `README` or ends in `.md`, `.txt` or `.jsonl`. What is held depends on
//! rules and texts alone, so those figures are the same on any machine. Times are the best of several runs, which leaves out
//! what else the machine did.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, clippy::panic, reason = "a measurement")]

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use portcullis_policy::guard::{
    engine::{Action, Engine, Filter, Output, Piece, SAMPLE},
    rules::{self, AllowedHosts},
};
use serde_json::{Value, json};

fn main() {
    let mut arguments = env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let mut texts: Vec<String> = arguments.flat_map(|path| texts_of(Path::new(&path))).collect();
    if texts.is_empty() {
        texts.push(SAMPLE.to_owned());
    }
    for email in [false, true] {
        let begun = Instant::now();
        let engine = engine(email);
        let compiled = begun.elapsed();
        let of = if email { "with e-mail" } else { "without e-mail" };
        let line = match what.as_str() {
            "hold" => hold(&engine, &texts),
            "cost" => {
                let mut cost = cost(&engine, &texts);
                cost["compile_ms"] = json!(compiled.as_millis() as u64);
                cost
            }
            "hostile" => hostile(&engine),
            _ => panic!("`hold`, `cost` or `hostile`"),
        };
        println!("{}", json!({ "rules": engine.rules().len(), "of": of, what.as_str(): line }));
    }
}

/// All rules that ship, with or without that of e-mail addresses, which alone holds more than all others.
fn engine(email: bool) -> Arc<Engine> {
    let allowed = Arc::new(AllowedHosts::default());
    let rules = rules::all().iter().filter(|rule| email || rule.kind != "email");
    let mask = || Action::Mask("[masked]".into());
    Arc::new(Engine::compile(rules.map(|rule| rule.applied(mask(), &allowed)).collect()).unwrap())
}

fn hold(engine: &Arc<Engine>, texts: &[String]) -> Value {
    let selection = Arc::new(engine.everything());
    let mut output = Output::default();
    let (mut held, mut first, mut bytes, mut masked) = (Vec::new(), 0, 0, 0);
    let mut blame = BTreeMap::<&str, usize>::new();
    for text in texts {
        let mut filter = Filter::new(engine.clone(), selection.clone());
        let (mut pieces, mut first_out) = (0, None);
        for piece in word_pieces(text.as_bytes()) {
            filter.push(piece, &mut output);
            pieces += 1;
            bytes += piece.len();
            held.push(filter.held());
            // All rules that wait are to blame alike.
            let waits = filter.waits_for();
            for rule in &waits {
                *blame.entry(&engine.rules()[*rule].id).or_default() += filter.held();
            }
            masked += output.pieces.iter().filter(|piece| matches!(piece, Piece::Mask { begins: true, .. })).count();
            if !output.pieces.is_empty() {
                first_out.get_or_insert(pieces);
            }
        }
        first += first_out.unwrap_or(pieces);
    }
    let count = held.len().max(1) as f64;
    let mut worst: Vec<_> = blame.into_iter().collect();
    worst.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let worst: Vec<_> = worst.iter().take(12).map(|(id, bytes)| json!([id, rounded(*bytes as f64 / count)])).collect();
    json!({
        "texts": texts.len(),
        "pieces": held.len(),
        "bytes_per_piece": rounded(bytes as f64 / count),
        "mean": rounded(held.iter().sum::<usize>() as f64 / count),
        "p50": at(&mut held, 0.5),
        "p99": at(&mut held, 0.99),
        "p999": at(&mut held, 0.999),
        "max": at(&mut held, 1.0),
        "nothing_held": rounded(held.iter().filter(|held| **held == 0).count() as f64 / count),
        "first_byte_after_pieces": rounded(f64::from(first) / texts.len().max(1) as f64),
        "masked": masked,
        "mean_by_rule": worst,
    })
}

/// How often each thing is timed; the best counts.
const RUNS: usize = 5;

fn cost(engine: &Arc<Engine>, texts: &[String]) -> Value {
    let selection = Arc::new(engine.everything());
    let all: Vec<u8> = texts.iter().flat_map(|text| [text.as_bytes(), b"\n"].concat()).collect();
    let mut whole = best(&all.chunks(1024).filter(|text| text.len() == 1024).take(2000).collect::<Vec<_>>(), |text| {
        let (mut filter, mut output) = (Filter::new(engine.clone(), selection.clone()), Output::default());
        let begun = Instant::now();
        filter.push(text, &mut output);
        filter.finish(&mut output);
        black_box(&output.pieces);
        vec![begun.elapsed().as_nanos() as usize]
    });
    let (mut memory, mut at_rest) = (0, 0);
    let mut events = best(&texts.iter().take(500).collect::<Vec<_>>(), |text| {
        let (mut filter, mut output) = (Filter::new(engine.clone(), selection.clone()), Output::default());
        let mut times = Vec::new();
        for piece in word_pieces(text.as_bytes()) {
            let begun = Instant::now();
            filter.push(piece, &mut output);
            black_box(&output.pieces);
            times.push(begun.elapsed().as_nanos() as usize);
            memory = filter.bytes().max(memory);
            at_rest = if filter.held() == 0 { filter.bytes().max(at_rest) } else { at_rest };
        }
        times
    });
    let begun = Instant::now();
    let empty = (0..1000).map(|_| Instant::now().elapsed().as_nanos()).sum::<u128>();
    black_box((begun, empty));
    let cost = engine.cost();
    json!({
        "states": cost.states,
        "table_kib": cost.bytes / 1024,
        "filter_bytes_that_holds_nothing": at_rest,
        "filter_bytes_at_most": memory,
        "whole_kib_ns": percentiles(&mut whole),
        "piece_ns": percentiles(&mut events),
        "clock_ns": (empty / 1000) as u64,
    })
}

fn hostile(engine: &Arc<Engine>) -> Value {
    const BYTES: usize = 10_000_000;
    let (mut filter, mut output) = (Filter::new(engine.clone(), Arc::new(engine.everything())), Output::default());
    let piece = b"abXY9";
    let (begun, mut most) = (Instant::now(), 0);
    for _ in 0..BYTES / piece.len() {
        filter.push(piece, &mut output);
        most = filter.bytes().max(most);
    }
    let took = begun.elapsed();
    json!({
        "bytes": BYTES,
        "ns_per_piece": took.as_nanos() as u64 / (BYTES / piece.len()) as u64,
        "filter_bytes_at_most": most,
        "held_at_the_end": filter.held(),
    })
}

/// The times of each thing in the best of some runs.
fn best<T>(things: &[T], mut time: impl FnMut(&T) -> Vec<usize>) -> Vec<usize> {
    let mut best = Vec::new();
    for thing in things {
        let mut least = time(thing);
        for _ in 1..RUNS {
            least.iter_mut().zip(time(thing)).for_each(|(least, time)| *least = time.min(*least));
        }
        best.append(&mut least);
    }
    best
}

fn percentiles(times: &mut [usize]) -> Value {
    let mean = times.iter().sum::<usize>() / times.len().max(1);
    json!({ "p50": at(times, 0.5), "p99": at(times, 0.99), "mean": mean })
}

fn at(values: &mut [usize], part: f64) -> usize {
    values.sort_unstable();
    let place = (values.len() as f64 * part) as usize;
    values.get(place).or(values.last()).copied().unwrap_or_default()
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// A text as models write it: a space and the letters behind it, up to six; up to three digits; up to two signs. On average a
/// piece has about four bytes, as a token has.
fn word_pieces(text: &[u8]) -> Vec<&[u8]> {
    let kind = |byte: u8| match byte {
        b'0'..=b'9' => (1, 3),
        b' ' => (2, 16),
        byte if byte.is_ascii_alphabetic() || byte >= 0x80 => (0, 6),
        _ => (3, 2),
    };
    let (mut pieces, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let begins = if text[at] == b' ' && text.get(at + 1).is_some_and(|next| *next != b' ') { at + 1 } else { at };
        let (of, most) = kind(text[begins]);
        let length = text[begins..].iter().take(most).take_while(|byte| kind(**byte).0 == of).count();
        pieces.push(&text[at..begins + length]);
        at = begins + length;
    }
    pieces
}

fn texts_of(path: &Path) -> Vec<String> {
    if path.is_dir() {
        let mut paths: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let is_text = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with("README") || [".md", ".txt", ".jsonl"].iter().any(|end| name.ends_with(end))
        };
        return paths.iter().filter(|path| path.is_dir() || is_text(path)).flat_map(|path| texts_of(path)).collect();
    }
    let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
    if path.extension().is_none_or(|end| end != "jsonl") {
        return vec![text];
    }
    let said = |line: &str| match serde_json::from_str(line).ok()? {
        Value::String(text) => Some(text),
        Value::Object(object) => {
            ["text", "output"].iter().find_map(|key| object.get(*key)?.as_str().map(str::to_owned))
        }
        _ => None,
    };
    text.lines().filter_map(said).collect()
}
