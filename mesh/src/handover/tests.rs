//! Sockets from one process to the next, and everything that may go wrong on the way.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{
    collections::HashMap,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::Arc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::{JoinHandle, LocalSet},
};

use super::*;
use crate::listen::{self, Afterwards, ConnectionLimits, LimitSpec};

const LONG: Duration = Duration::from_secs(30);

fn state() -> tempfile::TempDir {
    // `tempfile` makes it with mode 0700.
    tempfile::tempdir().unwrap()
}

/// Sockets for `ports` ports with two workers each.
fn sockets(ports: usize) -> Vec<NamedSocket> {
    let asked: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let of = |port: usize| {
        let named = move |socket| NamedSocket { name: format!("edge/gateway:{port}"), asked, socket };
        listen::bind(asked, 2).unwrap().into_iter().map(named)
    };
    (0..ports).flat_map(of).collect()
}

async fn finish(successor: Successor, sockets: &[NamedSocket]) -> Result<(), HandoverError> {
    successor.hand_over(sockets).await?.acknowledge().await
}

/// A full hand-over within this process.
async fn hand_over(
    waiting: &HandoverSocket,
    state: &Path,
    sockets: &[NamedSocket],
) -> (Result<(), HandoverError>, Result<Vec<NamedSocket>, HandoverError>) {
    let old = async { finish(waiting.successor().await, sockets).await };
    let new = async {
        let inheritance = inherit(state).await?;
        inheritance.predecessor.serving().await?;
        Ok(inheritance.sockets)
    };
    tokio::join!(old, new)
}

#[tokio::test]
async fn every_socket_arrives_with_its_name_and_lives_on() {
    let state = state();
    let waiting = HandoverSocket::open(state.path()).unwrap();
    // More than two batches.
    let sent = sockets(80);
    let (old, new) = hand_over(&waiting, state.path(), &sent).await;
    old.unwrap();
    let received = new.unwrap();
    let key = |socket: &NamedSocket| (socket.name.clone(), socket.asked, socket.socket.local_addr().unwrap());
    assert_eq!(received.iter().map(key).collect::<Vec<_>>(), sent.iter().map(key).collect::<Vec<_>>());
    drop(sent);
    let address = received[0].socket.local_addr().unwrap();
    let _client = std::net::TcpStream::connect(address).unwrap();
    let accepted = received[..2].iter().filter(|socket| socket.socket.accept().is_ok()).count();
    assert_eq!(accepted, 1, "the sockets outlive the predecessor's copies");
}

#[tokio::test]
async fn the_socket_is_private_and_goes_with_its_owner() {
    let state = state();
    let path = state.path().join(SOCKET_NAME);
    let first = HandoverSocket::open(state.path()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(matches!(HandoverSocket::open(state.path()), Err(HandoverError::InUse(_))));
    let second = HandoverSocket::open_as_successor(state.path()).unwrap();
    drop(first);
    assert!(path.exists(), "a predecessor leaves its successor's socket alone");
    drop(second);
    assert!(!path.exists());
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);

    // A crashed process leaves its socket.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(inherit(state.path()).await, Err(HandoverError::NoPredecessor(_))));
    HandoverSocket::open(state.path()).unwrap();
    assert!(matches!(inherit(state.path()).await, Err(HandoverError::NoPredecessor(_))));
}

#[tokio::test]
async fn a_directory_that_others_may_write_is_refused() {
    let state = state();
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o775)).unwrap();
    let refused = HandoverSocket::open(state.path()).unwrap_err().to_string();
    assert!(refused.contains("mode 0775") && refused.contains("chmod go-w"), "{refused}");
    assert!(matches!(inherit(state.path()).await, Err(HandoverError::Directory { .. })));
    let missing = HandoverSocket::open(&state.path().join("nothing")).unwrap_err();
    assert!(matches!(missing, HandoverError::Directory { .. }));
}

#[tokio::test]
async fn strangers_and_other_versions_get_nothing_and_the_next_one_does() {
    let state = state();
    let waiting = HandoverSocket::open(state.path()).unwrap();
    let sent = sockets(1);
    let strangers = async {
        let connect = || async { UnixStream::connect(state.path().join(SOCKET_NAME)).await.unwrap() };
        drop(connect().await);
        let mut junk = connect().await;
        junk.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = junk.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
        let mut newer = connect().await;
        newer.write_all(b"PCHO\0\0\0\x63").await.unwrap();
        newer.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"PCHO\0\0\0\x01\x01\0\0\0\0", "it is told the version, and that there is nothing");
        inherit(state.path()).await.unwrap().predecessor.serving().await
    };
    let old = async { finish(waiting.successor().await, &sent).await };
    let (old, new) = tokio::join!(old, strangers);
    old.unwrap();
    new.unwrap();
}

