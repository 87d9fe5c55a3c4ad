//! `xds.data.orca.v3.OrcaLoadReport` (`xds/data/orca/v3/orca_load_report.proto` of github.com/cncf/xds).

use prost::Message;

use super::{LoadReport, Map, REPORT_BYTES_MAX, Rejection, Scalar, sound};

/// The message. Entries of its maps are read one by one, so that a name that comes twice is seen.
#[derive(Clone, PartialEq, Message)]
struct OrcaLoadReport {
    #[prost(double, tag = "1")]
    cpu_utilization: f64,
    #[prost(double, tag = "2")]
    mem_utilization: f64,
    #[prost(uint64, tag = "3")]
    rps: u64,
    #[prost(message, repeated, tag = "4")]
    request_cost: Vec<MapEntry>,
    #[prost(message, repeated, tag = "5")]
    utilization: Vec<MapEntry>,
    #[prost(double, tag = "6")]
    rps_fractional: f64,
    #[prost(double, tag = "7")]
    eps: f64,
    #[prost(message, repeated, tag = "8")]
    named_metrics: Vec<MapEntry>,
    #[prost(double, tag = "9")]
    application_utilization: f64,
}

#[derive(Clone, PartialEq, Message)]
struct MapEntry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(double, tag = "2")]
    value: f64,
}

impl LoadReport {
    /// Reads a message. It cannot say 0 but by saying nothing, so that 0 becomes `None`.
    pub fn from_binary(message: &[u8]) -> Result<Self, Rejection> {
        if message.len() > REPORT_BYTES_MAX {
            return Err(Rejection::TooLong);
        }
        let message = OrcaLoadReport::decode(message).map_err(|_| Rejection::Malformed)?;
        let mut report = Self { rps: (message.rps != 0).then_some(message.rps), ..Self::default() };
        let scalars = [
            (Scalar::Application, message.application_utilization),
            (Scalar::Cpu, message.cpu_utilization),
            (Scalar::Memory, message.mem_utilization),
            (Scalar::RpsFractional, message.rps_fractional),
            (Scalar::Eps, message.eps),
        ];
        for (scalar, value) in scalars {
            // NaN is not 0 either, and is turned away.
            if value != 0.0 {
                report.put_scalar(scalar, value)?;
            }
        }
        let maps = [
            (Map::NamedMetrics, message.named_metrics),
            (Map::Utilization, message.utilization),
            (Map::RequestCost, message.request_cost),
        ];
        for (map, entries) in maps {
            for entry in entries {
                report.put_in(map, &entry.key, entry.value)?;
            }
        }
        Ok(report)
    }

    /// Writes all of it.
    pub fn to_binary(&self) -> Vec<u8> {
        self.message().encode_to_vec()
    }

    fn message(&self) -> OrcaLoadReport {
        let scalar = |scalar| self.scalar(scalar).and_then(|value| sound(value).ok()).unwrap_or_default();
        let entries = |map| {
            let entry = |(key, value): (&str, f64)| MapEntry { key: key.to_owned(), value };
            self.map(map).iter().map(entry).collect()
        };
        OrcaLoadReport {
            cpu_utilization: scalar(Scalar::Cpu),
            mem_utilization: scalar(Scalar::Memory),
            rps: self.rps.unwrap_or_default(),
            request_cost: entries(Map::RequestCost),
            utilization: entries(Map::Utilization),
            rps_fractional: scalar(Scalar::RpsFractional),
            eps: scalar(Scalar::Eps),
            named_metrics: entries(Map::NamedMetrics),
            application_utilization: scalar(Scalar::Application),
        }
    }
}
