//! What the gateway says of itself: admin pages, metrics, logs, the command line.

mod command_line;
mod metrics;
mod pages;
