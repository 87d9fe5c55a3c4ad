//! A guard that panics has not passed. Its panic becomes an error here; every other panic still ends the process.
//!
//! Guards run rules that others wrote over texts that strangers wrote. A fault in one must cost that exchange and no other,
//! and must not look like a pass. Everywhere else a panic means that something is not as it was believed to be, and then
//! nothing here may go on: [`end_on_panic`] keeps that as it would be with `panic = "abort"`.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use portcullis_policy::guard::injection::embedding::EMBEDDING_THREAD_NAME;

thread_local! {
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// A guard panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a guard panicked")]
pub struct Panicked;

/// Runs a guard. What it was working on must not be used again if it panics.
pub fn contained<T>(guard: impl FnOnce() -> T) -> Result<T, Panicked> {
    let was = IS_CONTAINED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(guard)).map_err(|_| Panicked);
    IS_CONTAINED.set(was);
    outcome
}

/// Whether a panic here would be that of a guard. Threads that embed texts do nothing else, and their panics are no answers.
fn is_contained() -> bool {
    IS_CONTAINED.get() || thread::current().name().is_some_and(|name| name.starts_with(EMBEDDING_THREAD_NAME))
}

/// From now on a panic outside of [`contained`] ends the process, and one inside is logged by its place alone: its message
/// may quote what was said.
pub fn end_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if is_contained() {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(%place, "a guard panicked");
        } else {
            usual(panic);
            std::process::abort();
        }
    }));
}

#[cfg(test)]
mod tests {
    #![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_next_guard_runs() {
        assert_eq!(contained(|| 7), Ok(7));
        assert_eq!(contained(|| -> u32 { panic!("a fault") }), Err(Panicked));
        assert!(!is_contained());
        assert_eq!(contained(|| 8), Ok(8));
    }

    #[test]
    fn what_runs_on_a_thread_that_embeds_is_a_guard() {
        let thread = |name: &str| thread::Builder::new().name(name.to_owned()).spawn(is_contained).unwrap().join();
        assert!(thread(&format!("{EMBEDDING_THREAD_NAME}0")).unwrap());
        assert!(!thread("worker-0").unwrap());
    }
}
