//! Who is left alone, for how long, and how it comes back.

use std::{cell::Cell, rc::Rc};

use super::*;

const REFUSED: Outcome = Outcome::ConnectFailed;
const BAD_GATEWAY: Outcome = Outcome::Answered(StatusCode::BAD_GATEWAY);

/// How often the endpoint is chosen in a hundred choices.
fn share(endpoints: &Endpoints, at: usize, now: Instant) -> usize {
    spread_of(endpoints, now, 100).get(&at).copied().unwrap_or(0)
}

#[test]
fn five_failures_in_a_row_eject() {
    let unavailable = Outcome::Answered(StatusCode::SERVICE_UNAVAILABLE);
    let late = Outcome::Answered(StatusCode::GATEWAY_TIMEOUT);
    let reset = Outcome::ResetBeforeAnswer { reused: false };
    for failure in [REFUSED, BAD_GATEWAY, unavailable, late, reset, Outcome::TimedOut, Outcome::ResetMidAnswer] {
        let now = start();
        let endpoints = Endpoints::new(equals(4), None, now);
        attempt(&endpoints, 2, now, failure, 4);
        assert_eq!(state_of(&endpoints, 2, now), EndpointState::Ready, "{failure:?}");
        attempt(&endpoints, 2, now, failure, 1);
        assert_eq!(state_of(&endpoints, 2, now), EndpointState::Ejected(seconds(10)), "{failure:?}");
        assert_eq!(share(&endpoints, 2, now + milliseconds(9_999)), 0, "{failure:?}");
    }
}

#[test]
fn an_answer_in_between_starts_the_count_again() {
    let now = start();
    let endpoints = Endpoints::new(equals(4), None, now);
    for _ in 0..10 {
        attempt(&endpoints, 2, now, REFUSED, 4);
        attempt(&endpoints, 2, now, OK, 1);
    }
    assert_eq!(state_of(&endpoints, 2, now), EndpointState::Ready);
}

#[test]
fn what_is_not_the_endpoints_fault_never_counts() {
    let now = start();
    let answers = [200, 301, 400, 404, 429, 500, 501, 505].map(|code| StatusCode::from_u16(code).unwrap());
    let innocent = [Outcome::ResetBeforeAnswer { reused: true }, Outcome::Cancelled];
    for outcome in answers.map(Outcome::Answered).into_iter().chain(innocent) {
        let endpoints = Endpoints::new(equals(4), None, now);
        attempt(&endpoints, 2, now, outcome, 50);
        assert_eq!(state_of(&endpoints, 2, now), EndpointState::Ready, "{outcome:?}");
    }
}

#[test]
fn a_stale_connection_does_not_start_the_count_again_either() {
    let now = start();
    let endpoints = Endpoints::new(equals(4), None, now);
    attempt(&endpoints, 2, now, REFUSED, 4);
    attempt(&endpoints, 2, now, Outcome::ResetBeforeAnswer { reused: true }, 3);
    attempt(&endpoints, 2, now, Outcome::Cancelled, 3);
    attempt(&endpoints, 2, now, REFUSED, 1);
    assert_eq!(state_of(&endpoints, 2, now), EndpointState::Ejected(seconds(10)));
}

/// Answers that begin well and break off.
fn broken_answers(endpoints: &Endpoints, now: Instant, times: usize, end: Outcome) {
    let others: Vec<EndpointId> = endpoints.list().iter().skip(1).map(|e| e.id()).collect();
    for _ in 0..times {
        let placement = endpoints.pick(now, &others).unwrap();
        placement.report(now, OK);
        placement.report(now, end);
    }
}

#[test]
fn answers_that_break_off_count_although_they_begin_well() {
    let now = start();
    let endpoints = Endpoints::new(equals(4), None, now);
    broken_answers(&endpoints, now, 4, Outcome::ResetMidAnswer);
    // One that comes to its end starts the count again; one that the client cut does not.
    attempt(&endpoints, 0, now, OK, 1);
    broken_answers(&endpoints, now, 4, Outcome::ResetMidAnswer);
    broken_answers(&endpoints, now, 3, Outcome::Cancelled);
    assert_eq!(state_of(&endpoints, 0, now), EndpointState::Ready);
    broken_answers(&endpoints, now, 1, Outcome::ResetMidAnswer);
    assert_eq!(state_of(&endpoints, 0, now), EndpointState::Ejected(seconds(10)));
}

