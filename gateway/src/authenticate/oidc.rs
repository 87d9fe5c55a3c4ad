//! OpenID Connect and OAuth 2: callers who show a credential that an issuer has signed.
//!
//! Read [`jwt`] (from text to header and claims), [`keys`] (from a published set to keys that may verify), [`claims`] (what
//! must hold, and who it is), then [`issuer`] (how keys stay fresh). [`OidcProvider`] puts them in order: the issuer that a
//! credential names chooses the provider, the provider's own keys are the only ones its key name can mean, and nothing is
//! believed before the signature. Service accounts of Kubernetes are one more issuer.

pub mod algorithm;
pub mod claims;
pub mod issuer;
pub mod jwt;
pub mod keys;
pub mod shown;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use portcullis_policy::{
    authorize::{Caller, Method, Principal},
    snapshot::{DocumentId, GroupOverage, KeySource, OidcProvider as Spec},
};
use serde_json::{Map, Value};

use self::{
    claims::Named,
    issuer::{Issuer, Status},
    jwt::Jwt,
};
use super::{
    Known, Rejection, Shown,
    bound::{self, Possession},
    credential::Credential,
    introspection::{self, Introspected, Introspection, is_opaque},
};

/// A provider that knows callers by what one issuer says of them.
#[derive(Debug)]
pub struct OidcProvider {
    spec: Spec,
    document: Arc<DocumentId>,
    /// Whether a directory adds groups to its callers.
    is_enriched: bool,
    issuer: Issuer,
    /// For opaque credentials.
    introspection: Option<Introspection>,
}

impl OidcProvider {
    /// Reads its files. `is_enriched`: a directory adds groups to its callers. Keys that `previous` has fetched from the same
    /// place are kept.
    pub fn new(
        spec: &Spec,
        document: Arc<DocumentId>,
        is_enriched: bool,
        previous: Option<&Self>,
    ) -> Result<Self, String> {
        let issuer = Issuer::new(spec, previous.map(|previous| &previous.issuer))?;
        let introspection = Introspection::new(spec, previous.and_then(|previous| previous.introspection.as_ref()))?;
        Ok(Self { spec: spec.clone(), document, is_enriched, issuer, introspection })
    }

    /// Keeps its keys fresh until it is dropped.
    pub async fn run(self: Arc<Self>) {
        match &self.introspection {
            None => self.issuer.run().await,
            Some(introspection) => {
                tokio::join!(self.issuer.run(), introspection.run());
            }
        }
    }

    /// Files whose change is a change of the documents.
    pub fn files(&self) -> Vec<PathBuf> {
        let keys = match &self.spec.keys {
            KeySource::File(path) => Some(path),
            KeySource::Discovery | KeySource::Url(_) => None,
        };
        keys.into_iter().chain(&self.spec.trust).cloned().collect()
    }

    /// What the document says.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Its issuer, with the client that asks it.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Changes whenever the keys do: what was verified with others does not count any more.
    pub fn generation(&self) -> u64 {
        self.issuer.generation()
    }

    /// Drops what the issuer said of opaque credentials. Its keys are kept: they say nothing of any caller.
    pub fn forget(&self) {
        if let Some(introspection) = &self.introspection {
            introspection.forget();
        }
    }

    /// How its keys are, for metrics and pages.
    pub fn status(&self) -> Status {
        self.issuer.status()
    }

    /// What became of opaque credentials; `None`: the issuer is not asked about any.
    pub fn introspections(&self) -> Option<introspection::Counts> {
        self.introspection.as_ref().map(Introspection::counts)
    }

    /// Whether a credential says that it is of this issuer. It says nothing of whether that is so.
    pub fn is_named_by(&self, credential: &Jwt<'_>) -> bool {
        credential.issuer() == Some(&*self.spec.issuer)
    }

    /// Who shows this. `None`: it is no credential of this issuer.
    pub async fn judge(&self, shown: &Shown<'_>) -> Option<Result<Known, Rejection>> {
        let Some(Credential::Bearer(text) | Credential::Dpop { access: text, .. }) = shown.credential else {
            return None;
        };
        if !jwt::is_signed(text) {
            let introspection = self.introspection.as_ref().filter(|_| is_opaque(text))?;
            return Some(self.judge_opaque(introspection, text, shown).await);
        }
        match Jwt::read(text) {
            Err(word) => Some(Err(Rejection::Invalid(word))),
            Ok(credential) if self.is_named_by(&credential) => Some(self.judge_signed(credential, shown).await),
            Ok(_) => None,
        }
    }

    async fn judge_opaque(
        &self,
        introspection: &Introspection,
        credential: &str,
        shown: &Shown<'_>,
    ) -> Result<Known, Rejection> {
        let Introspected { claims, fresh } = self.introspect(introspection, credential, shown.now).await?;
        let possession = bound::possession(&claims, shown, self.spec.proof_required)?;
        let known = self.known(claims, Method::Introspection, shown.now)?;
        Ok(match possession {
            Possession::NotBound => Known { fresh: known.fresh.min(fresh), ..known },
            Possession::Shown => Known { fresh: Duration::ZERO, ..known },
        })
    }

