//! What a backend is told of the caller, as the AccessPolicy of the route says: nothing, a JWT of ours, headers, or the
//! caller's own credential.
//!
//! What a client shows the gateway is for the gateway: it is dropped first ([`withhold`]), before filters add what
//! a backend wants to see of us. What the gateway says is written last ([`UpstreamIdentity::tell`]), so that neither
//! a client nor a filter can say it instead.

mod signing;

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use foldhash::HashMap;
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use portcullis_policy::{
    authorize::{Caller, Group, Principal},
    snapshot::{Access, DocumentId, Upstream},
};
use serde_json::json;

use crate::{receive::Request, refusal::Refusal};

pub use self::signing::{
    KEY_AGE_MAX, KeysError, PUBLISHED_AFTER, PUBLISHED_BEFORE, SIGNING_KEYS_MAX, SigningKey, SigningKeys,
};

/// `iss` of the JWTs that backends get.
pub const ISSUER: &str = "portcullis";
/// The longest value that tells a backend of a caller, in bytes: servers take lines of 8 KiB, and nothing is left out.
pub const TOLD_BYTES_MAX: usize = 8 * 1024;
/// JWTs that a worker remembers.
pub const REMEMBERED_MAX: usize = 4096;

/// Headers that carry credentials which the gateway takes.
const CREDENTIALS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("dpop"),
];

/// Why a backend cannot be told of a caller. The request is refused then: half of it would be another caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// The names of the caller's groups do not fit.
    #[error("the caller's name and groups are longer than a header may be")]
    TooLong,
    /// There is no key to sign with.
    #[error("there is no key to sign with")]
    NoKey,
}

/// Tells backends of callers, and remembers what it signed. One per worker.
#[derive(Debug)]
pub struct UpstreamIdentity {
    keys: Arc<SigningKeys>,
    remembered: RefCell<HashMap<Fingerprint, Signed>>,
}

/// SHA-256 of all that a JWT says, but for its times and its name.
type Fingerprint = [u8; 32];

/// A JWT that was signed, as the value of its header.
#[derive(Clone)]
struct Signed {
    value: HeaderValue,
    since: SystemTime,
    until: SystemTime,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed").field("until", &self.until).finish_non_exhaustive()
    }
}

/// Drops from a request what its backend must not have from the client. Before filters. Where anyone may come in, nobody
/// has looked at what the client shows, and it is the backend's to look at.
pub fn withhold_from(request: &mut Request, access: &Access) {
    let Access::Guarded(guard) = access else { return };
    withhold(&guard.upstream, &mut request.headers);
    if matches!(guard.upstream, Upstream::Jwt { .. } | Upstream::Headers { .. }) {
        // Some servers take trailers for headers; inference needs none.
        request.body.cleanse_trailers(HeaderMap::clear);
    }
}

/// Drops what the client showed of itself, and what it says under names that are ours. Before filters.
///
/// `Cookie` stays: the gateway takes no credential from it, so it is between the client and the backend.
pub fn withhold(upstream: &Upstream, headers: &mut HeaderMap) {
    if !matches!(upstream, Upstream::Credential) {
        drop_aliases(headers, |name| CREDENTIALS.iter().any(|held| is_alias(name, held.as_str())));
    }
    drop_ours(upstream, headers);
}

/// Drops what a client says under the names that a backend takes for ours: of headers, and of trailers.
pub fn drop_ours(upstream: &Upstream, headers: &mut HeaderMap) {
    let ours: [Option<&HeaderName>; 3] = match upstream {
        Upstream::Nothing | Upstream::Credential => return,
        Upstream::Jwt { header, .. } => [Some(header), None, None],
        Upstream::Headers { user, groups, provider } => [user.as_ref(), groups.as_ref(), provider.as_ref()],
    };
    drop_aliases(headers, |name| ours.iter().flatten().any(|ours| is_alias(name, ours.as_str())));
}

/// Servers that turn `-` into `_` take `x_user` and `x.user` for `x-user`, so those go too.
fn drop_aliases(headers: &mut HeaderMap, is_one: impl Fn(&str) -> bool) {
    // Hardly ever is there more than one.
    while let Some(name) = headers.keys().find(|name| is_one(name.as_str())).cloned() {
        headers.remove(name);
    }
}

fn is_alias(name: &str, ours: &str) -> bool {
    let folded = |byte: u8| if matches!(byte, b'_' | b'.') { b'-' } else { byte };
    name.len() == ours.len() && name.bytes().map(folded).eq(ours.bytes().map(folded))
}

impl UpstreamIdentity {
    /// Signs with these keys.
    pub fn new(keys: Arc<SigningKeys>) -> Self {
        Self { keys, remembered: RefCell::default() }
    }

    /// A JWT with these claims, signed with the keys that backends are told with. `None`: there is no key.
    pub fn sign(&self, claims: &serde_json::Value) -> Option<String> {
        self.keys.sign(claims)
    }

