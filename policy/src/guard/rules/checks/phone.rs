//! Telephone numbers: E.164 by the plan of each country code, North American numbers by theirs, others by their shape.

use super::digits::{Digits, all_same, digits, is_date, number, pair};

/// Country codes that are assigned (ITU-T E.164), and how many digits follow them, at least and at most.
const COUNTRY_CODES: &[(u64, usize, usize)] = &[
    (1, 10, 10),
    (7, 10, 10),
    (20, 8, 10),
    (27, 9, 9),
    (30, 10, 10),
    (31, 9, 9),
    (32, 8, 9),
    (33, 9, 9),
    (34, 9, 9),
    (36, 8, 9),
    (39, 6, 11),
    (40, 9, 9),
    (41, 9, 9),
    (43, 5, 13),
    (44, 9, 10),
    (45, 8, 8),
    (46, 7, 10),
    (47, 8, 8),
    (48, 9, 9),
    (49, 6, 12),
    (51, 8, 9),
    (52, 10, 10),
    (53, 6, 8),
    (54, 10, 11),
    (55, 10, 11),
    (56, 9, 9),
    (57, 8, 10),
    (58, 10, 10),
    (60, 8, 10),
    (61, 9, 9),
    (62, 8, 12),
    (63, 8, 10),
    (64, 8, 10),
    (65, 8, 8),
    (66, 8, 9),
    (81, 9, 10),
    (82, 8, 11),
    (84, 9, 10),
    (86, 9, 11),
    (90, 10, 10),
    (91, 10, 10),
    (92, 9, 10),
    (93, 9, 9),
    (94, 9, 9),
    (95, 7, 10),
    (98, 10, 10),
    (211, 9, 9),
    (212, 9, 9),
    (213, 8, 9),
    (216, 8, 8),
    (218, 8, 9),
    (220, 7, 7),
    (221, 9, 9),
    (222, 8, 8),
    (223, 8, 8),
    (224, 8, 9),
    (225, 10, 10),
    (226, 8, 8),
    (227, 8, 8),
    (228, 8, 8),
    (229, 8, 10),
    (230, 7, 8),
    (231, 7, 9),
    (232, 8, 8),
    (233, 9, 9),
    (234, 8, 10),
    (235, 8, 8),
    (236, 8, 8),
    (237, 9, 9),
    (238, 7, 7),
    (239, 7, 7),
    (240, 9, 9),
    (241, 7, 8),
    (242, 9, 9),
    (243, 7, 9),
    (244, 9, 9),
    (245, 7, 9),
    (246, 7, 7),
    (247, 4, 6),
    (248, 7, 7),
    (249, 9, 9),
    (250, 9, 9),
    (251, 9, 9),
    (252, 7, 9),
    (253, 8, 8),
    (254, 9, 10),
    (255, 9, 9),
    (256, 9, 9),
    (257, 8, 8),
    (258, 8, 9),
    (260, 9, 9),
    (261, 9, 9),
    (262, 9, 9),
    (263, 7, 10),
    (264, 8, 9),
    (265, 7, 9),
    (266, 8, 8),
    (267, 7, 8),
    (268, 8, 8),
    (269, 7, 7),
    (290, 4, 5),
    (291, 7, 7),
    (297, 7, 7),
    (298, 6, 6),
    (299, 6, 6),
    (350, 8, 8),
    (351, 9, 9),
    (352, 4, 11),
    (353, 7, 9),
    (354, 7, 9),
    (355, 8, 9),
    (356, 8, 8),
    (357, 8, 8),
    (358, 5, 12),
    (359, 7, 9),
    (370, 8, 8),
    (371, 8, 8),
    (372, 7, 8),
    (373, 8, 8),
    (374, 8, 8),
    (375, 9, 9),
    (376, 6, 9),
    (377, 8, 9),
    (378, 6, 10),
    (380, 9, 9),
    (381, 8, 9),
    (382, 8, 8),
    (383, 8, 9),
    (385, 8, 9),
    (386, 8, 8),
    (387, 8, 9),
    (389, 8, 8),
    (420, 9, 9),
    (421, 9, 9),
    (423, 7, 9),
    (500, 5, 5),
    (501, 7, 7),
    (502, 8, 8),
    (503, 8, 8),
    (504, 8, 8),
    (505, 8, 8),
    (506, 8, 8),
    (507, 7, 8),
    (508, 6, 9),
    (509, 8, 8),
    (590, 9, 9),
    (591, 8, 8),
    (592, 7, 7),
    (593, 8, 9),
    (594, 9, 9),
    (595, 9, 9),
    (596, 9, 9),
    (597, 6, 7),
    (598, 8, 8),
    (599, 7, 8),
    (670, 7, 8),
    (672, 6, 6),
    (673, 7, 7),
    (674, 7, 7),
    (675, 7, 8),
    (676, 5, 7),
    (677, 5, 7),
    (678, 5, 7),
    (679, 7, 7),
    (680, 7, 7),
    (681, 6, 6),
    (682, 5, 5),
    (683, 4, 7),
    (685, 5, 7),
    (686, 5, 8),
    (687, 6, 6),
    (688, 5, 6),
    (689, 8, 8),
    (690, 4, 4),
    (691, 7, 7),
    (692, 7, 7),
    (850, 8, 10),
    (852, 8, 8),
    (853, 8, 8),
    (855, 8, 9),
    (856, 8, 10),
    (870, 9, 9),
    (880, 8, 10),
    (881, 9, 9),
    (882, 7, 12),
    (886, 8, 9),
    (960, 7, 7),
    (961, 7, 8),
    (962, 8, 9),
    (963, 8, 9),
    (964, 8, 10),
    (965, 8, 8),
    (966, 9, 9),
    (967, 7, 9),
    (968, 8, 8),
    (970, 8, 9),
    (971, 8, 9),
    (972, 8, 9),
    (973, 8, 8),
    (974, 8, 8),
    (975, 7, 8),
    (976, 8, 8),
    (977, 8, 10),
    (992, 9, 9),
    (993, 8, 8),
    (994, 9, 9),
    (995, 9, 9),
    (996, 9, 9),
    (998, 9, 9),
];

