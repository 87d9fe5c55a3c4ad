//! A body of gRPC: each message behind a flag and its length.

use super::Unscreenable::{self, Compressed, Malformed, TooLong};

/// A message, in bytes. It is held until it is there.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A flag, and a length of four bytes.
const PREFIX_BYTES: usize = 5;

/// Cuts a body into messages.
#[derive(Debug, Default)]
pub struct Frames {
    /// The beginning of a message that has not ended, with its prefix.
    begun: Vec<u8>,
    /// Whether `begun` has been given out and may go.
    is_given: bool,
}

impl Frames {
    /// The next message, without its prefix, if it ends in the chunk. What was read of the chunk is taken off it.
    pub fn next<'f, 'c: 'f>(&'f mut self, chunk: &mut &'c [u8]) -> Result<Option<&'f [u8]>, Unscreenable> {
        if std::mem::take(&mut self.is_given) {
            self.begun.clear();
        }
        if self.begun.is_empty() {
            let whole = length(chunk)?.and_then(|length| chunk.split_at_checked(PREFIX_BYTES + length));
            if let Some((frame, rest)) = whole {
                *chunk = rest;
                return Ok(frame.get(PREFIX_BYTES..));
            }
        }
        self.fill(chunk, PREFIX_BYTES);
        let Some(length) = length(&self.begun)? else { return Ok(None) };
        self.fill(chunk, PREFIX_BYTES + length);
        if self.begun.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        self.is_given = true;
        Ok(self.begun.get(PREFIX_BYTES..))
    }

    /// Takes bytes off the chunk until so many are there.
    fn fill(&mut self, chunk: &mut &[u8], bytes: usize) {
        let taken = bytes.saturating_sub(self.begun.len()).min(chunk.len());
        let (here, rest) = chunk.split_at_checked(taken).unwrap_or((chunk, &[]));
        self.begun.extend_from_slice(here);
        *chunk = rest;
    }

    /// Bytes of a message that has not ended.
    pub fn held(&self) -> usize {
        if self.is_given { 0 } else { self.begun.len() }
    }
}

/// The length that a prefix says, once it is there.
fn length(begun: &[u8]) -> Result<Option<usize>, Unscreenable> {
    match begun.first() {
        None => return Ok(None),
        Some(0) => {}
        Some(1) => return Err(Compressed),
        Some(_) => return Err(Malformed("it has an unknown flag")),
    }
    let Some(bytes) = begun.get(1..PREFIX_BYTES) else { return Ok(None) };
    let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > MESSAGE_BYTES_MAX { Err(TooLong) } else { Ok(Some(length)) }
}

/// Appends a message with its prefix. It is no longer than [`MESSAGE_BYTES_MAX`], or was made of one that is not.
pub fn write(message: &[u8], out: &mut Vec<u8>) -> Result<(), Unscreenable> {
    let begin = begin(out);
    out.extend_from_slice(message);
    end(out, begin)
}

/// Begins a message. What is appended then is its content.
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    out.len()
}

/// Ends the message whose content begins here. Restoring and masking may make one longer, but not without end.
pub(super) fn end(out: &mut [u8], content: usize) -> Result<(), Unscreenable> {
    let length = u32::try_from(out.len() - content).map_err(|_| TooLong)?;
    if let Some(place) = out.get_mut(content - 4..content) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
