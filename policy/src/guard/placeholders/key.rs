//! The key of one conversation.

use std::fmt;

use sha2::{Digest, Sha256};

/// The block of SHA-256, in bytes.
const BLOCK_BYTES: usize = 64;
/// What these keys are for, so that the same secret may have other uses.
const PURPOSE: &[u8] = b"portcullis placeholders 1";

/// A key from which the placeholders of one tenant's conversation are made.
#[derive(Clone)]
pub struct ConversationKey(Hmac);

impl ConversationKey {
    /// The key of this conversation. `secret` is the gateways' own and the same in all that serve a tenant; `conversation` is
    /// what does not change while a conversation grows: its system texts and its first text of a user.
    pub fn derive(secret: &[u8; 32], tenant: &str, conversation: &[u8]) -> Self {
        Self(Hmac::new(&Hmac::new(secret).tag(&[PURPOSE, tenant.as_bytes(), conversation])))
    }

    /// What stands for a value of this kind. Another value has another tag.
    pub(super) fn tag(&self, kind: &str, value: &str) -> [u8; 32] {
        self.0.tag(&[kind.as_bytes(), value.as_bytes()])
    }
}

impl fmt::Debug for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConversationKey").finish_non_exhaustive()
    }
}

/// HMAC-SHA256 (RFC 2104) under one key of at most a block, whose two first blocks are hashed already.
#[derive(Clone)]
struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    fn new(key: &[u8]) -> Self {
        debug_assert!(key.len() <= BLOCK_BYTES);
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK_BYTES];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            Sha256::new_with_prefix(block)
        };
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }

    /// The tag of several fields. Each goes in behind its length, so that no two lists of fields are the same message.
    fn tag(&self, fields: &[&[u8]]) -> [u8; 32] {
        let mut inner = self.inner.clone();
        for field in fields {
            inner.update((field.len() as u64).to_be_bytes());
            inner.update(field);
        }
        self.close(inner)
    }

    fn close(&self, inner: Sha256) -> [u8; 32] {
        self.outer.clone().chain_update(inner.finalize()).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_of_rfc_4231() {
        let check = |key: &[u8], message: &[u8], expected: &str| {
            let hmac = Hmac::new(key);
            let tag = hmac.close(hmac.inner.clone().chain_update(message));
            let digits = tag.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            let digits: String = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect();
            assert_eq!(digits, expected);
        };
        check(&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        check(
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
        check(&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let tag = |fields: &[&[u8]]| Hmac::new(b"key").tag(fields);
        assert_ne!(tag(&[b"ab", b"c"]), tag(&[b"a", b"bc"]));
        assert_ne!(tag(&[b"abc"]), tag(&[b"abc", b""]));
    }
}
