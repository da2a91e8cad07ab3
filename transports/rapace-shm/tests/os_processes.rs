//! Links between processes: by an address, and through death.
#![allow(clippy::disallowed_methods, reason = "real processes die in real time")]
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rapace_shm::os::{self, Address, Listener, SetUpError, connect, from_socket};
use rapace_shm::{ShmConfig, ShmTransport};
use rapace_transport::conformance::traffic::{check, frame, recv, send};
use rapace_transport::{FrameSink, FrameSource, LinkError, Room, Transport};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

type Halves = (Box<dyn FrameSink>, Box<dyn FrameSource>);

fn halves(link: ShmTransport<os::Os>) -> Halves {
    Box::new(link).split()
}

/// A directory of this test alone, removed with everything in it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rapace-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Directory(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs another test of this file, one that is ignored otherwise, in a process of its own.
fn process(role: &str, address: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "--nocapture", role])
        .env("RAPACE_TEST_ADDRESS", address)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process")
}

fn address() -> String {
    std::env::var("RAPACE_TEST_ADDRESS").expect("run by another test")
}

/// Echoes until the link ends.
#[tokio::test]
#[ignore = "the other process of the tests below"]
async fn role_echo() {
    let link = connect(address().as_str(), ShmConfig::default())
        .await
        .expect("a link");
    let (mut sink, mut source) = halves(link);
    source.raise_payload_limit(1 << 20);
    while let Ok(frame) = recv(&mut *source).await {
        send(&mut *sink, frame).await.expect("sent");
    }
}

/// Starts a process that inherits the control socket, says its id, and hangs.
#[tokio::test]
#[ignore = "the other process of the tests below"]
async fn role_parent() {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None);
    let socket = socket.expect("a socket");
    let target = SocketAddrUnix::new(address().as_str()).expect("an address");
    rustix::net::connect(&socket, &target).expect("connected");
    // Without close-on-exec.
    let _inherited = rustix::io::dup(&socket).expect("a descriptor");
    let _link = from_socket(socket, ShmConfig::default())
        .await
        .expect("a link");
    let mut child = Command::new("sleep");
    child
        .arg("120")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    println!("child {}", child.spawn().expect("a child").id());
    std::future::pending::<()>().await;
}

async fn accept(listener: &mut Listener) -> Halves {
    let link = tokio::time::timeout(Duration::from_secs(20), listener.accept()).await;
    halves(link.expect("in time").expect("a link"))
}

#[tokio::test]
async fn two_processes_exchange_frames_by_path() {
    let directory = Directory::new("path");
    let mut listener = Listener::bind(directory.socket(), ShmConfig::default()).expect("listening");
    let mut child = process("role_echo", directory.socket().to_str().expect("text"));
    let (mut sink, mut source) = accept(&mut listener).await;
    source.raise_payload_limit(1 << 20);
    for number in 0..200 {
        let len = [0, 16, 17, 5_000, 300_000][number as usize % 5];
        send(&mut *sink, frame(number, len)).await.expect("sent");
        check(&recv(&mut *source).await.expect("an echo"), number, len);
    }
    drop((sink, source));
    assert!(child.wait().expect("its end").success());
    drop(listener);
    assert!(!directory.socket().exists(), "the socket's file stays");
}

