//! The text of an API key: `pcl_`, an id, `_`, a secret of 256 bits, and a checksum.
//!
//! The prefix is for scanners of secrets and for the gateway, which tells a key from a JWT by it; the checksum tells a
//! mistyped or cut key from a wrong one without asking anybody; letters and digits only, so that a double click takes all.

use std::fmt;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
pub use portcullis_policy::documents::{API_KEY_PREFIX as PREFIX, formats::KEY_ID_LENGTH as ID_LENGTH};

/// Characters of the secret: 43 of 62 make 256 bits.
pub const SECRET_LENGTH: usize = 43;
/// Characters of the checksum: CRC-32 of all that stands before it.
pub const CHECKSUM_LENGTH: usize = 6;

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const ID_ALPHABET: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new key. No `Debug`: it is printed once, and kept nowhere.
pub struct NewKey {
    id: String,
    text: String,
}

impl NewKey {
    /// A key that there has never been. `None`: the system gives no random numbers.
    pub fn random() -> Option<Self> {
        // Never a number, so that YAML reads it as the text that it is.
        let id = format!("{}{}", drawn(LETTERS, 1)?, drawn(ID_ALPHABET, ID_LENGTH - 1)?);
        let body = format!("{PREFIX}{id}_{}", drawn(ALPHABET, SECRET_LENGTH)?);
        let text = format!("{body}{}", checksum(&body));
        Some(Self { id, text })
    }

    /// What it is known by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key itself.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewKey({})", self.id)
    }
}

/// Whether a credential is an API key by its looks, good or not.
pub fn is_api_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// The id of a key that is whole. `None`: it is mistyped, cut, or none of ours.
pub fn id(text: &str) -> Option<&str> {
    let (id, rest) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let (body, given) = text.split_at_checked(text.len().checked_sub(CHECKSUM_LENGTH)?)?;
    let is_whole = id.len() == ID_LENGTH
        && rest.len() == SECRET_LENGTH + CHECKSUM_LENGTH
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && checksum(body) == given;
    is_whole.then_some(id)
}

/// Characters drawn evenly from an alphabet.
fn drawn(alphabet: &[u8], length: usize) -> Option<String> {
    let random = SystemRandom::new();
    let mut text = String::with_capacity(length);
    // Bytes beyond the last whole multiple of the alphabet are drawn again, or some characters would come more often.
    let bound = 256 - 256 % alphabet.len();
    while text.len() < length {
        let mut bytes = [0; 64];
        random.fill(&mut bytes).ok()?;
        let even = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < bound);
        let characters = even.filter_map(|byte| alphabet.get(byte % alphabet.len()).copied());
        text.extend(characters.take(length - text.len()).map(char::from));
    }
    Some(text)
}

/// CRC-32 (IEEE 802.3) in base 62, the most significant digit first.
pub(super) fn checksum(text: &str) -> String {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
        }
    }
    let (mut rest, mut digits) = (!crc as usize, Vec::with_capacity(CHECKSUM_LENGTH));
    for _ in 0..CHECKSUM_LENGTH {
        digits.extend(ALPHABET.get(rest % ALPHABET.len()).map(|digit| char::from(*digit)));
        rest /= ALPHABET.len();
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_told_by_their_looks() {
        let keys: BTreeSet<String> = (0..100).map(|_| NewKey::random().unwrap().text().to_owned()).collect();
        assert_eq!(keys.len(), 100);
        for key in &keys {
            assert_eq!(key.len(), PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH);
            assert!(is_api_key(key) && portcullis_policy::documents::formats::is_key_id(id(key).unwrap()), "{key}");
        }
        assert!(!is_api_key("eyJhbGciOiJFZERTQSJ9.e30.x") && !is_api_key("PCL_x"));
    }

    #[test]
    fn the_checksum_is_the_one_that_everybody_computes() {
        // CRC-32 of `123456789` is 0xcbf43926, the check value of every catalogue.
        assert_eq!(checksum("123456789"), base62(0xcbf4_3926));
        assert_eq!(base62(0), "000000");
    }

    fn base62(mut number: u64) -> String {
        let mut digits = Vec::new();
        for _ in 0..6 {
            digits.push(char::from(*ALPHABET.get((number % 62) as usize).unwrap()));
            number /= 62;
        }
        digits.iter().rev().collect()
    }

    #[test]
    fn a_key_that_lacks_something_is_none() {
        let key = NewKey::random().unwrap();
        let key = key.text();
        for end in 0..key.len() {
            assert_eq!(id(key.get(..end).unwrap()), None, "{end}");
        }
        for text in ["", "pcl_", "pcl__", "_", &format!("{key}0"), &format!(" {key}"), &key.to_uppercase(), "pcl_é_ééé"]
        {
            assert_eq!(id(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_letter_is_noticed(at in 4usize..66, by in "[0-9A-Za-z]") {
            let key = NewKey::random().unwrap();
            let mut text = key.text().to_owned();
            if text.get(at..=at) != Some(by.as_str()) {
                text.replace_range(at..=at, &by);
                prop_assert_eq!(id(&text), None);
            }
        }

        #[test]
        fn no_text_is_too_strange(text in "\\PC*") {
            prop_assert_eq!(id(&text), None);
            let text = format!("pcl_{text}");
            prop_assert_eq!(id(&text), None);
        }
    }
}
