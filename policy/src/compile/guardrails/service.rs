//! A guard elsewhere.

use std::time::Duration;

use super::policy::Draft;
use crate::{
    compile::{gateways::authority, status::arc},
    documents::{formats, kinds::ours},
    guard::screen::{Service, ServiceKind},
    snapshot::SecretBytes,
};

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
/// How long a guard elsewhere may take at most: an answer waits for it.
const GUARD_TIMEOUT_MAX: Duration = Duration::from_mins(1);
const WINDOW_BYTES_DEFAULT: u32 = 1024;
/// The forms in which guard models say their verdict; the first when not said.
const GUARD_MODEL_FORMS: [&str; 2] = ["llama-guard", "nemoguard"];

pub(super) fn compile(spec: &ours::GuardService, path: &str, draft: &mut Draft<'_, '_>) -> Option<Service> {
    let kind = match spec.kind {
        ours::GuardServiceKind::NemoGuardrails => ServiceKind::NemoGuardrails,
        ours::GuardServiceKind::OpenAi => ServiceKind::OpenAi,
        ours::GuardServiceKind::Webhook => ServiceKind::Webhook,
    };
    check_names(spec, kind, path, draft);
    check_privacy(spec, path, draft);
    let timeout = timeout(spec.timeout.as_deref(), TIMEOUT_DEFAULT, path, draft);
    if spec.credential_ref.is_some() && !spec.url.starts_with("https:") {
        let at = format!("{path}.credentialRef");
        let help = "write an `https` URL, or leave the credential out";
        draft.fail(
            "credential-in-the-clear",
            &at,
            "the credential would travel in the clear",
            "sent without TLS",
            help,
        );
    }
    let authorities = authorities(spec, path, draft)?;
    let credential = match &spec.credential_ref {
        None => None,
        Some(reference) => Some(credential(reference, &format!("{path}.credentialRef"), draft)?),
    };
    Some(Service {
        kind,
        url: arc(spec.url.trim_end_matches('/')),
        config: spec.config.as_deref().map(arc),
        model: spec.model.as_deref().map(arc),
        timeout,
        authorities_pem: (!authorities.is_empty()).then_some(authorities),
        credential,
        window_bytes: spec.window_bytes.unwrap_or(WINDOW_BYTES_DEFAULT) as usize,
    })
}

/// How long a guard may take.
pub(super) fn timeout(said: Option<&str>, when_not_said: Duration, path: &str, draft: &mut Draft<'_, '_>) -> Duration {
    let timeout = said.and_then(formats::duration).unwrap_or(when_not_said);
    if timeout.is_zero() || timeout > GUARD_TIMEOUT_MAX {
        let message = format!("`{}` is out of range: from 1ms to 1m", said.unwrap_or_default());
        let help = "an answer waits for this guard";
        draft.fail("out-of-range", &format!("{path}.timeout"), message, "out of range", help);
    }
    timeout
}

/// A NeMo server is asked for a configuration, a model by its name, a webhook by nothing but its URL.
fn check_names(spec: &ours::GuardService, kind: ServiceKind, path: &str, draft: &mut Draft<'_, '_>) {
    if spec.url.contains(['?', '#', '@']) {
        let message = format!("`{}` is not the URL of a guard", spec.url.escape_debug());
        let help = "no query, no fragment and no credential belong here";
        draft.fail("invalid-value", &format!("{path}.url"), message, "not such a URL", help);
    }
    if spec.model.is_none() && kind == ServiceKind::OpenAi {
        let help = "write `model`, as the server calls it";
        draft.fail("missing-field", path, "which model judges is not said", "needs `model`", help);
    }
    check_config(spec, kind, path, draft);
    if spec.model.is_some() && kind == ServiceKind::Webhook {
        let at = format!("{path}.model");
        draft.fail("field-out-of-place", &at, "a webhook has no models", "without effect", "leave `model` out");
    }
}

/// The name of a configuration of a NeMo server, or the form of a guard model's verdict.
fn check_config(spec: &ours::GuardService, kind: ServiceKind, path: &str, draft: &mut Draft<'_, '_>) {
    let at = format!("{path}.config");
    match (kind, spec.config.as_deref()) {
        (ServiceKind::NemoGuardrails, None) => {
            let help = "write `config`, as the server calls it";
            draft.fail("missing-field", path, "which configuration judges is not said", "needs `config`", help);
        }
        (ServiceKind::OpenAi, Some(form)) if !GUARD_MODEL_FORMS.contains(&form) => {
            let message = format!("`{}` is not the form of a guard model", form.escape_debug());
            draft.fail("invalid-value", &at, message, "not such a form", "`llama-guard` or `nemoguard`");
        }
        (ServiceKind::Webhook, Some(_)) => {
            let help = "`config` is for NeMo Guardrails servers and guard models";
            draft.fail("field-out-of-place", &at, "this guard has no configurations", "without effect", help);
        }
        _ => {}
    }
}

/// What is asked is what people say: it does not cross a network where everybody can read it.
fn check_privacy(spec: &ours::GuardService, path: &str, draft: &mut Draft<'_, '_>) {
    let uri = spec.url.parse::<http::Uri>();
    let Ok(Some(authority)) = uri.as_ref().map(http::Uri::authority) else { return };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_here = host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    if !is_here && !spec.url.starts_with("https:") {
        let help = "write an `https` URL, or run the guard on this machine";
        draft.fail(
            "guard-in-the-clear",
            &format!("{path}.url"),
            "what is said would travel in the clear",
            "asked without TLS",
            help,
        );
    }
}

/// Whose certificates are trusted; none: the system's. `None`: a reference leads nowhere, and has been told of.
fn authorities(spec: &ours::GuardService, path: &str, draft: &mut Draft<'_, '_>) -> Option<Vec<std::sync::Arc<[u8]>>> {
    let mut authorities = Vec::with_capacity(spec.ca_certificate_refs.len());
    for (index, reference) in spec.ca_certificate_refs.iter().enumerate() {
        let at = format!("{path}.caCertificateRefs[{index}]");
        draft.local(
            reference,
            reference.kind.as_deref().filter(|kind| *kind == "Secret").unwrap_or("ConfigMap"),
            &at,
        )?;
        match authority(draft.inventory, draft.document, reference) {
            Ok(pem) => authorities.push(pem),
            Err((_, message)) => {
                draft.fail("guard-authority", &at, message, "no authority here", "");
                return None;
            }
        }
    }
    Some(authorities)
}

fn credential(
    reference: &crate::documents::kinds::gateway_api::ObjectReference,
    path: &str,
    draft: &mut Draft<'_, '_>,
) -> Option<SecretBytes> {
    let values = draft.secret(reference, path)?;
    match values.as_slice() {
        [value] if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Some(SecretBytes(value.as_bytes().into()))
        }
        _ => {
            let message = format!("Secret `{}` does not hold one credential", reference.name);
            let help = "exactly one value, without spaces";
            draft.fail("invalid-value", path, message, "not a credential", help);
            None
        }
    }
}
