//! A credential from a file, judged as `run` would judge it, by the providers that the request's candidates take.
//!
//! Only those of them that look at such a credential are brought to life, and only for this one question: keys of an issuer are fetched and a directory is
//! asked if the credential is theirs to judge. The reason of a rejection, which no client is ever told, is said: whoever runs this
//! holds the documents. The credential itself is never printed.

use std::{
    fs::File,
    io::Read as _,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use portcullis_mesh::tls::PeerCertificate;
use portcullis_policy::{
    Snapshot,
    snapshot::{IdentityProvider, ProviderId, ProviderKind, Scheme},
};

use super::who::Who;
use crate::{
    authenticate::{
        Known, Rejection, Shown, ShownTarget,
        api_keys::is_api_key,
        credential::{API_KEY, Credential, DPOP, Unfit, X_API_KEY, find},
        oidc::jwt::{self, Jwt},
        providers::Providers,
    },
    canonical::Canonical,
    receive::{Line, Request},
    refusal::Refusal,
    route::Candidates,
};

/// The longest file of a credential, in bytes: there may be a proof beside it.
pub const CREDENTIAL_FILE_BYTES_MAX: u64 = 32 * 1024;
/// How long judging a credential may take, with all that a provider is asked.
pub const JUDGING_TIMEOUT: Duration = Duration::from_secs(15);

/// The headers that a file holds: `Name: value` lines, or the bare credential, which is sent as `Authorization: Bearer`. What
/// is wrong is said without a word of what the file holds.
pub fn read(path: &Path) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let shown = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(CREDENTIAL_FILE_BYTES_MAX + 1).read_to_string(&mut text));
    read.map_err(|error| format!("cannot read the credential in `{shown}`: {error}"))?;
    if text.len() as u64 > CREDENTIAL_FILE_BYTES_MAX {
        return Err(format!("`{shown}` is longer than {CREDENTIAL_FILE_BYTES_MAX} bytes: that is no credential"));
    }
    headers(&text).ok_or_else(|| {
        format!(
            "`{shown}` holds neither a bare credential nor header lines `Authorization: …`, `x-api-key: …`, `api-key: …`, \
             `DPoP: …`"
        )
    })
}

fn headers(text: &str) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let headers = match lines.as_slice() {
        [] => return None,
        [bare] if !bare.contains([':', ' ', '\t']) => vec![(AUTHORIZATION, secret(&format!("Bearer {bare}"))?)],
        lines => lines.iter().map(|line| header(line)).collect::<Option<Vec<_>>>()?,
    };
    Some(headers)
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let name: HeaderName = name.trim().parse().ok()?;
    [AUTHORIZATION, X_API_KEY, API_KEY, DPOP].contains(&name).then_some((name, secret(value.trim())?))
}

fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What a request is, as far as a credential is judged by it.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'r> {
    /// Its first line.
    pub line: &'r Line,
    /// Its canonical form.
    pub canonical: &'r Canonical<'r>,
    /// Its headers, with the credential among them.
    pub request: &'r Request,
    /// How it is supposed to come.
    pub scheme: Scheme,
    /// Where it comes from.
    pub source: Option<IpAddr>,
}

/// Who shows the credential of a request, as the providers say that any of the candidates takes.
pub fn judge(snapshot: &Snapshot, candidates: &Candidates<'_>, judged: &Judged<'_>) -> Who {
    let Some(taken) = crate::authenticate::taken(candidates) else { return Who::Nobody };
    let Judged { line, canonical, request, scheme, source } = *judged;
    let credential = match find(&request.headers, canonical.query(), scheme == Scheme::Https) {
        Ok(credential) => credential,
        Err(Unfit::Refusal(refusal)) => {
            let why = refusal.message.to_string();
            return Who::Rejected { refusal, why };
        }
        Err(Unfit::Rejection(rejection)) => return rejected(&rejection, "the form of the credential", None),
    };
    let shown = Shown {
        credential: credential.as_ref(),
        certificate: &PeerCertificate::Absent,
        method: &line.method,
        target: ShownTarget { scheme, authority: line.authority(), path: line.uri.path() },
        // Nowhere, if nobody says: then a key that counts only somewhere does not count.
        source: source.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        now: SystemTime::now(),
    };
    let might_know = |id: &&ProviderId| {
        let spec = snapshot.providers.get(id.0 as usize);
        spec.zip(credential.as_ref()).is_some_and(|(spec, credential)| is_judged_by(spec, credential))
    };
    let asked: Vec<ProviderId> = taken.providers.iter().filter(might_know).copied().collect();
    let specs = specs(snapshot, &asked);
    let providers = match Providers::of(&specs, None) {
        Ok(providers) => Arc::new(providers),
        Err(error) => return unable(format!("the credential cannot be judged here: {error}")),
    };
    // Whoever enriches others stands behind them, and is not asked by itself.
    let asked: Vec<ProviderId> = (0..asked.len() as u32).map(ProviderId).collect();
    match ask(&providers, &asked, &shown) {
        Err(error) => unable(error),
        Ok(None) => Who::Nobody,
        Ok(Some((_, Ok(known)))) => Who::Known(known.caller),
        Ok(Some((by, Err(rejection)))) => {
            let name = by.and_then(|id| specs.get(id.0 as usize)).map(|spec| spec.document.to_string());
            let trouble = by.and_then(|id| providers.trouble(id));
            rejected(&rejection, name.as_deref().unwrap_or("every provider that is taken here"), trouble.as_deref())
        }
    }
}

