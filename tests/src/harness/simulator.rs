//! Simulated inference servers, and the documents that put them behind a gateway.

use portcullis_simulator::{Config, Profile, Simulator};

/// Starts a simulated server whose engine takes no time, for these models.
pub async fn simulator(models: &[&str]) -> Simulator {
    simulator_with(Config { models: owned(models), profile: Profile::instant(), ..Config::default() }).await
}

/// Starts a simulated server.
pub async fn simulator_with(config: Config) -> Simulator {
    Simulator::start(config).await.expect("a simulated server listens on loopback")
}

/// An `InferenceBackend` for a simulated server, in plaintext. `protocol` is `openai`, `anthropic` or `kserve-v2`.
pub fn simulated_backend(namespace: &str, name: &str, protocol: &str, simulator: &Simulator) -> String {
    let (address, port) = (simulator.address().ip(), simulator.address().port());
    format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: InferenceBackend\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  protocol: {protocol}\n  endpoints: [{{address: {address}, port: {port}}}]\n  transport: {{plaintext: {{}}}}\n"
    )
}

fn owned(models: &[&str]) -> Vec<String> {
    models.iter().map(|model| (*model).to_owned()).collect()
}
