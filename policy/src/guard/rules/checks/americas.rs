//! Numbers that American states know people by.

use super::digits::{all_same, digits, is_date, luhn, number, pair, weighted};

/// United States, Social Security number: no area 000, 666 or 9xx, no group 00, no serial 0000.
pub fn us_ssn(text: &[u8]) -> bool {
    let digits = digits(text);
    let area = number(digits.get(..3).unwrap_or_default());
    digits.len() == 9
        && !matches!(area, 0 | 666 | 900..)
        && pair(&digits, 3) != 0
        && number(digits.get(5..).unwrap_or_default()) != 0
        && !all_same(&digits)
}

/// United States, Individual Taxpayer Identification Number: 9xx, and a group that is given out.
pub fn us_itin(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 9 && digits.first() == Some(&9) && matches!(pair(&digits, 3), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// Canada, Social Insurance Number: Luhn.
pub fn ca_sin(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 9 && !matches!(digits.first(), Some(0 | 8)) && luhn(&digits) && !all_same(&digits)
}

fn brazilian(digits: &[u32], weights: &[u32]) -> u32 {
    match weighted(digits, weights) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    }
}

/// Brazil, CPF: two digits of mod 11.
pub fn br_cpf(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 11
        && !all_same(&digits)
        && digits.get(9) == Some(&brazilian(&digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]))
        && digits.get(10) == Some(&brazilian(&digits, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]))
}

/// Brazil, CNPJ: two digits of mod 11.
pub fn br_cnpj(text: &[u8]) -> bool {
    let digits = digits(text);
    digits.len() == 14
        && !all_same(&digits)
        && digits.get(12) == Some(&brazilian(&digits, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]))
        && digits.get(13) == Some(&brazilian(&digits, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]))
}

/// Mexico, CURP: mod 10 over an alphabet of 37.
pub fn mx_curp(text: &[u8]) -> bool {
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'N' => u32::from(byte - b'A') + 10,
        b'O'..=b'Z' => u32::from(byte - b'A') + 11,
        _ => 0,
    };
    let upper = text.to_ascii_uppercase();
    let (Some(check), Some(date)) = (upper.last(), upper.get(4..10)) else { return false };
    let date = digits(date);
    let sum: u32 = upper.iter().take(17).zip((2..=18).rev()).map(|(byte, weight)| value(*byte) * weight).sum();
    upper.len() == 18
        && is_date(pair(&date, 0), pair(&date, 2), pair(&date, 4))
        && (10 - sum % 10) % 10 == value(*check)
}

/// Chile, RUT: mod 11, where 10 is K.
pub fn cl_rut(text: &[u8]) -> bool {
    let Some((check, rest)) = text.split_last() else { return false };
    let digits = digits(rest);
    let sum: u32 =
        digits.iter().rev().zip([2, 3, 4, 5, 6, 7].iter().cycle()).map(|(digit, weight)| digit * weight).sum();
    let expected = match 11 - sum % 11 {
        11 => b'0',
        10 => b'K',
        digit => b'0' + digit as u8,
    };
    (7..=8).contains(&digits.len()) && !all_same(&digits) && check.to_ascii_uppercase() == expected
}

/// Argentina, CUIT and CUIL: mod 11.
pub fn ar_cuit(text: &[u8]) -> bool {
    let digits = digits(text);
    let check = (11 - weighted(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    digits.len() == 11
        && matches!(pair(&digits, 0), 20 | 23 | 24 | 25 | 26 | 27 | 30 | 33 | 34)
        && digits.last() == Some(&check)
}
