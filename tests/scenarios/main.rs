//! The real gateway, driven from outside: one module per topic.

mod admin;
mod backends;
mod clients;
mod conformance;
mod demo;
mod filters;
mod hostile;
mod inference;
mod lifecycle;
mod routing;
mod servers;
mod tls;
mod wire;
