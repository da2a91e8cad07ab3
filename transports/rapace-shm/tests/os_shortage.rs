//! The real system refuses memory for a while: this process has no descriptors left. The only test of
//! its program, since all of it shares that limit.
#![allow(
    clippy::disallowed_methods,
    reason = "real processes wait for real time"
)]
#![cfg(target_os = "linux")]

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use rapace_core::frame::{Descriptor, Flags, Frame, Payload};
use rapace_core::id::{ChannelId, MethodId};
use rapace_shm::ShmConfig;
use rapace_transport::Transport as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number that the next descriptor would get: as a limit, it leaves none.
fn next_descriptor() -> u64 {
    let unused =
        |number: &u64| !std::fs::exists(format!("/proc/self/fd/{number}")).expect("procfs");
    (0..=1 << 20)
        .find(unused)
        .expect("a number that is not in use")
}

#[tokio::test]
async fn a_payload_waits_for_a_descriptor_and_arrives() {
    const LEN: usize = 1 << 20;
    let (a, b) = rapace_shm::pair(ShmConfig::default())
        .await
        .expect("a link");
    let (mut sink, mut source_a) = Box::new(a).split();
    let (_sink_b, mut source_b) = Box::new(b).split();
    source_b.raise_payload_limit(u32::MAX);
    // Both sides are driven, as a session does.
    tokio::spawn(async move { poll_fn(|cx| source_a.poll_recv(cx)).await });
    let received = tokio::spawn(async move { poll_fn(|cx| source_b.poll_recv(cx)).await });
    tokio::time::sleep(Duration::from_millis(10)).await;

    let limit = getrlimit(Resource::Nofile);
    let full = Rlimit {
        current: Some(next_descriptor()),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, full).expect("a lower limit");
    let desc = Descriptor::new(ChannelId(1), MethodId(1), Flags::DATA);
    let payload = Payload::Bytes(Bytes::from(vec![7; LEN]));
    sink.send(Frame::new(desc, payload));
    let sending = poll_fn(|cx| sink.poll_flush(cx));
    let early = tokio::time::timeout(Duration::from_millis(200), sending).await;
    setrlimit(Resource::Nofile, limit).expect("the limit as it was");
    assert!(early.is_err(), "sent without memory, or failed: {early:?}");

    let sending = poll_fn(|cx| sink.poll_flush(cx));
    let sent = tokio::time::timeout(Duration::from_secs(5), sending).await;
    sent.expect("nobody asks again").expect("the link lives");
    let frame = received.await.expect("no panic").expect("the frame");
    let bytes = frame.payload.into_bytes();
    assert!(bytes.len() == LEN && bytes.iter().all(|byte| *byte == 7));
}
