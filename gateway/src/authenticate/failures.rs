//! Whoever guesses credentials is slowed down: after many failures from one source further ones are answered with 429.
//!
//! A good credential is never held up by it: it is judged first. What it costs to judge is bounded by the providers.

use std::{
    cell::RefCell,
    net::IpAddr,
    time::{Duration, Instant},
};

use foldhash::HashMap;

/// So many failures of one source (an IPv4 address, an IPv6 /64) on one worker…
pub const FAILURES_PER_SOURCE_MAX: u32 = 50;
/// … within this time are told 401; further ones 429.
pub const FAILURES_WINDOW: Duration = Duration::from_mins(1);
/// How many sources a worker remembers; beyond that the count begins anew.
pub const FAILING_SOURCES_MAX: usize = 4096;

/// Failures by source, on one worker.
#[derive(Debug, Default)]
pub struct Failures(RefCell<HashMap<IpAddr, Counted>>);

#[derive(Debug, Clone, Copy)]
struct Counted {
    since: Instant,
    failures: u32,
}

impl Failures {
    /// A credential from this source has failed. If there were too many: after which time to try again.
    pub fn failed(&self, source: IpAddr, now: Instant) -> Option<Duration> {
        let mut sources = self.0.borrow_mut();
        if sources.len() >= FAILING_SOURCES_MAX {
            sources.retain(|_, counted| now.saturating_duration_since(counted.since) < FAILURES_WINDOW);
            if sources.len() >= FAILING_SOURCES_MAX {
                sources.clear();
            }
        }
        let counted = sources.entry(network(source)).or_insert(Counted { since: now, failures: 0 });
        let elapsed = now.saturating_duration_since(counted.since);
        if elapsed >= FAILURES_WINDOW {
            *counted = Counted { since: now, failures: 0 };
        }
        counted.failures = counted.failures.saturating_add(1);
        (counted.failures > FAILURES_PER_SOURCE_MAX).then(|| FAILURES_WINDOW.saturating_sub(elapsed))
    }
}

/// Who has one address of an IPv6 network has all of it.
fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => (address.to_bits() & !u128::from(u64::MAX)).to_be_bytes().into(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn failures_beyond_the_bound_are_told_to_wait_until_the_window_ends() {
        let failures = Failures::default();
        let (source, start) = ("192.0.2.1".parse().unwrap(), Instant::now());
        for _ in 0..FAILURES_PER_SOURCE_MAX {
            assert_eq!(failures.failed(source, start), None);
        }
        let later = start + Duration::from_secs(10);
        assert_eq!(failures.failed(source, later), Some(Duration::from_secs(50)));
        assert_eq!(failures.failed("192.0.2.2".parse().unwrap(), later), None, "of another source");
        assert_eq!(failures.failed(source, start + FAILURES_WINDOW), None, "in the next window");
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let failures = Failures::default();
        let start = Instant::now();
        let mut last = None;
        for host in 0..=FAILURES_PER_SOURCE_MAX {
            last = failures.failed(format!("2001:db8::{host:x}").parse().unwrap(), start);
        }
        assert!(last.is_some());
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), network("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn sources_are_bounded() {
        let failures = Failures::default();
        let start = Instant::now();
        for source in 0..2 * FAILING_SOURCES_MAX as u32 {
            failures.failed(std::net::Ipv4Addr::from_bits(source).into(), start);
        }
        assert!(failures.0.borrow().len() <= FAILING_SOURCES_MAX);
    }
}
