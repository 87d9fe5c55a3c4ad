//! A metric page in Prometheus' text format, as far as it is of use: lines whose names somebody wants are read strictly, all
//! others are passed over.
//!
//! Whoever asks for the page keeps its bounds: it takes no encoded body ([`accept`]), gathers at most [`PAGE_BYTES_MAX`]
//! ([`Gathered`]), and waits for at most [`PAGE_TIMEOUT`] from asking to the last byte.

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, header::CONTENT_ENCODING, header::CONTENT_LENGTH};
use smallvec::SmallVec;

/// Bytes of a page.
pub const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The time from asking for a page to its last byte.
pub const PAGE_TIMEOUT: Duration = Duration::from_secs(1);
/// Labels of a line that is read.
pub const LINE_LABELS_MAX: usize = 32;

/// Why a page is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageFault {
    /// More than [`PAGE_BYTES_MAX`].
    #[error("the page is longer than {PAGE_BYTES_MAX} bytes")]
    TooLong,
    /// Not asked for so: what it would become has no bound.
    #[error("the page is encoded")]
    Encoded,
    /// Not UTF-8.
    #[error("the page is not text")]
    NotText,
    /// Its last line does not end.
    #[error("the page is cut off")]
    CutOff,
    /// A line that is wanted is none.
    #[error("line {0} of the page is malformed")]
    Malformed(u32),
    /// Nothing on it is known.
    #[error("nothing on the page is known")]
    Strange,
}

impl PageFault {
    /// As the label of a metric.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Encoded => "encoded",
            Self::NotText => "not_text",
            Self::CutOff => "cut_off",
            Self::Malformed(_) => "malformed",
            Self::Strange => "strange",
        }
    }
}

/// Judges the head of the answer that brings a page, before any of it is read.
pub fn accept(headers: &HeaderMap) -> Result<(), PageFault> {
    let encoded = headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity");
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match length {
        _ if encoded => Err(PageFault::Encoded),
        Some(length) if length > PAGE_BYTES_MAX as u64 => Err(PageFault::TooLong),
        _ => Ok(()),
    }
}

/// What has come of a page.
#[derive(Debug, Default)]
pub struct Gathered(Vec<u8>);

impl Gathered {
    /// Takes what came next.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), PageFault> {
        if self.0.len().saturating_add(chunk.len()) > PAGE_BYTES_MAX {
            return Err(PageFault::TooLong);
        }
        self.0.extend_from_slice(chunk);
        Ok(())
    }

    /// All that came.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Makes room for the next page in the same memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A line that may be of use.
#[derive(Debug, Clone, Copy)]
pub struct Line<'p> {
    /// The name of its metric, or whatever stands there.
    pub name: &'p str,
    rest: &'p str,
    number: u32,
}

/// The labels of a line, as they are written.
#[derive(Debug, Default)]
pub struct Labels<'p>(SmallVec<[(&'p str, &'p str); 8]>);

/// The lines of a page but for comments. A page of which the end is missing has none.
pub fn lines(page: &[u8]) -> Result<impl Iterator<Item = Line<'_>>, PageFault> {
    if page.len() > PAGE_BYTES_MAX {
        return Err(PageFault::TooLong);
    }
    let page = std::str::from_utf8(page).map_err(|_| PageFault::NotText)?;
    if !page.is_empty() && !page.ends_with('\n') {
        return Err(PageFault::CutOff);
    }
    let mut ends = memchr::memchr_iter(b'\n', page.as_bytes());
    let (mut start, mut number) = (0, 0);
    Ok(std::iter::from_fn(move || {
        loop {
            let end = ends.next()?;
            let line = page.get(start..end).unwrap_or_default();
            start = end + 1;
            number += 1;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let name = line.find(['{', ' ', '\t']).unwrap_or(line.len());
            let (name, rest) = line.split_at(name);
            return Some(Line { name, rest, number });
        }
    }))
}

impl<'p> Line<'p> {
    /// Its labels and its value. A timestamp or an exemplar behind them is of no use, and not read.
    pub fn read(&self) -> Result<(Labels<'p>, f64), PageFault> {
        self.parts().ok_or(PageFault::Malformed(self.number))
    }

    fn parts(&self) -> Option<(Labels<'p>, f64)> {
        let mut labels = Labels::default();
        let mut rest = self.rest;
        if let Some(within) = rest.strip_prefix('{') {
            rest = labels.read(within)?;
        }
        let value = rest.trim_start_matches([' ', '\t']).split([' ', '\t']).next()?;
        Some((labels, value.parse().ok()?))
    }
}

impl<'p> Labels<'p> {
    /// Reads `name="value",…}` and gives what follows.
    fn read(&mut self, mut rest: &'p str) -> Option<&'p str> {
        loop {
            rest = rest.trim_start_matches(' ');
            if let Some(rest) = rest.strip_prefix('}') {
                return Some(rest);
            }
            let (name, after) = rest.split_once('=')?;
            let name = name.trim_end_matches(' ');
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if name.is_empty() || !name.bytes().all(is_name) || self.0.len() >= LINE_LABELS_MAX {
                return None;
            }
            let after = after.trim_start_matches(' ').strip_prefix('"')?;
            let end = closing_quote(after.as_bytes())?;
            self.0.push((name, after.get(..end)?));
            rest = after.get(end + 1..)?.trim_start_matches(' ');
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None if rest.starts_with('}') => {}
                None => return None,
            }
        }
    }

