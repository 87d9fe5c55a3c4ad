//! Learning: logistic regression over hashed grams, on the window that leans most, as the product scores.

use std::{
    collections::{BTreeSet, HashSet},
    error::Error,
    fs,
    path::Path,
};

use portcullis_policy::guard::injection::{
    Scorer,
    grams::{self, Sink},
    model::{Model, norm, spans},
    views,
};
use serde::{Deserialize, Serialize};

use crate::{
    corpus::{self, Corpora, Row, Seen, shingles},
    disguise, measure,
};

/// Where [`Kept`] lies.
const KEPT: &str = "tests/train-guard/kept.json";

#[derive(clap::Args, Clone)]
pub(crate) struct Settings {
    /// Rows of the table, as a power of two.
    #[arg(long, default_value_t = 18)]
    pub(crate) bits: u32,
    /// Passes over the corpora.
    #[arg(long, default_value_t = 12)]
    pub(crate) passes: u32,
    /// Passes in which the whole text is learnt from, before single windows are.
    #[arg(long, default_value_t = 2)]
    pub(crate) whole: u32,
    #[arg(long, default_value_t = 0.3)]
    pub(crate) rate: f32,
    /// Pull of each weight towards zero.
    #[arg(long, default_value_t = 1e-5)]
    pub(crate) decay: f32,
    /// Margins beyond this are good enough, or hopeless.
    #[arg(long, default_value_t = 6.0)]
    pub(crate) hopeless: f32,
    /// How much an ordinary text counts.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) ordinary: f32,
    /// Most attacks, and most ordinary texts, of one corpus that count fully.
    #[arg(long, default_value_t = 5000)]
    pub(crate) corpus_texts: usize,
    /// Share of the attacks that are learnt in disguise as well, of a hundred.
    #[arg(long, default_value_t = 60)]
    pub(crate) disguised: u64,
    /// Passes, counted from the last, whose weights are averaged.
    #[arg(long, default_value_t = 8)]
    pub(crate) averaged: u32,
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// One reading of a text: the rows of its grams, and where each word ends in them.
struct Reading {
    rows: Vec<u32>,
    ends: Vec<u32>,
}

struct Example {
    readings: Vec<Reading>,
    attack: bool,
    weight: f32,
}

struct Rows {
    bits: u32,
    reading: Reading,
}

impl Sink for Rows {
    fn gram(&mut self, hash: u64) {
        self.reading.rows.push(Model::row(self.bits, hash) as u32);
    }

    fn word(&mut self, _: usize) {
        self.reading.ends.push(self.reading.rows.len() as u32);
    }
}

fn readings(text: &str, bits: u32) -> Vec<Reading> {
    let mut readings = Vec::new();
    views::read(text, |_, read| {
        let mut rows = Rows { bits, reading: Reading { rows: Vec::new(), ends: Vec::new() } };
        grams::take(read, &mut rows);
        if !rows.reading.ends.is_empty() {
            readings.push(rows.reading);
        }
    });
    readings
}

/// Windows as the product has them, as ranges of grams.
fn windows(reading: &Reading) -> impl Iterator<Item = (usize, usize, f32)> + '_ {
    let gram = |word: usize| if word == 0 { 0 } else { reading.ends[word - 1] as usize };
    spans(reading.ends.len()).map(move |(first, end, luck)| (gram(first), gram(end), luck))
}

struct Learner {
    weights: Vec<f32>,
    squares: Vec<f32>,
    bias: f32,
    bias_squares: f32,
}

/// A generator whose numbers are the same everywhere.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

impl Learner {
    fn margin(&self, rows: &[u32]) -> f32 {
        rows.iter().map(|row| self.weights[*row as usize]).sum::<f32>() / norm(rows.len() as u32) + self.bias
    }

