//! Reversible tokens: personal data is replaced by placeholders on the way in, and the caller's own values are put back on
//! the way out, in streams too.
//!
//! # What a placeholder looks like, and why
//! `<EMAIL_bcdfghjk>`: the kind of the value, and eight letters that say which.
//! - *Angle brackets.* Models know `<NAME>` as something to be copied and not to be interpreted. Square brackets are eaten:
//!   asked for a link, a model makes `[EMAIL_…](mailto:EMAIL_…)` of them. Both brackets are one token in common
//!   vocabularies, need no escape in JSON, and `<` is rare enough in answers that a stream is hardly ever held for it.
//! - *A kind word,* so that an answer can be right about what it does not see.
//! - *Eight consonants* (32 bits) instead of digits or words: no rule for numbers can match them, they spell nothing that
//!   a model would translate or inflect, and upper and lower case may be confused without harm. None of our own rules finds
//!   anything in a placeholder; a test holds them to that.
//!
//! The letters are an HMAC of the value under a [`ConversationKey`]. In one conversation a value has one placeholder in all
//! turns, so the masked beginning of a conversation that grows stays the same to the byte, and the prefix caches of inference
//! servers still hit. Across tenants or conversations the same value has placeholders that nobody can link.
//!
//! # What is restored
//! Only the values of this request: the map is made anew by each request from its own text and dies with it. What looks like
//! a placeholder and is none of this request's is text like any other, whoever wrote it. What is restored is not read again.
//! A [`Restorer`] tolerates what models and their templates do to such a word (see there).
//!
//! A request beyond [`VALUES_MAX`] or [`VALUES_BYTES_MAX`] gets no more placeholders; whatever is found then is to be masked
//! for good.

mod key;
mod restorer;
mod values;

#[cfg(test)]
mod tests;

pub use self::{
    key::ConversationKey,
    restorer::{Restorer, Sink},
    values::{KIND_BYTES_MAX, Placeholders, VALUES_BYTES_MAX, VALUES_MAX, Values},
};
