//! Numbers that states of Asia, Africa and the Pacific know people by.

use super::digits::{Digits, all_same, digits, is_date, luhn, number, pair, verhoeff, weighted};

/// India, Aadhaar: Verhoeff.
pub fn in_aadhaar(text: &[u8]) -> bool {
    let digits = digits(text);
    let is_palindrome = digits.iter().eq(digits.iter().rev());
    digits.len() == 12 && matches!(digits.first(), Some(2..=9)) && !is_palindrome && verhoeff(&digits)
}

/// India, PAN: the fourth letter says what kind of person it is.
pub fn in_pan(text: &[u8]) -> bool {
    text.get(3).is_some_and(|kind| b"ABCFGHJLPT".contains(&kind.to_ascii_uppercase()))
        && text.get(5..9).is_some_and(|serial| serial != b"0000")
}

/// Australia, Tax File Number: mod 11.
pub fn au_tfn(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 9 && !all_same(&digits) && weighted(&digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

/// Australia, Medicare card: mod 10 in the ninth digit.
pub fn au_medicare(text: &[u8]) -> bool {
    let digits = digits(text);
    matches!(digits.len(), 10 | 11)
        && matches!(digits.first(), Some(2..=6))
        && digits.get(8) == Some(&(weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10))
}

/// New Zealand, IRD number: 11 minus mod 11, by one row of weights or another.
pub fn nz_ird(text: &[u8]) -> bool {
    let mut digits = digits(text);
    if digits.len() == 8 {
        digits.insert(0, 0);
    }
    let check = |weights: &[u32]| (11 - weighted(&digits, weights) % 11) % 11;
    let check = match check(&[3, 2, 7, 6, 5, 4, 3, 2]) {
        10 => check(&[7, 4, 3, 2, 5, 2, 7, 6]),
        check => check,
    };
    digits.len() == 9 && (10_000_000..150_000_000).contains(&number(&digits)) && digits.last() == Some(&check)
}

/// Japan, My Number: 11 minus mod 11, where 10 and 11 are 0.
pub fn jp_my_number(text: &[u8]) -> bool {
    let digits = digits(text);
    let check = match weighted(&digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    digits.len() == 12 && !all_same(&digits) && digits.last() == Some(&check)
}

/// Korea, resident registration number: a date of birth and a century. New numbers have no checksum since October 2020.
pub fn kr_rrn(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 13
        && is_date(pair(&digits, 0), pair(&digits, 2), pair(&digits, 4))
        && digits.get(6).is_some_and(|century| (1..=8).contains(century))
}

/// China, resident identity card: a date of birth, and mod 11,2 of ISO 7064.
pub fn cn_ric(text: &[u8]) -> bool {
    let Some((check, rest)) = text.split_last() else { return false };
    let digits = digits(rest);
    let year = pair(&digits, 6) * 100 + pair(&digits, 8);
    let sum = weighted(&digits, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    digits.len() == 17
        && (1880..=2035).contains(&year)
        && is_date(year, pair(&digits, 10), pair(&digits, 12))
        && b"10X98765432".get((sum % 11) as usize) == Some(&check.to_ascii_uppercase())
}

/// South Africa, identity number: a date of birth, citizenship, and Luhn.
pub fn za_id(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 13
        && is_date(pair(&digits, 0), pair(&digits, 2), pair(&digits, 4))
        && digits.get(10).is_some_and(|citizenship| *citizenship <= 2)
        && luhn(&digits)
}

/// Singapore, NRIC and FIN: a letter that is mod 11.
pub fn sg_nric(text: &[u8]) -> bool {
    let upper = text.to_ascii_uppercase();
    let (Some(series), Some(check)) = (upper.first(), upper.last()) else { return false };
    let digits = digits(&upper);
    let (offset, letters): (u32, &[u8; 11]) = match series {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    let sum = weighted(&digits, &[2, 7, 6, 5, 4, 3, 2]) + offset;
    digits.len() == 7 && letters.get((sum % 11) as usize) == Some(check)
}

/// Hong Kong, identity card: mod 11, where 10 is A.
pub fn hk_id(text: &[u8]) -> bool {
    let compact: Vec<u8> =
        text.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_uppercase).collect();
    let Some((check, rest)) = compact.split_last() else { return false };
    // One letter has a space before it, which counts 36.
    let letters = rest.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let values = rest.iter().map(|byte| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        _ => u32::from(byte - b'A') + 10,
    });
    let values: Digits = (letters == 1).then_some(36).into_iter().chain(values).collect();
    let sum = weighted(&values, &[9, 8, 7, 6, 5, 4, 3, 2]);
    let expected = match (11 - sum % 11) % 11 {
        10 => b'A',
        digit => b'0' + digit as u8,
    };
    values.len() == 8 && *check == expected
}

/// Taiwan, national identity number: a letter stands for two digits; mod 10.
pub fn tw_id(text: &[u8]) -> bool {
    const PLACES: &[u8; 26] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let Some((letter, rest)) = text.split_first() else { return false };
    let Some(place) = PLACES.iter().position(|place| *place == letter.to_ascii_uppercase()) else { return false };
    let (place, digits) = (place as u32 + 10, digits(rest));
    let sum = place / 10 + place % 10 * 9 + weighted(&digits, &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    digits.len() == 9 && matches!(digits.first(), Some(1 | 2 | 8 | 9)) && sum.is_multiple_of(10)
}

/// Thailand, identity card: mod 11.
pub fn th_id(text: &[u8]) -> bool {
    let digits = digits(text);
    let check = (11 - weighted(&digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 10;
    digits.len() == 13 && !matches!(digits.first(), Some(0 | 9)) && !all_same(&digits) && digits.last() == Some(&check)
}

/// Israel, identity number: Luhn.
pub fn il_id(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 9 && !all_same(&digits) && luhn(&digits)
}
