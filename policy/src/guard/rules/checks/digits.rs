//! Digits of a candidate, and the checksums that most numbers of people and cards are made with.

use smallvec::SmallVec;

/// The digits of a number, from left to right, without what stands between them.
pub type Digits = SmallVec<[u32; 24]>;

/// The digits among the bytes.
pub fn digits(text: &[u8]) -> Digits {
    text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0')).collect()
}

/// Whether all digits are the same one: many checksums accept these, and none is anybody's.
pub fn all_same(digits: &[u32]) -> bool {
    digits.windows(2).all(|pair| matches!(pair, [a, b] if a == b))
}

/// The number that the digits make.
pub fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |number: u64, digit| number.wrapping_mul(10).wrapping_add(u64::from(*digit)))
}

/// The sum of digits times weights, as far as both go.
pub fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// ISO/IEC 7812-1, annex B.
pub fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { *digit })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// ISO/IEC 7064, mod 11,10.
pub fn mod_11_10(digits: &[u32]) -> bool {
    let Some((check, rest)) = digits.split_last() else { return false };
    let product = rest.iter().fold(10, |product, digit| {
        let sum = (product + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == *check
}

/// EAN-13: weights 1 and 3 in turn.
pub fn ean13(digits: &[u32]) -> bool {
    digits.len() == 13 && weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// Verhoeff's checksum, which uses the dihedral group of the pentagon.
pub fn verhoeff(digits: &[u32]) -> bool {
    // The permutation of each place: applied `place` times, with period 8.
    const PERMUTATION: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permuted = |digit: u32, times: usize| {
        (0..times % 8).fold(digit, |digit, _| PERMUTATION.get(digit as usize).copied().unwrap_or(digit))
    };
    let product = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    digits.iter().rev().enumerate().fold(0, |check, (place, digit)| product(check, permuted(*digit, place))) == 0
}

/// Whether there is such a day. `year` may be of two digits: then 29 February is one.
pub fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year < 100 || year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// Two digits as a number, from this place on.
pub fn pair(digits: &[u32], at: usize) -> u32 {
    match digits.get(at..) {
        Some([tens, ones, ..]) => tens * 10 + ones,
        _ => 0,
    }
}
