//! Numbers that European states know people by, each with the checksum or the date that is in it.

use super::digits::{Digits, all_same, digits, ean13, is_date, luhn, mod_11_10, number, pair, weighted};

fn letters_and_digits(text: &[u8]) -> Vec<u8> {
    text.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_uppercase).collect()
}

fn first(digits: &[u32], count: usize) -> &[u32] {
    digits.get(..count).unwrap_or_default()
}

fn last(digits: &[u32]) -> u32 {
    digits.last().copied().unwrap_or(u32::MAX)
}

/// Germany, Steuer-Identifikationsnummer: of the first ten digits one comes twice or three times; mod 11,10.
pub fn de_steuer_id(text: &[u8]) -> bool {
    let digits = digits(text);
    let ten = first(&digits, 10);
    let count = |digit: u32| ten.iter().filter(|other| **other == digit).count();
    let repeated: Vec<usize> = (0..10).map(count).filter(|count| *count > 1).collect();
    let in_a_row = ten.windows(3).any(|three| matches!(three, [a, b, c] if a == b && b == c));
    digits.len() == 11
        && digits.first() != Some(&0)
        && matches!(repeated.as_slice(), [2 | 3])
        && !in_a_row
        && mod_11_10(&digits)
}

/// Austria, Sozialversicherungsnummer: mod 11 in the fourth digit, and a date of birth (whose month may be up to 15).
pub fn at_svnr(text: &[u8]) -> bool {
    let digits = digits(text);
    let day = pair(&digits, 4);
    digits.len() == 10
        && digits.first() != Some(&0)
        && (1..=31).contains(&day)
        && (1..=15).contains(&pair(&digits, 6))
        && digits.get(3).is_some_and(|check| weighted(&digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 == *check)
}

/// Switzerland, AHV-Nummer: EAN-13 that begins with 756.
pub fn ch_ahv(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.starts_with(&[7, 5, 6]) && ean13(&digits)
}

/// France, numéro d'inscription au répertoire: a key of 97 minus mod 97; Corsica's departments have letters.
pub fn fr_nir(text: &[u8]) -> bool {
    let compact = letters_and_digits(text);
    let (corsica, replaced): (bool, Vec<u8>) = match compact.get(5..7) {
        Some(b"2A") => {
            (true, [compact.get(..5).unwrap_or_default(), b"19", compact.get(7..).unwrap_or_default()].concat())
        }
        Some(b"2B") => {
            (true, [compact.get(..5).unwrap_or_default(), b"18", compact.get(7..).unwrap_or_default()].concat())
        }
        _ => (false, compact.clone()),
    };
    let digits = digits(&replaced);
    let month = pair(&digits, 3);
    digits.len() == 15
        && (corsica || compact.iter().all(u8::is_ascii_digit))
        && matches!(digits.first(), Some(1 | 2 | 3 | 4 | 7 | 8))
        && matches!(month, 1..=12 | 20 | 30..=42 | 50..=99)
        && 97 - number(first(&digits, 13)) % 97 == u64::from(pair(&digits, 13))
}

const SPANISH: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// Spain, DNI: eight digits, and a letter that is mod 23.
pub fn es_dni(text: &[u8]) -> bool {
    let compact = letters_and_digits(text);
    let Some((letter, rest)) = compact.split_last() else { return false };
    let digits = digits(rest);
    digits.len() == 8 && rest.len() == 8 && SPANISH.get((number(&digits) % 23) as usize) == Some(letter)
}

/// Spain, NIE: X, Y or Z stands for 0, 1 or 2; then as a DNI.
pub fn es_nie(text: &[u8]) -> bool {
    let compact = letters_and_digits(text);
    let Some((kind, rest)) = compact.split_first() else { return false };
    let digit = match kind {
        b'X' => b'0',
        b'Y' => b'1',
        b'Z' => b'2',
        _ => return false,
    };
    es_dni(&[&[digit], rest].concat())
}

/// Italy, codice fiscale: sixteen characters, the last of which is mod 26 of what the others stand for.
pub fn it_codice_fiscale(text: &[u8]) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let compact = letters_and_digits(text);
    let value = |byte: u8| u32::from(if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' });
    let Some((check, rest)) = compact.split_last() else { return false };
    let sum: u32 = rest
        .iter()
        .enumerate()
        .map(|(at, byte)| match at % 2 {
            0 => ODD.get(value(*byte) as usize).copied().unwrap_or_default(),
            _ => value(*byte),
        })
        .sum();
    compact.len() == 16 && check.is_ascii_uppercase() && sum % 26 == value(*check)
}

/// Netherlands, burgerservicenummer: the eleven-proof, whose last weight is -1.
pub fn nl_bsn(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 9 && !all_same(&digits) && weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == last(&digits)
}

/// Belgium, rijksregisternummer: 97 minus mod 97, with a 2 before it for people born since 2000.
pub fn be_rrn(text: &[u8]) -> bool {
    let digits = digits(text);
    let (body, check) = (number(first(&digits, 9)), u64::from(pair(&digits, 9)));
    digits.len() == 11
        && pair(&digits, 2) <= 52
        && pair(&digits, 4) <= 31
        && [body, body + 2_000_000_000].iter().any(|body| 97 - body % 97 == check)
}

/// Poland, PESEL: weights 1, 3, 7, 9; the century is in the month.
pub fn pl_pesel(text: &[u8]) -> bool {
    let digits = digits(text);
    let sum = weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    digits.len() == 11 && is_date(pair(&digits, 0), pair(&digits, 2) % 20, pair(&digits, 4)) && sum.is_multiple_of(10)
}

/// Sweden, personnummer and samordningsnummer (60 is added to the day): Luhn over ten digits.
pub fn se_personnummer(text: &[u8]) -> bool {
    let digits = digits(text);
    let ten = match digits.len() {
        12 => digits.get(2..).unwrap_or_default(),
        _ => &digits,
    };
    ten.len() == 10 && is_date(pair(ten, 0), pair(ten, 2), pair(ten, 4) % 60) && luhn(ten)
}

/// Finland, henkilötunnus: a letter or digit that is mod 31.
pub fn fi_hetu(text: &[u8]) -> bool {
    const CHECKS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let (Some(check), Some(serial)) = (text.last(), text.get(7..10)) else { return false };
    let date = digits(text.get(..6).unwrap_or_default());
    let all: Digits = date.iter().copied().chain(digits(serial)).collect();
    text.len() == 11
        && all.len() == 9
        && is_date(pair(&date, 4), pair(&date, 2), pair(&date, 0))
        && CHECKS.get((number(&all) % 31) as usize) == Some(&check.to_ascii_uppercase())
}

/// Denmark, CPR-nummer: a date of birth. Its checksum is no longer kept since 2007.
pub fn dk_cpr(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 10 && is_date(pair(&digits, 4), pair(&digits, 2), pair(&digits, 0))
}

/// Norway, fødselsnummer: two digits of mod 11; 40 is added to the day of people without one.
pub fn no_fodselsnummer(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 11
        && is_date(pair(&digits, 4), pair(&digits, 2) % 40, pair(&digits, 0) % 40)
        && weighted(&digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Portugal, NIF: 11 minus mod 11, where 10 and 11 are 0.
pub fn pt_nif(text: &[u8]) -> bool {
    let digits = digits(text);
    let check = (11 - weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 % 10;
    digits.len() == 9
        && matches!(digits.first(), Some(1 | 2 | 3 | 5 | 6 | 7 | 8 | 9))
        && !all_same(&digits)
        && check == last(&digits)
}

/// United Kingdom, National Insurance number: prefixes that are given out.
pub fn uk_nino(text: &[u8]) -> bool {
    let compact = letters_and_digits(text);
    let Some([one, two]) = compact.first_chunk::<2>() else { return false };
    compact.len() == 9
        && !b"DFIQUV".contains(one)
        && !b"DFIQUVO".contains(two)
        && ![b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&[*one, *two])
}

/// United Kingdom, NHS number: mod 11. Telephone numbers of films (555-…) pass it too and are none.
pub fn uk_nhs(text: &[u8]) -> bool {
    let digits = digits(text);
    let check = (11 - weighted(&digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    digits.len() == 10 && !all_same(&digits) && check == last(&digits)
}

/// Ireland, PPS number: a letter that is mod 23; a second letter counts nine times.
pub fn ie_pps(text: &[u8]) -> bool {
    let compact = letters_and_digits(text);
    let digits = digits(&compact);
    let value = |byte: &u8| if *byte == b'W' { 0 } else { u32::from(byte.saturating_sub(b'A')) + 1 };
    let (Some(check), second) = (compact.get(7), compact.get(8)) else { return false };
    digits.len() == 7
        && check.is_ascii_uppercase()
        && (weighted(&digits, &[8, 7, 6, 5, 4, 3, 2]) + 9 * second.map_or(0, value)) % 23 == value(check)
}

/// Czechia and Slovakia, rodné číslo: divisible by 11; 50 (and 20) is added to months.
pub fn cz_rodne_cislo(text: &[u8]) -> bool {
    let digits = digits(text);
    let month = pair(&digits, 2) % 50;
    let month = if month > 20 { month - 20 } else { month };
    digits.len() == 10 && is_date(pair(&digits, 0), month, pair(&digits, 4)) && number(&digits).is_multiple_of(11)
}

/// Romania, CNP: mod 11, where 10 is 1.
pub fn ro_cnp(text: &[u8]) -> bool {
    let digits = digits(text);
    let check = weighted(&digits, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    digits.len() == 13
        && digits.first() != Some(&0)
        && is_date(pair(&digits, 1), pair(&digits, 3), pair(&digits, 5))
        && (if check == 10 { 1 } else { check }) == last(&digits)
}

/// Bulgaria, EGN: mod 11, where 10 is 0; 20 or 40 is added to months.
pub fn bg_egn(text: &[u8]) -> bool {
    let digits = digits(text);
    let check = weighted(&digits, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
    digits.len() == 10 && is_date(pair(&digits, 0), pair(&digits, 2) % 20, pair(&digits, 4)) && check == last(&digits)
}

/// Croatia, OIB: mod 11,10.
pub fn hr_oib(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 11 && !all_same(&digits) && mod_11_10(&digits)
}

/// Estonia and Lithuania, isikukood and asmens kodas: mod 11 by one row of weights, or by another where that gives 10.
pub fn ee_isikukood(text: &[u8]) -> bool {
    let digits = digits(text);
    let one = weighted(&digits, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let check = if one == 10 { weighted(&digits, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10 } else { one };
    digits.len() == 11
        && matches!(digits.first(), Some(1..=8))
        && is_date(pair(&digits, 1), pair(&digits, 3), pair(&digits, 5))
        && check == last(&digits)
}

/// Greece, AMKA: a date, and Luhn.
pub fn gr_amka(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 11 && is_date(pair(&digits, 4), pair(&digits, 2), pair(&digits, 0)) && luhn(&digits)
}

/// Türkiye, TC kimlik no: two digits of checksum.
pub fn tr_tckn(text: &[u8]) -> bool {
    let digits = digits(text);
    let odd = weighted(&digits, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let even = weighted(&digits, &[0, 1, 0, 1, 0, 1, 0, 1]);
    let sum: u32 = first(&digits, 10).iter().sum();
    digits.len() == 11
        && digits.first() != Some(&0)
        && digits.get(9).is_some_and(|check| (odd * 7 + 9 * even) % 10 == *check)
        && sum % 10 == last(&digits)
}

/// A day of the last 130 years, in any order of year, month and day.
pub fn date_of_birth(text: &[u8]) -> bool {
    let digits = digits(text);
    let four = |at: usize| pair(&digits, at) * 100 + pair(&digits, at + 2);
    let lived = |year: u32| (1895..=2035).contains(&year);
    match digits.len() {
        8 if text.get(..4).is_some_and(|year| year.iter().all(u8::is_ascii_digit)) => {
            lived(four(0)) && is_date(four(0), pair(&digits, 4), pair(&digits, 6))
        }
        8 => {
            lived(four(4))
                && (is_date(four(4), pair(&digits, 2), pair(&digits, 0))
                    || is_date(four(4), pair(&digits, 0), pair(&digits, 2)))
        }
        // With a month by its name, or with single digits: the shape says it.
        5..=7 => true,
        _ => false,
    }
}
