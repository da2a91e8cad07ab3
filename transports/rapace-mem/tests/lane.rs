//! What only the in-process link promises: identity of payloads, bounds, kills.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rapace_core::frame::{Frame, Payload};
use rapace_mem::{MemConfig, MemTransport, pair, pair_with};
use rapace_transport::conformance::traffic::descriptor;
use rapace_transport::{Death, FrameSink, FrameSource, LinkError, Transport};

fn halves(transport: MemTransport) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
    Box::new(transport).split()
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn frame_of(bytes: Bytes) -> Frame {
    Frame::new(descriptor(1), Payload::from(bytes))
}

fn killed() -> LinkError {
    LinkError::PeerDied(Death::seen("killed"))
}

#[test]
fn a_payload_in_one_run_is_not_copied() {
    let (a, b) = pair();
    let ((mut sink, _a), (_b, mut source)) = (halves(a), halves(b));
    let bytes = Bytes::from(vec![7; 1_000]);
    assert!(sink.poll_ready(&mut cx()).is_ready());
    sink.send(frame_of(bytes.clone()));
    assert!(sink.poll_flush(&mut cx()).is_ready());
    let Poll::Ready(Ok(got)) = source.poll_recv(&mut cx()) else {
        panic!("a frame was flushed");
    };
    assert_eq!(got.payload.into_bytes().as_ptr(), bytes.as_ptr());
}

#[test]
fn the_queue_holds_what_its_config_says() {
    let (a, b) = pair_with(MemConfig {
        queue_frames_max: 3,
        queue_bytes_max: 100,
    });
    let ((mut sink, _a), (_b, mut source)) = (halves(a), halves(b));
    let mut accepted = 0;
    while sink.poll_ready(&mut cx()).is_ready() {
        sink.send(frame_of(Bytes::from(vec![1; 20])));
        accepted += 1;
    }
    assert_eq!(accepted, 3, "three frames of 60 bytes");
    assert!(source.poll_recv(&mut cx()).is_ready());
    let mut accepted = 0;
    while sink.poll_ready(&mut cx()).is_ready() {
        sink.send(frame_of(Bytes::from(vec![1; 90])));
        accepted += 1;
    }
    assert_eq!(accepted, 2, "below 100 bytes one more frame is taken");
}

#[test]
fn row_02_a_killed_end_is_a_dead_peer_after_its_last_frame() {
    let (a, b) = pair();
    let switch = a.kill_switch();
    let ((mut a_sink, mut a_source), (mut b_sink, mut b_source)) = (halves(a), halves(b));
    assert!(a_sink.poll_ready(&mut cx()).is_ready());
    a_sink.send(frame_of(Bytes::from_static(b"flushed")));
    assert!(a_sink.poll_flush(&mut cx()).is_ready());
    a_sink.send(frame_of(Bytes::from_static(b"not flushed")));
    switch.kill();
    switch.kill();

    let Poll::Ready(Ok(got)) = b_source.poll_recv(&mut cx()) else {
        panic!("what was flushed arrives");
    };
    assert_eq!(got.payload.as_slice(), Some(&b"flushed"[..]));
    for _ in 0..2 {
        assert_eq!(
            b_source.poll_recv(&mut cx()).map(|r| r.map(|_| ())),
            Poll::Ready(Err(killed()))
        );
        assert_eq!(b_sink.poll_flush(&mut cx()), Poll::Ready(Err(killed())));
    }
    // The killed end itself only learns that nothing works any more.
    assert_eq!(
        a_sink.poll_flush(&mut cx()),
        Poll::Ready(Err(LinkError::Closed))
    );
    assert_eq!(
        a_source.poll_recv(&mut cx()).map(|r| r.map(|_| ())),
        Poll::Ready(Err(LinkError::Closed))
    );
}

#[test]
fn queued_payloads_are_given_back_when_the_receiver_goes() {
    struct Owner(#[expect(dead_code, reason = "counted, never read")] Arc<()>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &[1; 64]
        }
    }
    let (a, b) = pair();
    let ((mut sink, _a), (_b, source)) = (halves(a), halves(b));
    let alive = Arc::new(());
    assert!(sink.poll_ready(&mut cx()).is_ready());
    sink.send(frame_of(Bytes::from_owner(Owner(Arc::clone(&alive)))));
    assert!(sink.poll_flush(&mut cx()).is_ready());
    assert_eq!(Arc::strong_count(&alive), 2, "the queue holds the payload");
    drop(source);
    assert_eq!(Arc::strong_count(&alive), 1, "nobody holds it any more");
}
