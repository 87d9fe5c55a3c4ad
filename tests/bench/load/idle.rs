//! Connections and streams that do nothing, and how much memory each of them costs the proxy.

use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::sleep,
};

use super::{HOST, Measured, Target, exchange, on_one_thread};
use crate::{Outcome, processes::resident_kib};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    /// What holds still.
    #[arg(long)]
    kind: Kind,
    /// How many.
    #[arg(long, default_value_t = 1000)]
    connections: usize,
}

/// What holds still.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// A connection that has had one answer.
    Connection,
    /// A stream that has had one event and waits for the next.
    Stream,
}

/// Opens the connections and reads the proxy's memory before and after.
pub(crate) fn run(options: Options) -> Outcome<Measured> {
    on_one_thread(async move {
        let target = options.target;
        let process = target.watch.ok_or("idle memory needs --watch")?;
        let connector = target.connector()?;
        let mut held = Vec::new();
        // The first exchanges allocate what every later one shares; they are not what is measured.
        let warm_up = options.connections / 10;
        let mut before = 0;
        for opened in 0..warm_up + options.connections {
            if opened == warm_up {
                sleep(Duration::from_millis(500)).await;
                before = resident_kib(process);
            }
            let mut wire = target.connect(connector.as_ref()).await?;
            let mut buffer = Vec::with_capacity(2048);
            match options.kind {
                Kind::Connection => {
                    let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
                    exchange(&mut wire, request.as_bytes(), &mut buffer).await?;
                }
                Kind::Stream => {
                    let request = format!("GET /events?rate=0 HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
                    wire.write_all(request.as_bytes()).await?;
                    wire.flush().await?;
                    while memchr::memmem::find(&buffer, b"\n\n").is_none() {
                        if wire.read_buf(&mut buffer).await? == 0 {
                            return Err(String::from_utf8_lossy(&buffer).into());
                        }
                    }
                }
            }
            held.push(wire);
        }
        sleep(Duration::from_millis(500)).await;
        let after = resident_kib(process);
        let count = options.connections as u64;
        let kib_each = after.saturating_sub(before) as f64 / count as f64;
        Ok(Measured { count, kib_each, ..Measured::default() })
    })
}
