//! What is measured: the work, who does it, and what we want to reach.

use crate::{
    load::{Group, idle::Kind},
    peers::{
        Callers,
        Contender::{self, Direct, Envoy, EnvoyGuarded, Haproxy, Nginx, Portcullis},
        Guards, Routes,
    },
};

/// One kind of work, done by several contenders in turns.
pub(crate) struct Scenario {
    /// The word for it on the command line.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What one unit of the work is called.
    pub(crate) unit: &'static str,
    pub(crate) load: Load,
    /// The first Portcullis among them is the one the goals speak of.
    pub(crate) contenders: Vec<Contender>,
    /// Whose figure is 1 in the ratios.
    pub(crate) base: Contender,
    pub(crate) goals: Vec<Goal>,
}

/// What the load generator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// `wrk`, 64 connections kept open.
    Keepalive { tls: bool, script: Option<&'static str> },
    /// `h2load`, 16 connections of 16 streams, over TLS.
    Http2,
    /// A full handshake for each request.
    Handshakes(Group),
    /// 300 streams of 100 events a second.
    Events,
    /// 1,000 requests a second over TLS: small ones, or chat requests with credentials.
    Rate { chat: bool },
    /// 1,000 connections or streams that hold still.
    Idle(Kind),
    /// Start, and wait for nothing.
    Start,
    /// Change the documents, and wait until the change is in force.
    Reload,
}

/// A promise about the first contender, and what would be better than promised.
pub(crate) struct Goal {
    pub(crate) of: Of,
    pub(crate) at_most: f64,
    pub(crate) beyond: Option<f64>,
}

/// What a goal bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// The figure, divided by this contender's in the same round.
    RatioTo(Contender),
    /// Added latency in milliseconds: the median.
    MedianMs,
    /// Added latency in milliseconds: the 99th percentile.
    TailMs,
    /// KiB for each connection.
    KibEach,
    /// MiB of the process.
    Mib,
    /// Seconds from the start until it serves, or from a change until it is in force.
    ReadyS,
}

const US: Contender = Portcullis(Routes::All);
const ROUTES_FEW: Contender = Portcullis(Routes::Many(10));
const ROUTES_MANY: Contender = Portcullis(Routes::Many(10_000));
const ANYONE: Contender = Portcullis(Routes::Chat(Callers::Anyone));
const REMEMBERED: Contender = Portcullis(Routes::Chat(Callers::Remembered));
const VERIFIED: Contender = Portcullis(Routes::Chat(Callers::Verified));
const SCREENED: Contender = Portcullis(Routes::Chat(Callers::Screened));
const COMPANY: Contender = Portcullis(Routes::Chat(Callers::Company));
const CHAT: Load = Load::Keepalive { tls: true, script: Some("guarded.lua") };

fn envoy(remembers: bool, reads_model: bool) -> Contender {
    EnvoyGuarded(Guards { remembers, reads_model })
}

fn ratio(to: Contender, at_most: f64, beyond: impl Into<Option<f64>>) -> Goal {
    Goal { of: Of::RatioTo(to), at_most, beyond: beyond.into() }
}

