//! Windows: what is held, what is asked about, what goes on.

use std::future::poll_fn;

use proptest::prelude::*;

use super::{
    window::{Seen, WINDOW_CONTEXT_BYTES_MAX, Watch, Windows},
    *,
};

proptest! {
    /// Whatever the pieces: what goes on was asked about, in order and once; all of it goes on in the end; and no more is held
    /// than a window and the piece that completes it.
    #[test]
    fn what_goes_on_was_asked_about(pieces in prop::collection::vec("[a-zäß€𝄞]{0,12}", 0..40), window_bytes in 0_usize..40) {
        let whole: String = pieces.concat();
        let mut windows = Windows::new(window_bytes);
        let mut passed = 0;
        for piece in pieces.iter().map(Some).chain([None]) {
            match piece {
                Some(piece) => windows.push(piece),
                None => windows.finish(),
            }
            if let Some(asked) = windows.ask() {
                prop_assert!(windows.is_asking());
                prop_assert_eq!(windows.ask(), None);
                let held = windows.held();
                prop_assert!(asked.ends_with(&whole[passed..passed + held]));
                prop_assert!(whole[..passed + held].ends_with(&asked));
                prop_assert!(asked.len() - held <= WINDOW_CONTEXT_BYTES_MAX.min(window_bytes.max(1)));
                prop_assert_eq!(windows.pass(), held);
                passed += held;
            }
            prop_assert!(windows.held() < window_bytes.max(1));
        }
        prop_assert_eq!(passed, whole.len());
    }
}

#[test]
fn nothing_is_asked_before_there_is_a_window() {
    let mut windows = Windows::new(8);
    windows.push("1234567");
    assert_eq!((windows.ask(), windows.held()), (None, 7));
    windows.push("89");
    assert_eq!(windows.ask().as_deref(), Some("123456789"));
    // What arrives meanwhile waits for the next window.
    windows.push("abc");
    assert_eq!((windows.ask(), windows.held()), (None, 12));
    assert_eq!((windows.pass(), windows.held()), (9, 3));
    assert_eq!(windows.ask(), None);
    windows.finish();
    assert_eq!(windows.ask().as_deref(), Some("23456789abc"));
    assert_eq!((windows.pass(), windows.held(), windows.ask()), (3, 0, None));
}

#[test]
fn what_is_refused_stays() {
    let mut windows = Windows::new(4);
    windows.push("12345");
    assert!(windows.ask().is_some());
    // Nobody passes it.
    windows.push("6789");
    windows.finish();
    assert_eq!((windows.ask(), windows.held()), (None, 9));
}

/// Everything that is said of a text in these pieces, under a guard that refuses what says `osprey`.
async fn watched(pieces: &[&str]) -> (Vec<Seen>, usize, Guard) {
    let guard = Guard::start(|request| {
        let is_refused = request.contains("osprey");
        Says::json(if is_refused { r#"{"verdict":"block","rule":"birds"}"# } else { r#"{"verdict":"pass"}"# })
    })
    .await;
    let service = Service { window_bytes: 16, ..service(ServiceKind::Webhook, &guard.url()) };
    let mut watch = Watch::new(asker(service), vec![(Speaker::User, "what?".to_owned())], None);
    let mut seen = Vec::new();
    for piece in pieces.iter().map(Some).chain([None]) {
        match piece {
            Some(piece) => watch.push(piece),
            None => watch.finish(),
        }
        while let Some(said) = poll_fn(|context| watch.poll(context)).await {
            seen.push(said);
        }
    }
    (seen, watch.held(), guard)
}

#[tokio::test]
async fn a_text_goes_on_window_by_window_and_stops_at_the_one_that_is_refused() {
    let (seen, held, guard) = watched(&["a text that is fine, ", "and short"]).await;
    assert_eq!((seen, held), (vec![Seen::Passes(21), Seen::Passes(9)], 0));
    assert_eq!(guard.bodies()[0]["texts"][0]["text"], "what?");
    assert_eq!(
        guard.bodies()[1]["texts"][1],
        serde_json::json!({"speaker": "assistant", "text": "t that is fine, and short"})
    );
    let (seen, held, _guard) = watched(&["a text that is fine, ", "and then an osp", "rey", " and more"]).await;
    assert_eq!((seen, held), (vec![Seen::Passes(21), Seen::Refuses("birds".into())], 27));
}

/// The tail of what has passed is shown again, so what straddles two windows is seen: its end does not go on.
#[tokio::test]
async fn what_straddles_two_windows_is_seen() {
    let (seen, held, _guard) = watched(&["this is about an osp", "rey, I think it was"]).await;
    assert_eq!((seen, held), (vec![Seen::Passes(20), Seen::Refuses("birds".into())], 19));
}

#[tokio::test]
async fn a_guard_without_an_opinion_holds_the_window_until_somebody_passes_it() {
    let guard = Guard::start(|_| Says::status("500 Broken", "", "")).await;
    let mut watch = Watch::new(asker(service(ServiceKind::Webhook, &guard.url())), Vec::new(), None);
    watch.push("hello");
    assert_eq!(poll_fn(|context| watch.poll(context)).await, None);
    watch.finish();
    let seen = poll_fn(|context| watch.poll(context)).await;
    assert_eq!(seen, Some(Seen::Unanswered(NoOpinion::Status)));
    assert_eq!((watch.held(), watch.is_asking()), (5, true));
    assert_eq!((watch.pass(), watch.held(), watch.is_asking()), (5, 0, false));
}
