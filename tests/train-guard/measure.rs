//! Measuring: how many attacks are found where one ordinary text in a hundred is called one.

use std::{error::Error, fmt::Write as _, fs, path::Path, time::Instant};

use portcullis_policy::guard::injection::{Scorer, Source, views};

use crate::{
    corpus::{self, Row},
    disguise,
};

#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Choice {
    pub(crate) odds: [[f32; 2]; 3],
    pub(crate) thresholds: [f32; 3],
}

fn margins(scorer: &Scorer, rows: &[Row]) -> Vec<f32> {
    rows.iter().map(|row| scorer.margin(&row.text)).collect()
}

fn share_above(margins: &[f32], threshold: f32) -> f32 {
    margins.iter().filter(|margin| **margin > threshold).count() as f32 / margins.len().max(1) as f32
}

/// The margin that so large a share of these is above.
fn quantile(margins: &[f32], share: f32) -> f32 {
    let mut sorted = margins.to_vec();
    sorted.sort_by(|one, other| other.total_cmp(one));
    sorted.get((sorted.len() as f32 * share) as usize).copied().unwrap_or(0.0)
}

fn area(attacks: &[f32], ordinary: &[f32]) -> f64 {
    let mut all: Vec<(f32, bool)> =
        attacks.iter().map(|m| (*m, true)).chain(ordinary.iter().map(|m| (*m, false))).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut below, mut sum) = (0_u64, 0_u64);
    for (_, attack) in all {
        if attack { sum += below } else { below += 1 }
    }
    sum as f64 / (attacks.len() as f64 * ordinary.len() as f64)
}

/// Log-odds and thresholds from the corpora of `choice`.
pub(crate) fn calibration(folder: &Path, scorer: &Scorer) -> Result<Choice, Box<dyn Error>> {
    let (mut attacks, mut ordinary) = (Vec::new(), Vec::new());
    for (_, rows) in corpus::read(folder, "choice")? {
        for row in &rows {
            if row.attack == 1 { &mut attacks } else { &mut ordinary }.push(scorer.margin(&row.text));
        }
    }
    // Each kind counts for half.
    let (mut factor, mut summand) = (1.0_f64, 0.0_f64);
    for _ in 0..4000 {
        let (mut slope, mut lift) = (0.0, 0.0);
        for (margins, target) in [(&attacks, 1.0), (&ordinary, 0.0)] {
            for margin in margins {
                let margin = f64::from(*margin);
                let error = 1.0 / (1.0 + (-(margin * factor + summand)).exp()) - target;
                slope += error * margin / margins.len() as f64;
                lift += error / margins.len() as f64;
            }
        }
        factor -= 0.5 * slope;
        summand -= 0.5 * lift;
    }
    let odds = [factor as f32, summand as f32];
    let value = |margin: f32| 1.0 / (1.0 + (-(margin * odds[0] + odds[1])).exp());
    // A person's request is stopped for being among the one in two hundred; what nobody has to obey, for one in a hundred.
    let user = value(quantile(&ordinary, 0.005));
    let tool = value(quantile(&ordinary, 0.01));
    Ok(Choice { odds: [odds; 3], thresholds: [user, tool, tool] })
}

/// What a model that was trained without these corpora makes of them.
pub(crate) fn left_out(folder: &Path, scorer: &Scorer, left: &[(String, Vec<Row>)]) -> Result<(), Box<dyn Error>> {
    let ordinary = ordinary(folder, scorer, "choice")?;
    let threshold = quantile(&ordinary, 0.01);
    for (name, rows) in left {
        let all = margins(scorer, rows);
        for attack in [1, 0] {
            let of: Vec<f32> = all.iter().zip(rows).filter(|(_, row)| row.attack == attack).map(|(m, _)| *m).collect();
            if !of.is_empty() {
                println!(
                    "left out {name:20} {} {:6} above {:.3}",
                    if attack == 1 { "attacks " } else { "ordinary" },
                    of.len(),
                    share_above(&of, threshold)
                );
            }
        }
    }
    Ok(())
}

fn ordinary(folder: &Path, scorer: &Scorer, part: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let mut found = Vec::new();
    for (name, rows) in corpus::read(folder, part)? {
        if (part == "foreign" && name == "ordinary") || (part != "foreign" && rows.iter().all(|row| row.attack == 0)) {
            found.extend(margins(scorer, &rows));
        }
    }
    Ok(found)
}

