//! What is to be changed in a message, and how the lengths around it follow.

use std::ops::Range;

use super::wire::varint;

/// How a length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// As in protobuf.
    Varint,
    /// Four bytes, little-endian: before elements of raw tensors.
    Fixed,
}

/// Changes of one message, in its order: each that is replaced, and before it whatever contains it.
#[derive(Debug, Default)]
pub(super) struct Plan {
    nodes: Vec<Node>,
    /// What stands in the place of texts.
    pub(super) made: Vec<u8>,
}

#[derive(Debug)]
struct Node {
    /// From the beginning of its length (or of its tag, if it goes) to the end of its content.
    range: Range<usize>,
    head: Head,
    change: Change,
}

#[derive(Debug)]
enum Change {
    /// Something inside changes. The content begins here.
    Within(usize),
    /// This of `made` stands in the place of the content.
    Replaced(Range<usize>),
    /// It goes.
    Gone,
}

impl Plan {
    /// Begins the plan of a message.
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.made.clear();
    }

    /// Whether nothing changes.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Something with a length begins, in which something may be changed.
    pub(super) fn open(&mut self, head: Head, length: &Range<usize>, content: &Range<usize>) -> usize {
        let range = length.start..content.end;
        self.nodes.push(Node { range, head, change: Change::Within(content.start) });
        self.nodes.len()
    }

    /// It ends; if nothing in it was changed, it stays.
    pub(super) fn close(&mut self, opened: usize) {
        if self.nodes.len() == opened {
            self.nodes.pop();
        }
    }

    /// What was made since `from` stands in the place of the content.
    pub(super) fn replace(&mut self, head: Head, length: &Range<usize>, content: &Range<usize>, from: usize) {
        let range = length.start..content.end;
        self.nodes.push(Node { range, head, change: Change::Replaced(from..self.made.len()) });
    }

    /// This goes.
    pub(super) fn remove(&mut self, range: Range<usize>) {
        self.nodes.push(Node { range, head: Head::Varint, change: Change::Gone });
    }

    /// Writes the message as it is to be.
    pub(super) fn write(&self, message: &[u8], out: &mut Vec<u8>) {
        self.write_part(message, 0..message.len(), 0, out);
    }

    /// Writes a part of the message in which the nodes from `next` on stand. Says which is the first behind it.
    fn write_part(&self, message: &[u8], part: Range<usize>, mut next: usize, out: &mut Vec<u8>) -> usize {
        let mut at = part.start;
        while let Some(node) = self.nodes.get(next).filter(|node| node.range.start < part.end) {
            out.extend_from_slice(message.get(at..node.range.start).unwrap_or_default());
            at = node.range.end;
            next += 1;
            match &node.change {
                Change::Gone => {}
                Change::Replaced(made) => {
                    let made = self.made.get(made.clone()).unwrap_or_default();
                    match node.head {
                        Head::Varint => out.extend(varint(made.len())),
                        Head::Fixed => out.extend_from_slice(&fixed(made.len())),
                    }
                    out.extend_from_slice(made);
                }
                Change::Within(content) => {
                    let begin = out.len();
                    next = self.write_part(message, *content..node.range.end, next, out);
                    // Depth is bounded by the tables of messages, so bytes move a few times at most.
                    let length = out.len() - begin;
                    out.splice(begin..begin, varint(length));
                }
            }
        }
        out.extend_from_slice(message.get(at..part.end).unwrap_or_default());
        next
    }
}

/// A length of four bytes. A message is shorter than what they can say ([`super::MESSAGE_BYTES_MAX`]), and so is what is
/// made of one of its texts: a replacement for each of its bytes would have to be longer than 256 bytes.
fn fixed(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}
