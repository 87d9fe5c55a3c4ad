//! IdentityProviders: from documents to what it takes to know a caller.

use super::inventory::Inventory;
use crate::{
    diagnostics::Diagnostic,
    snapshot::{DocumentId, IdentityProvider, ProviderId},
};

/// Providers by what they are called.
#[derive(Debug, Default)]
pub(super) struct Providers {
    providers: Vec<IdentityProvider>,
}

impl Providers {
    pub(super) fn new(_inventory: &Inventory<'_>, _diagnostics: &mut Vec<Diagnostic>) -> Self {
        Self::default()
    }

    pub(super) fn id(&self, document: &DocumentId) -> Option<ProviderId> {
        let index = self.providers.iter().position(|provider| provider.document == *document)?;
        Some(ProviderId(index as u32))
    }

    pub(super) fn finish(self) -> Vec<IdentityProvider> {
        self.providers
    }
}
