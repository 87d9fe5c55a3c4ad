//! Reversible disguises: each leaves a text that a person or a model can read back.

use base64::Engine;

use crate::learn::Numbers;

/// What disguises a text.
pub(crate) type Disguise = fn(&str) -> String;

/// Every disguise, by name.
pub(crate) const ALL: [(&str, Disguise); 9] = [
    ("zero width", zero_width),
    ("homoglyphs", homoglyphs),
    ("full width", full_width),
    ("leet", leet),
    ("spaced letters", spaced),
    ("tag block", tags),
    ("base64", base64),
    ("soft hyphens", soft_hyphens),
    ("reversed", reversed),
];

/// The text in some disguise.
pub(crate) fn any(text: &str, numbers: &mut Numbers) -> String {
    // What only adds invisible characters is undone to the letter and teaches nothing.
    let useful: [Disguise; 6] = [homoglyphs, leet, spaced, spaced, base64, reversed];
    useful[numbers.below(useful.len())](text)
}

fn zero_width(text: &str) -> String {
    text.chars().enumerate().flat_map(|(at, c)| [Some(c), (at % 2 == 1).then_some('\u{200b}')]).flatten().collect()
}

fn soft_hyphens(text: &str) -> String {
    text.chars().flat_map(|c| [Some(c), c.is_alphabetic().then_some('\u{ad}')]).flatten().collect()
}

fn homoglyphs(text: &str) -> String {
    let like = |c| match c {
        'a' => 'а',
        'e' => 'е',
        'o' => 'о',
        'p' => 'р',
        'c' => 'с',
        'x' => 'х',
        'y' => 'у',
        'i' => 'і',
        's' => 'ѕ',
        'j' => 'ј',
        'A' => 'А',
        'E' => 'Е',
        'O' => 'О',
        'P' => 'Р',
        'C' => 'С',
        'X' => 'Х',
        'T' => 'Т',
        'H' => 'Н',
        'K' => 'К',
        'M' => 'М',
        'I' => 'І',
        'S' => 'Ѕ',
        'B' => 'В',
        other => other,
    };
    text.chars().map(like).collect()
}

fn full_width(text: &str) -> String {
    text.chars()
        .map(|c| if ('!'..='~').contains(&c) { char::from_u32(c as u32 + 0xfee0).unwrap_or(c) } else { c })
        .collect()
}

fn leet(text: &str) -> String {
    let sign = |c: char| match c.to_ascii_lowercase() {
        'o' => '0',
        'i' => '1',
        'e' => '3',
        'a' => '4',
        's' => '5',
        't' => '7',
        _ => c,
    };
    text.chars().map(sign).collect()
}

fn spaced(text: &str) -> String {
    text.chars().flat_map(|c| [c, ' ']).collect()
}

fn tags(text: &str) -> String {
    text.chars()
        .filter_map(|c| if (' '..='~').contains(&c) { char::from_u32(c as u32 + 0xe_0000) } else { None })
        .collect()
}

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}
