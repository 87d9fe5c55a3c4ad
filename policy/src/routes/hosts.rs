//! By host: exactly this one, then wildcards from the longest to the shortest, then any.
//!
//! One hash for the host and one for each of its labels, however many hosts there are.

use foldhash::fast::RandomState;
use std::collections::HashMap;

use crate::snapshot::HostPattern;

/// Something for each host pattern.
#[derive(Debug)]
pub(super) struct Hosts<T> {
    exact: HashMap<Box<str>, T, RandomState>,
    /// `.example.com` for `*.example.com`.
    suffix: HashMap<Box<str>, T, RandomState>,
    /// Longer suffixes of a host are not looked up, so that a strange host costs no more than an ordinary one.
    suffix_bytes_max: usize,
    any: Option<T>,
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self { exact: HashMap::default(), suffix: HashMap::default(), suffix_bytes_max: 0, any: None }
    }
}

impl<T> Hosts<T> {
    /// The place of `pattern`, made with `T::default()` where there is none.
    pub(super) fn entry(&mut self, pattern: &HostPattern) -> &mut T
    where
        T: Default,
    {
        match pattern {
            HostPattern::Any => self.any.get_or_insert_default(),
            HostPattern::Exact(host) => self.exact.entry(Box::from(&**host)).or_default(),
            HostPattern::Suffix(suffix) => {
                self.suffix_bytes_max = self.suffix_bytes_max.max(suffix.len());
                self.suffix.entry(Box::from(&**suffix)).or_default()
            }
        }
    }

    /// The same patterns, each with what `build` makes of its value.
    pub(super) fn map<U>(self, mut build: impl FnMut(T) -> U) -> Hosts<U> {
        Hosts {
            exact: self.exact.into_iter().map(|(host, value)| (host, build(value))).collect(),
            suffix: self.suffix.into_iter().map(|(suffix, value)| (suffix, build(value))).collect(),
            suffix_bytes_max: self.suffix_bytes_max,
            any: self.any.map(build),
        }
    }

    /// The first answer of `ask`, which is asked for every pattern that covers `host`, the most specific first.
    #[inline]
    pub(super) fn find_map<'t, R>(&'t self, host: &str, mut ask: impl FnMut(&'t T) -> Option<R>) -> Option<R> {
        if !self.exact.is_empty()
            && let Some(value) = self.exact.get(host)
            && let Some(answer) = ask(value)
        {
            return Some(answer);
        }
        if !self.suffix.is_empty() {
            // At least one character stands before the dot: `.example.com` does not cover itself.
            let dots = host.bytes().enumerate().skip(1).filter(|&(_, byte)| byte == b'.').map(|(at, _)| at);
            for suffix in dots.filter_map(|at| host.get(at..)) {
                if suffix.len() <= self.suffix_bytes_max
                    && let Some(value) = self.suffix.get(suffix)
                    && let Some(answer) = ask(value)
                {
                    return Some(answer);
                }
            }
        }
        self.any.as_ref().and_then(ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(patterns: &[&str]) -> Hosts<Option<String>> {
        let mut hosts = Hosts::<Option<String>>::default();
        for pattern in patterns {
            let host = match pattern.strip_prefix('*') {
                Some("") => HostPattern::Any,
                Some(suffix) => HostPattern::Suffix(suffix.into()),
                None => HostPattern::Exact((*pattern).into()),
            };
            *hosts.entry(&host) = Some((*pattern).to_owned());
        }
        hosts
    }

    fn order(patterns: &[&str], host: &str) -> Vec<String> {
        let mut asked = Vec::new();
        let answer: Option<()> = hosts(patterns).find_map(host, |pattern| {
            asked.extend(pattern.clone());
            None
        });
        assert_eq!(answer, None);
        asked
    }

    #[test]
    fn the_most_specific_pattern_is_asked_first() {
        let patterns = ["*", "*.example.com", "a.b.example.com", "*.b.example.com", "*.com", "b.example.com"];
        assert_eq!(
            order(&patterns, "a.b.example.com"),
            ["a.b.example.com", "*.b.example.com", "*.example.com", "*.com", "*"]
        );
        assert_eq!(order(&patterns, "b.example.com"), ["b.example.com", "*.example.com", "*.com", "*"]);
        assert_eq!(order(&patterns, "example.org"), ["*"]);
    }

    #[test]
    fn a_wildcard_stands_for_at_least_one_label() {
        let patterns = ["*.example.com"];
        assert_eq!(order(&patterns, "x.y.z.example.com"), ["*.example.com"]);
        for host in ["example.com", ".example.com", "badexample.com", "", ".", "com"] {
            assert!(order(&patterns, host).is_empty(), "{host}");
        }
    }
}