/// Measures a model and prints, or writes, the page.
pub(crate) fn measure(folder: &Path, model: &Path, part: &str, page: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let scorer = Scorer::of(fs::read(model)?.leak())?;
    let ordinary = ordinary(folder, &scorer, part)?;
    let threshold = quantile(&ordinary, 0.01);
    let corpora = corpus::read(folder, part)?;
    let mut text = String::new();
    writeln!(
        text,
        "| corpus | kind | texts | at 1 % false positives | at the default threshold | AUC |\n|---|---|---|---|---|---|"
    )?;
    let mut found = Vec::new();
    let mut plain_attacks: Vec<&Row> = Vec::new();
    for (name, rows) in &corpora {
        for attack in [1, 0] {
            let of: Vec<Row> = rows.iter().filter(|row| row.attack == attack).cloned().collect();
            if of.is_empty() {
                continue;
            }
            let all = margins(&scorer, &of);
            let above = share_above(&all, threshold);
            let default = of
                .iter()
                .filter(|row| {
                    let source = source(&row.channel);
                    scorer.score(&row.text, source).value >= scorer.threshold(source)
                })
                .count() as f32
                / of.len() as f32;
            let auc = if attack == 1 { format!("{:.3}", area(&all, &ordinary)) } else { String::new() };
            if attack == 1 {
                found.push((above, default));
            }
            writeln!(
                text,
                "| {name} | {} | {} | {above:.3} | {default:.3} | {auc} |",
                if attack == 1 { "attacks" } else { "ordinary" },
                of.len()
            )?;
        }
        plain_attacks.extend(rows.iter().filter(|row| row.attack == 1));
    }
    let mean = |get: fn(&(f32, f32)) -> f32| found.iter().map(get).sum::<f32>() / found.len().max(1) as f32;
    writeln!(
        text,
        "| **macro, {} corpora** | attacks | | **{:.3}** | **{:.3}** | |",
        found.len(),
        mean(|f| f.0),
        mean(|f| f.1)
    )?;
    writeln!(text, "\n| disguise | found at 1 % false positives | loss |\n|---|---|---|")?;
    // What can be written in every disguise: ASCII, of a length that a person would type.
    let disguisable: Vec<&&Row> =
        plain_attacks.iter().filter(|row| row.text.is_ascii() && row.text.len() < 2000).collect();
    let plain =
        disguisable.iter().filter(|row| scorer.margin(&row.text) > threshold).count() as f32 / disguisable.len() as f32;
    writeln!(text, "| none ({} attacks) | {plain:.3} | |", disguisable.len())?;
    for (name, disguise) in disguise::ALL {
        let above = disguisable.iter().filter(|row| scorer.margin(&disguise(&row.text)) > threshold).count() as f32
            / disguisable.len() as f32;
        writeln!(text, "| {name} | {above:.3} | {:.3} |", plain - above)?;
    }
    writeln!(text, "\n{}", latency(&scorer, &corpora))?;
    match page {
        Some(page) => fs::write(page, text)?,
        None => println!("{text}"),
    }
    Ok(())
}

fn source(channel: &str) -> Source {
    match channel {
        "tool" => Source::Tool,
        "retrieved" => Source::Retrieved,
        _ => Source::User,
    }
}

/// Prints the texts of a part in the order of their margins, as far as they are on the wrong side.
pub(crate) fn mistakes(
    folder: &Path,
    model: &Path,
    part: &str,
    corpus: &str,
    count: usize,
) -> Result<(), Box<dyn Error>> {
    let scorer = Scorer::of(fs::read(model)?.leak())?;
    let threshold = quantile(&ordinary(folder, &scorer, "choice")?, 0.01);
    for (name, rows) in corpus::read(folder, part)? {
        if name != corpus {
            continue;
        }
        let mut wrong: Vec<(f32, &Row)> = rows
            .iter()
            .map(|row| (scorer.margin(&row.text), row))
            .filter(|(margin, row)| (*margin > threshold) != (row.attack == 1))
            .collect();
        wrong.sort_by(|one, other| other.0.total_cmp(&one.0));
        println!("{} of {} are mistaken, threshold {threshold:.2}", wrong.len(), rows.len());
        for (margin, row) in wrong.iter().step_by((wrong.len() / count).max(1)) {
            let explanation = scorer.explain(&row.text, Source::User);
            let words: Vec<String> =
                explanation.grams.iter().take(7).map(|gram| format!("{} {:.2}", gram.text, gram.weight)).collect();
            let text: String = row.text.chars().take(160).collect();
            println!("{margin:.2} {} {:?} {text:?}\n      {words:?}", row.attack, explanation.score.view);
        }
    }
    Ok(())
}

/// What a text of 2 KB costs, over such texts of the corpora.
fn latency(scorer: &Scorer, corpora: &[(String, Vec<Row>)]) -> String {
    const BYTES: usize = 2048;
    let mut texts = Vec::new();
    let mut text = String::new();
    for row in corpora.iter().flat_map(|(_, rows)| rows) {
        text.push_str(&row.text);
        text.push('\n');
        while text.len() >= BYTES {
            let rest = text.split_off(text.floor_char_boundary(BYTES));
            texts.push(std::mem::replace(&mut text, rest));
        }
    }
    let mut times: Vec<u128> = texts
        .iter()
        .map(|text| {
            // The quickest of many is what it costs; the others are what else the machine does.
            let run = || {
                let begun = Instant::now();
                std::hint::black_box(scorer.score(text, Source::User));
                begun.elapsed().as_nanos()
            };
            (0..25).map(|_| run()).min().unwrap_or_default()
        })
        .collect();
    let readings: usize = texts
        .iter()
        .map(|text| {
            let mut count = 0;
            views::read(text, |_, _| count += 1);
            count
        })
        .sum();
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default() as f64 / 1000.0;
    format!(
        "{} texts of 2 KB, read in {:.2} ways each: {:.1} µs at the median, {:.1} µs at p99 (the quickest of 25 runs of each).",
        times.len(),
        readings as f64 / times.len() as f64,
        at(0.5),
        at(0.99)
    )
}
