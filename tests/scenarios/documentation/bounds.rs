//! Every bound on the pages has the value that the code gives it.

use super::{read, rows, word};

#[test]
fn every_bound_is_what_the_code_says() {
    let rows = rows(&read("docs/limits.md"));
    assert!(rows.len() >= 60, "only {} bounds are told", rows.len());
    let mut faults = Vec::new();
    for row in &rows {
        let [name, value, .., file] = row.as_slice() else { panic!("{row:?} has no file") };
        let (name, file) = (word(name), word(file));
        match (in_code(&read(file), name), on_page(value)) {
            (Some(code), Some(page)) if same(code, page) => {}
            (code, page) => faults.push(format!("{name} in {file} is {code:?}, the page says {page:?} ({value})")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9 * one.abs().max(1.0)
}

/// The value of `const NAME: type = …;`, of `name: …,` in a default, or of `name = …` as an argument's default. Times are
/// in seconds.
fn in_code(text: &str, name: &str) -> Option<f64> {
    let flag = name.strip_prefix("--").map(|flag| flag.replace('-', "_"));
    if let Some(field) = flag {
        // `#[arg(long, default_value_t = 3600)]` stands above the field.
        let (before, _) = text.split_once(&format!("pub {field}:"))?;
        let (_, default) = before.rsplit_once("default_value_t = ")?;
        return evaluate(default.split([',', ')']).next()?);
    }
    text.lines().find_map(|line| {
        let line = line.trim();
        let constant = line.split_once(&format!("const {name}:")).and_then(|(_, rest)| rest.split_once(" = "));
        let expression = match constant {
            Some((_, expression)) => expression,
            None => {
                let rest = line
                    .split_once(&format!("{name}: "))
                    .filter(|(before, _)| before.is_empty() || before.ends_with([' ', '{']))?;
                rest.1.split([',', '}']).next()?
            }
        };
        evaluate(expression.trim_end_matches([';', ',', ' ']))
    })
}

/// A product of numbers, or a time.
fn evaluate(expression: &str) -> Option<f64> {
    let expression = expression.trim();
    if let Some(time) = expression.strip_prefix("Duration::from_") {
        let (unit, rest) = time.split_once('(')?;
        let seconds = match unit {
            "millis" => 0.001,
            "secs" => 1.0,
            "mins" => 60.0,
            "hours" => 3600.0,
            _ => return None,
        };
        return Some(evaluate(rest.strip_suffix(')')?)? * seconds);
    }
    expression.split('*').map(|factor| factor.trim().replace('_', "").parse::<f64>().ok()).product()
}

/// A value as pages write it: `64 KiB`, `10 s`, `5 min`, `20 %`, `1 000 000`.
fn on_page(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, ' ' | '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.replace(' ', "").parse().ok()?;
    let factor = match unit.split_whitespace().next().unwrap_or_default() {
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "ms" => 0.001,
        "min" => 60.0,
        "h" => 3600.0,
        "days" => 24.0 * 3600.0,
        _ => 1.0,
    };
    Some(number * factor)
}

#[test]
fn values_are_read_as_they_are_written() {
    assert_eq!(in_code("const A_MAX: usize = 64 * 1024;", "A_MAX"), Some(65_536.0));
    assert_eq!(in_code("pub const A: Duration = Duration::from_mins(5);", "A"), Some(300.0));
    assert_eq!(in_code("  head_timeout: Duration::from_secs(10),", "head_timeout"), Some(10.0));
    assert_eq!(in_code("Self { max: 5, other: Duration::from_millis(20) }", "other"), Some(0.02));
    assert_eq!(
        in_code("#[arg(long, default_value_t = 3600)]\npub drain_seconds: u64,", "--drain-seconds"),
        Some(3600.0)
    );
    assert_eq!(in_code("const A_MAX: usize = 1;", "MAX"), None);
    for (text, value) in [("64 KiB", 65_536.0), ("10 s", 10.0), ("500 ms", 0.5), ("1 000 000", 1e6), ("20 % of", 20.0)]
    {
        assert_eq!(on_page(text), Some(value), "{text}");
    }
}
