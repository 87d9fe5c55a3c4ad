//! The real `portcullis` process in front of small origins, driven by small clients.
//!
//! Everything here panics with what happened rather than return an error that each test would unwrap, unless the failure
//! is what tests ask about. Ports come from the OS, waits end on conditions, and what was started dies with its value.
//!
//! ```no_run
//! # async fn test() {
//! use portcullis_tests::harness::{Gateway, Options, Origin, RawClient};
//! let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
//! let documents = format!("kind: Gateway …, an endpoint at {}", origin.address());
//! let gateway = Gateway::start(&documents.as_str().into(), Options::default()).await;
//! let mut client = RawClient::connect(gateway.addr("default/edge", 80).await).await;
//! client.send("GET / HTTP/1.1\r\nhost: example.com\r\n\r\n").await;
//! assert_eq!(client.answer().await.status, 200);
//! # }
//! ```

mod client;
pub mod directory;
mod documents;
mod gateway;
mod h2;
mod h2_origin;
pub mod h2_raw;
pub mod issuer;
mod log;
mod origin;
pub mod pki;
mod probe;
mod sidecar;
mod simulator;
pub mod stock;
mod tls;

pub use self::{
    client::{Answer, RawClient},
    documents::{Documents, ListenerPort, read_yaml},
    gateway::{Gateway, Options, Refused, binary},
    h2::{H2Answer, H2Client},
    h2_origin::{H2Options, H2Origin, H2Reply, H2Seen},
    h2_raw::RawH2,
    origin::{Origin, Reply, Seen},
    probe::{Probe, Probed},
    sidecar::{Sidecar, write_identity},
    simulator::{simulated_backend, simulator, simulator_with},
    tls::{Tls, TlsStream},
};

pub use portcullis_simulator::{Config as SimulatorConfig, Faults, Flavour, Mishap, Profile, Simulator};
pub use rustix::process::Signal;

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for anything before it gives up: long, because machines that test are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two looks at a condition that nothing announces.
const GLANCE: Duration = Duration::from_millis(10);

/// Waits until `condition` holds, and panics with `what` if it does not within [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        sleep(GLANCE).await;
    }
}
