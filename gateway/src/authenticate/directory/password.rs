//! Passwords on their way to a directory, and what is remembered of them: a keyed hash, with a key that never leaves
//! this process.

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac, rand};

/// A password. No `Debug` of what it holds.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Password(Box<[u8]>);

impl Password {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([secret])")
    }
}

/// What is remembered of a name with a password.
#[derive(Clone, Copy)]
pub(super) struct Tag([u8; 32]);

impl Tag {
    /// Whether these are of the same name and password.
    pub(super) fn is(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

/// The key of this process.
#[derive(Clone)]
pub(super) struct TagKey(hmac::Key);

impl TagKey {
    pub(super) fn random() -> Result<Self, String> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new());
        key.map(Self).map_err(|_| "the system gives no random numbers".to_owned())
    }

    pub(super) fn tag(&self, name: &str, password: &Password) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(name.as_bytes());
        // No name has a NUL in it, so that no two pairs read the same.
        context.update(&[0]);
        context.update(password.bytes());
        let mut tag = [0; 32];
        for (to, from) in tag.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        Tag(tag)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_tag_is_of_one_name_and_one_password() {
        let key = TagKey::random().unwrap();
        let tag = |name: &str, password: &str| key.tag(name, &Password::new(password.as_bytes()));
        assert!(tag("alice", "secret").is(&tag("alice", "secret")));
        assert!(!tag("alice", "secret").is(&tag("alice", "Secret")));
        assert!(!tag("alice", "secret").is(&tag("bob", "secret")));
        assert!(!TagKey::random().unwrap().tag("alice", &Password::new(b"secret")).is(&tag("alice", "secret")));
    }
}
