//! The routes as an OAuth 2 resource: where a client learns who gives out credentials for them (RFC 9728).
//!
//! An AccessPolicy with a `resource` has a document at `/.well-known/oauth-protected-resource`, followed by the path of the
//! resource, on the listeners of its routes. It is for those who have no credential yet, so everyone may read it, and it
//! says what documents say: the URL of the resource to the byte (clients compare it, §3.3), its issuers, its scopes. It is
//! answered for the host in that URL alone; on other hosts the path is a path like any other.

use bytes::Bytes;
use foldhash::HashMap;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use portcullis_policy::{
    Snapshot,
    snapshot::{Access, Guard, Listener, ListenerId, ProtectedResource, ProviderKind, Scheme, TlsMode},
};
use serde_json::json;

use crate::{authenticate::dpop::key::PROOF_ALGORITHMS, canonical};

/// Before the path of a resource (§3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// How long clients and caches may keep a document: as long as an issuer that is added takes to be known.
const METADATA_MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// The documents of a revision.
#[derive(Debug, Default)]
pub struct Resources(HashMap<ListenerId, HashMap<Place, Bytes>>);

/// Where a document is: host and path, both in canonical form.
type Place = (String, String);

/// What one says.
struct Metadata<'s> {
    resource: &'s str,
    issuers: Vec<&'s str>,
    scopes: Vec<&'s str>,
    certificates: bool,
    proof_required: bool,
}

impl Resources {
    /// The documents of every policy that names a resource.
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut listeners = HashMap::default();
        for listener in &snapshot.listeners {
            let mut documents: HashMap<Place, Metadata<'_>> = HashMap::default();
            for rule in listener.routes.rules() {
                let Access::Guarded(guard) = &rule.access else { continue };
                let Some((resource, place)) = guard.resource.as_ref().and_then(|it| Some((it, place(it)?))) else {
                    continue;
                };
                let metadata = documents.entry(place).or_insert_with(|| Metadata::of(resource, listener));
                metadata.add(guard, resource, snapshot);
            }
            if !documents.is_empty() {
                let written = documents.into_iter().map(|(place, metadata)| (place, metadata.written()));
                listeners.insert(listener.id.clone(), written.collect());
            }
        }
        Self(listeners)
    }

    /// The answer to a request for a document; `None`: it is for something else. Host and path are canonical.
    pub fn answer(&self, listener: &ListenerId, method: &Method, host: &str, path: &str) -> Option<Response<Bytes>> {
        if !path.starts_with(WELL_KNOWN) {
            return None;
        }
        let documents = self.0.get(listener)?;
        let document = documents.get(&(host.to_owned(), path.to_owned()))?;
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let mut answer = Response::new(if is_read { document.clone() } else { Bytes::new() });
        let length = HeaderValue::from(answer.body().len());
        let headers = answer.headers_mut();
        headers.insert(CONTENT_LENGTH, length);
        if is_read {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CACHE_CONTROL, METADATA_MAX_AGE);
            // Clients that are pages read it as well; it has no secrets and asks for none.
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        } else {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        }
        Some(answer)
    }
}

/// Where clients find the document of a resource: `https://llm.corp.example/.well-known/oauth-protected-resource/v1`
/// (§3.1). `None`: its URL is none.
pub fn metadata_url(resource: &ProtectedResource) -> Option<String> {
    let (origin, path) = split(&resource.url)?;
    Some(format!("{origin}{WELL_KNOWN}{path}"))
}

/// `https://host:port`, and the path, which is empty where it would be a slash alone (§3.1).
fn split(url: &str) -> Option<(&str, &str)> {
    let authority = url.find("://")? + "://".len();
    let path = url.get(authority..)?.find('/').map_or(url.len(), |at| authority + at);
    let (origin, path) = url.split_at_checked(path)?;
    Some((origin, if path == "/" { "" } else { path }))
}

fn place(resource: &ProtectedResource) -> Option<Place> {
    let (origin, path) = split(&resource.url)?;
    let (_, authority) = origin.split_once("://")?;
    let host = canonical::host::parse(authority.as_bytes(), Scheme::Https).ok()?.host().to_owned();
    let path = canonical::path::canonical(format!("{WELL_KNOWN}{path}").as_bytes()).ok()?.into_owned();
    Some((host, path))
}

impl<'s> Metadata<'s> {
    fn of(resource: &'s ProtectedResource, listener: &Listener) -> Self {
        let certificates = match &listener.tls {
            Some(TlsMode::Terminate(termination)) => termination.client.is_some(),
            Some(TlsMode::Passthrough) | None => false,
        };
        Self { resource: &resource.url, issuers: Vec::new(), scopes: Vec::new(), certificates, proof_required: true }
    }

    /// Adds what a policy says of the resource; several may name the same.
    fn add(&mut self, guard: &Guard, resource: &'s ProtectedResource, snapshot: &'s Snapshot) {
        for scope in &resource.scopes {
            insert(&mut self.scopes, scope);
        }
        for provider in guard.providers.iter().filter_map(|id| snapshot.providers.get(id.0 as usize)) {
            if let ProviderKind::Oidc(oidc) = &provider.kind {
                insert(&mut self.issuers, &oidc.issuer);
                self.proof_required &= oidc.proof_required;
            }
        }
    }

    fn written(self) -> Bytes {
        let mut document = json!({
            "resource": self.resource,
            "authorization_servers": self.issuers,
            "bearer_methods_supported": ["header"],
            "tls_client_certificate_bound_access_tokens": self.certificates,
        });
        if let Some(members) = document.as_object_mut() {
            if !self.scopes.is_empty() {
                members.insert("scopes_supported".to_owned(), json!(self.scopes));
            }
            if !self.issuers.is_empty() {
                members.insert("dpop_signing_alg_values_supported".to_owned(), json!(PROOF_ALGORITHMS));
                // Where clients may show certificates, a credential that is bound to one does as well.
                let required = self.proof_required && !self.certificates;
                members.insert("dpop_bound_access_tokens_required".to_owned(), json!(required));
            }
        }
        document.to_string().into()
    }
}

fn insert<'s>(list: &mut Vec<&'s str>, item: &'s str) {
    if !list.contains(&item) {
        list.push(item);
    }
}

#[cfg(test)]
mod tests;
