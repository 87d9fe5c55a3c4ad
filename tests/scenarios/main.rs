//! The real gateway, driven from outside: one module per topic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::format_collect,
    reason = "a test that cannot go on says so and ends; a few strings more cost it nothing; metrics that count \
              are whole numbers"
)]

mod admin;
mod backends;
mod clients;
mod conformance;
mod demo;
mod documentation;
mod edge;
mod examples;
mod filters;
mod guard;
mod hostile;
mod identity;
mod inference;
mod lifecycle;
mod mesh;
mod routing;
mod servers;
mod stock;
mod texts;
mod tls;
mod wire;
