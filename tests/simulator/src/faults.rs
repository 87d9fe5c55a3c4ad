//! What goes wrong on request.
//!
//! Faults are asked for in the header `x-simulator-faults` of a request, or for all requests through
//! [`crate::Simulator::set_faults`] or `PUT /simulator/faults`. They are written as a list: `delay-ms=50, stall-after=3`.
//! `after` counts pieces of a stream; an answer that is no stream is cut in half, whatever the count. A remote call with
//! one answer knows `status`, `delay-ms` and `reset` only.

use std::{str::FromStr, time::Duration};

use http::StatusCode;

/// The header of a request that asks for faults.
pub const FAULTS_HEADER: &str = "x-simulator-faults";

/// What goes wrong with an answer. The default is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Answer with this error instead.
    pub status: Option<StatusCode>,
    /// Wait so long before the first byte.
    pub delay: Duration,
    /// Reset the connection instead of answering.
    pub reset: bool,
    /// After so many pieces, this happens.
    pub after: Option<(usize, Mishap)>,
    /// Close the connection after each stream, and say before that it will be kept.
    pub close_after_stream: bool,
}

/// What happens in the midst of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// Silence, until the client goes away.
    Stall,
    /// The connection is reset.
    Reset,
    /// The connection is closed as if the answer were over, without its end.
    Close,
    /// An event that is no event; the stream goes on.
    Malformed,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self =
        Self { status: None, delay: Duration::ZERO, reset: false, after: None, close_after_stream: false };

    /// What happens instead of, or after, this piece (from 0).
    pub(crate) fn at(&self, piece: usize) -> Option<Mishap> {
        self.after.and_then(|(pieces, mishap)| (pieces == piece).then_some(mishap))
    }
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut faults = Self::NONE;
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item.split_once('=').map_or((item, None), |(name, value)| (name, Some(value.trim())));
            let number = || {
                let value = value.ok_or_else(|| format!("`{name}` needs a number, as in `{name}=3`"))?;
                value.parse::<u32>().map_err(|_| format!("`{value}` is not a number that `{name}` takes"))
            };
            let pieces = || number().map(|pieces| pieces as usize);
            match name.trim() {
                "status" => {
                    let status = u16::try_from(number()?).ok().and_then(|status| StatusCode::from_u16(status).ok());
                    let error = status.filter(|status| status.is_client_error() || status.is_server_error());
                    faults.status = Some(error.ok_or("`status` takes an error between 400 and 599")?);
                }
                "delay-ms" => faults.delay = Duration::from_millis(number()?.into()),
                "reset" => faults.reset = true,
                "stall-after" => faults.after = Some((pieces()?, Mishap::Stall)),
                "reset-after" => faults.after = Some((pieces()?, Mishap::Reset)),
                "close-after" => faults.after = Some((pieces()?, Mishap::Close)),
                "malformed-after" => faults.after = Some((pieces()?, Mishap::Malformed)),
                "close-after-stream" => faults.close_after_stream = true,
                unknown => {
                    return Err(format!(
                        "`{unknown}` is no fault; there are status, delay-ms, reset, stall-after, reset-after, \
                         close-after, malformed-after and close-after-stream"
                    ));
                }
            }
        }
        Ok(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_a_list() {
        let check = |text: &str, expected: Faults| assert_eq!(text.parse(), Ok(expected), "{text}");
        check("", Faults::NONE);
        check("status=503", Faults { status: Some(StatusCode::SERVICE_UNAVAILABLE), ..Faults::NONE });
        check(
            "delay-ms=50, stall-after=3",
            Faults { delay: Duration::from_millis(50), after: Some((3, Mishap::Stall)), ..Faults::NONE },
        );
        check("reset,close-after-stream", Faults { reset: true, close_after_stream: true, ..Faults::NONE });
        check("malformed-after=0", Faults { after: Some((0, Mishap::Malformed)), ..Faults::NONE });
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for wrong in ["stall", "stall-after", "stall-after=x", "status=200", "status=1000", "delay-ms=-1"] {
            assert!(wrong.parse::<Faults>().is_err(), "{wrong}");
        }
    }
}