    /// The value of this label.
    pub fn value(&self, name: &str) -> Option<Cow<'p, str>> {
        let (_, raw) = self.0.iter().find(|(known, _)| *known == name)?;
        if !raw.contains('\\') {
            return Some(Cow::Borrowed(raw));
        }
        let mut plain = String::with_capacity(raw.len());
        let mut characters = raw.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some('n') => plain.push('\n'),
                    Some(escaped) => plain.push(escaped),
                    None => {}
                },
                plainly => plain.push(plainly),
            }
        }
        Some(Cow::Owned(plain))
    }

    /// Whether a label has this value; a label that is missing is empty.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.value(name).unwrap_or_default() == value
    }
}

/// Where the quote is that ends a value: the first before which no backslash stands that is not itself escaped.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', text.get(from..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        from = at + 2;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn all(page: &str) -> Result<Vec<(&str, f64)>, PageFault> {
        lines(page.as_bytes())?.map(|line| line.read().map(|(_, value)| (line.name, value))).collect()
    }

    #[test]
    fn lines_are_read_as_the_format_has_them() {
        let page = "# HELP a Something.\n# TYPE a gauge\na 1\n\nb{} 2.5e3\nns:c{x=\"1\",y=\"2\",} 3 1700000000000\nd\t4\n\
                    e_bucket{le=\"+Inf\"} 5 # {trace=\"a b\"} 0.4\nf{ x = \"1\" , y=\"2\" } +Inf\ng NaN\n# EOF\n";
        let read = all(page).unwrap();
        let values: Vec<f64> = read.iter().map(|(_, value)| *value).collect();
        assert_eq!(
            read.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["a", "b", "ns:c", "d", "e_bucket", "f", "g"]
        );
        let (last, numbers) = values.split_last().unwrap();
        assert_eq!(numbers.to_vec(), Vec::from([1.0, 2500.0, 3.0, 4.0, 5.0, f64::INFINITY]));
        assert!(last.is_nan());
    }

    #[test]
    fn labels_may_hold_anything_that_is_escaped() {
        let page = "a{odd=\"}\\\\\\\"{,= \\n#\",plain=\"x\",empty=\"\"} 1\n";
        let line = lines(page.as_bytes()).unwrap().next().unwrap();
        let (labels, value) = line.read().unwrap();
        assert_eq!(labels.value("odd").unwrap(), "}\\\"{,= \n#");
        assert_eq!((labels.value("plain").unwrap(), value), (Cow::Borrowed("x"), 1.0));
        assert!(labels.is("empty", "") && labels.is("missing", "") && labels.value("missing").is_none());
    }

    #[test]
    fn a_malformed_line_is_told_by_its_number() {
        for line in [
            "a",
            "a ",
            "a one",
            "a{ 1",
            "a{x} 1",
            "a{x=1} 1",
            "a{x=\"1} 1",
            "a{x=\"1\"y=\"2\"} 1",
            "a{=\"1\"} 1",
            "a{x=\"1\"}",
            "a{x=\"\\\"} 1",
            "a{x-y=\"1\"} 1",
        ] {
            let page = format!("b 1\n{line}\n");
            assert_eq!(all(&page), Err(PageFault::Malformed(2)), "{line}");
        }
        let labels = |count: usize| (0..count).map(|n| format!("l{n}=\"1\"")).collect::<Vec<_>>().join(",");
        assert!(all(&format!("a{{{}}} 1\n", labels(LINE_LABELS_MAX))).is_ok());
        assert_eq!(all(&format!("a{{{}}} 1\n", labels(LINE_LABELS_MAX + 1))), Err(PageFault::Malformed(1)));
    }

    #[test]
    fn what_is_no_whole_page_is_none() {
        assert_eq!(all("a 1\nb 2"), Err(PageFault::CutOff));
        assert_eq!(all(""), Ok(Vec::new()));
        assert!(matches!(lines(&[0x1f, 0x8b, 8, 0, b'\n']).err(), Some(PageFault::NotText)));
        let long = vec![b'\n'; PAGE_BYTES_MAX];
        assert_eq!(lines(&long).unwrap().count(), 0);
        assert_eq!(lines(&vec![b'\n'; PAGE_BYTES_MAX + 1]).err(), Some(PageFault::TooLong));
    }

    #[test]
    fn a_page_is_bounded_while_it_comes() {
        let mut gathered = Gathered::default();
        let chunk = vec![b'\n'; 1024 * 1024];
        for _ in 0..4 {
            gathered.push(&chunk).unwrap();
        }
        assert_eq!(gathered.push(b"\n"), Err(PageFault::TooLong));
        assert_eq!(gathered.bytes().len(), PAGE_BYTES_MAX);
        gathered.clear();
        assert_eq!(gathered.push(b"a 1\n"), Ok(()));
    }

    #[test]
    fn an_encoded_or_endless_page_is_not_begun() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))])
        };
        assert_eq!(accept(&headers("content-encoding", "gzip")), Err(PageFault::Encoded));
        assert_eq!(accept(&headers("content-encoding", "identity")), Ok(()));
        assert_eq!(accept(&headers("content-length", "1073741824")), Err(PageFault::TooLong));
        assert_eq!(accept(&headers("content-length", "100")), Ok(()));
        assert_eq!(accept(&HeaderMap::new()), Ok(()));
    }
}
