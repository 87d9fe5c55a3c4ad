//! What servers tell of each token (`logprobs`): it says once more what the text says, so it goes out when the text does, and
//! not at all where the text does not.
//!
//! Tokens count only as long as they come to the text that they come with; from the first that does not, all of that text are
//! taken out. So is one whose alternatives say what must not be said.

use std::{collections::VecDeque, ops::Range};

use crate::guard::lanes::{
    json::{Fault, Path, Quoted, Visitor, walk},
    known::Known,
};

/// What is told of tokens whose text is held, in bytes. Of a text that holds more, tokens are taken out.
pub(super) const TOKENS_HELD_BYTES_MAX: usize = 64 * 1024;

/// One token, as an event tells it.
#[derive(Debug, Default)]
pub(super) struct Token {
    /// What it says.
    said: Vec<u8>,
    /// Its bytes, where it tells them.
    bytes: Option<Vec<u8>>,
    /// All that is told of it.
    raw: Range<usize>,
    /// Strings beside it: alternatives.
    pub(super) others: Vec<Range<usize>>,
    /// Something of it must not be said.
    pub(super) is_foul: bool,
    /// An alternative's string and bytes that are not the same.
    is_odd: bool,
    alternative: Vec<u8>,
    alternative_bytes: Option<Vec<u8>>,
}

/// The tokens of one text: those whose text is held wait with it.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    /// What has come of the text, in bytes, and what has been decided.
    at: u64,
    decided: u64,
    masked: Vec<Range<u64>>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Tokens did not come to the text.
    is_broken: bool,
}

#[derive(Debug)]
struct Waiting {
    range: Range<u64>,
    raw: Vec<u8>,
    is_foul: bool,
}

impl Spoken {
    /// Of a text of which this much is held.
    pub(super) fn new(held: usize) -> Self {
        Self { at: held as u64, ..Self::default() }
    }

    /// Takes the tokens that come with a part of the text. `None`: they cannot be read.
    pub(super) fn take(&mut self, json: &[u8], tokens: Option<Vec<Token>>, said: &[u8]) {
        let start = self.at;
        self.at += said.len() as u64;
        let Some(tokens) = tokens.filter(|tokens| tokens.iter().flat_map(Token::bytes).eq(said)) else {
            self.give_up();
            return;
        };
        let mut at = start;
        for token in tokens.iter().filter(|_| !self.is_broken) {
            let range = at..at + token.bytes().len() as u64;
            at = range.end;
            let raw = json.get(token.raw.clone()).unwrap_or_default().to_vec();
            self.waiting_bytes += raw.len();
            self.waiting.push_back(Waiting { range, raw, is_foul: token.is_foul || token.is_odd || !token.is_plain() });
        }
        if self.waiting_bytes > TOKENS_HELD_BYTES_MAX {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.is_broken = true;
        self.waiting = VecDeque::new();
        self.waiting_bytes = 0;
    }

    /// A part of the text without tokens.
    pub(super) fn skip(&mut self, said: usize) {
        self.at += said as u64;
    }

    /// So many bytes of the text are decided.
    pub(super) fn decide(&mut self, len: usize, is_masked: bool) {
        let end = self.decided + len as u64;
        if is_masked && !self.waiting.is_empty() {
            self.masked.push(self.decided..end);
        }
        self.decided = end;
    }

    /// Whether tokens wait.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes the tokens whose text has gone out. How many.
    pub(super) fn release(&mut self, into: &mut Vec<u8>) -> usize {
        let mut count = 0;
        while let Some(token) = self.waiting.pop_front_if(|token| token.range.end <= self.decided) {
            self.waiting_bytes -= token.raw.len();
            let shares = |masked: &Range<u64>| masked.start < token.range.end && token.range.start < masked.end;
            if token.is_foul || self.masked.iter().any(shares) {
                continue;
            }
            if count > 0 {
                into.push(b',');
            }
            count += 1;
            into.extend_from_slice(&token.raw);
        }
        let first = self.waiting.front().map_or(u64::MAX, |token| token.range.start);
        self.masked.retain(|masked| masked.end > first);
        count
    }
}

impl Token {
    /// What it says, to the byte.
    fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or(&self.said)
    }

    /// Whether its string says what its bytes say; bytes that are no character are written `\xf0`.
    fn is_plain(&self) -> bool {
        is_same(&self.said, self.bytes.as_deref())
    }

