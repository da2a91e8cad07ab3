//! Setting up a link, with peers that do it wrong.
#![allow(
    clippy::disallowed_methods,
    reason = "real processes wait for real time"
)]
#![cfg(target_os = "linux")]

use std::io::{IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rapace_shm::os::{SetUpError, from_socket, socket_pair};
use rapace_shm::{ShmConfig, os};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// Sends these bytes with these descriptors.
fn send(socket: &OwnedFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    let iov = [IoSlice::new(bytes)];
    sendmsg(socket, &iov, &mut ancillary, SendFlags::NOSIGNAL).expect("sent");
}

/// A record made by hand, as the table in the module `record` says.
fn record(version: u32, kind: u32, flags: u32, serial: u32, bytes: u64) -> [u8; 64] {
    let mut record = [0; 64];
    let mut rest = &mut record[..];
    rest.write_all(b"rapaceSM").expect("room");
    for word in [version, kind, flags, serial] {
        rest.write_all(&word.to_le_bytes()).expect("room");
    }
    rest.write_all(&bytes.to_le_bytes()).expect("room");
    record
}

fn hello(bytes: u64) -> [u8; 64] {
    record(1, 1, 0, 0, bytes)
}

const LANE: u64 = 64 << 10;

/// A sealed memory file of zeros: not a lane, but memory as it should be.
fn memory() -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create(c"test", flags).expect("a memory file");
    fallocate(&file, FallocateFlags::empty(), 0, LANE).expect("allocated");
    let seals = SealFlags::FUTURE_WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&file, seals).expect("sealed");
    file
}

fn bell() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("a bell")
}

/// How setting up fails with a peer that sends this.
async fn failure(bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> SetUpError {
    let (ours, theirs) = socket_pair().expect("sockets");
    send(&theirs, bytes, descriptors);
    let failed = from_socket(ours, ShmConfig::default()).await;
    failed.err().expect("no link comes of this")
}

async fn malformed(bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> String {
    match failure(bytes, descriptors).await {
        SetUpError::Malformed(what) => what.into_owned(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn too_few_or_too_many_descriptors_are_malformed() {
    let (lane, data, room) = (memory(), bell(), bell());
    let all = [
        lane.as_fd(),
        data.as_fd(),
        room.as_fd(),
        room.as_fd(),
        room.as_fd(),
    ];
    for sent in [0, 1, 2, 4, 5] {
        let what = malformed(&hello(LANE), &all[..sent]).await;
        assert!(what.contains("descriptors"), "{sent}: {what}");
    }
    // With three of them it is the contents that are wrong: the checks above were the cause.
    let what = malformed(&hello(LANE), &all[..3]).await;
    assert!(what.contains("a lane begins with"), "{what}");
}

#[tokio::test]
async fn memory_that_its_maker_could_shrink_is_refused() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create(c"test", flags).expect("a memory file");
    fallocate(&file, FallocateFlags::empty(), 0, LANE).expect("allocated");
    let bell = bell();
    let what = malformed(&hello(LANE), &[file.as_fd(), bell.as_fd(), bell.as_fd()]).await;
    assert!(what.contains("lacks the seals"), "{what}");
}

#[tokio::test]
async fn memory_shorter_than_announced_is_refused() {
    let (lane, bell) = (memory(), bell());
    let what = malformed(
        &hello(2 * LANE),
        &[lane.as_fd(), bell.as_fd(), bell.as_fd()],
    )
    .await;
    assert!(what.contains("announced"), "{what}");
}

#[tokio::test]
async fn another_version_is_named() {
    let failed = failure(&record(7, 1, 0, 0, LANE), &[]).await;
    let SetUpError::Version { ours: 1, theirs: 7 } = failed else {
        panic!("{failed}");
    };
    let text = failed.to_string();
    assert!(
        text.contains("version 7") && text.contains("same rapace"),
        "{text}"
    );
}

#[tokio::test]
async fn peers_of_another_kind_are_malformed() {
    let what = malformed(b"GET / HTTP/1.1\r\n\r\n", &[]).await;
    assert!(what.contains("wrong length"), "{what}");
    let what = malformed(&[b'x'; 64], &[]).await;
    assert!(what.contains("another transport"), "{what}");
    let what = malformed(&record(1, 3, 0, 1, 0), &[]).await;
    assert!(what.contains("no hello"), "{what}");
    let what = malformed(&record(1, 9, 0, 0, 0), &[]).await;
    assert!(what.contains("unknown kind"), "{what}");
    let what = malformed(&[0; 65], &[]).await;
    assert!(what.contains("wrong length"), "{what}");
}

#[tokio::test]
async fn a_process_that_cannot_be_watched_is_malformed() {
    let (lane, bell) = (memory(), bell());
    let sent = [lane.as_fd(), bell.as_fd(), bell.as_fd(), lane.as_fd()];
    let what = malformed(&record(1, 1, 1, 0, LANE), &sent).await;
    assert!(what.contains("cannot be watched"), "{what}");
}

#[tokio::test]
async fn row_03_a_peer_that_goes_away_fails_the_set_up_at_once() {
    let (ours, theirs) = socket_pair().expect("sockets");
    let begin = Instant::now();
    let gone = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(theirs);
    };
    let (failed, ()) = tokio::join!(from_socket(ours, ShmConfig::default()), gone);
    assert!(matches!(failed, Err(SetUpError::HungUp)));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn row_03_a_silent_peer_is_given_up() {
    let (ours, _theirs) = socket_pair().expect("sockets");
    let begin = tokio::time::Instant::now();
    let failed = from_socket(ours, ShmConfig::default())
        .await
        .err()
        .expect("no link");
    assert!(matches!(failed, SetUpError::TimedOut), "{failed}");
    assert_eq!(begin.elapsed(), os::SET_UP_TIMEOUT);
}

#[tokio::test]
async fn descriptors_that_are_no_socket_are_refused() {
    let failed = from_socket(memory(), ShmConfig::default())
        .await
        .err()
        .expect("no link");
    let SetUpError::System(err) = failed else {
        panic!("{failed}");
    };
    assert!(err.to_string().contains("control socket"), "{err}");
}

#[tokio::test]
async fn a_stream_socket_carries_a_link_too() {
    let (one, other) = std::os::unix::net::UnixStream::pair().expect("sockets");
    let config = ShmConfig::default();
    let links = tokio::join!(
        from_socket(one.into(), config.clone()),
        from_socket(other.into(), config),
    );
    assert!(links.0.is_ok() && links.1.is_ok());
}
