//! Checks of credentials: checksums, entropy, JWTs, and the passwords in URLs.

use base64::{Engine, engine::general_purpose};

/// Characters of a checksum: 32 bits in base 62.
const CHECKSUM_LENGTH: usize = 6;
/// Characters that a credential has behind its prefix, at least.
const CREDENTIAL_LENGTH_MIN: usize = 8;
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
        && !is_name_in_code(text)
        && password(text)
}

/// `hashers.Argon2PasswordHasher`, `new_password1`: a path of names, or a name that has the word in it.
fn is_name_in_code(text: &[u8]) -> bool {
    let text = text.strip_suffix(b".").unwrap_or(text);
    let is_name = |name: &[u8]| {
        name.len() >= 3
            && name.first().is_some_and(u8::is_ascii_alphabetic)
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    let names = || text.split(|byte| *byte == b'.');
    let says_it = text.to_ascii_lowercase().windows(8).any(|part| part == b"password");
    names().all(is_name) && (names().count() > 1 || says_it)
}

/// Random letters and digits: the one stands beside the other more often than in words, names with a year, and versions.
pub fn mixed(text: &[u8]) -> bool {
    let beside = |pair: &[u8]| matches!(pair, [a, b] if a.is_ascii_digit() && b.is_ascii_alphabetic() || a.is_ascii_alphabetic() && b.is_ascii_digit());
    let changes = text.windows(2).filter(|pair| beside(pair)).count();
    let least = if text.len() < 32 { 2 } else { 3 };
    changes >= least && entropy(text) >= 3.0 && password(text)
}

/// Base64 of a text with a credential in it, beginning where its prefix does: at one of three places of a group.
pub fn in_base64(text: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 15] = [
        b"AKIA",
        b"ASIA",
        b"ghp_",
        b"gho_",
        b"ghs_",
        b"github_pat_",
        b"glpat-",
        b"sk-ant-",
        b"sk-proj-",
        b"xoxb-",
        b"xoxp-",
        b"AIza",
        b"sk_live_",
        b"npm_",
        b"pypi-",
    ];
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    // So many characters of the group belong to what stands before.
    [0, 2, 3].into_iter().any(|before| {
        let mut group = vec![b'A'; before];
        group.extend(text.iter().map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        }));
        group.truncate(group.len() / 4 * 4);
        general_purpose::STANDARD.decode(group).is_ok_and(|decoded| {
            PREFIXES.iter().any(|prefix| {
                let at = decoded.windows(prefix.len()).take(3).position(|part| part == *prefix);
                at.and_then(|at| decoded.get(at + prefix.len()..))
                    .is_some_and(|rest| rest.iter().take_while(|byte| is_word(byte)).count() >= CREDENTIAL_LENGTH_MIN)
            })
        })
    })
}
