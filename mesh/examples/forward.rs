//! The data plane alone: forwards everything to one address. For profiling; the gateway adds routing and metrics.
//!
//! `cargo run --release -p portcullis-mesh --example forward -- 127.0.0.1:8080 127.0.0.1:9000`
#![expect(clippy::expect_used, reason = "a tool for the bench")]

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use portcullis_mesh::{
    connections::{Answered, Attempt, AttemptError, Connections, Home, Target, UpstreamBody, Version},
    drain::Drain,
    http::{Answer, Arrival, Handler, HeadError, Limits, Spoken, h1_client::Clocks, serve},
    io::Io,
};

struct Forward(Rc<Home>);

impl Handler for Forward {
    type Body = UpstreamBody;

    async fn handle(&self, arrival: Arrival) -> Answer<UpstreamBody> {
        let (head, body) = arrival.request.into_parts();
        let mut attempt = Attempt {
            at: std::time::Instant::now(),
            version: Version::Http1,
            upgrade: false,
            fresh: false,
            once: false,
            connect: Duration::from_secs(5),
            clocks: Clocks { first_byte: Duration::from_mins(1), idle: Duration::from_mins(1) },
        };
        let Ok(body) = body.gathered(65_536).await else { return Answer::Abort };
        loop {
            match self.0.send(&head, &mut body.replay().unwrap_or_default(), attempt, &arrival.interim, |_| {}).await {
                Ok(Answered::Response(response)) => return Answer::Response(response),
                Err(AttemptError::Stale) => attempt.fresh = true,
                Ok(Answered::Upgraded(..)) | Err(_) => return Answer::Abort,
            }
        }
    }

    fn malformed(&self, error: HeadError) -> http::Response<Bytes> {
        let mut response = http::Response::new(Bytes::from(error.to_string()));
        *response.status_mut() = error.status();
        response
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().expect("an address to listen on");
    let origin = arguments.next().expect("an address to forward to").parse().expect("an address");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let listener = tokio::net::TcpListener::bind(listen).await.expect("a listener");
        let connections = Connections::default();
        let drain = Drain::default();
        let limits = Rc::new(Limits::default());
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let handler = Forward(connections.home(&Target { address: origin, tls: None }));
            let (seat, limits) = (drain.seat(), limits.clone());
            tokio::task::spawn_local(async move {
                serve(Io::Tcp(stream), Spoken::Unknown, &handler, &limits, &seat).await;
            });
        }
    });
}
