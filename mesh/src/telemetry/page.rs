//! The text that a scraper reads: Prometheus' own format, or OpenMetrics 1.0 for those who ask for it.

use std::fmt::{self, Write as _};

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The one that an `Accept` header asks for.
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// The `Content-Type` of the page.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a family's values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How values are distributed.
    Histogram,
}

/// A page under construction: a family, its samples, the next family.
#[derive(Debug)]
pub struct Page {
    format: Format,
    text: String,
    /// The name of the family being written, with `_total` if it is a counter's.
    name: String,
}

impl Page {
    pub(super) fn new(format: Format) -> Self {
        Self { format, text: String::new(), name: String::new() }
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// Begins a family. `name` is without `_total`; `unit` may be empty.
    pub fn family(&mut self, name: &str, help: &str, unit: &str, kind: Kind) {
        let total = if kind == Kind::Counter { "_total" } else { "" };
        self.name = format!("{name}{total}");
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // OpenMetrics knows a counter by its name without the suffix.
        let header = match self.format {
            Format::Prometheus => &self.name,
            Format::OpenMetrics => name,
        };
        let escaped = Escaped { text: help, quotes: self.format == Format::OpenMetrics };
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.text, "# HELP {header} {escaped}\n# TYPE {header} {kind}");
        if self.format == Format::OpenMetrics && !unit.is_empty() {
            let _ = writeln!(self.text, "# UNIT {header} {unit}");
        }
    }

    /// A sample of a gauge.
    pub fn gauge(&mut self, labels: &[(&str, &str)], value: f64) {
        if value == f64::INFINITY {
            return self.sample("", labels, None, "+Inf");
        }
        self.sample("", labels, None, value);
    }

    /// A sample of a counter that holds `raw_units` for each unit.
    pub fn counter(&mut self, labels: &[(&str, &str)], raw: u64, raw_units: u64) {
        if raw_units == 1 {
            self.sample("", labels, None, raw);
        } else {
            self.sample("", labels, None, raw as f64 / raw_units as f64);
        }
    }

    pub(super) fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        bounds: &[u64],
        counts: &[u64],
        sum: u64,
        raw_units: u64,
    ) {
        let mut so_far = 0_u64;
        for (index, count) in counts.iter().enumerate() {
            so_far += count;
            let bound = bounds.get(index).map_or(f64::INFINITY, |bound| *bound as f64 / raw_units as f64);
            let bound = if bound.is_infinite() { "+Inf".to_owned() } else { format!("{bound:?}") };
            self.sample("_bucket", labels, Some(&bound), so_far);
        }
        self.sample("_sum", labels, None, sum as f64 / raw_units as f64);
        self.sample("_count", labels, None, so_far);
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: impl fmt::Display) {
        self.text.push_str(&self.name);
        self.text.push_str(suffix);
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (label, value) in all {
            let escaped = Escaped { text: value, quotes: true };
            let _ = write!(self.text, "{separator}{label}=\"{escaped}\"");
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// Text with backslashes and line feeds escaped, and double quotes where asked.
struct Escaped<'a> {
    text: &'a str,
    quotes: bool,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.text.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.quotes => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}
