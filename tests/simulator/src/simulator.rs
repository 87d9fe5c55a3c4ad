//! One simulated server: how it is configured, started and looked into.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    engine::{Engine, profile::Profile},
    faults::Faults,
    kserve::Instances,
    page, server,
};

/// How a simulated server is to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What it calls itself in `system_fingerprint`, so that it can be told from others.
    pub name: String,
    /// The models it serves; the first one names its metrics.
    pub models: Vec<String>,
    /// Whose metric page, banner and load reports it imitates.
    pub flavour: Flavour,
    /// How big and how fast its engine is.
    pub profile: Profile,
    /// What its timing and its words come from.
    pub seed: u64,
    /// What it says, unless a request says otherwise.
    pub text: Option<String>,
    /// What goes wrong, unless a request says otherwise.
    pub faults: Faults,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            name: "simulator".to_owned(),
            models: vec!["simulated".to_owned()],
            flavour: Flavour::Vllm,
            profile: Profile::default(),
            seed: 1,
            text: None,
            faults: Faults::NONE,
        }
    }
}

/// An inference server that is imitated where servers differ. Each speaks every protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// vLLM.
    Vllm,
    /// NVIDIA Triton.
    Triton,
}

impl FromStr for Flavour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "vllm" => Ok(Self::Vllm),
            "triton" => Ok(Self::Triton),
            _ => Err(format!("`{text}` is neither `vllm` nor `triton`")),
        }
    }
}

/// A running server. It is gone when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    state: Arc<State>,
    tasks: [JoinHandle<()>; 2],
}

/// What all requests of a server share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) engine: Engine,
    pub(crate) instances: Instances,
    pub(crate) started_unix_s: u64,
    faults: Mutex<Faults>,
    requests: AtomicU64,
}

impl Simulator {
    /// Starts a server; it accepts connections when this returns.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let (engine, stepping) = Engine::start(config.profile.clone(), config.seed);
        let state = Arc::new(State {
            engine,
            instances: Instances::new(config.profile.instances, config.profile.inference),
            started_unix_s: unix_s(),
            faults: Mutex::new(config.faults),
            requests: AtomicU64::new(0),
            config,
        });
        let serving = tokio::spawn(server::serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, tasks: [stepping, serving] })
    }

    /// Where it listens, for HTTP/1.1, HTTP/2 and gRPC.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests for inference so far.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Relaxed)
    }

    /// Those of them whose client went away before the end of the answer.
    pub fn cancelled(&self) -> u64 {
        self.state.engine.cancelled()
    }

    /// Sequences in the batch.
    pub fn running(&self) -> usize {
        self.state.engine.load().running
    }

    /// Sequences in the waiting queue.
    pub fn waiting(&self) -> usize {
        self.state.engine.load().waiting
    }

    /// From now on this goes wrong with every request that asks for nothing else.
    pub fn set_faults(&self, faults: Faults) {
        self.state.set_faults(faults);
    }

    /// The metric page.
    pub fn metrics(&self) -> String {
        page::page(&self.state)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl State {
    pub(crate) fn faults(&self) -> Faults {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Counts a request, and says the how-manieth it is.
    pub(crate) fn count_request(&self) -> u64 {
        self.requests.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn serves(&self, model: &str) -> bool {
        self.config.models.iter().any(|served| served == model)
    }

    pub(crate) fn first_model(&self) -> &str {
        self.config.models.first().map_or("", String::as_str)
    }
}

/// Seconds since 1970.
pub(crate) fn unix_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
