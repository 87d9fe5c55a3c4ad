//! What metrics say of issuers: how old their keys are, how fetching them goes, and what they say of opaque credentials.

use portcullis_mesh::telemetry::{Kind, Page, Registry};

use super::issuer::Status;
use crate::authenticate::introspection;

/// An issuer at one moment.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What the provider is called: `inference/sso`.
    pub provider: String,
    /// How its keys are.
    pub keys: Status,
    /// What became of opaque credentials; `None`: it is not asked about any.
    pub opaque: Option<introspection::Counts>,
}

/// Adds the state of issuers to every page of metrics; `issuers` is asked each time.
pub fn show(registry: &Registry, issuers: impl Fn() -> Vec<Shown> + Send + Sync + 'static) {
    registry.collect(move |page| write(page, &issuers()));
}

fn write(page: &mut Page, issuers: &[Shown]) {
    let age = "Since the issuer last confirmed its keys; +Inf: it never did, 0: they are in a file.";
    page.family("portcullis_issuer_keys_age_seconds", age, "seconds", Kind::Gauge);
    for Shown { provider, keys, .. } in issuers {
        let unknown = if keys.keys > 0 { 0.0 } else { f64::INFINITY };
        page.gauge(&[("provider", provider)], keys.age.map_or(unknown, |age| age.as_secs_f64()));
    }
    let stale =
        "1 while the keys of an issuer cannot be refreshed: the last good ones count until `cache.stale` is over.";
    page.family("portcullis_issuer_keys_stale", stale, "", Kind::Gauge);
    for Shown { provider, keys, .. } in issuers {
        page.gauge(&[("provider", provider)], f64::from(u8::from(keys.last_error.is_some() || keys.keys == 0)));
    }
    page.family("portcullis_issuer_fetches", "Attempts to fetch keys, by what they came to.", "", Kind::Counter);
    for Shown { provider, keys, .. } in issuers {
        for (outcome, count) in keys.fetches {
            page.counter(&[("provider", provider), ("outcome", outcome.as_str())], count, 1);
        }
    }
    let help = "Opaque credentials, by what the issuer says of them or said a moment ago.";
    page.family("portcullis_issuer_introspections", help, "", Kind::Counter);
    for Shown { provider, opaque, .. } in issuers {
        for (outcome, count) in opaque.iter().flatten() {
            page.counter(&[("provider", provider), ("outcome", outcome)], *count, 1);
        }
    }
}
