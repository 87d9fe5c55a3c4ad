//! A load report: `xds.data.orca.v3.OrcaLoadReport`, as messages and headers carry it.
//!
//! The reader takes what servers are known to send, and takes a report whole or not at all: a report of which half is wrong
//! was made by somebody who is mistaken, and the one before it is better. The emitter writes one form of each encoding, which
//! Envoy and gRPC read. What a report is made of is not decided here.

mod binary;
mod headers;
mod json;
mod text;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt::{self, Write as _},
};

pub use self::headers::{BINARY_HEADER, FORMAT_HEADER, Format, HEADER, JSON_HEADER};

/// Bytes of a report in a header, in whatever encoding.
pub const REPORT_BYTES_MAX: usize = 8 * 1024;
/// Values of a report, those of its maps included.
pub const KEYS_MAX: usize = 64;
/// Bytes of a name in one of the maps: with [`KEYS_MAX`] of them a report fits into [`REPORT_BYTES_MAX`].
pub const NAME_BYTES_MAX: usize = 64;

/// How busy a server is. What is `None` is not known, which is not 0.
///
/// Values that a report cannot have (negative or not finite ones) may stand in the fields, but are never written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadReport {
    /// How much of what it can do the server does, as the server sees it; more than 1 where work waits.
    pub application_utilization: Option<f64>,
    /// Of its processors; may be more than 1.
    pub cpu_utilization: Option<f64>,
    /// Of its memory, from 0 to 1.
    pub mem_utilization: Option<f64>,
    /// Requests answered a second.
    pub rps_fractional: Option<f64>,
    /// Of them, those that failed.
    pub eps: Option<f64>,
    /// The same as `rps_fractional` in whole numbers, which older servers say.
    pub rps: Option<u64>,
    /// What the server wants to be known by names of its own.
    pub named_metrics: Metrics,
    /// How much of each of its resources is in use, from 0 to 1.
    pub utilization: Metrics,
    /// What the one request cost to whose answer the report belongs.
    pub request_cost: Metrics,
}

/// Values by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(BTreeMap<Box<str>, f64>);

/// Why a report was not taken; its word is the label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A name, a value or all of it is empty.
    #[error("a name or a value is empty")]
    Empty,
    /// Something is said twice.
    #[error("a value is given twice")]
    Duplicate,
    /// A value is no number.
    #[error("a value is not a number")]
    NotANumber,
    /// A value is NaN or infinite.
    #[error("a value is not finite")]
    NotFinite,
    /// A value is below 0.
    #[error("a value is negative")]
    Negative,
    /// A share is more than 1.
    #[error("a share is more than 1")]
    OutOfRange,
    /// A field that reports do not have.
    #[error("there is no such field")]
    UnknownField,
    /// A name of one of the maps that is too long, or has other characters than graphic ASCII without `,:="\`.
    #[error("a name is too long or has odd characters")]
    OddName,
    /// An encoding that is not known.
    #[error("the encoding is not known")]
    UnknownEncoding,
    /// More than one report at once.
    #[error("there is more than one report")]
    Several,
    /// More than [`REPORT_BYTES_MAX`].
    #[error("the report is longer than {REPORT_BYTES_MAX} bytes")]
    TooLong,
    /// More than [`KEYS_MAX`].
    #[error("the report has more than {KEYS_MAX} values")]
    TooManyKeys,
    /// Not what its encoding wants.
    #[error("the report is malformed")]
    Malformed,
}

impl Rejection {
    /// As the label of a metric.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Duplicate => "duplicate",
            Self::NotANumber => "not_a_number",
            Self::NotFinite => "not_finite",
            Self::Negative => "negative",
            Self::OutOfRange => "out_of_range",
            Self::UnknownField => "unknown_field",
            Self::OddName => "odd_name",
            Self::UnknownEncoding => "unknown_encoding",
            Self::Several => "several",
            Self::TooLong => "too_long",
            Self::TooManyKeys => "too_many_keys",
            Self::Malformed => "malformed",
        }
    }
}

/// A field of a report, by the name it has in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Scalar(Scalar),
    Rps,
    Map(Map),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scalar {
    Application,
    Cpu,
    Memory,
    RpsFractional,
    Eps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Map {
    NamedMetrics,
    Utilization,
    RequestCost,
}

impl Scalar {
    /// In the order in which they are written.
    const ALL: [Self; 5] = [Self::Application, Self::Cpu, Self::Memory, Self::RpsFractional, Self::Eps];

    const fn name(self) -> &'static str {
        match self {
            Self::Application => "application_utilization",
            Self::Cpu => "cpu_utilization",
            Self::Memory => "mem_utilization",
            Self::RpsFractional => "rps_fractional",
            Self::Eps => "eps",
        }
    }
}

impl Map {
    /// In the order in which they are written.
    const ALL: [Self; 3] = [Self::NamedMetrics, Self::Utilization, Self::RequestCost];

    const fn name(self) -> &'static str {
        match self {
            Self::NamedMetrics => "named_metrics",
            Self::Utilization => "utilization",
            Self::RequestCost => "request_cost",
        }
    }
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        let scalar = Scalar::ALL.into_iter().find(|it| it.name() == name).map(Self::Scalar);
        let map = || Map::ALL.into_iter().find(|it| it.name() == name).map(Self::Map);
        scalar.or_else(map).or_else(|| (name == "rps").then_some(Self::Rps))
    }
}

impl LoadReport {
    /// How many values it has.
    pub fn keys(&self) -> usize {
        let scalars = Scalar::ALL.into_iter().filter(|it| self.scalar(*it).is_some()).count();
        scalars + usize::from(self.rps.is_some()) + Map::ALL.into_iter().map(|map| self.map(map).len()).sum::<usize>()
    }

