//! What is caught of a value in disguise: each kind in each disguise, random values from a seed. *Caught* is masked whole.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose};

use crate::{
    Failure,
    random::{Format, Random},
    screen::{Screen, is_covered, is_default},
};

/// Values of each kind.
const VALUES: usize = 40;

/// A kind, and how its values are made; those that a checksum refuses are drawn again.
const KINDS: [(&str, &str); 8] = [
    ("credit-card", "4[0-9]{3} [0-9]{4} [0-9]{4} [0-9]{4}"),
    ("us-ssn", "[1-5][1-9]{2}-[1-9]{2}-[1-9]{4}"),
    ("iban", "DE[0-9]{2} [0-9]{4} [0-9]{4} [0-9]{4} [0-9]{4} [0-9]{2}"),
    ("phone", r"\+1 [2-8][0-8][2-9] [2-9][2-9]{2} [0-9]{4}"),
    ("ip-address", r"[2-9][0-9]\.1[0-9]{2}\.[1-9][0-9]\.[1-9][0-9]"),
    ("email", r"[a-z]{3,8}\.[a-z]{3,9}@[a-z]{4,9}\.example"),
    ("GitHub", "ghp_[0-9A-Za-z]{36}"),
    ("AWS", "AKIA[A-Z2-7]{16}"),
];

type Disguise = fn(&str) -> String;

const DISGUISES: [(&str, Disguise); 12] = [
    ("none", str::to_owned),
    ("zero-width space in the middle", |value| split(value, "\u{200b}")),
    ("zero-width space between all", |value| between(value, "\u{200b}")),
    ("soft hyphen in the middle", |value| split(value, "\u{ad}")),
    ("full-width digits", |value| digits(value, 0xff10)),
    ("Arabic digits", |value| digits(value, 0x660)),
    ("no-break spaces, typographers' hyphens", |value| value.replace(' ', "\u{a0}").replace('-', "\u{2011}")),
    ("a space between all", |value| between(&value.replace([' ', '-'], ""), " ")),
    ("URL encoding", |value| value.replace(' ', "%20").replace('@', "%40").replace('+', "%2B")),
    ("Base64", |value| general_purpose::STANDARD.encode(value)),
    ("homoglyphs (Cyrillic)", |value| value.replace('a', "а").replace('e', "е").replace('A', "А").replace('0', "О")),
    ("backwards", |value| value.chars().rev().collect()),
];

fn split(value: &str, with: &str) -> String {
    let (before, after) = value.split_at(value.len() / 2);
    format!("{before}{with}{after}")
}

fn between(value: &str, with: &str) -> String {
    value.chars().map(String::from).collect::<Vec<_>>().join(with)
}

fn digits(value: &str, zero: u32) -> String {
    value.chars().map(|it| it.to_digit(10).and_then(|digit| char::from_u32(zero + digit)).unwrap_or(it)).collect()
}

pub(crate) fn table() -> Result<String, Failure> {
    let screen = Screen::of(is_default)?;
    let kinds: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
    let mut table = format!("| disguise | {} |\n|---|{}\n", kinds.join(" | "), "--:|".repeat(kinds.len()));
    let values: Vec<Vec<String>> =
        KINDS.iter().map(|(_, format)| values(&screen, format)).collect::<Result<_, Failure>>()?;
    for (name, disguise) in DISGUISES {
        let shares: Vec<_> = values
            .iter()
            .map(|values| {
                let disguised: Vec<String> = values.iter().map(|value| disguise(value)).collect();
                if name != "none" && values == &disguised {
                    return "=".to_owned();
                }
                format!("{:.2}", disguised.iter().filter(|it| is_caught(&screen, it)).count() as f64 / VALUES as f64)
            })
            .collect();
        let _ = writeln!(table, "| {name} | {} |", shares.join(" | "));
    }
    table.push_str("\n`=`: the disguise changes nothing of such a value.\n");
    Ok(table)
}

/// Values of a format that are caught as they are.
fn values(screen: &Screen, format: &str) -> Result<Vec<String>, Failure> {
    let (format, mut random) = (Format::new(format)?, Random::new(11));
    let drawn = std::iter::repeat_with(|| format.text(&mut random)).take(VALUES * 400);
    let values: Vec<_> = drawn.filter(|value| is_caught(screen, value)).take(VALUES).collect();
    if values.len() < VALUES { Err("too few values pass their checksum".into()) } else { Ok(values) }
}

fn is_caught(screen: &Screen, value: &str) -> bool {
    let text = format!("Here it is: {value} (keep it)");
    let at = text.find(value).unwrap_or_default();
    is_covered(&text, &(at..at + value.len()), &screen.find(&text))
}
