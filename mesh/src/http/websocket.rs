//! Where a WebSocket's frames end (RFC 6455 §5.2), as far as it takes to say something between two of them.

/// A close frame of a server: 1008, policy violation (RFC 6455 §7.4.1).
pub const CLOSE_POLICY_VIOLATION: [u8; 4] = [0x88, 2, 0x03, 0xf0];

/// The longest head of a frame, in bytes.
const HEAD_BYTES_MAX: usize = 14;

/// Follows one direction of a WebSocket.
#[derive(Debug, Default)]
pub struct Frames {
    head: [u8; HEAD_BYTES_MAX],
    head_len: usize,
    /// Of the payload.
    remaining: u64,
}

impl Frames {
    /// These bytes have passed.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.remaining > 0 {
                let taken = self.remaining.min(bytes.len() as u64);
                self.remaining -= taken;
                bytes = bytes.get(taken as usize..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.head.get_mut(self.head_len) {
                *place = *first;
                self.head_len += 1;
            }
            bytes = rest;
            if let Some(length) = self.payload_len() {
                (self.remaining, self.head_len) = (length, 0);
            }
        }
    }

    /// Whether the last frame that began has ended.
    pub fn is_between(&self) -> bool {
        self.head_len == 0 && self.remaining == 0
    }

    /// The length of the payload, once the head is whole.
    fn payload_len(&self) -> Option<u64> {
        let [_, second, ..] = self.head;
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.head_len < 2 || self.head_len < 2 + extended + mask {
            return None;
        }
        let digits = self.head.get(2..2 + extended).unwrap_or_default();
        Some(match extended {
            0 => u64::from(second & 0x7f),
            _ => digits.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_where_they_say_however_they_are_cut() {
        let mut stream = vec![0x81, 5, b'h', b'e', b'l', b'l', b'o', 0x89, 0];
        stream.extend([0x82, 126, 1, 0]);
        stream.extend([7; 256]);
        stream.extend([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        stream.extend(vec![7; 65_536]);
        stream.extend([0x81, 0x83, 1, 2, 3, 4, b'a', b'b', b'c']);
        let ends = [0, 7, 9, 9 + 4 + 256, 9 + 4 + 256 + 10 + 65_536, stream.len()];
        for step in [1, 2, 3, 7, 1000, stream.len()] {
            let (mut frames, mut at) = (Frames::default(), 0);
            for chunk in stream.chunks(step) {
                frames.push(chunk);
                at += chunk.len();
                assert_eq!(frames.is_between(), ends.contains(&at), "after {at} bytes, {step} at a time");
            }
        }
    }
}
