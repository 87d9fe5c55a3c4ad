//! New TLS connections: a full TLS 1.3 handshake, one request, close; as many as a fixed number of clients can do.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;

use super::{HOST, Measured, Target, exchange, on_one_thread, percentiles, seconds};
use crate::Outcome;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    /// Clients at work at a time.
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// How long.
    #[arg(long, default_value = "2", value_parser = seconds)]
    seconds: Duration,
}

/// Runs the load.
pub(crate) fn run(options: Options) -> Outcome<Measured> {
    on_one_thread(async move {
        let target = options.target;
        let connector = target.connector()?.ok_or("new TLS connections need --authority")?;
        let started = Instant::now();
        let cpu_before = target.cpu_ns();
        let found = Rc::new(RefCell::new((Vec::new(), 0_u64)));
        let mut clients = Vec::new();
        for _ in 0..options.clients {
            let (target, connector, found) = (target.clone(), connector.clone(), Rc::clone(&found));
            clients.push(tokio::task::spawn_local(async move {
                let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
                let mut buffer = Vec::with_capacity(4096);
                while started.elapsed() < options.seconds {
                    let begun = Instant::now();
                    let outcome = async {
                        let mut wire = target.connect(Some(&connector)).await?;
                        exchange(&mut wire, request.as_bytes(), &mut buffer).await
                    };
                    match outcome.await {
                        Ok(()) => found.borrow_mut().0.push(begun.elapsed().as_nanos() as u64),
                        Err(_) => found.borrow_mut().1 += 1,
                    }
                }
            }));
        }
        for client in clients {
            client.await?;
        }
        let cpu_ns = target.cpu_ns() - cpu_before;
        let (mut times, errors) = found.take();
        let (p50_us, p99_us) = percentiles(&mut times);
        Ok(Measured {
            count: times.len() as u64,
            errors,
            seconds: started.elapsed().as_secs_f64(),
            cpu_ns,
            p50_us,
            p99_us,
            ..Measured::default()
        })
    })
}
