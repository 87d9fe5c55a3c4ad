//! `checks::identities::svid`, driven by coverage.

#![no_main]

#[path = "../checks.rs"]
#[allow(dead_code, reason = "each target drives one of them")]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::identities::svid(input));
