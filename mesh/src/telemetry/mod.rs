//! Metrics that cost a few nanoseconds where they are counted, and whose number is bounded whatever strangers send.
//!
//! Families are registered once ([`Registry`]); a series is resolved once, to a small handle ([`Counter`], [`Gauge`],
//! [`Histogram`]); each worker writes handles through its own [`WorkerMetrics`], and a scrape adds the workers up. The
//! families of the data plane are in [`Catalogue`]; what mesh has no word for is registered by the products. [`logging`] is
//! what people and machines read of it line by line.

mod catalogue;
mod cells;
mod handles;
pub mod logging;
mod page;
mod process;
mod registry;

pub use self::{
    catalogue::{Catalogue, ReloadOutcome},
    cells::{ControlMetrics, Counter, Gauge, Histogram, WorkerMetrics},
    handles::{BackendMetrics, Handshake, LATENCY_BOUNDS, ListenerMetrics, RouteMetrics},
    page::{Format, Kind, Page},
    process::watch_lag,
    registry::{CounterFamily, Described, GaugeFamily, HistogramFamily, LABEL_VALUE_BYTES_MAX, OTHER, Registry},
};

#[cfg(test)]
mod tests;
