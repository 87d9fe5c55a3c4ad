//! Payment cards and bank accounts.

use super::digits::{all_same, digits, luhn, number};

/// Issuer ranges by their first digits, and the lengths that their cards have.
const ISSUERS: &[(std::ops::RangeInclusive<u64>, u32, std::ops::RangeInclusive<usize>)] = &[
    (4..=4, 1, 13..=19),       // Visa
    (51..=55, 2, 16..=16),     // Mastercard
    (2221..=2720, 4, 16..=16), // Mastercard
    (34..=34, 2, 15..=15),     // American Express
    (37..=37, 2, 15..=15),     // American Express
    (6011..=6011, 4, 16..=19), // Discover
    (644..=659, 3, 16..=19),   // Discover
    (622..=622, 3, 16..=19),   // UnionPay
    (62..=62, 2, 16..=19),     // UnionPay
    (81..=81, 2, 16..=19),     // UnionPay
    (300..=305, 3, 14..=19),   // Diners Club
    (3095..=3095, 4, 14..=19), // Diners Club
    (36..=36, 2, 14..=19),     // Diners Club
    (38..=39, 2, 14..=19),     // Diners Club
    (35..=35, 2, 16..=19),     // JCB: 3528 to 3589, and what is issued in its name
    (1800..=1800, 4, 15..=15), // JCB
    (2131..=2131, 4, 15..=15), // JCB
    (50..=50, 2, 12..=19),     // Maestro, Elo
    (604..=604, 4, 12..=19),   // Maestro, 0604
    (56..=58, 2, 12..=19),     // Maestro
    (60..=61, 2, 12..=19),     // Maestro, RuPay, Hipercard
    (63..=64, 2, 12..=19),     // Maestro, InstaPayment
    (66..=69, 2, 12..=19),     // Maestro, Elo
    (2200..=2204, 4, 16..=19), // Mir
    (9792..=9792, 4, 16..=16), // Troy
    (1354..=1354, 4, 16..=16), // UATP, of the lengths in use
    (82..=82, 2, 16..=16),     // RuPay
];

/// A known issuer, a length of its cards, and Luhn's checksum.
pub fn card(text: &[u8]) -> bool {
    let digits = digits(text);
    let issued = ISSUERS.iter().any(|(range, places, lengths)| {
        lengths.contains(&digits.len())
            && digits.get(..*places as usize).is_some_and(|first| range.contains(&number(first)))
    });
    issued && luhn(&digits) && !all_same(&digits)
}

/// Lengths of IBANs by country: the registry of ISO 13616.
const IBAN_LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// The country's length and mod 97 of ISO 7064.
pub fn iban(text: &[u8]) -> bool {
    let compact: Vec<u8> =
        text.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_uppercase).collect();
    let Some((head, account)) = compact.split_at_checked(4) else { return false };
    let known = IBAN_LENGTHS.iter().any(|(country, length)| head.starts_with(*country) && compact.len() == *length);
    let remainder = account.iter().chain(head).fold(0_u32, |remainder, byte| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    known && remainder == 1
}