#[test]
fn one_exchange_tries_an_endpoint_that_returns() {
    let now = start();
    let endpoints = Endpoints::new(equals(4), None, now);
    attempt(&endpoints, 2, now, REFUSED, 5);
    let later = now + seconds(10);
    let held: Vec<Placement> = (0..40).map(|_| endpoints.pick(later, &[]).unwrap()).collect();
    let trials: Vec<&Placement> = held.iter().filter(|placement| number(placement) == 2).collect();
    assert_eq!(trials.len(), 1);
    assert_eq!(state_of(&endpoints, 2, later), EndpointState::OnTrial);
    trials[0].report(later, OK);
    assert_eq!(state_of(&endpoints, 2, later), EndpointState::Warming(0.1));
    assert_eq!(state_of(&endpoints, 2, later + seconds(15)), EndpointState::Warming(0.5));
    assert_eq!(state_of(&endpoints, 2, later + seconds(30)), EndpointState::Ready);
}

#[test]
fn a_trial_that_tells_nothing_is_followed_by_another() {
    let now = start();
    let endpoints = Endpoints::new(equals(4), None, now);
    attempt(&endpoints, 2, now, REFUSED, 5);
    let later = now + seconds(10);
    attempt(&endpoints, 2, later, Outcome::Cancelled, 1);
    attempt(&endpoints, 2, later, Outcome::ResetBeforeAnswer { reused: true }, 1);
    attempt(&endpoints, 2, later, OK, 1);
    assert_eq!(state_of(&endpoints, 2, later), EndpointState::Warming(0.1));
}

#[test]
fn each_ejection_lasts_twice_as_long_up_to_five_minutes() {
    let mut now = start();
    let endpoints = Endpoints::new(equals(4), None, now);
    attempt(&endpoints, 2, now, REFUSED, 5);
    for lasts in [10, 20, 40, 80, 160, 300, 300] {
        assert_eq!(state_of(&endpoints, 2, now), EndpointState::Ejected(seconds(lasts)));
        now += seconds(lasts);
        attempt(&endpoints, 2, now, REFUSED, 1);
    }
}

#[test]
fn ejections_are_forgotten_after_five_good_minutes() {
    let mut now = start();
    let endpoints = Endpoints::new(equals(4), None, now);
    attempt(&endpoints, 2, now, REFUSED, 5);
    now += seconds(10);
    attempt(&endpoints, 2, now, OK, 1);
    now += seconds(299);
    attempt(&endpoints, 2, now, REFUSED, 5);
    assert_eq!(state_of(&endpoints, 2, now), EndpointState::Ejected(seconds(20)));
    now += seconds(20);
    attempt(&endpoints, 2, now, OK, 1);
    now += seconds(300);
    attempt(&endpoints, 2, now, REFUSED, 5);
    assert_eq!(state_of(&endpoints, 2, now), EndpointState::Ejected(seconds(10)));
}

#[test]
fn late_failures_do_not_extend_an_ejection() {
    let now = start();
    let endpoints = Endpoints::new(equals(2), None, now);
    let held: Vec<Placement> = (0..40).map(|_| endpoints.pick(now, &[]).unwrap()).collect();
    for placement in held.iter().filter(|placement| number(placement) == 1) {
        placement.report(now, REFUSED);
    }
    assert_eq!(state_of(&endpoints, 1, now), EndpointState::Ejected(seconds(10)));
    attempt(&endpoints, 1, now + seconds(10), OK, 1);
    assert_eq!(state_of(&endpoints, 1, now + seconds(40)), EndpointState::Ready);
}

#[test]
fn an_answer_to_an_old_exchange_does_not_end_an_ejection() {
    let now = start();
    let endpoints = Endpoints::new(equals(2), None, now);
    let held: Vec<Placement> = (0..2).map(|_| endpoints.pick(now, &[]).unwrap()).collect();
    attempt(&endpoints, 1, now, REFUSED, 5);
    for placement in &held {
        placement.report(now + seconds(1), OK);
    }
    assert_eq!(state_of(&endpoints, 1, now + seconds(1)), EndpointState::Ejected(seconds(9)));
}

