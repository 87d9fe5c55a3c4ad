//! The ways of cutting an answer.

use std::ops::Range;

/// What is taken in all of one kind of cuts, in bytes: so that every way is tried for answers of some KiB, and of longer ones as
/// many as take a few seconds, spread evenly.
const CUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Ways that are tried in any case.
const CUTS_MIN: usize = 64;
/// Ways to cut an answer into three pieces that are tried.
const THREE_PIECES_TRIED: usize = 2_000;

/// Cuts an answer byte by byte, in two pieces and in three, and runs it; the first way of each after which something else comes
/// of it is told.
pub(super) fn differences<T: PartialEq>(
    answer: &[u8],
    run: impl Fn(&[&[u8]]) -> T,
    told: impl Fn(&T) -> String,
) -> Vec<String> {
    let whole = run(&[answer]);
    let mut differs = Vec::new();
    let mut check = |pieces: &[&[u8]], how: &dyn Fn() -> String| {
        let got = run(pieces);
        let is_otherwise = got != whole;
        if is_otherwise {
            differs.push(format!("{}, it comes out as `{}`, not as `{}`", how(), told(&got), told(&whole)));
        }
        is_otherwise
    };
    check(&answer.chunks(1).collect::<Vec<_>>(), &|| "byte by byte".to_owned());
    let most = (CUT_BYTES_MAX / answer.len().max(1)).max(CUTS_MIN);
    for at in spread(1..answer.len(), most) {
        let (first, second) = answer.split_at_checked(at).unwrap_or((answer, &[]));
        if check(&[first, second], &|| format!("cut at byte {at}")) {
            break;
        }
    }
    let pairs = answer.len().saturating_mul(answer.len());
    for pair in spread(0..pairs, most.min(THREE_PIECES_TRIED)) {
        let (one, other) = (pair / answer.len().max(1), pair % answer.len().max(1));
        let (from, to) = (one.min(other), one.max(other));
        let (first, rest) = answer.split_at_checked(from).unwrap_or((answer, &[]));
        let (second, third) = rest.split_at_checked(to - from).unwrap_or((rest, &[]));
        if check(&[first, second, third], &|| format!("cut at bytes {from} and {to}")) {
            break;
        }
    }
    differs
}

/// At most so many numbers of a range, evenly; an odd step, so that all remainders come up.
fn spread(range: Range<usize>, most: usize) -> impl Iterator<Item = usize> {
    let step = range.len().div_ceil(most).max(1);
    range.step_by(if step > 1 { step | 1 } else { step })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_over_all_of_a_range() {
        assert_eq!(spread(1..4, 10).collect::<Vec<_>>(), [1, 2, 3]);
        let many: Vec<usize> = spread(0..1_000_000, 2_000).collect();
        assert!(many.len() <= 2_000 && many.last().is_some_and(|last| *last > 990_000));
        assert_eq!(spread(1..1, 10).count(), 0);
    }

    #[test]
    fn what_depends_on_a_cut_is_told() {
        let answer = b"some answer";
        let joined = |pieces: &[&[u8]]| pieces.concat();
        let text = |got: &Vec<u8>| String::from_utf8_lossy(got).into_owned();
        assert_eq!(differences(answer, joined, text), Vec::<String>::new());
        // Who looks at each piece alone misses what is cut.
        let alone = |pieces: &[&[u8]]| pieces.iter().any(|piece| piece.windows(4).any(|part| part == b"answ"));
        let told = differences(answer, alone, ToString::to_string);
        let expected = ["byte by byte", "cut at byte 6", "cut at bytes"];
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected) && told.ends_with("`false`, not as `true`"), "{told}");
        }
    }
}
