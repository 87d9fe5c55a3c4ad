//! What strangers send. The rows are numbered as in `docs/hostile-inputs.md`.

#![allow(clippy::unchecked_time_subtraction, reason = "clocks of tests go forwards")]

mod floods;
mod framing;
mod fronting;
mod headers;
mod paths;
mod scanners;
mod smuggling;
mod stage;
mod table;