#[test]
fn all_are_used_when_less_than_half_is_healthy() {
    for count in [4, 40] {
        let now = start();
        let endpoints = Endpoints::new(equals(count), None, now);
        for at in 0..count / 2 {
            attempt(&endpoints, at, now, REFUSED, 5);
        }
        // The share of healthy endpoints is counted ten times a second.
        let now = now + milliseconds(100);
        assert!(!endpoints.status(now).panic);
        assert!((0..count / 2).all(|at| !spread_of(&endpoints, now, 20 * count).contains_key(&at)));
        attempt(&endpoints, count / 2, now, REFUSED, 5);
        let now = now + seconds(1);
        assert!(endpoints.status(now).panic);
        let mut chosen = std::collections::HashSet::new();
        let held: Vec<Placement> = (0..20 * count).map(|_| endpoints.pick(now, &[]).unwrap()).collect();
        chosen.extend(held.iter().map(number));
        assert_eq!(chosen.len(), count);
    }
}

#[test]
fn the_only_endpoint_is_never_given_up() {
    let now = start();
    let endpoints = Endpoints::new(equals(1), None, now);
    attempt(&endpoints, 0, now, REFUSED, 100);
    assert!(endpoints.status(now).panic);
    attempt(&endpoints, 0, now, OK, 1);
    assert_eq!(state_of(&endpoints, 0, now), EndpointState::Warming(0.1), "an answer in a panic ends the ejection");
    assert!(!endpoints.status(now).panic);
}

#[test]
fn without_panic_nothing_is_left_when_all_are_out() {
    let now = start();
    let ejection = EjectionSpec { panic_threshold: 0.0, ..EjectionSpec::default() };
    let endpoints = Endpoints::new(BackendSpec { ejection, ..equals(2) }, None, now);
    attempt(&endpoints, 0, now, REFUSED, 5);
    attempt(&endpoints, 1, now, REFUSED, 5);
    assert_eq!(endpoints.pick(now, &[]).unwrap_err(), NoEndpoint::AllOut);
    assert!(endpoints.pick(now + seconds(10), &[]).is_ok());
}

/// One endpoint fails everything within 10 ms, the others take 2 s; 20 requests a second for a minute.
fn failures_of_a_black_hole(outcome: Outcome, ejection: EjectionSpec) -> usize {
    let begun = start();
    let endpoints = Endpoints::new(BackendSpec { ejection, ..equals(4) }, None, begun);
    let mut held: Vec<(Instant, Placement)> = Vec::new();
    let mut failures = 0;
    for tick in 0..1_200 {
        let now = begun + milliseconds(50 * tick);
        held.retain(|(until, _)| *until > now);
        let placement = endpoints.pick(now, &[]).unwrap();
        if number(&placement) == 0 {
            failures += 1;
            placement.report(now + milliseconds(10), outcome);
        } else {
            placement.report(now, OK);
            held.push((now + seconds(2), placement));
        }
    }
    failures
}

#[test]
fn an_endpoint_that_fails_fast_is_no_magnet() {
    let ejected = failures_of_a_black_hole(REFUSED, EjectionSpec::default());
    assert!(ejected <= 12, "{ejected} of 1200 failed");
    // What never ejects, or where ejection is off: the penalty alone must keep it below its fair share of a quarter.
    let never = EjectionSpec { consecutive_failures: 0, ..EjectionSpec::default() };
    let internal = Outcome::Answered(StatusCode::INTERNAL_SERVER_ERROR);
    for (outcome, ejection) in [(REFUSED, never), (internal, EjectionSpec::default())] {
        let failed = failures_of_a_black_hole(outcome, ejection);
        assert!(failed <= 120, "{failed} of 1200 failed with {outcome:?}");
    }
}

#[test]
fn a_penalty_is_forgotten() {
    let now = start();
    let endpoints = Endpoints::new(equals(2), None, now);
    attempt(&endpoints, 0, now, REFUSED, 4);
    assert_eq!(share(&endpoints, 0, now), 0);
    assert!(share(&endpoints, 0, now + seconds(120)) >= 48);
}

#[test]
fn a_warming_endpoint_gets_its_small_share() {
    let now = start();
    let endpoints = Endpoints::new(equals(4), None, now);
    attempt(&endpoints, 2, now, REFUSED, 5);
    let later = now + seconds(100);
    attempt(&endpoints, 2, later, OK, 1);
    // A tenth of the others' share when it returns, half of it after half the time, whether they are idle
    let idle = spread_of(&endpoints, later, 3_100);
    assert!((75..=110).contains(&idle[&2]), "{idle:?}");
    let half_warm = spread_of(&endpoints, later + seconds(15), 3_500);
    assert!((425..=525).contains(&half_warm[&2]), "{half_warm:?}");
    // or busy.
    let held: Vec<Placement> = (0..310).map(|_| endpoints.pick(later, &[]).unwrap()).collect();
    let at_warming = held.iter().filter(|placement| number(placement) == 2).count();
    assert!((9..=12).contains(&at_warming), "{at_warming} of 310");
}

