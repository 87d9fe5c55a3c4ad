//! Sets of bytes.

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub const EMPTY: Self = Self([0; 4]);

    /// The bytes of which this holds.
    pub fn of(holds: impl Fn(u8) -> bool) -> Self {
        let mut set = Self::EMPTY;
        for byte in (0..=u8::MAX).filter(|byte| holds(*byte)) {
            if let Some(word) = set.0.get_mut(usize::from(byte) / 64) {
                *word |= 1 << (byte % 64);
            }
        }
        set
    }

    /// Letters and digits of ASCII, and `_`.
    pub fn word() -> Self {
        Self::of(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    /// Whether this byte is one of them.
    pub fn contains(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte) / 64).is_some_and(|word| word >> (byte % 64) & 1 == 1)
    }
}
