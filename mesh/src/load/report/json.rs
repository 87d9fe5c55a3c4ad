//! `{"application_utilization":0.82,"named_metrics":{"num_requests_waiting":7}}`: JSON as protobuf maps it.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
};

use super::{Field, LoadReport, Map, Number, Rejection, Scalar, push, separate, sound};

impl LoadReport {
    /// Reads an object. Names may be as in the definition or in camel case, numbers may be strings, `null` says nothing.
    pub fn from_json(text: &str) -> Result<Self, Rejection> {
        if text.len() > super::REPORT_BYTES_MAX {
            return Err(Rejection::TooLong);
        }
        let mut reading = Reading { report: Self::default(), rejection: None };
        let mut json = serde_json::Deserializer::from_str(text);
        let read = Object(&mut reading, None).deserialize(&mut json).and_then(|()| json.end());
        match (read, reading.rejection) {
            (Ok(()), None) => Ok(reading.report),
            (_, rejection) => Err(rejection.unwrap_or(Rejection::Malformed)),
        }
    }

    /// Writes all of it.
    pub fn to_json(&self) -> String {
        let (mut text, mut is_first) = ("{".to_owned(), true);
        for scalar in Scalar::ALL {
            if let Some(Ok(value)) = self.scalar(scalar).map(sound) {
                separate(&mut text, &mut is_first);
                push(&mut text, format_args!("\"{}\":{}", scalar.name(), Number(value)));
            }
        }
        if let Some(rps) = self.rps {
            separate(&mut text, &mut is_first);
            push(&mut text, format_args!("\"rps\":\"{rps}\""));
        }
        for map in Map::ALL {
            let metrics = self.map(map);
            if metrics.is_empty() {
                continue;
            }
            separate(&mut text, &mut is_first);
            push(&mut text, format_args!("\"{}\":{{", map.name()));
            let mut is_first = true;
            for (name, value) in metrics.iter() {
                separate(&mut text, &mut is_first);
                push(&mut text, format_args!("\"{name}\":{}", Number(value)));
            }
            text.push('}');
        }
        text.push('}');
        text
    }
}

/// What has been read, and why no more is.
struct Reading {
    report: LoadReport,
    rejection: Option<Rejection>,
}

impl Reading {
    fn reject<E: Error>(&mut self, rejection: Rejection) -> E {
        self.rejection = Some(rejection);
        E::custom(rejection)
    }
}

/// The report, or one of its maps.
struct Object<'r>(&'r mut Reading, Option<Map>);

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(reading, within) = self;
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let field = match within {
                Some(within) => {
                    if let Some(value) = map.next_value_seed(Value(reading))? {
                        let put = reading.report.put_in(within, &key, value);
                        put.map_err(|rejection| reading.reject(rejection))?;
                    }
                    continue;
                }
                None => Field::named(&snake_case(&key)).ok_or_else(|| reading.reject(Rejection::UnknownField))?,
            };
            if seen.contains(&field) {
                return Err(reading.reject(Rejection::Duplicate));
            }
            seen.push(field);
            let put = match field {
                Field::Map(within) => {
                    map.next_value_seed(Object(reading, Some(within)))?;
                    continue;
                }
                Field::Scalar(scalar) => {
                    let value = map.next_value_seed(Value(reading))?;
                    value.map_or(Ok(()), |value| reading.report.put_scalar(scalar, value))
                }
                Field::Rps => {
                    let value = map.next_value_seed(Value(reading))?;
                    value.map_or(Ok(()), |value| reading.report.put_rps(value))
                }
            };
            put.map_err(|rejection| reading.reject(rejection))?;
        }
        Ok(())
    }
}

/// A number, or a string that is one; `None` for `null`.
struct Value<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Option<f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Value<'_> {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value as f64))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        if value.is_empty() {
            return Err(self.0.reject(Rejection::Empty));
        }
        value.parse().map(Some).map_err(|_| self.0.reject(Rejection::NotANumber))
    }
}

/// The name of a field as its definition has it.
fn snake_case(name: &str) -> Cow<'_, str> {
    if !name.contains(|c: char| c.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    Cow::Owned(snake)
}
