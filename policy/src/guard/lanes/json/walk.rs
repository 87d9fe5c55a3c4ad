//! Shows each value of a document to a visitor, in order, with its path.

use std::{borrow::Cow, collections::HashSet, ops::Range};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::{DEPTH_MAX, Fault, Path, Quoted, Reason, Scanner};
use crate::guard::lanes::known::{KNOWN_MAX, Known};

/// Keys of one object that are compared with each other; of more, a set is made.
const COMPARED_KEYS_MAX: usize = 16;

/// Is shown a document.
pub trait Visitor<'b> {
    /// A string that is a value.
    fn string(&mut self, path: &Path<'b>, text: Quoted<'b>) -> Result<(), Fault>;

    /// A key; the path ends with it. Its text is in the path, decoded.
    fn key(&mut self, _path: &Path<'b>, _key: Quoted<'b>) -> Result<(), Fault> {
        Ok(())
    }

    /// A number, `true`, `false` or `null`, and where it stands.
    fn scalar(&mut self, _path: &Path<'b>, _range: Range<usize>) -> Result<(), Fault> {
        Ok(())
    }

    /// An object (or else an array) begins with this byte.
    fn open(&mut self, _path: &Path<'b>, _at: usize, _is_object: bool) -> Result<(), Fault> {
        Ok(())
    }

    /// The container at this path ends before this byte.
    fn close(&mut self, _path: &Path<'b>, _end: usize, _is_object: bool) -> Result<(), Fault> {
        Ok(())
    }
}

/// Reads a whole document.
pub fn walk<'b>(json: &'b [u8], visitor: &mut impl Visitor<'b>) -> Result<(), Fault> {
    run(json, visitor, true)
}

/// Reads a whole document in whose objects a key may stand twice: what a model wrote and no backend reads.
pub fn walk_any<'b>(json: &'b [u8], visitor: &mut impl Visitor<'b>) -> Result<(), Fault> {
    run(json, visitor, false)
}

fn run<'b>(json: &'b [u8], visitor: &mut impl Visitor<'b>, is_strict: bool) -> Result<(), Fault> {
    let mut scanner = Scanner::new(json)?;
    let mut path = Path::default();
    let mut open = SmallVec::<[Container<'b>; 8]>::new();
    loop {
        match scanner.token() {
            Some(b'"') => visitor.string(&path, scanner.string()?)?,
            Some(first @ (b'{' | b'[')) => {
                let is_object = first == b'{';
                visitor.open(&path, scanner.at(), is_object)?;
                if open.len() == DEPTH_MAX as usize {
                    return Err(scanner.too_deep());
                }
                scanner.advance();
                if scanner.token() == Some(if is_object { b'}' } else { b']' }) {
                    scanner.advance();
                    visitor.close(&path, scanner.at(), is_object)?;
                } else {
                    let mut container = Container { is_object, keys: Keys { is_strict, ..Keys::default() } };
                    if is_object {
                        key(&mut scanner, &mut path, &mut container.keys, visitor)?;
                    } else {
                        path.push_index();
                    }
                    open.push(container);
                    continue;
                }
            }
            _ => {
                let start = scanner.at();
                scanner.scalar()?;
                visitor.scalar(&path, start..scanner.at())?;
            }
        }
        loop {
            let Some(Container { is_object, keys }) = open.last_mut() else { return scanner.end() };
            match (scanner.token(), *is_object) {
                (Some(b','), true) => {
                    scanner.advance();
                    path.pop();
                    key(&mut scanner, &mut path, keys, visitor)?;
                    break;
                }
                (Some(b','), false) => {
                    scanner.advance();
                    path.next_index();
                    break;
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    scanner.advance();
                    path.pop();
                    visitor.close(&path, scanner.at(), *is_object)?;
                    open.pop();
                }
                (_, true) => return Err(scanner.expected("`,` or `}`")),
                (_, false) => return Err(scanner.expected("`,` or `]`")),
            }
        }
    }
}

/// A key and its colon: the next step of the path.
#[inline]
fn key<'b>(
    scanner: &mut Scanner<'b>,
    path: &mut Path<'b>,
    keys: &mut Keys<'b>,
    visitor: &mut impl Visitor<'b>,
) -> Result<(), Fault> {
    let quoted = scanner.key()?;
    let text = quoted.text()?;
    let (known, place) = Known::of(&text);
    let is_new = match place {
        _ if !keys.is_strict => true,
        Some(place) => keys.known.insert(place),
        None => keys.insert(text.clone()),
    };
    if !is_new {
        return Err(Fault { reason: Reason::DuplicateKey, at: quoted.at });
    }
    path.push_key(text, known);
    visitor.key(path, quoted)
}

/// A container that is open.
struct Container<'b> {
    is_object: bool,
    keys: Keys<'b>,
}

/// The keys that an object has shown: a bit each for those that tables know, and the others, as long as they are few.
#[derive(Default)]
struct Keys<'b> {
    /// Whether one that stands twice is a fault.
    is_strict: bool,
    known: Bits,
    few: Vec<Cow<'b, str>>,
    #[expect(clippy::box_collection, reason = "nearly no object has many, and each that is open has room for this")]
    many: Option<Box<HashSet<Cow<'b, str>, RandomState>>>,
}

impl<'b> Keys<'b> {
    /// Whether it is new.
    fn insert(&mut self, key: Cow<'b, str>) -> bool {
        if let Some(many) = &mut self.many {
            return many.insert(key);
        }
        if self.few.contains(&key) {
            return false;
        }
        self.few.push(key);
        if self.few.len() > COMPARED_KEYS_MAX {
            self.many = Some(Box::new(self.few.drain(..).collect()));
        }
        true
    }
}

#[derive(Default)]
struct Bits([u64; KNOWN_MAX / 64]);

impl Bits {
    /// Whether it was not set.
    fn insert(&mut self, place: u8) -> bool {
        let Some(word) = self.0.get_mut(usize::from(place) / 64) else { return true };
        let bit = 1 << (place % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}