    /// Adds what `other` says and this one does not, as long as there is room: ours completes what a server says of itself.
    pub fn complete(&mut self, other: &Self) {
        for scalar in Scalar::ALL {
            if self.scalar(scalar).is_none() {
                *self.scalar_mut(scalar) = other.scalar(scalar);
            }
        }
        for map in Map::ALL {
            for (name, value) in other.map(map).iter() {
                if self.map(map).value(name).is_none() {
                    let _ = self.put_in(map, name, value);
                }
            }
        }
    }

    fn scalar(&self, which: Scalar) -> Option<f64> {
        match which {
            Scalar::Application => self.application_utilization,
            Scalar::Cpu => self.cpu_utilization,
            Scalar::Memory => self.mem_utilization,
            Scalar::RpsFractional => self.rps_fractional,
            Scalar::Eps => self.eps,
        }
    }

    fn scalar_mut(&mut self, which: Scalar) -> &mut Option<f64> {
        match which {
            Scalar::Application => &mut self.application_utilization,
            Scalar::Cpu => &mut self.cpu_utilization,
            Scalar::Memory => &mut self.mem_utilization,
            Scalar::RpsFractional => &mut self.rps_fractional,
            Scalar::Eps => &mut self.eps,
        }
    }

    fn map(&self, which: Map) -> &Metrics {
        match which {
            Map::NamedMetrics => &self.named_metrics,
            Map::Utilization => &self.utilization,
            Map::RequestCost => &self.request_cost,
        }
    }

    fn map_mut(&mut self, which: Map) -> &mut Metrics {
        match which {
            Map::NamedMetrics => &mut self.named_metrics,
            Map::Utilization => &mut self.utilization,
            Map::RequestCost => &mut self.request_cost,
        }
    }

    /// Takes a value that was read, under its name in text (`eps`, `utilization.kv_cache`).
    fn put(&mut self, name: &str, value: f64) -> Result<(), Rejection> {
        if let Some((map, name)) = name.split_once('.') {
            return match Field::named(map) {
                Some(Field::Map(map)) => self.put_in(map, name, value),
                _ => Err(Rejection::UnknownField),
            };
        }
        match Field::named(name) {
            Some(Field::Scalar(scalar)) => self.put_scalar(scalar, value),
            Some(Field::Rps) => self.put_rps(value),
            Some(Field::Map(_)) => Err(Rejection::Empty),
            None if name.is_empty() => Err(Rejection::Empty),
            None => Err(Rejection::UnknownField),
        }
    }

    fn put_scalar(&mut self, scalar: Scalar, value: f64) -> Result<(), Rejection> {
        let value = sound(value)?;
        if scalar == Scalar::Memory && value > 1.0 {
            return Err(Rejection::OutOfRange);
        }
        if self.scalar_mut(scalar).replace(value).is_some() {
            return Err(Rejection::Duplicate);
        }
        self.has_room()
    }

    fn put_rps(&mut self, value: f64) -> Result<(), Rejection> {
        // A float beyond the integers becomes the greatest of them.
        if self.rps.replace(sound(value)? as u64).is_some() {
            return Err(Rejection::Duplicate);
        }
        self.has_room()
    }

    fn put_in(&mut self, map: Map, name: &str, value: f64) -> Result<(), Rejection> {
        let value = sound(value)?;
        if map == Map::Utilization && value > 1.0 {
            return Err(Rejection::OutOfRange);
        }
        has_name(name)?;
        if self.keys() >= KEYS_MAX {
            return Err(Rejection::TooManyKeys);
        }
        match self.map_mut(map).0.entry(name.into()) {
            Entry::Occupied(_) => Err(Rejection::Duplicate),
            Entry::Vacant(free) => {
                free.insert(value);
                Ok(())
            }
        }
    }

    fn has_room(&self) -> Result<(), Rejection> {
        if self.keys() > KEYS_MAX { Err(Rejection::TooManyKeys) } else { Ok(()) }
    }
}

impl Metrics {
    /// Says this value under this name, in place of what was said. A name or a value that a report cannot have, and what is
    /// more than [`KEYS_MAX`], is not said.
    pub fn set(&mut self, name: &str, value: f64) {
        let Ok(value) = sound(value) else { return };
        if let Some(held) = self.0.get_mut(name) {
            *held = value;
        } else if has_name(name).is_ok() && self.0.len() < KEYS_MAX {
            self.0.insert(name.into(), value);
        }
    }

    /// The value of this name.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A value that a report can have.
fn sound(value: f64) -> Result<f64, Rejection> {
    match value {
        _ if !value.is_finite() => Err(Rejection::NotFinite),
        _ if value < 0.0 => Err(Rejection::Negative),
        // What is left of -0 is 0.
        _ => Ok(value.abs()),
    }
}

fn has_name(name: &str) -> Result<(), Rejection> {
    // What separates names from values in text can be in no name.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b",:=\"\\".contains(&byte);
    match name.len() {
        0 => Err(Rejection::Empty),
        1..=NAME_BYTES_MAX if name.bytes().all(is_plain) => Ok(()),
        _ => Err(Rejection::OddName),
    }
}

/// A number that every reader reads: in full, or with an exponent where it would be long.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = *self;
        if value != 0.0 && !(1e-6..1e17).contains(&value) { write!(f, "{value:e}") } else { write!(f, "{value}") }
    }
}

/// Writes what stands between two values, but before the first nothing.
fn separate(text: &mut String, is_first: &mut bool) {
    if !std::mem::take(is_first) {
        text.push(',');
    }
}

/// Writes to a string, which cannot fail.
fn push(text: &mut String, arguments: fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

#[cfg(test)]
mod tests;
