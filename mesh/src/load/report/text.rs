//! `application_utilization=0.82,named_metrics.num_requests_waiting=7`: Envoy's encoding for HTTP.

use super::{LoadReport, Map, Number, Rejection, Scalar, push, separate, sound};

impl LoadReport {
    /// Reads pairs with a comma between them and perhaps a space; between name and value stands `=`, or `:` as in older
    /// servers' reports.
    pub fn from_text(text: &str) -> Result<Self, Rejection> {
        if text.len() > super::REPORT_BYTES_MAX {
            return Err(Rejection::TooLong);
        }
        let mut report = Self::default();
        for pair in text.split(',') {
            let pair = pair.trim_matches([' ', '\t']);
            let (name, value) = pair.split_once('=').or_else(|| pair.split_once(':')).ok_or(if pair.is_empty() {
                Rejection::Empty
            } else {
                Rejection::Malformed
            })?;
            let (name, value) = (name.trim_end(), value.trim_start());
            if name.is_empty() || value.is_empty() {
                return Err(Rejection::Empty);
            }
            report.put(name, value.parse().map_err(|_| Rejection::NotANumber)?)?;
        }
        Ok(report)
    }

    /// Writes what Envoy reads: it takes no report that has a further field, so `rps` and `request_cost` are left out.
    pub fn to_text(&self) -> String {
        let (mut text, mut is_first) = (String::new(), true);
        for scalar in Scalar::ALL {
            if let Some(Ok(value)) = self.scalar(scalar).map(sound) {
                separate(&mut text, &mut is_first);
                push(&mut text, format_args!("{}={}", scalar.name(), Number(value)));
            }
        }
        for map in [Map::NamedMetrics, Map::Utilization] {
            for (name, value) in self.map(map).iter() {
                separate(&mut text, &mut is_first);
                push(&mut text, format_args!("{}.{name}={}", map.name(), Number(value)));
            }
        }
        text
    }
}
