//! The bounds of downstream connections, as `--limit NAME=VALUE` changes them.

use std::{str::FromStr, time::Duration};

use portcullis_mesh::http::Limits;

/// One bound, changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    name: Name,
    value: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Head,
    KeepAlive,
    BodyStall,
    WriteStall,
}

const NAMES: [(&str, Name); 4] = [
    ("head-timeout", Name::Head),
    ("keep-alive-timeout", Name::KeepAlive),
    ("body-stall-timeout", Name::BodyStall),
    ("write-stall-timeout", Name::WriteStall),
];

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, `head-timeout=10s` for example")?;
        let found = NAMES.iter().find(|(known, _)| *known == name).map(|(_, name)| *name);
        let name = found.ok_or_else(|| {
            format!("`{name}` is no limit; there are {}", NAMES.map(|(known, _)| format!("`{known}`")).join(", "))
        })?;
        Ok(Self { name, value: duration(value)? })
    }
}

/// `10s` or `500ms`, and not nothing.
fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is no time; write `10s` or `500ms`");
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').ok_or_else(refuse)?, 1000),
    };
    let count: u64 = digits.parse().map_err(|_| refuse())?;
    match count.checked_mul(unit) {
        Some(ms @ 1..) => Ok(Duration::from_millis(ms)),
        _ => Err(refuse()),
    }
}

/// The defaults, changed.
pub fn limits(changes: &[Limit]) -> Limits {
    let mut limits = Limits::default();
    for Limit { name, value } in changes {
        match name {
            Name::Head => limits.head_timeout = *value,
            Name::KeepAlive => limits.keep_alive_timeout = *value,
            Name::BodyStall => limits.body_stall_timeout = *value,
            Name::WriteStall => limits.write_stall_timeout = *value,
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn limits_are_changed_by_name() {
        let changed = limits(&["head-timeout=2s".parse().unwrap(), "write-stall-timeout=250ms".parse().unwrap()]);
        assert_eq!(changed.head_timeout, Duration::from_secs(2));
        assert_eq!(changed.write_stall_timeout, Duration::from_millis(250));
        assert_eq!(changed.keep_alive_timeout, Limits::default().keep_alive_timeout);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in
            ["", "head-timeout", "head-timeout=", "head-timeout=5", "head-timeout=0s", "heads=1s", "head-timeout=-1s"]
        {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }
}
