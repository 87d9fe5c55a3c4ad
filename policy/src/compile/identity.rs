//! IdentityProviders: from documents to what it takes to know a caller.

mod ldap;
mod oidc;

use std::{path::PathBuf, time::Duration};

use foldhash::HashMap;

use super::{inventory::Inventory, status::arc};
use crate::{
    diagnostics::Diagnostic,
    documents::{
        Document, Kind, formats,
        kinds::ours::{self, IdentityProviderSpec},
    },
    snapshot::{
        ApiKeyProvider, CacheTimes, CertificateNames, ClaimPath, DocumentId, GroupOverage, IdentityProvider,
        MtlsProvider, ProviderId, ProviderKind,
    },
};

/// Providers by what they are called.
#[derive(Debug, Default)]
pub(super) struct Providers {
    providers: Vec<IdentityProvider>,
    by_name: HashMap<DocumentId, ProviderId>,
}

impl Providers {
    pub(super) fn new(inventory: &Inventory<'_>, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut compiled = Self::default();
        for document in inventory.documents {
            let Kind::IdentityProvider(provider) = &document.value else { continue };
            // A provider with mistakes is not there; they refuse the revision.
            let Some(kind) = provider_kind(document, &provider.spec, diagnostics) else { continue };
            let id = ProviderId(compiled.providers.len() as u32);
            compiled.by_name.entry(document.id.clone()).or_insert(id);
            compiled.providers.push(IdentityProvider {
                document: document.id.clone(),
                location: document.location("metadata.name"),
                kind,
                enriched_by: None,
            });
        }
        compiled.enrich(inventory, diagnostics);
        compiled
    }

    pub(super) fn id(&self, document: &DocumentId) -> Option<ProviderId> {
        self.by_name.get(document).copied()
    }

    pub(super) fn kind(&self, id: ProviderId) -> Option<&ProviderKind> {
        self.providers.get(id.0 as usize).map(|provider| &provider.kind)
    }

    pub(super) fn finish(self) -> Vec<IdentityProvider> {
        self.providers
    }

    /// Which directory adds groups to whose callers.
    fn enrich(&mut self, inventory: &Inventory<'_>, diagnostics: &mut Vec<Diagnostic>) {
        let mut first_by_enriched: HashMap<ProviderId, (&Document, usize)> = HashMap::default();
        for document in inventory.documents {
            let Kind::IdentityProvider(provider) = &document.value else { continue };
            let Some(directory) = self.id(&document.id) else { continue };
            if !provider.spec.enriches.is_empty() && provider.spec.ldap.is_none() {
                diagnostics.push(
                    Diagnostic::error("enriches-nothing", "only a directory can add groups to callers of others")
                        .at(document.span("spec.enriches"), "not a directory")
                        .help("move `enriches` to the provider that has `ldap`"),
                );
                continue;
            }
            for (index, name) in provider.spec.enriches.iter().enumerate() {
                let path = format!("spec.enriches[{index}]");
                let Some(found) = inventory.find("IdentityProvider", &document.id.namespace, name) else {
                    diagnostics.push(inventory.not_found(document, &path, "IdentityProvider", name));
                    continue;
                };
                let Some(enriched) = self.id(&found.id) else { continue };
                if enriched == directory {
                    diagnostics.push(
                        Diagnostic::error("enriches-nothing", "a directory looks up its own callers' groups anyway")
                            .at(document.span(&path), "this provider itself"),
                    );
                    continue;
                }
                if let Some((first, at)) = first_by_enriched.get(&enriched) {
                    diagnostics.push(
                        Diagnostic::error("enriched-twice", format!("two directories enrich callers of `{name}`"))
                            .at(document.span(&path), "enriched again here")
                            .note(first.span(&format!("spec.enriches[{at}]")), "enriched first here")
                            .help("whose groups count would be a guess: keep one"),
                    );
                    continue;
                }
                first_by_enriched.insert(enriched, (document, index));
                if let Some(provider) = self.providers.get_mut(enriched.0 as usize) {
                    provider.enriched_by = Some(directory);
                }
            }
        }
        self.warn_of_unresolvable_overage(inventory, diagnostics);
    }

    fn warn_of_unresolvable_overage(&self, inventory: &Inventory<'_>, diagnostics: &mut Vec<Diagnostic>) {
        for provider in &self.providers {
            let resolves =
                matches!(&provider.kind, ProviderKind::Oidc(oidc) if oidc.group_overage == GroupOverage::Resolve);
            let id = &provider.document;
            let Some(document) = inventory.find("IdentityProvider", &id.namespace, &id.name) else { continue };
            if resolves && provider.enriched_by.is_none() {
                diagnostics.push(
                    Diagnostic::warning("overage-unresolved", "no directory enriches this provider")
                        .at(document.span("spec.oidc.groupOverage"), "the same as `Refuse`")
                        .help(format!("write `enriches: [{}]` at the directory that knows the groups", id.name)),
                );
            }
        }
    }
}

