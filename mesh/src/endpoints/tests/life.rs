//! What stays and what goes when documents are reloaded and names resolve to something else.

use super::*;

fn named(name: &str) -> EndpointSpec {
    EndpointSpec { address: Address::Name(name.into()), ..EndpointSpec::at(address(0), 8000) }
}

fn addresses(endpoints: &Endpoints) -> Vec<SocketAddr> {
    endpoints.list().iter().map(|endpoint| endpoint.address()).collect()
}

#[test]
fn endpoints_that_stay_keep_their_state() {
    let now = start();
    let before = Endpoints::new(equals(4), None, now);
    attempt(&before, 1, now, Outcome::ConnectFailed, 5);
    let held = before.pick(now, &[]).unwrap();
    let after = Endpoints::new(backend(&[1.0, 2.0, 1.0, 1.0]), Some(&before), now + seconds(1));
    assert_eq!(state_of(&after, 1, now + seconds(1)), EndpointState::Ejected(seconds(9)));
    let kept = after.list().into_iter().find(|endpoint| endpoint.id() == held.endpoint().id());
    assert_eq!(kept.unwrap().in_flight(), 1);
    // An exchange that began before the reload reports to the same endpoint.
    drop(held);
    assert!(after.list().iter().all(|endpoint| endpoint.in_flight() == 0));
}

#[test]
fn another_grpc_port_is_another_endpoint() {
    let now = start();
    let before = Endpoints::new(equals(1), None, now);
    let mut spec = equals(1);
    spec.endpoints[0].grpc_port = Some(8001);
    let after = Endpoints::new(spec, Some(&before), now);
    assert_ne!(before.list()[0].id(), after.list()[0].id());
    assert_eq!(after.list()[0].address().port(), 8000);
    assert_eq!(after.list()[0].grpc_address().port(), 8001);
    assert_eq!(before.list()[0].grpc_address().port(), 8000);
}

#[test]
fn the_first_endpoints_are_warm_and_those_that_join_are_not() {
    let now = start();
    let before = Endpoints::new(equals(3), None, now);
    assert_eq!(state_of(&before, 0, now), EndpointState::Ready);
    let after = Endpoints::new(equals(4), Some(&before), now);
    assert_eq!(state_of(&after, 0, now), EndpointState::Ready);
    assert_eq!(state_of(&after, 3, now), EndpointState::Warming(0.1));
    let cold = Endpoints::new(BackendSpec { slow_start: Duration::ZERO, ..equals(5) }, Some(&after), now);
    assert_eq!(state_of(&cold, 4, now), EndpointState::Ready, "slow start is off");
}

#[test]
fn an_endpoint_that_leaves_lives_until_its_last_exchange_ends() {
    let now = start();
    let before = Endpoints::new(equals(2), None, now);
    let held: Vec<Placement> = (0..2).map(|_| before.pick(now, &[]).unwrap()).collect();
    let after = Endpoints::new(equals(1), Some(&before), now);
    assert_eq!(spread_of(&after, now, 100)[&0], 100);
    assert_eq!(state_of(&after, 1, now), EndpointState::Draining);
    let later = Endpoints::new(equals(1), Some(&after), now);
    assert_eq!(state_of(&later, 1, now), EndpointState::Draining, "over further reloads as well");
    drop(held);
    assert_eq!(later.status(now).endpoints.len(), 1);
}

#[test]
fn an_endpoint_that_comes_back_while_it_drains_is_the_same() {
    let now = start();
    let before = Endpoints::new(equals(2), None, now);
    let held: Vec<Placement> = (0..2).map(|_| before.pick(now, &[]).unwrap()).collect();
    let without = Endpoints::new(equals(1), Some(&before), now);
    let again = Endpoints::new(equals(2), Some(&without), now);
    assert_eq!(again.list()[1].id(), before.list()[1].id());
    assert_eq!(again.list()[1].in_flight(), 1);
    drop(held);
}

#[test]
fn one_address_is_one_endpoint_however_often_it_is_written() {
    let now = start();
    let mut spec = equals(2);
    spec.endpoints.extend(equals(2).endpoints);
    let endpoints = Endpoints::new(spec, None, now);
    assert_eq!(endpoints.list().len(), 2);
}

#[test]
fn a_check_that_is_gone_leaves_no_one_out() {
    let now = start();
    let health_check = Some(HealthCheckSpec::default());
    let before = Endpoints::new(BackendSpec { health_check, ..equals(3) }, None, now);
    for _ in 0..3 {
        before.list()[0].checked(1, false, 3, 2);
    }
    assert_eq!(state_of(&before, 0, now), EndpointState::Unhealthy);
    let after = Endpoints::new(equals(3), Some(&before), now);
    assert_eq!(state_of(&after, 0, now), EndpointState::Ready);
}

#[test]
fn every_address_of_a_name_is_an_endpoint_and_the_last_good_answer_stays() {
    let now = start();
    let spec = BackendSpec::new("named", vec![named("a.test"), EndpointSpec::at(address(9), 8000), named("b.test")]);
    let endpoints = Endpoints::new(spec.clone(), None, now);
    assert_eq!(endpoints.status(now).unresolved, ["a.test".into(), "b.test".into()]);
    assert_eq!(endpoints.list().len(), 1);
    endpoints.take_addresses(&"a.test".into(), vec![address(2), address(1), address(2)], now);
    let all = [1, 2, 9].map(|number| SocketAddr::new(address(number), 8000));
    assert_eq!(addresses(&endpoints), all);
    assert_eq!(endpoints.list()[0].name().unwrap().as_ref(), "a.test");
    let kept = endpoints.list()[1].id();
    endpoints.take_addresses(&"a.test".into(), vec![address(2), address(3)], now);
    assert_eq!(endpoints.list()[0].id(), kept);
    assert_eq!(endpoints.list()[1].address().ip(), address(3));
    // A reload knows what the names resolved to.
    let after = Endpoints::new(spec, Some(&endpoints), now);
    assert_eq!(addresses(&after), addresses(&endpoints));
    assert_eq!(after.status(now).unresolved, ["b.test".into()]);
}

#[test]
fn a_name_cannot_bring_endpoints_without_end() {
    let now = start();
    let endpoints = Endpoints::new(BackendSpec::new("named", vec![named("a.test")]), None, now);
    endpoints.take_addresses(&"a.test".into(), (0..10_000).map(address).collect(), now);
    assert_eq!(endpoints.list().len(), 256);
}

#[tokio::test]
async fn names_are_resolved_by_the_system() {
    let endpoints = Endpoints::new(BackendSpec::new("named", vec![named("localhost")]), None, start());
    assert_eq!(endpoints.resolve().await, Some(true));
    assert!(endpoints.list().iter().all(|endpoint| endpoint.address().ip().is_loopback()));
    assert!(!endpoints.list().is_empty());
    let unnamed = Arc::new(Endpoints::new(equals(1), None, start()));
    assert_eq!(unnamed.resolve().await, None);
    keep_resolved(unnamed).await;
}
