//! When certificates are renewed.

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const EARLIEST: Draw = Draw(0.0);
const MIDDLE: Draw = Draw(0.5);
const LATEST: Draw = Draw(1.0);

fn clocks() -> (Instant, SystemTime) {
    (Instant::now() + 1000 * HOUR, SystemTime::UNIX_EPOCH + 500_000 * HOUR)
}

fn held(draw: Draw) -> (Renewal, Instant, SystemTime) {
    let (now, wall) = clocks();
    let mut renewal = Renewal::first(now);
    renewal.succeeded(wall, wall + HOUR, now, wall, draw);
    (renewal, now, wall)
}

#[test]
fn the_first_certificate_is_asked_for_at_once() {
    let (now, wall) = clocks();
    assert_eq!(Renewal::first(now).due(now, wall), Some(Why::First));
    assert_eq!(Renewal::first(now).wait(now), Duration::ZERO);
}

#[test]
fn renewal_is_at_half_life_give_or_take_a_tenth() {
    for (draw, minutes) in [(EARLIEST, 27), (MIDDLE, 30), (LATEST, 33)] {
        let (renewal, now, wall) = held(draw);
        let due = |seconds: u64| renewal.due(now + Duration::from_secs(seconds), wall + Duration::from_secs(seconds));
        assert_eq!(due(minutes * 60 - 1), None, "{minutes}");
        assert_eq!(due(minutes * 60 + 1), Some(Why::HalfLife), "{minutes}");
    }
}

#[test]
fn random_draws_spread_renewals() {
    let waits: Vec<_> = (0..200).map(|_| held(Draw::random())).map(|(renewal, now, _)| renewal.wait(now)).collect();
    assert!(waits.iter().all(|wait| (27 * MINUTE..=33 * MINUTE).contains(wait)), "{waits:?}");
    let (first, last) = (waits.iter().min(), waits.iter().max());
    assert!(last > first.map(|first| *first + 3 * MINUTE).as_ref(), "{first:?} {last:?}");
    assert!((Draw::new(f64::NAN).0 - 0.5).abs() < f64::EPSILON && Draw::new(7.0).0 <= 1.0 && Draw::new(-7.0).0 >= 0.0);
}

#[test]
fn pauses_grow_from_half_a_second_to_150() {
    let (mut renewal, mut now, wall) = held(MIDDLE);
    let mut pauses = Vec::new();
    for _ in 0..14 {
        renewal.failed(now, MIDDLE);
        assert_eq!(renewal.due(now, wall), None);
        pauses.push(renewal.wait(now).as_secs_f64());
        now += renewal.wait(now);
        assert_eq!(renewal.due(now, wall), Some(Why::Retry));
    }
    assert_eq!(pauses.first(), Some(&0.5));
    assert_eq!(pauses.get(1), Some(&1.0));
    assert!(pauses.windows(2).all(|pair| pair.first() <= pair.last()), "{pauses:?}");
    assert_eq!(pauses.last(), Some(&150.0));
    assert_eq!(renewal.failures(), 14);
    assert_eq!(renewal.expires_at(), Some(wall + HOUR), "what is held stays");

    renewal.succeeded(wall, wall + HOUR, now, wall, MIDDLE);
    renewal.failed(now, MIDDLE);
    assert_eq!(renewal.wait(now), BACK_OFF_MIN, "a success forgets failures");
}

#[test]
fn no_number_of_failures_overflows() {
    let (mut renewal, now, _) = held(MIDDLE);
    renewal.failures = u32::MAX;
    renewal.failed(now, LATEST);
    assert_eq!(renewal.wait(now), BACK_OFF_MAX);
}

#[test]
fn a_wall_clock_that_jumps_back_puts_nothing_off() {
    let (renewal, now, wall) = held(MIDDLE);
    assert_eq!(renewal.due(now + 31 * MINUTE, wall - 100 * HOUR), Some(Why::HalfLife));
    // The certificate begins in an hour, says a clock that is behind by one.
    let mut renewal = Renewal::first(now);
    renewal.succeeded(wall + HOUR, wall + 2 * HOUR, now, wall, MIDDLE);
    assert_eq!(renewal.wait(now), 30 * MINUTE);
}

#[test]
fn a_wall_clock_that_jumps_ahead_renews_once_and_not_in_a_loop() {
    let (mut renewal, now, wall) = held(MIDDLE);
    let ahead = wall + 10 * HOUR;
    assert_eq!(renewal.due(now, ahead), Some(Why::HalfLife), "as after a sleep");
    renewal.failed(now, MIDDLE);
    assert_eq!(renewal.due(now, ahead), None);
    // The authority's clock is right, so to us what it gives has already expired.
    renewal.succeeded(wall, wall + HOUR, now, ahead, MIDDLE);
    assert_eq!(renewal.due(now, ahead), None);
    assert_eq!(renewal.wait(now), RENEWAL_PAUSE_MIN);
}

#[test]
fn a_short_life_is_not_a_busy_loop() {
    let (now, wall) = clocks();
    let mut renewal = Renewal::first(now);
    renewal.succeeded(wall, wall, now, wall, EARLIEST);
    assert_eq!(renewal.due(now, wall), None);
    assert_eq!(renewal.wait(now), RENEWAL_PAUSE_MIN);
}

#[test]
fn a_tainted_certificate_is_renewed_soon_and_not_by_all_at_once() {
    let (mut renewal, now, wall) = held(MIDDLE);
    renewal.hasten(Why::Tainted, MINUTE, now, MIDDLE);
    assert_eq!(renewal.wait(now), MINUTE / 2);
    assert_eq!(renewal.due(now + MINUTE, wall), Some(Why::Tainted));
    renewal.hasten(Why::BundleChanged, HOUR, now, LATEST);
    assert_eq!(renewal.wait(now), MINUTE / 2, "nothing puts it off");

    renewal.failed(now, MIDDLE);
    renewal.hasten(Why::Tainted, Duration::ZERO, now, EARLIEST);
    assert_eq!(renewal.wait(now), BACK_OFF_MIN, "an authority in trouble is not asked more often");
}
