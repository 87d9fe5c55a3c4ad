//! The one cryptographic provider of the process: aws-lc-rs, with the post-quantum hybrid key exchange first.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{
    CryptoProvider,
    aws_lc_rs::{self, kx_group},
};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let mut provider = aws_lc_rs::default_provider();
    // Named here and not left to a cargo feature: a feature that another crate switches off would change the order
    // without a word.
    provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    Arc::new(provider)
});

/// What every TLS configuration in the process is built with. It is passed explicitly, so that no configuration
/// depends on what is installed as the default.
pub fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}