#[tokio::test]
async fn a_predecessor_of_another_version_is_recognised() {
    let state = state();
    let listener = UnixListener::bind(state.path().join(SOCKET_NAME)).unwrap();
    let old = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"PCHO\0\0\0\x07 whatever that version says").await.unwrap();
        stream
    };
    let (_stream, refused) = tokio::join!(old, inherit(state.path()));
    assert!(matches!(refused, Err(HandoverError::Version { theirs: 7 })), "{refused:?}");
}

#[tokio::test]
async fn a_successor_that_dies_half_way_leaves_the_predecessor_serving() {
    let state = state();
    let waiting = HandoverSocket::open(state.path()).unwrap();
    let sent = sockets(80);
    // Right after its greeting.
    let old = async { finish(waiting.successor().await, &sent).await };
    let new = async {
        let mut stream = UnixStream::connect(state.path().join(SOCKET_NAME)).await.unwrap();
        stream.write_all(b"PCHO\0\0\0\x01").await.unwrap();
        stream.read_u8().await.unwrap();
    };
    let (old, ()) = tokio::join!(old, new);
    assert!(matches!(old, Err(HandoverError::Io(_))), "{old:?}");
    // With all the sockets, before it serves.
    let old = async { finish(waiting.successor().await, &sent).await };
    let new = async { drop(inherit(state.path()).await.unwrap()) };
    let (old, ()) = tokio::join!(old, new);
    assert!(matches!(old, Err(HandoverError::Io(_))), "{old:?}");

    let _client = std::net::TcpStream::connect(sent[0].socket.local_addr().unwrap()).unwrap();
    assert!(sent[0].socket.accept().is_ok() || sent[1].socket.accept().is_ok(), "the old sockets still work");
    let (old, new) = hand_over(&waiting, state.path(), &sent).await;
    old.unwrap();
    new.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_never_serves_is_given_up_and_told_so() {
    let state = state();
    let waiting = HandoverSocket::open(state.path()).unwrap();
    let sent = sockets(1);
    let old = async { finish(waiting.successor().await, &sent).await };
    let new = inherit(state.path());
    let (old, new) = tokio::join!(old, new);
    assert!(matches!(old, Err(HandoverError::Timeout("begin to serve"))), "{old:?}");
    let too_late = new.unwrap().predecessor.serving().await;
    assert!(matches!(too_late, Err(HandoverError::GivenUp)), "{too_late:?}");
}

#[tokio::test]
async fn a_predecessor_that_dies_leaves_its_successor_serving() {
    let state = state();
    let waiting = HandoverSocket::open(state.path()).unwrap();
    let sent = sockets(1);
    let (inheritance, ()) = {
        let old = async {
            let successor = waiting.successor().await;
            let _ = timeout(Duration::from_millis(200), successor.hand_over(&sent)).await;
        };
        tokio::join!(inherit(state.path()), old)
    };
    drop(waiting);
    inheritance.unwrap().predecessor.serving().await.unwrap();
}

#[tokio::test]
async fn a_predecessor_that_does_not_acknowledge_goes_on_by_itself() {
    let state = state();
    let waiting = HandoverSocket::open(state.path()).unwrap();
    let sent = sockets(1);
    let old = async { drop(waiting.successor().await.hand_over(&sent).await.unwrap()) };
    let new = async { inherit(state.path()).await.unwrap().predecessor.serving().await };
    let ((), new) = tokio::join!(old, new);
    assert!(matches!(new, Err(HandoverError::GivenUp)), "{new:?}");
}

#[tokio::test]
async fn what_is_no_listening_socket_is_refused() {
    let state = state();
    let waiting = HandoverSocket::open(state.path()).unwrap();
    let mut sent = sockets(1);
    let connected = std::net::TcpStream::connect(sent[0].socket.local_addr().unwrap()).unwrap();
    sent[1].socket = TcpListener::from(std::os::fd::OwnedFd::from(connected));
    let (old, new) = hand_over(&waiting, state.path(), &sent).await;
    assert!(matches!(new, Err(HandoverError::NotListening(name)) if name == "edge/gateway:0"));
    assert!(old.is_err());
}

/// Serves `text` to whoever connects, until told to stop.
fn serve(sockets: Vec<NamedSocket>, text: &'static str, stopped: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
    let limits = ConnectionLimits::new(LimitSpec::default());
    let each = |socket: NamedSocket| {
        let (limits, mut stopped) = (Arc::clone(&limits), stopped.clone());
        tokio::task::spawn_local(async move {
            let stop = async {
                let _ = stopped.wait_for(|stop| *stop).await;
                Afterwards::Successor
            };
            listen::accept_until(socket.socket, &limits, stop, |mut connection| {
                tokio::task::spawn_local(async move {
                    let _ = connection.stream.write_all(text.as_bytes()).await;
                });
            })
            .await
            .unwrap();
        })
    };
    sockets.into_iter().map(each).collect()
}

fn copies(sockets: &[NamedSocket]) -> Vec<NamedSocket> {
    let copy = |socket: &NamedSocket| NamedSocket {
        name: socket.name.clone(),
        asked: socket.asked,
        socket: socket.socket.try_clone().unwrap(),
    };
    sockets.iter().map(copy).collect()
}

/// Runs an ignored test of this file in a process of its own.
fn child(test: &str, state: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", &format!("handover::tests::{test}"), "--nocapture"]);
    command.env("HANDOVER_STATE", state).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn state_of_child() -> PathBuf {
    std::env::var_os("HANDOVER_STATE").unwrap().into()
}

#[tokio::test]
async fn no_connection_is_lost_while_another_process_takes_over() {
    let local = LocalSet::new();
    local
        .run_until(async {
            let state = state();
            let waiting = HandoverSocket::open(state.path()).unwrap();
            let sockets = sockets(1);
            let address = sockets[0].socket.local_addr().unwrap();
            let (stop, stopped) = watch::channel(false);
            let old = serve(copies(&sockets), "old", &stopped);

            let (answers, mut seen) = watch::channel(HashMap::<String, u32>::new());
            let client = tokio::task::spawn_local(async move {
                while !answers.is_closed() {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).await.unwrap();
                    assert!(["old", "new"].contains(&answer.as_str()), "`{answer}`");
                    answers.send_modify(|answers| *answers.entry(answer).or_default() += 1);
                }
            });
            let answered = |seen: &HashMap<String, u32>, text| seen.get(text).copied().unwrap_or_default();
            timeout(LONG, seen.wait_for(|seen| answered(seen, "old") > 20)).await.unwrap().unwrap();

            let mut child = child("as_successor", state.path()).spawn().unwrap();
            let successor = timeout(LONG, waiting.successor()).await.unwrap();
            finish(successor, &sockets).await.unwrap();
            stop.send(true).unwrap();
            drop(sockets);
            for task in old {
                timeout(LONG, task).await.unwrap().unwrap();
            }
            let before = seen.borrow().clone();
            timeout(LONG, seen.wait_for(|seen| answered(seen, "new") > answered(&before, "new") + 100))
                .await
                .unwrap()
                .unwrap();
            // One answer may have been on its way to the client, which asks one at a time.
            let late = answered(&seen.borrow(), "old") - answered(&before, "old");
            assert!(late <= 1, "the old one has stopped, yet gave {late} answers");
            drop(seen);
            timeout(LONG, client).await.unwrap().unwrap();
            drop(child.stdin.take());
            assert!(child.wait().unwrap().success());
        })
        .await;
}

#[tokio::test]
#[ignore = "the other process of `no_connection_is_lost_while_another_process_takes_over`"]
async fn as_successor() {
    let local = LocalSet::new();
    local
        .run_until(async {
            let state = state_of_child();
            let inheritance = inherit(&state).await.unwrap();
            let (_stop, stopped) = watch::channel(false);
            serve(inheritance.sockets, "new", &stopped);
            inheritance.predecessor.serving().await.unwrap();
            let _waiting = HandoverSocket::open_as_successor(&state).unwrap();
            // Until the other process has seen enough.
            let end = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
            end.await.unwrap().unwrap();
        })
        .await;
}

/// Only root can become somebody else; elsewhere there is nothing to try.
#[tokio::test]
async fn another_user_gets_nothing() {
    if !geteuid().is_root() {
        return;
    }
    let state = state();
    let waiting = HandoverSocket::open(state.path()).unwrap();
    // What file permissions forbid already is opened here, so that only the credentials are left to refuse.
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(state.path().join(SOCKET_NAME), fs::Permissions::from_mode(0o666)).unwrap();
    // Where it can be executed by everybody.
    let program = state.path().join("stranger");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut child = Command::new(&program);
    child.args(["--ignored", "--exact", "handover::tests::as_another_user", "--nocapture"]);
    child.env("HANDOVER_STATE", state.path()).current_dir("/").stdout(Stdio::piped()).uid(65534).gid(65534);
    let child = child.spawn().unwrap();
    let finished = tokio::task::spawn_blocking(move || child.wait_with_output());
    tokio::select! {
        _ = waiting.successor() => unreachable!("a stranger was let in"),
        output = finished => {
            let output = output.unwrap().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("1 passed"), "{text}");
        }
    }
}

#[tokio::test]
#[ignore = "the other process of `another_user_gets_nothing`"]
async fn as_another_user() {
    let mut stream = UnixStream::connect(state_of_child().join(SOCKET_NAME)).await.unwrap();
    assert!(matches!(check_user(&stream), Err(HandoverError::OtherUser(0))), "the check works both ways");
    let _ = stream.write_all(b"PCHO\0\0\0\x01").await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{answer:?}");
}
