//! Tables: on the terminal and, if asked for, in `docs/benchmarks.md`.

use std::{fmt::Write as _, fs};

use crate::{
    Outcome,
    load::Measured,
    machine,
    peers::Contender,
    rounds::{Results, read_document},
    scenarios::{self, Goal, Load, Of},
};

const DOCUMENT: &str = "docs/benchmarks.md";

/// The figure that a scenario compares: microseconds of CPU time per unit, or KiB.
fn figure(load: Load, measured: &Measured) -> f64 {
    match load {
        Load::Idle(_) | Load::Start | Load::Reload => measured.kib_each,
        _ => measured.cpu_ns as f64 / 1000.0 / measured.count.max(1) as f64,
    }
}

/// The value below which a share of the values lies.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    if sorted.is_empty() {
        return f64::NAN;
    }
    let at = (sorted.len() - 1) as f64 * share;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

impl Results {
    fn position(&self, contender: Contender) -> Option<usize> {
        self.scenario.contenders.iter().position(|candidate| *candidate == contender)
    }

    /// One value per round in which the contender's turn counted.
    fn values(&self, at: usize, value: impl Fn(&Measured) -> f64) -> Vec<f64> {
        self.rounds.iter().filter_map(|row| row[at].as_ref()).map(value).collect()
    }

    /// One value per round in which both turns counted.
    fn pairs(&self, at: usize, base: usize, value: impl Fn(&Measured, &Measured) -> f64) -> Vec<f64> {
        let both = self.rounds.iter().filter_map(|row| row[at].as_ref().zip(row[base].as_ref()));
        both.map(|(measured, base)| value(measured, base)).collect()
    }

    fn ratios(&self, at: usize, to: Contender) -> Vec<f64> {
        let load = self.scenario.load;
        let ratio = |measured: &Measured, base: &Measured| figure(load, measured) / figure(load, base);
        self.position(to).map(|base| self.pairs(at, base, ratio)).unwrap_or_default()
    }
}

/// One scenario as a table.
pub(crate) fn table(results: &Results) -> String {
    let scenario = &results.scenario;
    let unit = scenario.unit;
    let base = scenario.base.name();
    let mut text = format!("### {}\n\n`just bench {}` · ", scenario.title, scenario.id);
    let _ = match scenario.load {
        Load::Idle(_) | Load::Start | Load::Reload => write!(text, "{} fresh starts each", results.rounds.len()),
        _ => write!(text, "{} rounds of {} s each", results.rounds.len(), results.seconds),
    };
    let _ = writeln!(text, " · {}, commit {}\n", machine::date(), machine::commit());
    let (heads, rule) = match scenario.load {
        Load::Rate { .. } => (
            "| p50 ms | p99 ms | added p50 ms | added p99 ms | CPU µs per request |".to_owned(),
            "|--:|--:|--:|--:|--:|",
        ),
        Load::Start => (format!("| MiB | × {base} | serves after, ms |"), "|--:|--:|--:|"),
        Load::Reload => (format!("| MiB | × {base} | in force after, ms | CPU ms |"), "|--:|--:|--:|--:|"),
        Load::Idle(_) => (format!("| KiB per {unit} | × {base} |"), "|--:|--:|"),
        _ => (
            format!("| CPU µs per {unit} | × {base} (middle half) | {unit}s/s | p50 ms | p99 ms |"),
            "|--:|--:|--:|--:|--:|",
        ),
    };
    let _ = writeln!(text, "| {unit} through {heads}\n|---{rule}");
    for at in 0..scenario.contenders.len() {
        let _ = writeln!(text, "| {} | {} |", scenario.contenders[at].name(), cells(results, at).join(" | "));
    }
    text
}

fn cells(results: &Results, at: usize) -> Vec<String> {
    let load = results.scenario.load;
    let middle = |value: &dyn Fn(&Measured) -> f64| quantile(&results.values(at, value), 0.5);
    let cost = middle(&|measured| figure(load, measured));
    let ratios = results.ratios(at, results.scenario.base);
    let ratio = quantile(&ratios, 0.5);
    match load {
        Load::Rate { .. } => {
            let (p50, p99) = (middle(&|measured| measured.p50_us / 1e3), middle(&|measured| measured.p99_us / 1e3));
            let (added_p50, added_p99) = added_ms(results, at);
            let number = |value: f64| format!("{value:.3}");
            vec![number(p50), number(p99), number(added_p50), number(added_p99), format!("{cost:.1}")]
        }
        Load::Start => {
            let ready = middle(&|measured| measured.seconds * 1e3);
            vec![format!("{:.1}", cost / 1024.0), format!("{ratio:.2}"), format!("{ready:.0}")]
        }
        Load::Reload => {
            let in_force = middle(&|measured| measured.seconds * 1e3);
            let cpu = middle(&|measured| measured.cpu_ns as f64 / 1e6);
            vec![format!("{:.1}", cost / 1024.0), format!("{ratio:.2}"), format!("{in_force:.0}"), format!("{cpu:.0}")]
        }
        Load::Idle(_) => vec![format!("{cost:.1}"), format!("{ratio:.2}")],
        _ => {
            let rate = middle(&|measured| measured.count as f64 / measured.seconds);
            let (p50, p99) = (middle(&|measured| measured.p50_us / 1e3), middle(&|measured| measured.p99_us / 1e3));
            let or_dash = |value: f64| if value > 0.0 { format!("{value:.2}") } else { "–".to_owned() };
            vec![
                format!("{cost:.1}"),
                format!("**{ratio:.2}** ({:.2}–{:.2})", quantile(&ratios, 0.25), quantile(&ratios, 0.75)),
                format!("{rate:.0}"),
                or_dash(p50),
                or_dash(p99),
            ]
        }
    }
}