    /// The window that leans most.
    fn most<'a>(&self, example: &'a Example) -> Option<(&'a [u32], f32)> {
        let mut best: Option<(&[u32], f32)> = None;
        let mut sums = Vec::new();
        for reading in &example.readings {
            sums.clear();
            let mut sum = 0.0;
            sums.push(0.0);
            for row in &reading.rows {
                sum += self.weights[*row as usize];
                sums.push(sum);
            }
            for (start, end, luck) in windows(reading) {
                let margin = (sums[end] - sums[start]) / norm((end - start) as u32) + self.bias - luck;
                if best.is_none_or(|(_, most)| margin > most) {
                    best = Some((&reading.rows[start..end], margin));
                }
            }
        }
        best
    }

    fn step(&mut self, rows: &[u32], margin: f32, example: &Example, settings: &Settings) {
        let target = if example.attack { 1.0 } else { -1.0 };
        let agreed = margin * target;
        // What is far on the wrong side has a wrong label more often than not.
        if agreed < -settings.hopeless {
            return;
        }
        let slope = -target * example.weight / (1.0 + agreed.exp());
        let each = slope / norm(rows.len() as u32);
        for row in rows {
            let row = *row as usize;
            let gradient = each + settings.decay * self.weights[row];
            self.squares[row] += gradient * gradient;
            self.weights[row] -= settings.rate * gradient / (self.squares[row].sqrt() + 1e-4);
        }
        self.bias_squares += slope * slope;
        self.bias -= 0.02 * slope / (self.bias_squares.sqrt() + 1e-4);
    }
}

/// Trains on all corpora of `train` but those of `leave`.
pub(crate) fn train(folder: &Path, target: &Path, leave: &[String], settings: &Settings) -> Result<(), Box<dyn Error>> {
    let complete = ["choice", "foreign"].iter().all(|part| folder.join(part).exists());
    let kept: Option<Kept> = if complete { None } else { Some(serde_json::from_str(&fs::read_to_string(KEPT)?)?) };
    let (rows, left, apart) = gather(folder, leave, kept.as_ref())?;
    eprintln!("{} texts, {} attacks", rows.len(), rows.iter().filter(|row| row.attack == 1).count());
    let mut per = std::collections::HashMap::<(usize, u8), usize>::new();
    for row in &rows {
        *per.entry((row.corpus, row.attack)).or_default() += 1;
    }
    let mut numbers = Numbers(settings.seed);
    let mut examples = Vec::new();
    for row in &rows {
        let count = per[&(row.corpus, row.attack)];
        let mut weight = (settings.corpus_texts as f32 / count as f32).min(1.0);
        if row.attack == 0 {
            weight *= settings.ordinary;
        }
        examples.push(Example { readings: readings(&row.text, settings.bits), attack: row.attack == 1, weight });
        // Reversible disguises, of both kinds, so that having been disguised is not itself what is learnt.
        if numbers.next() % 100 < settings.disguised / if row.attack == 1 { 1 } else { 3 } {
            let disguised = disguise::any(&row.text, &mut numbers);
            examples.push(Example {
                readings: readings(&disguised, settings.bits),
                attack: row.attack == 1,
                weight: weight * 0.5,
            });
        }
    }
    let learner = learn(&examples, settings, &mut numbers);
    let (unit, weights) = quantised(&learner.weights);
    let plain = Model::write(settings.bits, unit, learner.bias, [[1.0, 0.0]; 3], [0.5; 3], &weights);
    let scorer = Scorer::of(plain.leak())?;
    let choice = match kept {
        Some(kept) => kept.calibration,
        None => measure::calibration(folder, &scorer)?,
    };
    let file = Model::write(settings.bits, unit, learner.bias, choice.odds, choice.thresholds, &weights);
    fs::write(target, &file)?;
    if complete && leave.is_empty() {
        fs::write(KEPT, serde_json::to_string_pretty(&Kept { apart, calibration: choice })? + "\n")?;
    }
    if !left.is_empty() {
        measure::left_out(folder, &Scorer::of(file.leak())?, &left)?;
    }
    Ok(())
}

/// What training takes from the corpora that are kept apart, so that it comes to the same where they cannot be reached.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Texts of `train` that are like one that is measured or chosen with, by their runs of words.
    apart: BTreeSet<u64>,
    calibration: measure::Choice,
}