fn provider_kind(
    document: &Document,
    spec: &IdentityProviderSpec,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<ProviderKind> {
    let mut checks = Checks { document, diagnostics, failed: false };
    let kind = match spec {
        IdentityProviderSpec { oidc: Some(oidc), .. } => ProviderKind::Oidc(oidc::compile(oidc, &mut checks)),
        IdentityProviderSpec { ldap: Some(ldap), .. } => {
            ProviderKind::Ldap(ldap::compile(ldap, !spec.enriches.is_empty(), &mut checks))
        }
        IdentityProviderSpec { api_keys: Some(keys), .. } => ProviderKind::ApiKeys(api_keys(keys, &mut checks)),
        IdentityProviderSpec { mtls: Some(mtls), .. } => ProviderKind::Mtls(client_mtls(mtls, &mut checks)?),
        // The schema has said that exactly one belongs there.
        _ => return None,
    };
    (!checks.failed).then_some(kind)
}

fn api_keys(spec: &ours::ApiKeys, checks: &mut Checks<'_>) -> ApiKeyProvider {
    let file = checks.file("spec.apiKeys.file", &spec.file);
    let pepper = match &spec.pepper {
        Some(pepper) => checks.file("spec.apiKeys.pepper.file", &pepper.file),
        None => {
            let mut beside = file.clone().into_os_string();
            beside.push(".pepper");
            beside.into()
        }
    };
    ApiKeyProvider { file, pepper }
}

fn client_mtls(spec: &ours::ClientMtls, checks: &mut Checks<'_>) -> Option<MtlsProvider> {
    let names = match (&spec.trust_domain, &spec.subject) {
        (Some(domain), _) => CertificateNames::Workload { trust_domain: format!("spiffe://{domain}").parse().ok()? },
        (None, Some(subject)) => {
            CertificateNames::User { name: subject.user, units_are_groups: subject.units_are_groups }
        }
        // The schema has said that exactly one belongs there.
        (None, None) => return None,
    };
    let crl = spec.crl.as_ref().map(|crl| checks.file("spec.mtls.crl.file", &crl.file));
    Some(MtlsProvider { names, crl })
}

/// What the fields of one document have in common.
struct Checks<'c> {
    document: &'c Document,
    diagnostics: &'c mut Vec<Diagnostic>,
    failed: bool,
}

impl Checks<'_> {
    fn fail(&mut self, path: &str, message: impl Into<String>, label: &str, help: &str) {
        self.fail_as("invalid-value", path, message, label, help);
    }

    fn fail_as(&mut self, code: &'static str, path: &str, message: impl Into<String>, label: &str, help: &str) {
        self.failed = true;
        let diagnostic = Diagnostic::error(code, message).at(self.document.span(path), label);
        self.diagnostics.push(if help.is_empty() { diagnostic } else { diagnostic.help(help) });
    }

    /// A path to a file; a relative one begins where the document's own file is.
    fn file(&mut self, path: &str, text: &str) -> PathBuf {
        if text.is_empty() {
            self.fail(path, "an empty path names no file", "empty", "write the path of a file");
        }
        self.document.beside(text)
    }

    /// A text that must say something.
    fn filled(&mut self, path: &str, text: &str) {
        if text.trim().is_empty() {
            self.fail(path, "an empty string says nothing here", "empty", "");
        }
    }

    fn all_filled(&mut self, path: &str, texts: &[String]) {
        for (index, text) in texts.iter().enumerate() {
            self.filled(&format!("{path}[{index}]"), text);
        }
    }

    /// A duration, or what holds when nothing is said.
    fn duration(&mut self, path: &str, text: Option<&str>, default: Duration) -> Duration {
        text.and_then(formats::duration).unwrap_or(default).min(self.bounded(path, text))
    }

    /// The longest duration that makes sense anywhere here: sums of it never overflow a clock.
    fn bounded(&mut self, path: &str, text: Option<&str>) -> Duration {
        let said = text.and_then(formats::duration).unwrap_or_default();
        if said > DURATION_MAX {
            let message = format!("`{}` is out of range: at most 8760h", text.unwrap_or_default());
            self.fail_as("out-of-range", path, message, "out of range", "a year is enough");
        }
        DURATION_MAX
    }

    /// As [`Self::duration`], and not zero.
    fn positive(&mut self, path: &str, text: Option<&str>, default: Duration) -> Duration {
        let duration = self.duration(path, text, default);
        if duration.is_zero() {
            self.fail_as("out-of-range", path, "`0s` is out of range: more than that belongs here", "out of range", "");
        }
        duration
    }

    fn cache(&mut self, path: &str, spec: Option<&ours::CacheTimes>, default: CacheTimes) -> CacheTimes {
        let said = |field: fn(&ours::CacheTimes) -> &Option<String>| spec.and_then(|spec| field(spec).as_deref());
        CacheTimes {
            fresh: self.duration(&format!("{path}.fresh"), said(|cache| &cache.fresh), default.fresh),
            stale: self.duration(&format!("{path}.stale"), said(|cache| &cache.stale), default.stale),
        }
    }
}

/// The longest duration in an IdentityProvider.
const DURATION_MAX: Duration = Duration::from_hours(8760);

/// The steps into a claim: a dot leads into an object, but a name that is a URL is one step. `None`: a step is empty.
pub(super) fn claim_path(text: &str) -> Option<ClaimPath> {
    let is_url = text.contains("://");
    let steps: Vec<Box<str>> = if is_url { vec![text.into()] } else { text.split('.').map(Into::into).collect() };
    steps.iter().all(|step| !step.is_empty()).then(|| steps.into())
}

/// A list of shared texts.
fn shared(texts: &[String]) -> Vec<std::sync::Arc<str>> {
    texts.iter().map(|text| arc(text)).collect()
}