/// Checks that answer what `well` says for the first endpoint, and yes for the others.
fn checked(count: usize, well: &Rc<Cell<bool>>, asked: &Rc<Cell<usize>>) -> (Arc<Endpoints>, impl Future<Output = ()>) {
    let health_check = Some(HealthCheckSpec::default());
    let now = tokio::time::Instant::now().into_std();
    let endpoints = Arc::new(Endpoints::new(BackendSpec { health_check, ..equals(count) }, None, now));
    let (well, asked) = (Rc::clone(well), Rc::clone(asked));
    let checks = run_checks(Arc::clone(&endpoints), move |endpoint| {
        let first = endpoint.address().ip() == address(0);
        asked.set(asked.get() + 1);
        let well = well.get() || !first;
        async move {
            if !well {
                // An endpoint that hangs is an endpoint that fails.
                std::future::pending::<()>().await;
            }
            true
        }
    });
    (endpoints, checks)
}

/// Runs the checks for so long, in paused time.
async fn run_for(checks: &mut std::pin::Pin<&mut impl Future<Output = ()>>, time: Duration) -> Instant {
    assert!(tokio::time::timeout(time, checks.as_mut()).await.is_err());
    tokio::time::Instant::now().into_std()
}

#[tokio::test(start_paused = true)]
async fn failing_checks_take_an_endpoint_out_and_passing_ones_return_it() {
    let (well, asked) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
    let (endpoints, checks) = checked(3, &well, &asked);
    let mut checks = std::pin::pin!(checks);
    let now = run_for(&mut checks, seconds(9)).await;
    assert_eq!(state_of(&endpoints, 0, now), EndpointState::Ready, "two failures do not suffice");
    let now = run_for(&mut checks, seconds(6)).await;
    assert_eq!(state_of(&endpoints, 0, now), EndpointState::Unhealthy);
    assert_eq!(share(&endpoints, 0, now), 0);
    well.set(true);
    let now = run_for(&mut checks, seconds(15)).await;
    assert!(matches!(state_of(&endpoints, 0, now), EndpointState::Warming(_)));
    assert!((12..=21).contains(&asked.get()), "{} checks in 30 s", asked.get());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_endpoints_are_checked_without_a_burst() {
    let (well, asked) = (Rc::new(Cell::new(true)), Rc::new(Cell::new(0)));
    let (_endpoints, checks) = checked(1_000, &well, &asked);
    let mut checks = std::pin::pin!(checks);
    run_for(&mut checks, milliseconds(100)).await;
    assert!(asked.get() <= 200, "{} at once", asked.get());
    run_for(&mut checks, milliseconds(4_800)).await;
    assert!((1_000..=1_300).contains(&asked.get()), "{} in 4.9 s", asked.get());
}

#[tokio::test(start_paused = true)]
async fn no_health_check_ends_at_once() {
    let endpoints = Arc::new(Endpoints::new(equals(2), None, start()));
    run_checks(endpoints, async |_| false).await;
}

#[test]
fn retries_are_a_fifth_of_requests_and_ten_a_second_besides() {
    let now = start();
    let endpoints = Endpoints::new(equals(2), None, now);
    // Each retry that is granted is another attempt.
    let granted =
        |now, asked: usize| (0..asked).filter(|_| endpoints.may_retry(now) && endpoints.pick(now, &[]).is_ok()).count();
    assert_eq!(granted(now, 1_000), 100, "a quiet backend");
    let now = now + seconds(20);
    for tick in 0..10 {
        spread_of(&endpoints, now + seconds(tick), 100);
    }
    assert_eq!(granted(now + seconds(9), 1_000), 300);
    assert_eq!(granted(now + seconds(9), 1), 0);
    // The requests are past, and so are the retries.
    assert_eq!(granted(now + seconds(19), 1_000), 100);
}

#[test]
fn retries_do_not_earn_retries() {
    let now = start();
    let endpoints = Endpoints::new(equals(2), None, now);
    let mut retries = 0;
    for _ in 0..1_000 {
        drop(endpoints.pick(now, &[]));
        while endpoints.may_retry(now) {
            retries += 1;
            drop(endpoints.pick(now, &[]));
        }
    }
    assert_eq!(retries, 300);
}
