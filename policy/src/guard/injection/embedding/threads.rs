//! The threads that texts are embedded on. What takes milliseconds has no more than half of the cores, however many texts
//! wait for it, and none of a worker's: the others serve.

use std::{
    num::NonZero,
    sync::{LazyLock, mpsc},
    thread,
    time::Instant,
};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{EMBEDDING_THREAD_NAME, NotEmbedded};

/// Threads of the process that embed, at most. On a machine of fewer than twice as many cores there are half as many as cores.
pub const EMBEDDING_THREADS_MAX: usize = 4;

/// The arithmetic below divides its work among the threads of the pool that it runs on, and would otherwise make one of every
/// core of the machine.
static THREADS: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    ThreadPoolBuilder::new()
        .num_threads(of_cores(cores))
        .thread_name(|number| format!("{EMBEDDING_THREAD_NAME}{number}"))
        // Whoever waits for the text hears that there is no answer.
        .panic_handler(drop)
        .build()
        .ok()
});

fn of_cores(cores: usize) -> usize {
    (cores / 2).clamp(1, EMBEDDING_THREADS_MAX)
}

/// Does this on one of the threads, and waits for it until then. What has not begun by then is never begun.
pub(super) fn run<T: Send + 'static>(
    until: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NotEmbedded> {
    let threads = THREADS.as_ref().ok_or(NotEmbedded::Failed)?;
    let (tell, told) = mpsc::sync_channel(1);
    threads.spawn(move || {
        if Instant::now() < until {
            // Nobody may be waiting any more.
            let _ = tell.send(work());
        }
    });
    told.recv_timeout(until.saturating_duration_since(Instant::now()))
        .map_err(|_| if Instant::now() < until { NotEmbedded::Failed } else { NotEmbedded::Late })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

    use std::{
        collections::HashSet,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use rayon::prelude::*;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn half_of_the_cores_embed_and_never_more_than_the_bound() {
        for (cores, threads) in [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (128, EMBEDDING_THREADS_MAX)] {
            assert_eq!(of_cores(cores), threads, "{cores} cores");
        }
    }

    #[test]
    fn what_is_divided_stays_on_these_threads() {
        let names = run(soon(), || {
            let names = Mutex::new(HashSet::new());
            (0..1000).into_par_iter().for_each(|_| {
                names.lock().unwrap().insert(thread::current().name().unwrap_or_default().to_owned());
            });
            names.into_inner().unwrap()
        });
        let names = names.unwrap();
        let cores = thread::available_parallelism().unwrap().get();
        assert!(names.len() <= of_cores(cores), "{names:?}");
        assert!(names.iter().all(|name| name.starts_with(EMBEDDING_THREAD_NAME)), "{names:?}");
    }

    #[test]
    fn what_has_not_begun_in_time_is_never_begun() {
        let begun = Arc::new(Mutex::new(false));
        let told = begun.clone();
        let late = run(Instant::now(), move || *told.lock().unwrap() = true);
        assert_eq!(late, Err(NotEmbedded::Late));
        // Whatever was asked for before has been looked at by now.
        run(soon(), || ()).unwrap();
        assert!(!*begun.lock().unwrap());
    }

    #[test]
    fn who_waits_hears_of_the_end_of_the_time() {
        let (go, wait) = mpsc::channel::<()>();
        let late = run(Instant::now() + Duration::from_millis(20), move || wait.recv().is_err());
        assert_eq!(late, Err(NotEmbedded::Late));
        drop(go);
    }

    #[test]
    fn a_panic_is_no_answer_and_the_threads_go_on() {
        assert_eq!(run(soon(), || -> u32 { panic!("a fault") }), Err(NotEmbedded::Failed));
        assert_eq!(run(soon(), || 7), Ok(7));
    }
}
