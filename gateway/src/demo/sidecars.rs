//! The demo's sidecars: one beside each simulated server, in this process, with identities of the demo's own authority.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, SystemTime},
};

use clap::Parser;
use portcullis_certs::{SVID_LIFE_MAX, SpiffeId, TrustDomain};
use portcullis_sidecar::{cli as sidecar_cli, run as sidecar};

use crate::{
    certs::{certify_into, open},
    run::RunError,
};

/// Whose workloads the demo's are.
const TRUST_DOMAIN: &str = "demo.invalid";
/// How long a sidecar may take until it serves.
const SERVING_TIMEOUT: Duration = Duration::from_secs(10);

/// What a sidecar does where the demo has no wish of its own.
#[derive(Debug, Parser)]
struct Defaults {
    #[command(flatten)]
    run: sidecar_cli::RunArgs,
}

/// The authority of the demo's workloads, and what it has issued.
pub(super) struct Mesh {
    directory: PathBuf,
    domain: TrustDomain,
    now: SystemTime,
}

impl Mesh {
    /// Below the demo's state folder.
    pub(super) fn new(state: &Path, now: SystemTime) -> Result<Self, RunError> {
        let domain = TRUST_DOMAIN.parse().map_err(|error| RunError::Internal(format!("{TRUST_DOMAIN}: {error}")))?;
        Ok(Self { directory: state.join("mesh"), domain, now })
    }

    /// Who a workload of the demo is.
    pub(super) fn id(&self, name: &str) -> Result<SpiffeId, RunError> {
        SpiffeId::workload(&self.domain, "default", name)
            .map_err(|error| RunError::Internal(format!("{name}: {error}")))
    }

    /// Issues an identity, good for a day: where its certificate, key and authorities are.
    pub(super) fn issue(&self, name: &str) -> Result<[PathBuf; 3], RunError> {
        let authority = open(&self.directory, &self.domain, self.now)?;
        let out = self.directory.join("issued").join(name);
        certify_into(&authority, &self.directory, &self.id(name)?, SVID_LIFE_MAX, &out, self.now)?;
        Ok(["tls.crt", "tls.key", "ca.crt"].map(|file| out.join(file)))
    }

    /// Starts a sidecar with this identity before `server`; gives where it takes peers.
    pub(super) fn stand_beside(
        &self,
        name: &str,
        server: SocketAddr,
        documents: &Path,
    ) -> Result<SocketAddr, RunError> {
        let [certificate, key, bundle] = self.issue(name)?;
        let inbound = format!("127.0.0.1:0={server}");
        let text = |path: &Path| path.display().to_string();
        let arguments = Defaults::parse_from([
            "sidecar".to_owned(),
            "--config".to_owned(),
            text(documents),
            "--inbound".to_owned(),
            inbound,
            "--certificate".to_owned(),
            text(&certificate),
            "--key".to_owned(),
            text(&key),
            "--bundle".to_owned(),
            text(&bundle),
            "--admin".to_owned(),
            "127.0.0.1:0".to_owned(),
            "--grace".to_owned(),
            super::DRAIN_SECONDS.to_string(),
        ]);
        let (tell, serving) = mpsc::channel();
        thread::Builder::new().name(format!("sidecar-{name}")).spawn(move || {
            let ended = sidecar::run(&arguments.run, |inbound| {
                // Whoever waits has given up otherwise.
                let _ = tell.send(inbound.first().copied());
            });
            if let Err(error) = ended {
                tracing::error!(%error, "a sidecar of the demo ended");
            }
        })?;
        let inbound = serving.recv_timeout(SERVING_TIMEOUT).ok().flatten();
        inbound.ok_or_else(|| RunError::Internal(format!("the sidecar `{name}` of the demo does not serve")))
    }
}