    /// Tells the backend of a route of the caller, as its AccessPolicy says.
    pub fn introduce(&self, access: &Access, caller: &Caller, headers: &mut HeaderMap) -> Result<(), Refusal> {
        let Access::Guarded(guard) = access else { return Ok(()) };
        self.tell(&guard.upstream, caller, headers, SystemTime::now()).map_err(|untold| match untold {
            Untold::TooLong => Refusal::caller_refused("groups_overage", untold.to_string()),
            Untold::NoKey => Refusal::internal().detail("no_signing_key"),
        })
    }

    /// Tells a backend of the caller. After filters. Whoever is anonymous is nobody to tell of.
    pub fn tell(
        &self,
        upstream: &Upstream,
        caller: &Caller,
        headers: &mut HeaderMap,
        now: SystemTime,
    ) -> Result<(), Untold> {
        drop_ours(upstream, headers);
        let Some(principal) = caller.principal() else { return Ok(()) };
        match upstream {
            Upstream::Nothing | Upstream::Credential => {}
            Upstream::Jwt { audience, lifetime, header } => {
                let value = self.jwt(audience, *lifetime, header == AUTHORIZATION, principal, now)?;
                headers.insert(header.clone(), value);
            }
            Upstream::Headers { user, groups, provider } => {
                let mut tell = |name: &Option<HeaderName>, text: String| {
                    if let Some(name) = name {
                        headers.insert(name.clone(), value(text)?);
                    }
                    Ok(())
                };
                tell(user, encoded(&principal.name))?;
                tell(provider, encoded(&provider_name(&principal.provider)))?;
                // Absent and empty would be two words for one thing.
                if !principal.groups.is_empty() {
                    tell(groups, joined(&principal.groups))?;
                }
            }
        }
        Ok(())
    }

    fn jwt(
        &self,
        audience: &str,
        lifetime: Duration,
        bearer: bool,
        principal: &Principal,
        now: SystemTime,
    ) -> Result<HeaderValue, Untold> {
        let key = self.keys.current().ok_or(Untold::NoKey)?;
        let groups: Vec<&str> = principal.groups.iter().map(|group| &*group.name).collect();
        let mut claims = json!({
            "iss": ISSUER,
            "sub": &*principal.name,
            "aud": audience,
            "groups": groups,
            "provider": provider_name(&principal.provider),
            "method": principal.method.as_str(),
        });
        let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let said = format!("{claims}\n{}\n{bearer}\n{}\n{:?}", key.id(), lifetime.as_secs(), principal.expires);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&digest::SHA256, said.as_bytes()).as_ref());
        if let Some(signed) = self.remembered.borrow().get(&fingerprint)
            && signed.since <= now
            && now < signed.until
        {
            return Ok(signed.value.clone());
        }
        // It is not good for longer than the credential of the caller.
        let expires = principal.expires.map_or(now + lifetime, |expires| expires.min(now + lifetime));
        if let Some(claims) = claims.as_object_mut() {
            claims.insert("iat".into(), seconds(now).into());
            claims.insert("exp".into(), seconds(expires).into());
            claims.insert("jti".into(), unique()?.into());
        }
        let jwt = key.sign(&claims.to_string());
        let value = value(if bearer { format!("Bearer {jwt}") } else { jwt })?;
        // Every JWT has at least half of its life before it.
        let signed = Signed { value: value.clone(), since: now, until: expires.min(now + lifetime / 2) };
        self.remember(fingerprint, signed, now);
        Ok(value)
    }

    fn remember(&self, fingerprint: Fingerprint, signed: Signed, now: SystemTime) {
        let mut remembered = self.remembered.borrow_mut();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, signed| signed.since <= now && now < signed.until);
        }
        if remembered.len() >= REMEMBERED_MAX {
            // More callers than fit: signing costs little, growing would not end.
            remembered.clear();
        }
        remembered.insert(fingerprint, signed);
    }
}

/// `namespace/name`.
fn provider_name(provider: &DocumentId) -> String {
    format!("{}/{}", provider.namespace, provider.name)
}

/// A name of a JWT that no other has.
fn unique() -> Result<String, Untold> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Untold::NoKey)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A value of a header that is not written down on the way: neither in logs, nor in the tables of HTTP/2.
fn value(text: String) -> Result<HeaderValue, Untold> {
    if text.len() > TOLD_BYTES_MAX {
        return Err(Untold::TooLong);
    }
    let mut value = HeaderValue::try_from(text).map_err(|_| Untold::TooLong)?;
    value.set_sensitive(true);
    Ok(value)
}

fn joined(groups: &[Group]) -> String {
    groups.iter().map(|group| encoded(&group.name)).collect::<Vec<_>>().join(",")
}

/// Percent-encoded UTF-8: visible ASCII stays, but for `%` itself and for what separates or quotes in lists of headers.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'%' | b',' | b';' | b'"') {
            encoded.push(char::from(byte));
        } else {
            // Writing into a `String` cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
