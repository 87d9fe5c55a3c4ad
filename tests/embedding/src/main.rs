//! Trains the head of the embedding stage and measures it: `just train-embedding`. It learns from what `just train-guard` laid
//! out: the embedding's weights from a sample of `train`, what they and the linear model count for from `choice`, which neither
//! was trained with; `foreign` is measured with, and nothing else.

#![expect(clippy::indexing_slicing, clippy::print_stdout, reason = "a tool that is run by hand, on files that it made")]

mod learn;

use std::{collections::BTreeMap, error::Error, fmt::Write as _, fs, path::PathBuf, time::Instant};

use clap::Parser;
use portcullis_policy::guard::injection::{
    Scorer, Source,
    embedding::{
        DOUBT_FROM, EmbeddingModel,
        head::{Head, PROBE},
    },
};
use serde::Deserialize;

/// Trains the head of the embedding stage and measures it.
#[derive(Parser)]
struct Arguments {
    /// The folder with `train`, `choice` and `foreign`.
    #[arg(long, default_value = ".cache/guard-train")]
    corpora: PathBuf,
    /// The folder with the weights.
    #[arg(long, default_value = ".cache/minilm")]
    model: PathBuf,
    /// Where the head is written.
    #[arg(long, default_value = "policy/src/guard/injection/embedding/head.bin")]
    head: PathBuf,
    /// Texts that are learnt from.
    #[arg(long, default_value_t = 1000)]
    texts: usize,
    /// Texts of each kind of each foreign corpus that are measured with.
    #[arg(long, default_value_t = 100)]
    measured: usize,
    /// Where both scores of each of them are written.
    #[arg(long)]
    told: Option<PathBuf>,
    /// Measures the head that there is, and trains none.
    #[arg(long)]
    measure: bool,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    attack: u8,
}

/// A text as the head sees it.
struct Seen {
    attack: bool,
    log_odds: f32,
    embedding: Vec<f32>,
}

type Corpora = BTreeMap<String, Vec<Row>>;

fn read(arguments: &Arguments, part: &str) -> Result<Corpora, Box<dyn Error>> {
    let mut corpora = Corpora::new();
    for entry in fs::read_dir(arguments.corpora.join(part))? {
        let path = entry?.path();
        let rows: Result<_, _> = fs::read_to_string(&path)?.lines().map(serde_json::from_str).collect();
        corpora.insert(path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), rows?);
    }
    Ok(corpora)
}

/// The same `most` rows of a kind each time, from all over its corpus.
fn sample(rows: &[Row], attack: u8, most: usize) -> impl Iterator<Item = &Row> {
    let of: Vec<&Row> = rows.iter().filter(|row| row.attack == attack).collect();
    let count = of.len().min(most);
    (0..count).map(move |at| of[at * of.len() / count])
}

fn seen(model: &EmbeddingModel, row: &Row) -> Result<Seen, Box<dyn Error>> {
    let scorer = Scorer::shipped();
    let decisive = scorer.decisive(&row.text);
    let log_odds = scorer.log_odds(decisive.margin, Source::User);
    Ok(Seen { attack: row.attack == 1, log_odds, embedding: model.embed(&decisive.window)? })
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let nothing = Head { bias: 0.0, linear: 0.0, threshold: 0.5, probe: 0.0, weights: vec![0.0; 384] };
    let model = EmbeddingModel::with_head(&arguments.model, nothing.clone())?;
    latency(&model)?;

    if arguments.measure {
        let head = Head::parse(&fs::read(&arguments.head)?).ok_or("not a head")?;
        return measure(&arguments, &model, &head);
    }
    let started = Instant::now();
    let train = read(&arguments, "train")?;
    // Each corpus counts for as much as it has, and none for more than its share of either kind.
    let kinds = |attack: u8| train.values().filter(|rows| rows.iter().any(|row| row.attack == attack)).count();
    let mut learnt = Vec::new();
    for attack in [0, 1] {
        for rows in train.values() {
            for row in sample(rows, attack, arguments.texts / 2 / kinds(attack)) {
                learnt.push(seen(&model, row)?);
            }
        }
    }
    let attacks = learnt.iter().filter(|seen| seen.attack).count();
    println!("{} texts, {attacks} attacks, {:.0} s", learnt.len(), started.elapsed().as_secs_f32());
    let mut chosen = Vec::new();
    for row in read(&arguments, "choice")?.values().flatten() {
        chosen.push(seen(&model, row)?);
    }
    let weights = learn::weights(&learnt);
    let mut head = Head { weights, ..nothing };
    head.probe = head.margin(&model.embed(PROBE)?);
    learn::calibrate(&mut head, &chosen);
    println!(
        "{} texts chosen with; linear {:.3}, bias {:.3}, threshold {:.3}",
        chosen.len(),
        head.linear,
        head.bias,
        head.threshold
    );
    fs::write(&arguments.head, head.write())?;
    measure(&arguments, &model, &head)
}