    fn end_alternative(&mut self) {
        let bytes = self.alternative_bytes.take();
        self.is_odd |= !is_same(&self.alternative, bytes.as_deref());
        self.alternative.clear();
    }
}

fn is_same(said: &[u8], bytes: Option<&[u8]>) -> bool {
    let Some(bytes) = bytes.filter(|bytes| *bytes != said) else { return true };
    let hex: Vec<u8> = bytes.iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()).collect();
    std::str::from_utf8(bytes).is_err() && hex == said
}

/// Reads an array of tokens.
pub(super) fn read(json: &[u8]) -> Option<Vec<Token>> {
    let mut reader = Reader { json, tokens: Vec::new() };
    walk(json, &mut reader).ok()?;
    Some(reader.tokens)
}

/// Reads completions' arrays, which stand side by side: what their tokens come to, and the strings and keys beside them.
pub(super) fn read_parallel(json: &[u8]) -> Option<(String, Vec<Range<usize>>)> {
    let mut reader = Parallel::default();
    walk(json, &mut reader).ok()?;
    Some((reader.said, reader.others))
}

#[derive(Default)]
struct Parallel {
    said: String,
    others: Vec<Range<usize>>,
}

impl<'b> Visitor<'b> for Parallel {
    fn string(&mut self, path: &Path<'b>, text: Quoted<'b>) -> Result<(), Fault> {
        if let [Known::Tokens, Known::At(_)] = path.known() {
            self.said += &text.text()?;
        } else {
            self.others.push(text.range());
        }
        Ok(())
    }

    fn key(&mut self, path: &Path<'b>, key: Quoted<'b>) -> Result<(), Fault> {
        if path.known().len() > 1 {
            self.others.push(key.range());
        }
        Ok(())
    }
}

struct Reader<'b> {
    json: &'b [u8],
    tokens: Vec<Token>,
}

impl<'b> Visitor<'b> for Reader<'b> {
    fn string(&mut self, path: &Path<'b>, text: Quoted<'b>) -> Result<(), Fault> {
        let Some(token) = self.tokens.last_mut() else { return Ok(()) };
        match path.known() {
            [Known::At(_), Known::Token] => token.said = text.text()?.into_owned().into_bytes(),
            [Known::At(_), Known::TopLogprobs, Known::At(_), Known::Token] => {
                token.alternative = text.text()?.into_owned().into_bytes();
                token.others.push(text.range());
            }
            _ => token.others.push(text.range()),
        }
        Ok(())
    }

    fn key(&mut self, path: &Path<'b>, key: Quoted<'b>) -> Result<(), Fault> {
        if path.known().last() == Some(&Known::Other)
            && let Some(token) = self.tokens.last_mut()
        {
            token.others.push(key.range());
        }
        Ok(())
    }

    fn scalar(&mut self, path: &Path<'b>, range: Range<usize>) -> Result<(), Fault> {
        let text = self.json.get(range).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        let Some(token) = self.tokens.last_mut() else { return Ok(()) };
        let bytes = match path.known() {
            [Known::At(_), Known::Bytes, Known::At(_)] => &mut token.bytes,
            [Known::At(_), Known::TopLogprobs, Known::At(_), Known::Bytes, Known::At(_)] => {
                &mut token.alternative_bytes
            }
            // Any other array of numbers may say anything.
            [.., Known::At(_)] => {
                token.is_odd = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        match text.parse() {
            Ok(byte) => bytes.get_or_insert_default().push(byte),
            Err(_) => token.is_odd = true,
        }
        Ok(())
    }

    fn open(&mut self, path: &Path<'b>, at: usize, _: bool) -> Result<(), Fault> {
        if let [Known::At(_)] = path.known() {
            self.tokens.push(Token { raw: at..at, ..Token::default() });
        }
        Ok(())
    }

    fn close(&mut self, path: &Path<'b>, end: usize, _: bool) -> Result<(), Fault> {
        if let Some(token) = self.tokens.last_mut() {
            match path.known() {
                [Known::At(_)] => token.raw.end = end,
                [Known::At(_), Known::TopLogprobs, Known::At(_)] => token.end_alternative(),
                _ => {}
            }
        }
        Ok(())
    }
}