/// The rows to learn from, the corpora that were left out, and what is like a text that is kept apart.
type Gathered = (Vec<Row>, Corpora, BTreeSet<u64>);

fn id(shingles: &HashSet<u64>) -> u64 {
    shingles
        .iter()
        .fold(shingles.len() as u64, |sum, shingle| sum.wrapping_add(shingle.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// The rows that are learnt from: each once, and none that is like one that is measured or chosen with, or is in `kept`.
fn gather(folder: &Path, leave: &[String], kept: Option<&Kept>) -> Result<Gathered, Box<dyn Error>> {
    let mut apart = Seen::default();
    if kept.is_none() {
        for part in ["choice", "foreign"] {
            for (_, rows) in corpus::read(folder, part)? {
                for row in rows {
                    apart.add(&shingles(&row.text));
                }
            }
        }
    }
    let mut rows = Vec::new();
    let mut left = Vec::new();
    let mut seen = Seen::default();
    let mut like = kept.map(|kept| kept.apart.clone()).unwrap_or_default();
    for (at, (name, texts)) in corpus::read(folder, "train")?.into_iter().enumerate() {
        if leave.contains(&name) {
            for row in &texts {
                apart.add(&shingles(&row.text));
            }
            left.push((name, texts));
            continue;
        }
        let (all, mut alike, mut twice) = (texts.len(), 0, 0);
        for mut row in texts {
            row.corpus = at;
            let shingles = shingles(&row.text);
            if like.contains(&id(&shingles)) || apart.like(&shingles, 0.3) {
                like.insert(id(&shingles));
                alike += 1;
            } else if seen.like(&shingles, 0.8) {
                twice += 1;
            } else {
                seen.add(&shingles);
                rows.push(row);
            }
        }
        eprintln!("{name:20} {all:6} texts, {alike:5} like one kept apart, {twice:5} seen before");
    }
    Ok((rows, left, like))
}

fn learn(examples: &[Example], settings: &Settings, numbers: &mut Numbers) -> Learner {
    let size = 1 << settings.bits;
    let mut learner = Learner { weights: vec![0.0; size], squares: vec![0.0; size], bias: 0.0, bias_squares: 0.0 };
    let mut sums = vec![0.0; size];
    let mut order: Vec<usize> = (0..examples.len()).collect();
    for pass in 0..settings.passes {
        numbers.shuffle(&mut order);
        let mut loss = 0.0;
        for at in &order {
            let example = &examples[*at];
            let chosen = if pass < settings.whole {
                example.readings.last().map(|reading| {
                    let rows = &reading.rows[..];
                    (rows, learner.margin(rows))
                })
            } else {
                learner.most(example)
            };
            if let Some((rows, margin)) = chosen {
                let agreed = if example.attack { margin } else { -margin };
                loss += f64::from((-agreed).exp().ln_1p().min(10.0) * example.weight);
                learner.step(rows, margin, example, settings);
            }
        }
        if pass + settings.averaged >= settings.passes {
            for (sum, weight) in sums.iter_mut().zip(&learner.weights) {
                *sum += weight / settings.averaged as f32;
            }
        }
        eprintln!("pass {pass}: loss {:.4}, bias {:.3}", loss / examples.len() as f64, learner.bias);
    }
    learner.weights = sums;
    learner
}

/// Weights as signed bytes, and what one of them stands for. The few that are largest are cut.
fn quantised(weights: &[f32]) -> (f32, Vec<i8>) {
    let mut sizes: Vec<f32> = weights.iter().map(|weight| weight.abs()).filter(|weight| *weight > 0.0).collect();
    sizes.sort_by(f32::total_cmp);
    let largest = sizes.get(sizes.len().saturating_sub(1 + sizes.len() / 2000)).copied().unwrap_or(1.0);
    let unit = largest / 127.0;
    (unit, weights.iter().map(|weight| (weight / unit).round().clamp(-127.0, 127.0) as i8).collect())
}