/// How much later answers come than from the base (no proxy, or one that asks nobody who it is), in the same round: median
/// and 99th percentile, in milliseconds.
fn added_ms(results: &Results, at: usize) -> (f64, f64) {
    let Some(base) = results.position(results.scenario.base) else { return (f64::NAN, f64::NAN) };
    let p50 = results.pairs(at, base, |measured, base| (measured.p50_us - base.p50_us) / 1e3);
    let p99 = results.pairs(at, base, |measured, base| (measured.p99_us - base.p99_us) / 1e3);
    (quantile(&p50, 0.5), quantile(&p99, 0.5))
}

/// What was to be reached, and what was.
pub(crate) fn goals(all: &[Results]) -> String {
    let mut text = String::from("| work | to reach | beyond | measured | |\n|---|--:|--:|--:|---|\n");
    for results in all {
        for goal in &results.scenario.goals {
            let measured = against(results, goal);
            let verdict = match goal.beyond {
                _ if measured.is_nan() => "not measured",
                Some(beyond) if measured <= beyond => "beyond",
                _ if measured <= goal.at_most => "reached",
                _ => "**missed**",
            };
            let unit = match goal.of {
                Of::RatioTo(peer) => format!(" × {}", peer.name()),
                Of::MedianMs => " ms added, p50".to_owned(),
                Of::TailMs => " ms added, p99".to_owned(),
                Of::KibEach => " KiB".to_owned(),
                Of::Mib => " MiB".to_owned(),
                Of::ReadyS => " s to load".to_owned(),
            };
            let beyond = goal.beyond.map(|beyond| format!("{beyond}")).unwrap_or_default();
            let title = results.scenario.title;
            let _ = writeln!(text, "| {title} | {}{unit} | {beyond} | {measured:.2} | {verdict} |", goal.at_most);
        }
    }
    text
}

fn against(results: &Results, goal: &Goal) -> f64 {
    let ours = results.scenario.contenders.iter().position(|contender| matches!(contender, Contender::Portcullis(_)));
    let Some(at) = ours else { return f64::NAN };
    let middle = |value: &dyn Fn(&Measured) -> f64| quantile(&results.values(at, value), 0.5);
    match goal.of {
        Of::RatioTo(peer) => quantile(&results.ratios(at, peer), 0.5),
        Of::MedianMs => added_ms(results, at).0,
        Of::TailMs => added_ms(results, at).1,
        Of::KibEach => middle(&|measured| measured.kib_each),
        Of::Mib => middle(&|measured| measured.kib_each / 1024.0),
        Of::ReadyS => middle(&|measured| measured.seconds),
    }
}

/// Puts a scenario's table in its place in the document.
pub(crate) fn write(results: &Results) -> Outcome<()> {
    replace(results.scenario.id, &table(results))
}

/// Puts the goals, and where all this was measured, in their place in the document.
pub(crate) fn write_goals(all: &[Results]) -> Outcome<()> {
    let versions = machine::versions().join(" · ");
    replace("machine", &format!("{}, {}.\n\n{versions}\n", machine::date(), machine::description()))?;
    let document = read_document(DOCUMENT)?;
    let earlier = document.split_once("<!-- begin goals -->\n").map_or("", |(_, rest)| rest);
    let earlier = earlier.split_once("<!-- end goals -->").map_or("", |(rows, _)| rows);
    let titles: Vec<_> = scenarios::all().iter().map(|scenario| scenario.title).collect();
    replace("goals", &merged(earlier, &goals(all), &titles))
}

/// The rows of `now`, and those of `earlier` for titles that `now` has none of, in the order of the titles.
fn merged(earlier: &str, now: &str, titles: &[&str]) -> String {
    let mut text: String = now.lines().take(2).flat_map(|line| [line, "\n"]).collect();
    for title in titles {
        let start = format!("| {title} |");
        let rows = |table: &str| -> String {
            table.lines().filter(|line| line.starts_with(&start)).flat_map(|line| [line, "\n"]).collect()
        };
        let measured = rows(now);
        text += &if measured.is_empty() { rows(earlier) } else { measured };
    }
    text
}

/// Replaces what stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
fn replace(name: &str, text: &str) -> Outcome<()> {
    let document = read_document(DOCUMENT)?;
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let missing = || format!("{DOCUMENT} has no place for `{name}`");
    let (before, rest) = document.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(fs::write(DOCUMENT, format!("{before}{begin}{text}{end}{after}"))?)
}

#[cfg(test)]
mod tests {
    use super::{merged, quantile};

    #[test]
    fn rows_that_were_not_measured_again_stay() {
        let earlier = "| work | |\n|---|---|\n| a | 1 |\n| b | 2 |\n| gone | 3 |\n";
        let now = "| work | |\n|---|---|\n| b | 4 |\n| b | 5 |\n";
        assert_eq!(merged(earlier, now, &["a", "b", "c"]), "| work | |\n|---|---|\n| a | 1 |\n| b | 4 |\n| b | 5 |\n");
    }

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        let check = |values: &[f64], share: f64, expected: f64| {
            assert!((quantile(values, share) - expected).abs() < 1e-9, "{values:?} at {share}");
        };
        check(&[3.0, 1.0, 2.0], 0.5, 2.0);
        check(&[1.0, 2.0], 0.5, 1.5);
        check(&[5.0, 1.0, 2.0, 3.0, 4.0], 0.25, 2.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
