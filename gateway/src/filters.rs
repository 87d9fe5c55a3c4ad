//! What a rule changes in requests and answers, and what no request or answer may carry through.
//!
//! [`headers`], [`paths`] and [`cors`] do what the Gateway API's filters say. [`hygiene`] is not configurable: it is
//! applied to every request before any filter, and to every answer before its filters. [`identifiers`] names exchanges.

pub mod cors;
pub mod headers;
pub mod hygiene;
pub mod identifiers;
pub mod paths;

use portcullis_policy::snapshot::Mirror;

/// Whether this request is mirrored, given 32 random bits.
pub fn is_mirrored(mirror: &Mirror, random: u32) -> bool {
    // `random / 2³²` is uniform in [0, 1): no bias worth a name, and no division.
    let drawn = (u64::from(random) * u64::from(mirror.denominator)) >> 32;
    drawn < u64::from(mirror.numerator)
}
