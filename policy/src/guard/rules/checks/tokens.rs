//! Checks of credentials: checksums, entropy, JWTs, and the passwords in URLs.

use base64::{Engine, engine::general_purpose};

/// Characters of a checksum: 32 bits in base 62.
const CHECKSUM_LENGTH: usize = 6;
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// CRC-32 (IEEE 802.3) in base 62, the most significant digit first: how keys of GitHub, of npm and of ours end.
pub fn checksum(text: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in text {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
        }
    }
    let (mut rest, mut characters) = (!crc as usize, ['0'; CHECKSUM_LENGTH]);
    for character in characters.iter_mut().rev() {
        *character = BASE62.get(rest % BASE62.len()).map_or('0', |byte| char::from(*byte));
        rest /= BASE62.len();
    }
    characters.iter().collect()
}

/// Whether the last six characters are the checksum of so many before them.
pub fn ends_in_its_checksum(token: &[u8], covered: usize) -> bool {
    let Some(end) = token.len().checked_sub(CHECKSUM_LENGTH) else { return false };
    let Some(begin) = end.checked_sub(covered) else { return false };
    let body = token.get(begin..end).unwrap_or_default();
    token.get(end..).is_some_and(|given| given == checksum(body).as_bytes())
}

/// Shannon's entropy of the bytes, in bits per byte.
pub fn entropy(text: &[u8]) -> f32 {
    let mut counts = [0_u16; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
        }
    }
    let length = text.len().max(1) as f32;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f32::from(*count) / length)
        .map(|share| -share * share.log2())
        .sum()
}

/// A header in JSON that names its algorithm: RFC 7515, section 4.
pub fn jwt(text: &[u8]) -> bool {
    let Some(header) = text.split(|byte| *byte == b'.').next() else { return false };
    let Ok(header) = general_purpose::URL_SAFE_NO_PAD.decode(header) else { return false };
    let header: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_slice(&header);
    header.is_ok_and(|header| header.get("alg").is_some_and(serde_json::Value::is_string))
}

/// The password of `scheme://user:password@` stands for itself: no variable and no placeholder.
pub fn url_with_password(text: &[u8]) -> bool {
    let Some(at) = text.windows(3).position(|part| part == b"://") else { return false };
    let userinfo = text.get(at + 3..).unwrap_or_default().strip_suffix(b"@").unwrap_or_default();
    let Some(colon) = userinfo.iter().position(|byte| *byte == b':') else { return false };
    password(userinfo.get(colon + 1..).unwrap_or_default())
}

/// A word that stands for a password, and is none.
pub fn password(text: &[u8]) -> bool {
    let is_variable = matches!(text, [b'$' | b'<' | b'{' | b'%' | b'[' | b'*', ..]);
    let lower = text.to_ascii_lowercase();
    let stands_for_one = [
        &b"password"[..],
        b"passwd",
        b"pass",
        b"pwd",
        b"secret",
        b"token",
        b"xxx",
        b"changeme",
        b"your",
        b"example",
        b"redacted",
        b"placeholder",
        b"user",
    ];
    let letters = lower.iter().filter(|byte| !matches!(byte, b'_' | b'-')).copied().collect::<Vec<u8>>();
    let is_placeholder = stands_for_one.iter().any(|word| {
        letters == *word
            || matches!(*word, b"xxx" | b"your" | b"example" | b"redacted" | b"placeholder")
                && letters.starts_with(word)
    });
    text.len() >= 3 && !is_variable && !is_placeholder && entropy(text) >= 1.5
}

/// What nobody writes as a word: letters, at least two digits, and 3.1 bits of entropy.
pub fn opaque(text: &[u8]) -> bool {
    text.iter().filter(|byte| byte.is_ascii_digit()).count() >= 2
        && text.iter().any(u8::is_ascii_alphabetic)
        && entropy(text) >= 3.1
        && password(text)
}

/// A password by its looks: letters, and digits or signs among them; not a variable, a call or a placeholder.
pub fn assigned_password(text: &[u8]) -> bool {
    let is_code = text.iter().any(|byte| matches!(byte, b'(' | b')' | b'{' | b'}' | b'[' | b']' | b'<' | b'|'));
    text.iter().any(u8::is_ascii_digit)
        && text.iter().any(u8::is_ascii_alphabetic)
        && entropy(text) >= 3.0
        && !is_code
        && password(text)
}
