//! What a rule changes in requests and answers.
//!
//! [`headers`], [`paths`] and [`cors`] do what the Gateway API's filters say. What no document can change, the hygiene of
//! every request and every answer, is in `portcullis-dialects`.

pub mod cors;
pub mod headers;
pub mod paths;

use portcullis_policy::snapshot::Mirror;

/// Whether this request is mirrored, given 32 random bits.
pub fn is_mirrored(mirror: &Mirror, random: u32) -> bool {
    // `random / 2³²` is uniform in [0, 1): no bias worth a name, and no division.
    let drawn = (u64::from(random) * u64::from(mirror.denominator)) >> 32;
    drawn < u64::from(mirror.numerator)
}

#[cfg(test)]
mod tests {
    use portcullis_policy::snapshot::BackendId;

    use super::*;

    #[test]
    fn mirrors_get_their_share() {
        let check = |numerator, denominator, expected: f64| {
            let mirror = Mirror { target: Ok(BackendId(0)), numerator, denominator };
            let draws = 1_u32 << 16;
            let taken = (0..draws).filter(|draw| is_mirrored(&mirror, draw << 16)).count();
            let share = taken as f64 / f64::from(draws);
            assert!((share - expected).abs() < 0.001, "{numerator}/{denominator}: {share}");
        };
        check(100, 100, 1.0);
        check(50, 100, 0.5);
        check(1, 3, 1.0 / 3.0);
        check(0, 100, 0.0);
        check(0, 0, 0.0);
        check(7, 5, 1.0);
    }
}
