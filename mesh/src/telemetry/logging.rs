//! Logs: lines on stderr, text for people and JSON for machines.
//!
//! Lines are written by a thread of their own, from a bounded queue: whoever reads stderr slowly, or not at all, makes
//! us lose lines and say so, but never makes a worker wait.

use std::{
    env,
    io::{self, IsTerminal as _, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, filter::ParseError, fmt::MakeWriter, layer::SubscriberExt as _, registry,
    util::SubscriberInitExt as _,
};

/// The variable that says what is logged, in tracing's words: `info`, `portcullis_mesh=debug,warn`.
pub const FILTER_VARIABLE: &str = "PORTCULLIS_LOG";
/// What is logged if the variable does not say.
const FILTER_DEFAULT: &str = "info";
/// Lines that wait to be written.
const LINES_WAITING_MAX: usize = 4096;
/// How long the end of the process waits for lines to be written,
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// trying so often to get a word in.
const FLUSH_RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The words for them, as command lines take them.
    pub const WORDS: [&str; 2] = ["text", "json"];

    /// By its word; whatever is not `json` is text.
    pub fn named(word: &str) -> Self {
        if word == "json" { Self::Json } else { Self::Text }
    }

    /// Text on a terminal, JSON anywhere else.
    pub fn detect() -> Self {
        if io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The variable holds no filter.
    #[error("`{FILTER_VARIABLE}` is not a filter such as `info` or `portcullis_mesh=debug,warn`: {0}")]
    Filter(#[from] ParseError),
    /// No thread could be started.
    #[error("cannot start the thread that writes logs: {0}")]
    Thread(#[from] io::Error),
    /// Logs were set up before.
    #[error("logs are set up twice")]
    Twice,
}

/// Keeps logs flowing. Dropping it waits until what was logged is written; keep it until the process ends.
#[derive(Debug)]
#[must_use = "dropping it ends the logs"]
pub struct Logging {
    queue: Queue,
}

/// Sets up the logs of this process. `None` stands for [`LogFormat::detect`].
pub fn init(format: Option<LogFormat>) -> Result<Logging, LoggingError> {
    let format = format.unwrap_or_else(LogFormat::detect);
    let filter = filter(env::var(FILTER_VARIABLE).ok().as_deref())?;
    let colours = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let queue = Queue::start(io::stderr())?;
    let logging = Logging { queue: queue.clone() };
    subscriber(format, filter, colours, queue).try_init().map_err(|_| LoggingError::Twice)?;
    Ok(logging)
}

fn filter(variable: Option<&str>) -> Result<EnvFilter, ParseError> {
    match variable {
        Some(directives) if !directives.trim().is_empty() => directives.parse(),
        _ => FILTER_DEFAULT.parse(),
    }
}

fn subscriber<W>(format: LogFormat, filter: EnvFilter, colours: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours && format == LogFormat::Text);
    let layer = match format {
        LogFormat::Text => layer.with_target(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    registry().with(layer.with_filter(filter))
}

/// What the writing thread is asked to do.
enum Task {
    Write(Vec<u8>),
    /// Write everything before this, then say so.
    Flush(SyncSender<()>),
}

/// The way to the writing thread. It ends when all ways to it are gone.
#[derive(Debug, Clone)]
struct Queue {
    tasks: SyncSender<Task>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (tasks, waiting) = sync_channel(LINES_WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let queue = Self { tasks, lost: Arc::clone(&lost) };
        thread::Builder::new().name("logs".to_owned()).spawn(move || write_lines(&waiting, output, &lost))?;
        Ok(queue)
    }

    fn line(&self, line: Vec<u8>) {
        if let Err(TrySendError::Full(_)) = self.tasks.try_send(Task::Write(line)) {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// Waits until everything before is written, if that happens in time.
    fn flush(&self) {
        let (done, wait) = sync_channel(1);
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        let mut task = Task::Flush(done);
        while let Err(TrySendError::Full(unsent)) = self.tasks.try_send(task) {
            if Instant::now() >= deadline {
                return;
            }
            task = unsent;
            thread::sleep(FLUSH_RETRY_INTERVAL);
        }
        let _ = wait.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.queue.flush();
    }
}

/// Nothing can be done about a stderr that cannot be written; the gateway serves on.
fn write_lines(waiting: &Receiver<Task>, mut output: impl Write, lost: &AtomicU64) {
    while let Ok(task) = waiting.recv() {
        match task {
            Task::Write(line) => {
                let _ = output.write_all(&line);
            }
            Task::Flush(done) => {
                let _ = output.flush();
                let _ = done.try_send(());
            }
        }
        let lost = lost.swap(0, Relaxed);
        if lost > 0 {
            // By hand: a log line about the queue being full would go to the queue.
            let _ = writeln!(output, r#"{{"level":"WARN","message":"log lines were lost","lines":{lost}}}"#);
        }
    }
}

/// Collects one line, and queues it when it is complete.
struct Line<'a> {
    queue: &'a Queue,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.queue.line(std::mem::take(&mut self.text));
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { queue: self, text: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use std::sync::{Mutex, MutexGuard};

    use serde_json::Value;

    use super::*;

    /// What was written, and a lock that keeps the writing thread waiting.
    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Output {
        fn text(&self) -> String {
            String::from_utf8(self.hold().clone()).unwrap()
        }

        fn hold(&self) -> MutexGuard<'_, Vec<u8>> {
            self.0.lock().unwrap()
        }
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.hold().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `work` logs.
    fn logged(format: LogFormat, directives: Option<&str>, work: impl FnOnce()) -> String {
        let output = Output::default();
        let queue = Queue::start(output.clone()).unwrap();
        let logging = Logging { queue: queue.clone() };
        tracing::subscriber::with_default(subscriber(format, filter(directives).unwrap(), false, queue), work);
        drop(logging);
        output.text()
    }

    #[test]
    fn json_is_one_flat_object_a_line() {
        let text = logged(LogFormat::Json, None, || {
            tracing::info!(admin = "127.0.0.1:9100", revision = "0123456789abcdef", "serving");
            tracing::warn!("a \"quoted\"\nline");
            tracing::debug!("not shown");
        });
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        let [serving, quoted] = lines.try_into().unwrap();
        assert_eq!(serving["message"], "serving");
        assert_eq!(serving["admin"], "127.0.0.1:9100");
        assert_eq!(serving["revision"], "0123456789abcdef");
        assert_eq!(serving["level"], "INFO");
        assert_eq!(quoted["message"], "a \"quoted\"\nline");
    }

    #[test]
    fn text_is_for_people() {
        let text = logged(LogFormat::Text, None, || tracing::info!(revision = "0123", "serving"));
        assert!(text.trim_end().ends_with("INFO serving revision=\"0123\""), "{text}");
    }

    #[test]
    fn what_strangers_say_cannot_command_a_terminal() {
        let text = logged(LogFormat::Text, None, || tracing::info!(host = "\u{1b}[2Jx\nINFO forged", "refused"));
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert_eq!(text.lines().count(), 1, "{text:?}");
    }

    #[test]
    fn the_variable_says_what_is_logged() {
        let work = || {
            tracing::debug!("shown");
            tracing::trace!("not shown");
        };
        assert_eq!(logged(LogFormat::Json, Some("debug"), work).lines().count(), 1);
        assert_eq!(logged(LogFormat::Json, Some("portcullis_mesh=trace,error"), work).lines().count(), 2);
        assert_eq!(logged(LogFormat::Json, Some(" "), work), "");
        assert!(filter(Some("portcullis=shout")).is_err());
    }

    #[test]
    fn a_reader_who_does_not_read_makes_no_one_wait() {
        let output = Output::default();
        let queue = Queue::start(output.clone()).unwrap();
        let held = output.hold();
        for number in 0..LINES_WAITING_MAX + 100 {
            queue.line(format!("{number}\n").into_bytes());
        }
        drop(held);
        // The loss is told after the line that was being written, and so before the second flush is over.
        queue.flush();
        queue.flush();
        let text = output.text();
        let lost = text.lines().filter(|line| line.contains("log lines were lost")).count();
        assert_eq!(lost, 1, "it is said once");
        assert!(text.lines().count() >= LINES_WAITING_MAX);
    }
}
