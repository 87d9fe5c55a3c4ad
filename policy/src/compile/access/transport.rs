//! Whether a listener can carry what a policy's providers ask for.

use super::AccessRules;
use crate::{
    action::{Action, ActionSet},
    compile::gateways::GatewayDraft,
    diagnostics::Diagnostic,
    documents::Document,
    snapshot::{Access, Guard, ListenerProtocol, ProviderKind},
};

/// How callers show who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Password,
    Bearer,
    Certificate,
}

impl<'d> AccessRules<'d> {
    /// Says where a rule with this access is reached by a listener that cannot carry its credentials.
    pub(in crate::compile) fn check_listener(
        &self,
        access: &Access,
        gateway: &GatewayDraft<'d>,
        index: usize,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let Access::Guarded(guard) = access else { return };
        let Some(listener) = gateway.listeners.get(index) else { return };
        let Some(policy) = self.inventory.find(&guard.policy.kind, &guard.policy.namespace, &guard.policy.name) else {
            return;
        };
        if !self.told.borrow_mut().insert((guard.policy.clone(), gateway.document.id.clone(), index)) {
            return;
        }
        let is_plain = listener.protocol == ListenerProtocol::Http;
        let at_listener = gateway.document.span(&format!("spec.listeners[{index}].name"));
        let shown = self.shown(guard);
        if is_plain && let Some(at) = shown.iter().position(|shown| *shown == Shown::Password) {
            diagnostics.push(
                Diagnostic::error("password-in-the-clear", "passwords would travel in the clear")
                    .at(span_of(policy, at), "people show this directory their passwords")
                    .note(at_listener.clone(), "without TLS")
                    .help(
                        "attach the routes to an HTTPS listener only (`parentRefs[].sectionName`), \
                         or give those on this one an AccessPolicy without this provider",
                    ),
            );
        }
        let asks_certificates = listener.asks_certificates();
        if let Some(at) = shown.iter().position(|shown| *shown == Shown::Certificate)
            && !asks_certificates
        {
            let message = "clients are not asked for a certificate here";
            let help = "set `tls.frontend.default.validation.caCertificateRefs` in the Gateway's `spec`";
            let only = shown.iter().all(|shown| *shown == Shown::Certificate);
            let diagnostic = if only {
                Diagnostic::error("certificate-not-asked", format!("{message}: nobody would ever come in"))
            } else {
                Diagnostic::warning("certificate-not-asked", format!("{message}: this provider will know nobody"))
            };
            diagnostics.push(
                diagnostic
                    .at(span_of(policy, at), "knows callers by their certificates")
                    .note(at_listener, "asks for none")
                    .help(help),
            );
        }
    }

    /// How the guard's providers want to be shown who it is, in order.
    fn shown(&self, guard: &Guard) -> Vec<Shown> {
        let kinds = guard.providers.iter().filter_map(|id| self.providers.kind(*id));
        kinds
            .map(|kind| match kind {
                ProviderKind::Ldap(_) => Shown::Password,
                ProviderKind::Oidc(_) | ProviderKind::ApiKeys(_) => Shown::Bearer,
                ProviderKind::Mtls(_) => Shown::Certificate,
            })
            .collect()
    }
}

fn span_of(policy: &Document, provider: usize) -> crate::diagnostics::Span {
    policy.span(&format!("spec.authentication.providers[{provider}]"))
}

/// What to say of a TLSRoute whose callers should be known.
pub(in crate::compile) fn unreadable(route: &Document, access: &Access) -> Option<Diagnostic> {
    let told = match access {
        Access::Guarded(_) => "a TLSRoute cannot ask who its callers are: nobody reads its bytes",
        // `anonymous: {}`, or `*`: whoever says everything need not be told apart.
        Access::Anonymous { actions, .. }
            if *actions == ActionSet::HARMLESS || actions.iter().count() == Action::ALL.len() =>
        {
            return None;
        }
        Access::Anonymous { .. } => "a TLSRoute cannot tell actions apart: nobody reads its bytes",
    };
    Some(
        Diagnostic::error("unreadable-route", told)
            .at(route.name_span(), format!("guarded by {}", access.policy()))
            .help(
                "end TLS at the listener (`mode: Terminate`) and use an HTTPRoute, or let everyone through in words: \
                 an AccessPolicy for this route with `authentication: {anonymous: {}}`",
            ),
    )
}
