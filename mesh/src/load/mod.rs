//! How busy a server is: what it says of itself, what we measure of it, and how that is told to whoever chooses a server.
//!
//! - [`report`] is the report that is told (ORCA, the Open Request Cost Aggregation of xDS), in all its encodings;
//! - [`open_rca`] tells it out of band, as a stream;
//! - [`page`] reads metric pages, and [`engine`] what inference engines say on them;
//! - [`measure`] is what our own clocks say;
//! - [`window`] joins both over the last seconds, and makes the report.

pub mod engine;
pub mod measure;
pub mod open_rca;
pub mod page;
pub mod report;
pub mod window;

pub use self::{
    engine::{EngineReading, EngineSample, Quantity},
    measure::{Flight, Label, Measure, Measuring, Outcome, Priority, Totals},
    open_rca::{OpenRca, Phase},
    page::PageFault,
    report::{Format, LoadReport, Metrics, Rejection},
    window::{QueueCompute, Setting, Window},
};
