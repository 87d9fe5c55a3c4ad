//! What a candidate itself must pass: checksums, plausible dates, and a floor of entropy where a format has no checksum.

use super::AllowedHosts;

pub mod americas;
pub mod asia_pacific;
pub mod digits;
pub mod disguise;
pub mod europe;
pub mod network;
pub mod payment;
pub mod phone;
pub mod tokens;

pub use tokens::{checksum, entropy};

/// What a candidate must pass.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// Nothing: the expression says it all.
    Nothing,
    /// At least so many tenths of a bit of Shannon entropy per character: no `xxxx`, no words.
    Entropy(u8),
    /// A checksum over so many characters before the last six, or else 3.5 bits of entropy: a key with one letter mistyped
    /// gives away all others.
    ChecksumOrEntropy(usize),
    /// A function, and what it looks at.
    Of(&'static str, fn(&[u8]) -> bool),
    /// The host is none of those that the policy allows.
    ForeignHost,
}

impl Check {
    /// Whether a candidate passes.
    pub fn passes(&self, candidate: &[u8], allowed: &AllowedHosts) -> bool {
        match self {
            Self::Nothing => true,
            Self::Entropy(tenths) => entropy(candidate) * 10.0 >= f32::from(*tenths),
            Self::ChecksumOrEntropy(covered) => {
                tokens::ends_in_its_checksum(candidate, *covered) || entropy(candidate) >= 3.5
            }
            Self::Of(_, passes) => passes(candidate),
            Self::ForeignHost => !allowed.allow(candidate),
        }
    }

    /// What it looks at, for the page of rules.
    pub fn describe(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Entropy(tenths) => format!("entropy ≥ {}.{}", tenths / 10, tenths % 10),
            Self::ChecksumOrEntropy(_) => "CRC-32, or entropy ≥ 3.5".to_owned(),
            Self::Of(what, _) => (*what).to_owned(),
            Self::ForeignHost => "host not allowed".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
