//! Sockets, limits, and hours when files run out.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{cell::RefCell, collections::HashSet, net::IpAddr, process::Command, rc::Rc};

use tokio::{io::AsyncReadExt, sync::oneshot, task::LocalSet};

use super::*;

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LONG: Duration = Duration::from_secs(20);

fn limits(connections_max: usize, handshakes_per_source_max: u32) -> Arc<ConnectionLimits> {
    ConnectionLimits::new(LimitSpec { connections_max, handshakes_per_source_max })
}

#[test]
fn workers_share_the_port_that_the_first_one_got() {
    let sockets = bind(LOOPBACK, 3).unwrap();
    let ports: HashSet<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    assert_eq!((sockets.len(), ports.len()), (3, 1));
    let address = *ports.iter().next().unwrap();
    let refused = bind(address, 2).unwrap_err().to_string();
    assert_eq!(refused, format!("{address} is in use by another process"));
    assert_eq!(bind_beside(address, 1).unwrap()[0].local_addr().unwrap(), address);
    drop(sockets);
    bind(address, 2).unwrap();
}

#[test]
fn every_address_means_both_families() {
    let sockets = bind((Ipv6Addr::UNSPECIFIED, 0).into(), 1).unwrap();
    let address = sockets[0].local_addr().unwrap();
    StdStream::connect((Ipv4Addr::LOCALHOST, address.port())).unwrap();
    if address.is_ipv6() {
        StdStream::connect((Ipv6Addr::LOCALHOST, address.port())).unwrap();
    }
}

#[tokio::test]
async fn accepted_sockets_do_not_wait_to_fill_segments() {
    let socket = bind(LOOPBACK, 1).unwrap().remove(0);
    let address = socket.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut stop = Some(stop);
    let _client = StdStream::connect(address).unwrap();
    let wait = async {
        let _ = stopped.await;
        Afterwards::Nobody
    };
    let mut seen = Vec::new();
    accept_until(socket, &limits(10, 10), wait, |connection| {
        seen.push((connection.stream.nodelay().unwrap(), connection.peer.ip()));
        stop.take();
    })
    .await
    .unwrap();
    assert_eq!(seen, [(true, IpAddr::V4(Ipv4Addr::LOCALHOST))]);
}

#[tokio::test]
async fn what_is_queued_when_it_stops_is_accepted() {
    let socket = bind(LOOPBACK, 1).unwrap().remove(0);
    let address = socket.local_addr().unwrap();
    // Complete for the kernel; nobody has accepted them.
    let clients: Vec<_> = (0..200).map(|_| StdStream::connect(address).unwrap()).collect();
    let mut accepted = 0;
    let stop = std::future::ready(Afterwards::Nobody);
    accept_until(socket, &limits(1000, 1000), stop, |_| accepted += 1).await.unwrap();
    assert_eq!(accepted, clients.len());
    assert!(StdStream::connect(address).is_err(), "it is closed");
}

/// Clients connect in a loop while the port goes away; every connection that was made is served.
#[tokio::test]
async fn no_connection_is_lost_when_a_port_goes_away() {
    let local = LocalSet::new();
    local
        .run_until(async {
            let sockets = bind(LOOPBACK, 2).unwrap();
            let address = sockets[0].local_addr().unwrap();
            let limits = limits(10_000, 10_000);
            let (stop, stopped) = tokio::sync::watch::channel(false);
            let loops: Vec<_> = sockets
                .into_iter()
                .map(|socket| {
                    let (limits, mut stopped) = (Arc::clone(&limits), stopped.clone());
                    tokio::task::spawn_local(async move {
                        let stop = async {
                            let _ = stopped.wait_for(|stop| *stop).await;
                            Afterwards::Nobody
                        };
                        accept_until(socket, &limits, stop, |connection| {
                            tokio::task::spawn_local(async move {
                                connection.stream.writable().await.unwrap();
                                connection.stream.try_write(b"ok").unwrap();
                            });
                        })
                        .await
                        .unwrap();
                    })
                })
                .collect();
            let served = Rc::new(RefCell::new(0));
            let counter = Rc::clone(&served);
            let client = tokio::task::spawn_local(async move {
                loop {
                    // Once it is refused, the port is gone.
                    let Ok(mut stream) = TcpStream::connect(address).await else { break };
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).await.unwrap();
                    assert_eq!(answer, "ok");
                    *counter.borrow_mut() += 1;
                }
            });
            while *served.borrow() < 100 {
                tokio::task::yield_now().await;
            }
            stop.send(true).unwrap();
            tokio::time::timeout(LONG, client).await.unwrap().unwrap();
            for task in loops {
                task.await.unwrap();
            }
            assert!(*served.borrow() > 100);
        })
        .await;
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_counted() {
    let socket = bind(LOOPBACK, 1).unwrap().remove(0);
    let address = socket.local_addr().unwrap();
    let limits = limits(2, 10);
    let mut clients: Vec<_> = (0..5).map(|_| StdStream::connect(address).unwrap()).collect();
    let mut kept = Vec::new();
    accept_until(socket, &limits, std::future::ready(Afterwards::Nobody), |connection| kept.push(connection))
        .await
        .unwrap();
    assert_eq!((kept.len(), limits.open()), (2, 2));
    let counts = limits.counts();
    assert_eq!((counts.accepted_total(), counts.over_limit_total(OverLimit::Connections)), (5, 3));
    for client in &mut clients[2..] {
        client.set_read_timeout(Some(LONG)).unwrap();
        assert!(matches!(io::Read::read(client, &mut [0; 1]), Ok(0)), "closed, and not left waiting");
    }
    drop(kept);
    assert_eq!(limits.open(), 0);
}