/// How long a text of so many pieces takes.
fn latency(model: &EmbeddingModel) -> Result<(), Box<dyn Error>> {
    for pieces in [16, 64, 128, 256] {
        let text = "word ".repeat(pieces - 2);
        let mut times = Vec::new();
        for _ in 0..15 {
            let started = Instant::now();
            model.embed(&text)?;
            times.push(started.elapsed());
        }
        times.sort();
        println!(
            "{pieces:4} pieces: {:.1} ms (median of 15), {:.1} ms at best",
            times[7].as_secs_f32() * 1e3,
            times[0].as_secs_f32() * 1e3
        );
    }
    Ok(())
}

/// What is found of each foreign corpus where one ordinary text in a hundred is called an attack, and in two stages.
fn measure(arguments: &Arguments, model: &EmbeddingModel, head: &Head) -> Result<(), Box<dyn Error>> {
    let foreign = read(arguments, "foreign")?;
    let mut all = Vec::new();
    for (name, rows) in &foreign {
        let most = if name == "ordinary" { 400 } else { arguments.measured };
        for attack in [0, 1] {
            let of: Result<Vec<Seen>, _> = sample(rows, attack, most).map(|row| seen(model, row)).collect();
            all.push((name.as_str(), attack, of?));
        }
    }
    let linear = |seen: &Seen| seen.log_odds;
    let joint = |seen: &Seen| head.score(seen.log_odds, &seen.embedding);
    let ordinary: Vec<&Seen> = all.iter().filter(|(name, ..)| *name == "ordinary").flat_map(|(_, _, of)| of).collect();
    let linear_from = learn::quantile(ordinary.iter().map(|seen| linear(seen)), 0.01);
    let joint_from = learn::quantile(ordinary.iter().map(|seen| joint(seen)), 0.01);
    let default = Scorer::shipped().threshold(Source::User);
    let probability = |log_odds: f32| 1.0 / (1.0 + (-log_odds).exp());
    let first = |seen: &Seen| probability(linear(seen)) >= default;
    let asked = |seen: &Seen| !first(seen) && probability(linear(seen)) >= DOUBT_FROM;
    let both = |seen: &Seen| first(seen) || asked(seen) && joint(seen) >= head.threshold;
    if let Some(file) = &arguments.told {
        let mut told = String::new();
        for (name, attack, of) in &all {
            for seen in of {
                writeln!(told, "{name}\t{attack}\t{}\t{}", probability(linear(seen)), joint(seen))?;
            }
        }
        fs::write(file, told)?;
    }
    println!(
        "| corpus | kind | texts | linear at 1 % | with embedding at 1 % | linear as shipped | in two stages | asked |\n|---|---|---|---|---|---|---|---|"
    );
    let mut sums = [0.0; 5];
    let mut corpora = 0.0;
    for (name, attack, of) in all.iter().filter(|(.., of)| !of.is_empty()) {
        let share = |is: &dyn Fn(&Seen) -> bool| of.iter().filter(|seen| is(seen)).count() as f32 / of.len() as f32;
        let shares = [
            share(&|seen| linear(seen) > linear_from),
            share(&|seen| joint(seen) > joint_from),
            share(&first),
            share(&both),
            share(&asked),
        ];
        if *attack == 1 {
            corpora += 1.0;
            sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
        }
        let kind = if *attack == 1 { "attacks" } else { "ordinary" };
        let [one, two, three, four, five] = shares;
        println!("| {name} | {kind} | {} | {one:.3} | {two:.3} | {three:.3} | {four:.3} | {five:.3} |", of.len());
    }
    let [one, two, three, four, five] = sums.map(|sum| sum / corpora);
    println!("| mean | attacks | | {one:.3} | {two:.3} | {three:.3} | {four:.3} | {five:.3} |");
    Ok(())
}