#[tokio::test]
async fn row_11_a_killed_process_is_seen_at_once_on_the_receiving_side() {
    let directory = Directory::new("killed");
    let mut listener = Listener::bind(directory.socket(), ShmConfig::default()).expect("listening");
    let mut child = process("role_echo", directory.socket().to_str().expect("text"));
    let (_sink, mut source) = accept(&mut listener).await;
    let received = tokio::spawn(async move { recv(&mut *source).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    child.kill().expect("killed");
    let begin = Instant::now();
    let ended = received.await.expect("no panic");
    assert!(matches!(ended, Err(LinkError::PeerDied(_))), "{ended:?}");
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    child.wait().expect("reaped");
}

#[tokio::test]
async fn row_12_death_is_seen_though_a_grandchild_holds_the_socket() {
    let directory = Directory::new("grandchild");
    let mut listener = Listener::bind(directory.socket(), ShmConfig::default()).expect("listening");
    let mut child = process("role_parent", directory.socket().to_str().expect("text"));
    let (_sink, mut source) = accept(&mut listener).await;
    let output = BufReader::new(child.stdout.take().expect("output"));
    let grandchild = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("child ")?.1.parse::<i32>().ok())
        .expect("an id");
    child.kill().expect("killed");
    child.wait().expect("reaped");
    let ended = tokio::time::timeout(Duration::from_secs(5), recv(&mut *source)).await;

    let grandchild = rustix::process::Pid::from_raw(grandchild).expect("a process");
    let alive = rustix::process::test_kill_process(grandchild);
    let _ = rustix::process::kill_process(grandchild, rustix::process::Signal::KILL);
    alive.expect("the grandchild still held the socket");
    let ended = ended.expect("death was seen");
    assert!(matches!(ended, Err(LinkError::PeerDied(_))), "{ended:?}");
}

#[tokio::test]
async fn row_02_a_death_that_a_growing_lane_meets_first_is_a_death() {
    let (ours, theirs) = os::pair(ShmConfig::default()).await.expect("a pair");
    let lender = ours.lender().expect("a lender");
    let (_sink, mut source) = halves(ours);
    // From now on the runtime knows of nothing that has come.
    let mut cx = Context::from_waker(Waker::noop());
    assert!(source.poll_recv(&mut cx).is_pending());
    drop(theirs);
    // More than the lane has, so that memory is sent; the runtime has had no time to hear of the
    // hang-up.
    match lender.poll_loan(&mut cx, Room::exact(1 << 20)) {
        Poll::Pending | Poll::Ready(Err(LinkError::PeerDied(_))) => {}
        other @ Poll::Ready(_) => panic!("{other:?}"),
    }
    let ended = recv(&mut *source).await;
    assert!(matches!(ended, Err(LinkError::PeerDied(_))), "{ended:?}");
}

#[tokio::test]
async fn abstract_names_need_no_file() {
    let name = format!("shm:@rapace-test-{}", std::process::id());
    let mut listener = Listener::bind(name.as_str(), ShmConfig::default()).expect("listening");
    assert!(matches!(listener.local_addr(), Address::Abstract(_)));
    let (ours, theirs) = tokio::join!(
        listener.accept(),
        connect(name.as_str(), ShmConfig::default())
    );
    assert!(ours.is_ok() && theirs.is_ok());
}

#[tokio::test]
async fn a_stale_file_is_replaced_and_a_live_one_is_not() {
    let directory = Directory::new("stale");
    let bind = || Listener::bind(directory.socket(), ShmConfig::default());
    // Whoever made this one is gone, and never removed it.
    let stale = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None);
    let stale = stale.expect("a socket");
    let target = SocketAddrUnix::new(directory.socket()).expect("an address");
    rustix::net::bind(&stale, &target).expect("bound");
    drop(stale);

    let nobody = connect(directory.socket(), ShmConfig::default())
        .await
        .err();
    let text = nobody.expect("nobody listens").to_string();
    assert!(text.contains("nobody listens there any more"), "{text}");
    let mut listener = bind().expect("the stale file is replaced");
    let second = bind().expect_err("somebody listens").to_string();
    assert!(second.contains("another process listens there"), "{second}");
    let (ours, theirs) = tokio::join!(
        listener.accept(),
        connect(directory.socket(), ShmConfig::default())
    );
    assert!(
        ours.is_ok() && theirs.is_ok(),
        "asking disturbed the listener"
    );

    drop(listener);
    std::fs::write(directory.socket(), "a file of somebody's").expect("written");
    assert!(bind().is_err());
    assert!(
        directory.socket().exists(),
        "a file that is no socket was removed"
    );
}

#[tokio::test]
async fn a_silent_connection_holds_up_nobody() {
    let directory = Directory::new("silent");
    let mut listener = Listener::bind(directory.socket(), ShmConfig::default()).expect("listening");
    let target = SocketAddrUnix::new(directory.socket()).expect("an address");
    let silent: Vec<_> = (0..5)
        .map(|_| {
            let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None);
            let socket = socket.expect("a socket");
            rustix::net::connect(&socket, &target).expect("connected");
            socket
        })
        .collect();
    let begin = Instant::now();
    let (ours, theirs) = tokio::join!(
        listener.accept(),
        connect(directory.socket(), ShmConfig::default())
    );
    assert!(ours.is_ok() && theirs.is_ok());
    assert!(begin.elapsed() < os::SET_UP_TIMEOUT / 2);
    drop(silent);
    let failed = listener.accept().await.err().expect("no link");
    assert!(matches!(failed, SetUpError::HungUp), "{failed}");
}
