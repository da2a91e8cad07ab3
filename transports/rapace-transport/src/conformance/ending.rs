//! How links end: close, loss, broken limits.

use std::future::poll_fn;
use std::pin::pin;

use futures_util::future::{Either, join, select};

use super::traffic::{
    check, close, feed, flush, frame, recv, recv_all, send, send_all, yield_once,
};
use super::{Pair, PairConfig};
use crate::{FrameSource, LinkError};

/// The payload limit before it is raised, in bytes (PROTOCOL.md §1).
const FIRST_LIMIT_BYTES: usize = 64 << 10;

/// Panics unless every further receive gives the same error.
async fn check_sticky(source: &mut dyn FrameSource, err: &LinkError) {
    for _ in 0..3 {
        let again = recv(source)
            .await
            .expect_err("a link that ended delivers nothing");
        assert_eq!(again, *err, "the error of an ended link stays the same");
    }
}

/// Closing one's own link wakes the receive that waits on it (row 7).
pub async fn row_07_close_wakes_a_blocked_receive(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, mut source), (_keep, _keep_too)) = (a.split(), b.split());
    let receive = async {
        let err = recv(&mut *source).await.expect_err("nothing was sent");
        assert_eq!(err, LinkError::Closed, "what the blocked receive returned");
        check_sticky(&mut *source, &err).await;
    };
    let end = async {
        for _ in 0..10 {
            yield_once().await;
        }
        close(&mut *sink).await.expect("closing");
    };
    // The receive is polled first, so it waits when the close comes.
    join(receive, end).await;
}

/// Frames that were accepted before the close arrive before the end.
pub async fn close_flushes_first(pair: impl AsyncFn(PairConfig) -> Pair) {
    for config in [PairConfig::USUAL, PairConfig::SMALL] {
        let (a, b) = pair(config).await;
        let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
        let len_of = |number: u64| (number as usize * 997) % 60_000;
        let write = async {
            for number in 0..100 {
                feed(&mut *sink, frame(number, len_of(number)))
                    .await
                    .expect("sending");
            }
            close(&mut *sink).await.expect("closing");
        };
        let read = async {
            recv_all(&mut *source, 0..100, len_of).await;
            let err = recv(&mut *source).await.expect_err("the peer closed");
            assert_eq!(err, LinkError::Closed);
        };
        join(write, read).await;
    }
}

/// Closing again changes nothing and succeeds.
pub async fn close_is_idempotent(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut a_sink, mut a_source), (mut b_sink, mut b_source)) = (a.split(), b.split());
    for _ in 0..3 {
        close(&mut *a_sink).await.expect("closing");
    }
    for source in [&mut a_source, &mut b_source] {
        let err = recv(&mut **source).await.expect_err("the link is closed");
        assert_eq!(err, LinkError::Closed);
    }
    for _ in 0..2 {
        close(&mut *b_sink)
            .await
            .expect("closing the other end too");
    }
}

/// After its close a sink reports the link closed instead of taking frames.
pub async fn a_closed_sink_takes_no_frames(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    send_all(&mut *sink, 0..1, |_| 10).await;
    close(&mut *sink).await.expect("closing");
    for _ in 0..2 {
        let ready = poll_fn(|cx| sink.poll_ready(cx)).await;
        assert_eq!(ready, Err(LinkError::Closed));
    }
    recv_all(&mut *source, 0..1, |_| 10).await;
    let err = recv(&mut *source).await.expect_err("the peer closed");
    assert_eq!(err, LinkError::Closed);
}

/// The peer's close is seen on receive as `Closed`, and stays so.
pub async fn peer_close_is_closed_and_stays_closed(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    let read = async {
        let err = recv(&mut *source).await.expect_err("nothing was sent");
        assert_eq!(err, LinkError::Closed);
        check_sticky(&mut *source, &err).await;
    };
    let end = async {
        yield_once().await;
        close(&mut *sink).await.expect("closing");
    };
    join(read, end).await;
}

/// A peer whose end is dropped, without a close, is noticed by the receive that waits and by the
/// sender; each reports one error for ever.
pub async fn a_dropped_peer_is_seen_by_both_halves(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let (mut sink, mut source) = a.split();
    let (mut peer_sink, peer_source) = b.split();
    let read = async {
        recv_all(&mut *source, 0..1, |_| 200).await;
        let err = recv(&mut *source).await.expect_err("the peer is gone");
        assert!(
            matches!(err, LinkError::Closed | LinkError::PeerDied(_)),
            "a peer that is gone is closed or dead, not {err:?}"
        );
        check_sticky(&mut *source, &err).await;
    };
    let vanish = async move {
        send_all(&mut *peer_sink, 0..1, |_| 200).await;
        yield_once().await;
        drop((peer_sink, peer_source));
    };
    join(read, vanish).await;

    let mut seen = None;
    for number in 0..10_000 {
        if let Err(err) = send(&mut *sink, frame(number, 200)).await {
            seen = Some(err);
            break;
        }
        yield_once().await;
    }
    let seen = seen.expect("a sink whose peer is gone fails in the end");
    assert!(
        matches!(seen, LinkError::Closed | LinkError::PeerDied(_)),
        "a peer that is gone is closed or dead, not {seen:?}"
    );
    for _ in 0..2 {
        assert_eq!(poll_fn(|cx| sink.poll_ready(cx)).await, Err(seen.clone()));
        assert_eq!(flush(&mut *sink).await, Err(seen.clone()));
    }
}

/// Sends one frame of `len` bytes and expects the receiver to call it malformed.
async fn expect_refusal(pair: Pair, raise_to: Option<u32>, fits: usize) {
    let (a, b) = pair;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    if let Some(limit) = raise_to {
        source.raise_payload_limit(limit);
    }
    let write = async {
        for (number, len) in [(0, fits), (1, fits + 1)] {
            // The receiver may be gone before the second frame is written.
            let _ = send(&mut *sink, frame(number, len)).await;
        }
    };
    let read = async {
        let first = recv(&mut *source).await.expect("a payload at the limit");
        check(&first, 0, fits);
        let err = recv(&mut *source)
            .await
            .expect_err("a payload above the limit");
        assert!(
            matches!(err, LinkError::Malformed(_)),
            "a payload above the limit is malformed, not {err:?}"
        );
        check_sticky(&mut *source, &err).await;
    };
    // The writer is not waited for: nobody reads the rest of the frame, and what the writer does
    // about that is its session's decision.
    if let Either::Right(((), read)) = select(pin!(read), pin!(write)).await {
        read.await;
    }
}

/// A payload of 64 KiB is received before the limit is raised, one byte more is malformed.
pub async fn payload_limit_is_64_kib_before_it_is_raised(pair: impl AsyncFn(PairConfig) -> Pair) {
    expect_refusal(pair(PairConfig::USUAL).await, None, FIRST_LIMIT_BYTES).await;
}

/// A raised limit is exact, too.
pub async fn payload_limit_holds_after_it_is_raised(pair: impl AsyncFn(PairConfig) -> Pair) {
    for limit in [100_000, 1 << 20] {
        let fits = limit as usize;
        expect_refusal(pair(PairConfig::USUAL).await, Some(limit), fits).await;
    }
}
