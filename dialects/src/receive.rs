//! The first stage: what came is split into what is judged (the [`Line`]) and what is forwarded (the [`Request`]).

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{Entry, HOST},
    uri::PathAndQuery,
};
use portcullis_mesh::http::{Arrival, Incoming, Interim};
use portcullis_policy::snapshot::Scheme;
use smallvec::SmallVec;

use crate::{
    canonical::{Canonical, Head, canonicalise},
    hygiene,
    identifiers::{RequestId, X_REQUEST_ID},
    refusal::Refusal,
};

/// What a request asks for, as it was sent.
#[derive(Debug)]
pub struct Line {
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    version: http::Version,
    hosts: SmallVec<[HeaderValue; 1]>,
    /// An absolute-form target of HTTP/1.1, as text.
    absolute: Option<String>,
}

/// What will be forwarded, without what its client may not say.
#[derive(Debug)]
pub struct Request {
    /// The fields, but for `Host`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Incoming,
    /// For answers before the answer.
    pub interim: Interim,
    /// The protocol the client wants to change to.
    pub upgrade: Option<HeaderValue>,
    /// `x-gateway-model-name` as the client sent it: no longer a header, but a claim that must not be false.
    pub claims: Vec<HeaderValue>,
}

const MODEL_NAME: &str = "x-gateway-model-name";

/// Splits what arrived, and takes from it what clients may not say.
pub fn receive(arrival: Arrival, id: &RequestId) -> (Line, Request) {
    take_apart(arrival, id, hygiene::clean_request)
}

/// The same from a workload that may turn out to be one that speaks for others: what it says of them stays, for now.
pub fn receive_relayed(arrival: Arrival, id: &RequestId) -> (Line, Request) {
    take_apart(arrival, id, hygiene::clean_relayed_request)
}

fn take_apart(arrival: Arrival, id: &RequestId, clean: fn(&mut HeaderMap)) -> (Line, Request) {
    let Arrival { request, interim } = arrival;
    let (parts, mut body) = request.into_parts();
    body.cleanse_trailers(hygiene::clean_request);
    let mut headers = parts.headers;
    let hosts = match headers.entry(HOST) {
        Entry::Occupied(hosts) => hosts.remove_entry_mult().1.collect(),
        Entry::Vacant(_) => SmallVec::new(),
    };
    let upgrade = if parts.version == http::Version::HTTP_11 { hygiene::wanted_upgrade(&headers) } else { None };
    let claims = headers.get_all(MODEL_NAME).iter().cloned().collect();
    clean(&mut headers);
    headers.insert(X_REQUEST_ID, id.to_header_value());
    let absolute = parts.version < http::Version::HTTP_2 && parts.uri.authority().is_some();
    let line = Line {
        absolute: absolute.then(|| parts.uri.to_string()),
        method: parts.method,
        uri: parts.uri,
        version: parts.version,
        hosts,
    };
    (line, Request { headers, body, interim, upgrade, claims })
}

impl Line {
    /// The one form that is both matched and forwarded.
    pub fn canonical(&self, scheme: Scheme) -> Result<Canonical<'_>, Refusal> {
        let path_and_query = self.uri.path_and_query().map_or("", PathAndQuery::as_str);
        let target = self.absolute.as_deref().unwrap_or(path_and_query);
        let authority = (self.version >= http::Version::HTTP_2)
            .then(|| self.uri.authority().map(|authority| authority.as_str().as_bytes()))
            .flatten();
        let head = Head {
            method: &self.method,
            target: target.as_bytes(),
            authority,
            hosts: &self.hosts,
            scheme,
            extended_connect: false,
        };
        canonicalise(&head)
    }

    /// The host as the client names it, with its port if it names one.
    pub fn authority(&self) -> &str {
        match self.uri.authority() {
            Some(authority) => authority.as_str(),
            None => self.hosts.first().and_then(|host| host.to_str().ok()).unwrap_or_default(),
        }
    }

    /// Path and query to forward, with `path` for the canonical one; the original's own bytes where that is the same.
    ///
    /// # Errors
    /// A path that no request can have.
    pub fn target(&self, canonical: &Canonical<'_>, path: Cow<'_, str>) -> Result<Uri, Refusal> {
        if canonical.is_asterisk() {
            return Ok(Uri::from_static("*"));
        }
        if let Some(original) = self.uri.path_and_query()
            && original.path() == path
        {
            return Ok(Uri::from(original.clone()));
        }
        let text = match canonical.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.into_owned(),
        };
        let path_and_query = PathAndQuery::from_maybe_shared(Bytes::from(text))
            .map_err(|_| Refusal::malformed("invalid_path", "the request path cannot be forwarded"))?;
        Ok(Uri::from(path_and_query))
    }

    /// The `Host` field to forward: the value as it came where it was canonical already.
    pub fn host_field(&self, canonical: &Canonical<'_>) -> HeaderValue {
        match self.hosts.first() {
            Some(value) if value.as_bytes() == canonical.authority().as_bytes() => value.clone(),
            _ => HeaderValue::from_str(canonical.authority()).unwrap_or(HeaderValue::from_static("")),
        }
    }
}