/// Everything that is measured, in the order of the report.
pub(crate) fn all() -> Vec<Scenario> {
    let four = || vec![US, Nginx, Haproxy, Envoy];
    vec![
        Scenario {
            id: "h1",
            title: "HTTP/1.1, plain",
            unit: "request",
            load: Load::Keepalive { tls: false, script: None },
            contenders: four(),
            base: Nginx,
            goals: vec![ratio(Nginx, 1.0, 0.91), ratio(Envoy, 0.5, 0.42)],
        },
        Scenario {
            id: "tls-h1",
            title: "HTTP/1.1 over TLS 1.3",
            unit: "request",
            load: Load::Keepalive { tls: true, script: None },
            contenders: four(),
            base: Nginx,
            goals: vec![ratio(Nginx, 0.90, 0.85), ratio(Envoy, 0.5, 0.42)],
        },
        Scenario {
            id: "tls-h2",
            title: "HTTP/2 over TLS 1.3",
            unit: "request",
            load: Load::Http2,
            contenders: four(),
            base: Nginx,
            goals: vec![ratio(Nginx, 0.90, None), ratio(Haproxy, 1.2, 1.0), ratio(Envoy, 0.5, 0.42)],
        },
        Scenario {
            id: "tls-new",
            title: "New TLS 1.3 connections, X25519, one request each",
            unit: "connection",
            load: Load::Handshakes(Group::X25519),
            contenders: four(),
            base: Nginx,
            goals: vec![ratio(Nginx, 0.42, 0.38), ratio(Envoy, 0.70, 0.66)],
        },
        Scenario {
            id: "tls-new-mlkem",
            title: "New TLS 1.3 connections, X25519MLKEM768, one request each",
            unit: "connection",
            load: Load::Handshakes(Group::X25519Mlkem768),
            // OpenSSL 3.0, which Debian's nginx and HAProxy use, does not know this key exchange.
            contenders: vec![US, Envoy],
            base: Envoy,
            goals: vec![],
        },
        Scenario {
            id: "sse",
            title: "Server-sent events, 300 streams of 100 a second, plain",
            unit: "event",
            load: Load::Events,
            contenders: four(),
            base: Nginx,
            goals: vec![ratio(Nginx, 1.0, None), ratio(Haproxy, 1.1, 1.0), ratio(Envoy, 0.5, 0.42)],
        },
        Scenario {
            id: "model",
            title: "A 1 KiB prompt over TLS 1.3, routed by the model it names (the peers forward it unread)",
            unit: "request",
            load: Load::Keepalive { tls: true, script: Some("prompt.lua") },
            contenders: vec![Portcullis(Routes::Model), US, Nginx, Haproxy, Envoy],
            base: Nginx,
            goals: vec![ratio(Nginx, 1.05, 0.95)],
        },
        Scenario {
            id: "jwt",
            title: "A 1 KiB chat request with a JWT of 1.6 KB over TLS 1.3, judged by 100 rules, the verified JWT remembered \
                    (nginx forwards it unread)",
            unit: "request",
            load: CHAT,
            contenders: vec![REMEMBERED, ANYONE, Nginx, envoy(true, false), envoy(true, true)],
            base: Nginx,
            goals: vec![
                ratio(Nginx, 1.15, 1.0),
                ratio(envoy(true, false), 0.6, None),
                ratio(envoy(true, true), 0.6, None),
            ],
        },
        Scenario {
            id: "jwt-verified",
            title: "The same, every request's JWT verified (RS256)",
            unit: "request",
            load: CHAT,
            contenders: vec![VERIFIED, ANYONE, Nginx, envoy(false, false), envoy(false, true)],
            base: Nginx,
            goals: vec![
                ratio(Nginx, 2.4, 2.2),
                ratio(envoy(false, false), 0.6, None),
                ratio(envoy(false, true), 0.6, None),
            ],
        },
        Scenario {
            id: "everything",
            title: "Everything on: TLS 1.3, JWT, 100 rules, the default guardrails both ways, metrics; a 1 KiB chat request and \
                    a 1 KiB answer (the peers forward them unread)",
            unit: "request",
            load: CHAT,
            contenders: vec![SCREENED, REMEMBERED, Nginx, Envoy],
            base: Nginx,
            goals: vec![ratio(Envoy, 1.0, None), ratio(Nginx, 2.2, 1.5)],
        },
        Scenario {
            id: "jwt-company",
            title: "The same, remembered, with 1,000 bindings of 100,000 people and 5,000 groups instead of 25 of one group",
            unit: "request",
            load: CHAT,
            contenders: vec![COMPANY, REMEMBERED],
            base: REMEMBERED,
            goals: vec![ratio(REMEMBERED, 1.1, None)],
        },
        Scenario {
            id: "jwt-latency",
            title: "Latency added by authentication and authorization at 1,000 chat requests a second over TLS 1.3",
            unit: "request",
            load: Load::Rate { chat: true },
            contenders: vec![VERIFIED, REMEMBERED, ANYONE],
            base: ANYONE,
            goals: vec![Goal { of: Of::TailMs, at_most: 1.0, beyond: None }],
        },
        Scenario {
            id: "routes",
            title: "10,000 routes, each request to another, plain HTTP/1.1",
            unit: "request",
            load: Load::Keepalive { tls: false, script: Some("routes.lua") },
            contenders: vec![ROUTES_MANY, ROUTES_FEW],
            base: ROUTES_FEW,
            goals: vec![ratio(ROUTES_FEW, 1.2, None)],
        },
        Scenario {
            id: "latency",
            title: "Added latency at 1,000 requests a second over TLS 1.3",
            unit: "request",
            load: Load::Rate { chat: false },
            contenders: vec![US, Nginx, Haproxy, Envoy, Direct],
            base: Direct,
            goals: vec![
                Goal { of: Of::MedianMs, at_most: 0.15, beyond: Some(0.075) },
                Goal { of: Of::TailMs, at_most: 0.6, beyond: Some(0.3) },
            ],
        },
        Scenario {
            id: "idle-tls",
            title: "Memory of an idle TLS connection",
            unit: "connection",
            load: Load::Idle(Kind::Connection),
            contenders: four(),
            base: Nginx,
            goals: vec![Goal { of: Of::KibEach, at_most: 24.0, beyond: Some(16.0) }],
        },
        Scenario {
            id: "idle-sse",
            title: "Memory of an idle stream of events",
            unit: "stream",
            load: Load::Idle(Kind::Stream),
            contenders: four(),
            base: Nginx,
            goals: vec![Goal { of: Of::KibEach, at_most: 24.0, beyond: Some(16.0) }],
        },
        Scenario {
            id: "start",
            title: "Memory after the start, and the time until it serves",
            unit: "process",
            load: Load::Start,
            contenders: four(),
            base: Nginx,
            goals: vec![Goal { of: Of::Mib, at_most: 25.0, beyond: None }],
        },
        Scenario {
            id: "routes-start",
            title: "The same with 10,000 routes",
            unit: "process",
            load: Load::Start,
            contenders: vec![ROUTES_MANY, ROUTES_FEW],
            base: ROUTES_FEW,
            goals: vec![Goal { of: Of::ReadyS, at_most: 1.0, beyond: None }],
        },
        Scenario {
            id: "company-start",
            title: "The same with 1,000 bindings of 100,000 people and 5,000 groups",
            unit: "process",
            load: Load::Start,
            contenders: vec![COMPANY, REMEMBERED],
            base: REMEMBERED,
            goals: vec![],
        },
        Scenario {
            id: "company-reload",
            title: "A line of those bindings changes: the time until it is in force, and the memory then",
            unit: "process",
            load: Load::Reload,
            contenders: vec![COMPANY, REMEMBERED],
            base: REMEMBERED,
            goals: vec![],
        },
    ]
}
