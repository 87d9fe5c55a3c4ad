//! What the tests stand on: the [`harness`] that starts the real gateway and what surrounds it, and the Gateway API
//! [`conformance`] runner built upon it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on says so and ends"
)]

pub mod conformance;
pub mod harness;
pub mod smuggling;
