//! What the default rules hold back on ordinary text and what they cost: CPU time of the thread, not the clock of the wall, so
//! that a busy machine does not count.

use std::{fs, hint::black_box, path::Path, time::Instant};

use portcullis_policy::guard::{
    engine::Output,
    rules::{Rule, Set},
};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    Failure, ordinary,
    screen::{Screen, is_default},
};

/// Bytes of ordinary text that are measured.
const SAMPLE_BYTES: usize = 2_000_000;
/// Bytes of one answer.
const ANSWER_BYTES: usize = 1024;
/// Bytes that an event of a stream brings.
const EVENT_BYTES: usize = 4;

/// Which rules are meant.
type Choice = fn(&Rule) -> bool;

pub(crate) fn table(data: &Path) -> Result<String, Failure> {
    let text = sample(data)?;
    let mut table = String::from(
        "| rules | | states | MiB | built in | held mean | p99 | most | first byte after | ns an event | µs a KiB, whole |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let choices: [(&str, Choice); 3] = [
        ("personal data and secrets without e-mail", |rule| is_default(rule) && rule.kind != "email"),
        ("with e-mail", is_default),
        ("with e-mail and exfiltration", |rule| is_default(rule) || rule.set == Set::Exfiltration),
    ];
    for (name, choice) in choices {
        table.push_str(&row(name, choice, &text)?);
    }
    Ok(table)
}

fn sample(data: &Path) -> Result<String, Failure> {
    let files = ordinary::files(data)?;
    let each = SAMPLE_BYTES / files.len().max(1);
    let mut text = String::new();
    for path in files {
        let file = fs::read_to_string(path)?;
        text.extend(file.chars().take(each));
    }
    Ok(text)
}

fn row(name: &str, choice: impl Fn(&Rule) -> bool, text: &str) -> Result<String, Failure> {
    let begun = Instant::now();
    let screen = Screen::of(choice)?;
    let built = begun.elapsed();
    let (cost, hold) = (screen.engine.cost(), screen.engine.hold(text.as_bytes()));
    Ok(format!(
        "| {name} | {} | {} | {:.1} | {:.1} s | {:.2} B | {} B | {} B | {:.2} tokens | {:.0} | {:.1} |\n",
        screen.count(),
        cost.states,
        cost.bytes as f64 / 1_048_576.0,
        built.as_secs_f64(),
        hold.mean,
        hold.p99,
        hold.max,
        first_byte(&screen, text),
        nanoseconds(&screen, text, EVENT_BYTES) * EVENT_BYTES as f64,
        nanoseconds(&screen, text, ANSWER_BYTES) * 1024.0 / 1000.0,
    ))
}

/// After how many events the first byte of an answer comes out, on average.
fn first_byte(screen: &Screen, text: &str) -> f64 {
    let (mut events, mut answers) = (0_usize, 0_usize);
    let mut output = Output::default();
    for answer in text.as_bytes().chunks(ANSWER_BYTES) {
        let mut filter = screen.filter();
        let pieces = answer.chunks(EVENT_BYTES);
        let waited = pieces.clone().position(|piece| {
            filter.push(piece, &mut output);
            !output.pieces.is_empty()
        });
        events += waited.map_or(pieces.len(), |at| at + 1);
        answers += 1;
    }
    events as f64 / answers.max(1) as f64
}

/// CPU time for a byte of text that comes in pieces of this size.
fn nanoseconds(screen: &Screen, text: &str, piece: usize) -> f64 {
    let mut output = Output::default();
    let mut run = || {
        let begun = cpu_nanoseconds();
        for answer in text.as_bytes().chunks(ANSWER_BYTES) {
            let mut filter = screen.filter();
            for piece in answer.chunks(piece) {
                filter.push(piece, &mut output);
                black_box(&output.pieces);
            }
            filter.finish(&mut output);
        }
        (cpu_nanoseconds() - begun) / text.len() as f64
    };
    run();
    let mut runs = [run(), run(), run()];
    runs.sort_by(f64::total_cmp);
    runs[1]
}

fn cpu_nanoseconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