/// `+` or `00` or `011`, a country code that is assigned, and as many digits as its plan has.
pub fn international(text: &[u8]) -> bool {
    let mut digits = without_trunk(text);
    if !text.starts_with(b"+") {
        let access = if digits.starts_with(&[0, 1, 1]) { 3 } else { 2 };
        digits.drain(..access.min(digits.len()));
    }
    let (Some(code), rest) = country_code(&digits) else { return false };
    let (_, least, most) = code;
    (*least..=*most).contains(&rest.len()) && !all_same(rest) && (code.0 != 1 || is_north_american(rest))
}

/// The digits, without the trunk prefix of `+49 (0) 30 …`, which is not dialled from abroad.
fn without_trunk(text: &[u8]) -> Digits {
    match text.windows(3).position(|part| part == b"(0)") {
        Some(at) => {
            let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + 3..).unwrap_or_default());
            digits(before).into_iter().chain(digits(after)).collect()
        }
        None => digits(text),
    }
}

fn country_code(digits: &[u32]) -> (Option<&'static (u64, usize, usize)>, &[u32]) {
    for length in 1..=3 {
        let Some((code, rest)) = digits.split_at_checked(length) else { break };
        if let Some(code) = COUNTRY_CODES.iter().find(|known| known.0 == number(code)) {
            return (Some(code), rest);
        }
    }
    (None, digits)
}

/// Ten digits of the North American plan: neither area nor exchange begins with 0 or 1 or is a service code (N11).
fn is_north_american(digits: &[u32]) -> bool {
    let [area, b, c, exchange, e, f, ..] = digits else { return false };
    digits.len() == 10
        && *area >= 2
        && *exchange >= 2
        && (*b, *c) != (1, 1)
        && (*e, *f) != (1, 1)
        && *b != 9
        && !(*area == 3 && *b == 7 || *area == 9 && *b == 6)
        && !all_same(digits)
}

/// A number of the North American plan, perhaps with the country code 1 and an extension.
pub fn north_american(text: &[u8]) -> bool {
    let end = text.iter().position(|byte| matches!(byte, b'x' | b'X' | b'e' | b'E')).unwrap_or(text.len());
    let digits = digits(text.get(..end).unwrap_or_default());
    let digits = match digits.as_slice() {
        [0, 0, 1, rest @ ..] | [1, rest @ ..] if rest.len() == 10 => rest,
        all => all,
    };
    is_north_american(digits)
}

/// A number that a word beside it calls a telephone's: not a date, an address, a decimal or two years.
pub fn called_one(text: &[u8]) -> bool {
    let all = digits(text);
    let groups: Vec<&[u8]> = text.split(|byte| !byte.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_day = match lengths.as_slice() {
        [4, 2, 2] => is_date(number(all.get(..4).unwrap_or_default()) as u32, pair(&all, 4), pair(&all, 6)),
        [2, 2, 4] => is_date(0, pair(&all, 2), pair(&all, 0)) || is_date(0, pair(&all, 0), pair(&all, 2)),
        // From one year to another.
        [4, 4] => all.chunks(4).all(|year| (1000..2100).contains(&number(year))),
        _ => false,
    };
    // An address, or the beginning of one; or an object identifier, `1.2.840.113549.1`.
    let only_dots = text.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'/'));
    let is_address = only_dots
        && groups.len() >= 3
        && (groups.len() >= 6 || lengths.iter().take(4).all(|length| *length <= 3) || lengths.starts_with(&[1, 1]));
    let is_round = groups.len() >= 3 && groups.iter().skip(1).all(|group| *group == b"000");
    // Every bracket has its other half.
    let brackets = text.iter().fold(0_i32, |open, byte| match byte {
        b'(' => open + 1,
        b')' => open - 1,
        _ => open,
    });
    let bracketed = brackets == 0;
    (7..=13).contains(&all.len()) && bracketed && !is_day && !is_address && !is_round && !all_same(&all)
}

/// The same, and some plan has such numbers as they are dialled within their country.
pub fn dialled(text: &[u8]) -> bool {
    let groups = || text.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).filter(|length| *length > 0);
    let end = text.iter().position(|byte| matches!(byte, b'x' | b'X' | b'e' | b'E')).unwrap_or(text.len());
    let digits = digits(text.get(..end).unwrap_or_default());
    let planned = match (digits.as_slice(), digits.len()) {
        // A call within a city of North America.
        ([2..=9, ..], 7) => groups().eq([3, 4]),
        // Behind the trunk prefix, in most of Europe, in Australia, India, Japan, Korea, South Africa, Turkey.
        ([0, 1..=9, ..], 9..=12)
        // Denmark, Norway, Singapore, Hong Kong; North America, India, Mexico.
        | ([2..=9, ..], 8 | 10)
        // Spain, Portugal, Poland, Czechia.
        | ([1..=9, ..], 9)
        // North America with its country code, mobiles of China, of Brazil.
        | ([1, 2..=9, ..] | [2..=9, _, 9, ..], 11) => true,
        _ => text.starts_with(b"+") && international(text),
    };
    planned && called_one(text)
}
