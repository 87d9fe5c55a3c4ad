//! What a process of ours logs, line by line.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _},
    sync::watch,
    time::timeout,
};

use super::PATIENCE;

/// The lines that a process wrote to stderr, as they come.
#[derive(Debug, Clone)]
pub(super) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    /// How many lines there are; closed when there will be no more.
    count: watch::Receiver<usize>,
}

impl Log {
    pub(super) fn follow(mut stderr: impl AsyncBufRead + Unpin + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (announce, count) = watch::channel(0);
        let written = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut bytes = Vec::new();
            while matches!(read_line(&mut stderr, &mut bytes).await, Ok(1..)) {
                let mut lines = written.lock().unwrap();
                lines.push(String::from_utf8_lossy(&bytes).into_owned());
                announce.send_replace(lines.len());
            }
        });
        Self { lines, count }
    }

    pub(super) fn text(&self) -> String {
        self.lines.lock().unwrap().concat()
    }

    /// The first JSON line that fits, or nothing if there will be none. Panics when patience is out.
    pub(super) async fn wait(&self, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        let mut count = self.count.clone();
        let mut read = 0;
        let found = async {
            loop {
                let available = *count.borrow_and_update();
                while read < available {
                    let line = serde_json::from_str::<Value>(&self.lines.lock().unwrap()[read]);
                    read += 1;
                    if let Ok(line) = line
                        && fits(&line)
                    {
                        return Some(line);
                    }
                }
                if count.changed().await.is_err() && *count.borrow() == read {
                    return None;
                }
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("the process did not log what was waited for:\n{}", self.text()))
    }
}

async fn read_line(stderr: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    stderr.read_until(b'\n', line).await
}