    async fn introspect(
        &self,
        introspection: &Introspection,
        credential: &str,
        now: SystemTime,
    ) -> Result<Introspected, Rejection> {
        let mut discovered = self.issuer.introspection_endpoint();
        if discovered.is_none() && introspection.needs_discovery() {
            self.issuer.refetched().await;
            discovered = self.issuer.introspection_endpoint();
        }
        introspection.judge(credential, &self.spec, discovered, now).await
    }

    async fn judge_signed(&self, credential: Jwt<'_>, shown: &Shown<'_>) -> Result<Known, Rejection> {
        let claims = self.verify(credential, shown.now).await?;
        let possession = bound::possession(&claims, shown, self.spec.proof_required)?;
        let known = self.known(claims, Method::Jwt, shown.now)?;
        Ok(match possession {
            Possession::NotBound => known,
            // The next request has to show its own proof.
            Possession::Shown => Known { fresh: Duration::ZERO, ..known },
        })
    }

    /// The claims of this signed credential, which hold. Of proofs of possession it says nothing: who calls looks at `cnf`.
    pub async fn verify(&self, credential: Jwt<'_>, now: SystemTime) -> Result<Map<String, Value>, Rejection> {
        if !self.is_named_by(&credential) {
            return Err(Rejection::Invalid("issuer"));
        }
        credential.judge_header(&self.spec.algorithms, &self.spec.types).map_err(Rejection::Invalid)?;
        if self.knows_key(&credential) != Some(true) {
            // Whether or not the keys were fetched, and whatever came of it: now they say what they say.
            self.issuer.refetched().await;
        }
        let verified = self.issuer.look(|keys| match keys.find(credential.key()) {
            Some(key) => credential.verify(key),
            None => Err("unknown_key"),
        });
        let claims = verified.ok_or(Rejection::Unavailable("no_keys"))?.map_err(Rejection::Invalid)?;
        claims::judge(&claims, &self.spec, now).map_err(Rejection::Invalid)?;
        Ok(claims)
    }

    fn knows_key(&self, credential: &Jwt<'_>) -> Option<bool> {
        self.issuer.look(|keys| keys.find(credential.key()).is_some())
    }

    /// The caller of whom these claims speak, which hold, however that was found out. `fresh` is what the document says, and
    /// ends with the credential.
    pub fn known(&self, claims: Map<String, Value>, method: Method, now: SystemTime) -> Result<Known, Rejection> {
        let named = claims::caller(claims, &self.spec, &self.document, method).map_err(Rejection::Invalid)?;
        let Named { principal, lacks_groups } = named;
        // "No groups" would be a wrong answer: roles that deny a group would let its members in.
        if lacks_groups && !(self.is_enriched && self.spec.group_overage == GroupOverage::Resolve) {
            return Err(Rejection::groups_overage());
        }
        let left = principal.expires.map(|expires| expires.duration_since(now).unwrap_or_default());
        let fresh = left.map_or(self.spec.cache.fresh, |left| left.min(self.spec.cache.fresh));
        Ok(Known { caller: Caller::known(principal), fresh, lacks_groups })
    }

    /// Judges the caller of an open exchange again: by the credential if it is at hand, else by its end.
    pub async fn renew(
        &self,
        principal: &Principal,
        credential: Option<&Credential<'_>>,
        now: SystemTime,
    ) -> Result<Known, Rejection> {
        if principal.expires.is_some_and(|expires| now >= expires) {
            return Err(Rejection::Invalid("expired"));
        }
        let Some(Credential::Bearer(text) | Credential::Dpop { access: text, .. }) = credential else {
            // The document may take other audiences, clients or ages than when the exchange began.
            claims::judge(&principal.claims, &self.spec, now).map_err(Rejection::Invalid)?;
            return self.known(principal.claims.clone(), principal.method, now);
        };
        if !jwt::is_signed(text) {
            let introspection = self.introspection.as_ref().ok_or(Rejection::Invalid("introspection_gone"))?;
            let Introspected { claims, fresh } = self.introspect(introspection, text, now).await?;
            let known = self.known(claims, Method::Introspection, now)?;
            return Ok(Known { fresh: known.fresh.min(fresh), ..known });
        }
        let claims = self.verify(Jwt::read(text).map_err(Rejection::Invalid)?, now).await?;
        self.known(claims, Method::Jwt, now)
    }
}

impl Rejection {
    /// The credential does not hold the caller's groups, and nobody else says which they are.
    pub fn groups_overage() -> Self {
        Self::Refused {
            code: "groups_overage",
            message:
                "you are in more groups than your credential can hold, so your permissions cannot be told; ask for a \
                      credential with only the groups of this application"
                    .into(),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