#[test]
fn one_source_cannot_hold_every_handshake() {
    let limits = limits(100, 2);
    let place = |ip: &str| limits.place(ip.parse().unwrap());
    let mut first = place("192.0.2.1").unwrap();
    let second = place("::ffff:192.0.2.1").unwrap();
    assert_eq!(place("192.0.2.1").unwrap_err(), OverLimit::HandshakesOfSource);
    let _other = place("192.0.2.2").unwrap();
    first.handshake_done();
    first.handshake_done();
    let third = place("192.0.2.1").unwrap();
    assert_eq!(place("192.0.2.1").unwrap_err(), OverLimit::HandshakesOfSource);
    drop(second);
    let _fourth = place("192.0.2.1").unwrap();
    drop(third);

    let _v6 = [place("2001:db8::1").unwrap(), place("2001:db8::2:3").unwrap()];
    assert_eq!(place("2001:db8::3").unwrap_err(), OverLimit::HandshakesOfSource, "one /64 is one source");
    assert!(place("2001:db8:0:1::1").is_ok());
    drop(first);
    assert_eq!(limits.counts().over_limit_total(OverLimit::HandshakesOfSource), 3);
    let held: usize = limits.pending.iter().map(|part| part.lock().unwrap().len()).sum();
    assert_eq!((held, limits.open()), (3, 4), "sources without a pending handshake are forgotten");
}

#[test]
fn failures_are_told_apart() {
    for (errno, expected) in [
        (Errno::MFILE, Failure::Resources),
        (Errno::NFILE, Failure::Resources),
        (Errno::NOBUFS, Failure::Resources),
        (Errno::CONNABORTED, Failure::Connection),
        (Errno::PROTO, Failure::Connection),
        (Errno::NETDOWN, Failure::Connection),
        (Errno::PERM, Failure::Connection),
        (Errno::BADF, Failure::Socket),
        (Errno::INVAL, Failure::Socket),
    ] {
        assert_eq!(Failure::of(&errno.into()), expected, "{errno}");
    }
    let mut pause = Pause::default();
    let mut lengths = Vec::new();
    for _ in 0..9 {
        pause.longer();
        lengths.push(pause.length.as_millis());
    }
    assert_eq!(lengths, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    pause.over();
    pause.longer();
    assert_eq!(pause.length, ACCEPT_PAUSE_MIN);
}

/// Runs the next test in a process of its own: the limit of open files belongs to the process.
#[test]
fn running_out_of_files_is_survived() {
    let outcome = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "listen::tests::with_few_files", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "changes the limit of open files; run by `running_out_of_files_is_survived`"]
async fn with_few_files() {
    let socket = bind(LOOPBACK, 1).unwrap().remove(0);
    let address = socket.local_addr().unwrap();
    // Connected before the files run out; the kernel queues them.
    let clients: Vec<_> = (0..20).map(|_| StdStream::connect(address).unwrap()).collect();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limits = limits(100, 100);
    let kept = RefCell::new(Vec::new());
    let stop = async {
        // The reactor of this runtime exists already; eight files are left for connections.
        while limits.counts().out_of_resources_total() < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(kept.borrow().len() < clients.len());
        kept.borrow_mut().clear();
        setrlimit(Resource::Nofile, Rlimit { current: Some(open + 100), maximum }).unwrap();
        while kept.borrow().len() < 10 {
            sleep(Duration::from_millis(1)).await;
        }
        Afterwards::Nobody
    };
    setrlimit(Resource::Nofile, Rlimit { current: Some(open + 8), maximum }).unwrap();
    let accepting = accept_until(socket, &limits, stop, |connection| kept.borrow_mut().push(connection));
    tokio::time::timeout(LONG, accepting).await.unwrap().unwrap();
    assert_eq!(limits.counts().accepted_total(), clients.len() as u64);
}