/// Whether a provider would look at it. The files of the others need not be here.
fn is_judged_by(spec: &IdentityProvider, credential: &Credential<'_>) -> bool {
    match (&spec.kind, credential) {
        (ProviderKind::ApiKeys(_), Credential::ApiKey(_)) | (ProviderKind::Ldap(_), Credential::Basic { .. }) => true,
        (ProviderKind::ApiKeys(_), Credential::Bearer(text)) => is_api_key(text),
        (ProviderKind::Oidc(oidc), Credential::Bearer(text) | Credential::Dpop { access: text, .. }) => {
            if jwt::is_signed(text) {
                // What cannot be read is told to be so by any issuer.
                Jwt::read(text).ok().is_none_or(|jwt| jwt.issuer() == Some(&*oidc.issuer))
            } else {
                oidc.introspection.is_some()
            }
        }
        _ => false,
    }
}

/// Those that are asked, in their order, and behind them the directories that enrich them.
fn specs(snapshot: &Snapshot, asked: &[ProviderId]) -> Vec<IdentityProvider> {
    let of = |id: &ProviderId| snapshot.providers.get(id.0 as usize);
    let mut specs: Vec<IdentityProvider> = asked.iter().filter_map(of).cloned().collect();
    for place in 0..specs.len() {
        let Some(directory) = specs.get(place).and_then(|spec| of(&spec.enriched_by?)).cloned() else { continue };
        let known = specs.iter().position(|spec| spec.document == directory.document);
        let id = ProviderId(known.unwrap_or(specs.len()) as u32);
        if known.is_none() {
            specs.push(directory);
        }
        if let Some(spec) = specs.get_mut(place) {
            spec.enriched_by = Some(id);
        }
    }
    specs
}

type Asked = Option<(Option<ProviderId>, Result<Known, Rejection>)>;

/// On a runtime of its own, which ends with the answer.
fn ask(providers: &Arc<Providers>, asked: &[ProviderId], shown: &Shown<'_>) -> Result<Asked, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("nobody can be asked: {error}"))?;
    runtime.block_on(async {
        for task in providers.tasks() {
            tokio::spawn(task);
        }
        let judged = tokio::time::timeout(JUDGING_TIMEOUT, providers.judge(asked, shown)).await;
        judged.map_err(|_| format!("no provider has answered within {} s", JUDGING_TIMEOUT.as_secs()))
    })
}

/// As a client is refused, with the reason that it is not told.
fn rejected(rejection: &Rejection, by: &str, trouble: Option<&str>) -> Who {
    let refusal = match rejection {
        Rejection::Invalid(_) => Refusal::unauthenticated("invalid_credential"),
        Rejection::InvalidProof(_) => Refusal::unauthenticated("invalid_dpop_proof"),
        Rejection::Refused { code, message } => Refusal::caller_refused(code, message.clone()),
        Rejection::Throttled { retry_after } => Refusal::too_many_failures(*retry_after),
        Rejection::Unavailable(_) => Refusal::identity_unavailable(),
    };
    let word = rejection.word();
    let hint = if word == "key_source" { "; say with `--source` where the request comes from" } else { "" };
    let is_away = matches!(rejection, Rejection::Unavailable(_));
    let trouble = trouble.or_else(|| is_away.then_some("no answer in time"));
    let trouble = trouble.map(|trouble| format!(" ({trouble})")).unwrap_or_default();
    Who::Rejected { refusal, why: format!("`{word}`, says {by}{trouble}{hint}") }
}

fn unable(why: String) -> Who {
    Who::Rejected { refusal: Refusal::identity_unavailable(), why }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_file_holds_a_bare_credential_or_header_lines() {
        let read = |text: &str| {
            let headers = headers(text)?;
            Some(headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect::<Vec<_>>())
        };
        assert_eq!(read("a.b.c\n").unwrap(), ["authorization=Bearer a.b.c"]);
        assert_eq!(read("Authorization: Basic YQ==\r\n").unwrap(), ["authorization=Basic YQ=="]);
        assert_eq!(read("\nX-API-Key:k\n\n").unwrap(), ["x-api-key=k"]);
        assert_eq!(read("authorization: DPoP a\ndpop: b").unwrap(), ["authorization=DPoP a", "dpop=b"]);
        for none in ["", "\n", "alice:correct horse", "Bearer a", "cookie: a=b", "a.b.c\nd.e.f", "x-api-key: \u{1}"] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }

    #[test]
    fn nothing_shows_what_the_file_holds() {
        let shown = format!("{:?}", headers("x-api-key: hush").unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }
}
