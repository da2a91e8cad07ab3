//! What happens when the peer reads slowly, and when a sender gives up.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures_util::future::join;

use super::traffic::{check, close, flush, frame, recv, recv_all, send_all, yield_once};
use super::{Pair, PairConfig};
use crate::{FrameSink, LinkError};

/// How often in a row a sink must say Pending, with the runtime running in between, before it
/// counts as stuck. Sockets say Pending once or twice merely because their readiness is not known
/// yet.
const STUCK_AFTER_POLLS: u32 = 200;

/// No transport may buffer more than this many payload bytes for a peer that does not read; the
/// kernel's socket buffers count.
const BUFFERED_BYTES_MAX: usize = 64 << 20;

/// Hands over frames of `len` bytes, numbered from 0, until the sink is stuck; returns how many
/// it took.
pub(super) async fn fill(sink: &mut dyn FrameSink, len: usize) -> u64 {
    let mut taken = 0;
    let mut pending_in_a_row = 0;
    while pending_in_a_row < STUCK_AFTER_POLLS {
        let ready = poll_fn(|cx| Poll::Ready(sink.poll_ready(cx))).await;
        match ready {
            Poll::Ready(Ok(())) => {
                pending_in_a_row = 0;
                sink.send(frame(taken, len));
                taken += 1;
                assert!(
                    taken as usize * len <= BUFFERED_BYTES_MAX,
                    "the sink took {taken} frames of {len} bytes from a peer that does not read"
                );
            }
            Poll::Ready(Err(err)) => panic!("the link ended while it was being filled: {err}"),
            Poll::Pending => {
                pending_in_a_row += 1;
                yield_once().await;
            }
        }
    }
    taken
}

async fn bounded(pair: impl AsyncFn(PairConfig) -> Pair, config: PairConfig) {
    for len in [24, 16_000, 60_000] {
        let (a, b) = pair(config).await;
        let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
        let taken = fill(&mut *sink, len).await;
        let more = taken + 50;
        join(
            send_all(&mut *sink, taken..more, |_| len),
            recv_all(&mut *source, 0..more, |_| len),
        )
        .await;
    }
}

/// A peer that does not read stops the sender after a bounded amount; when it reads again,
/// everything arrives.
pub async fn backpressure_bounds_what_is_buffered(pair: impl AsyncFn(PairConfig) -> Pair) {
    bounded(pair, PairConfig::USUAL).await;
}

/// The same with the smallest buffers.
pub async fn backpressure_bounds_what_is_buffered_in_small_buffers(
    pair: impl AsyncFn(PairConfig) -> Pair,
) {
    bounded(pair, PairConfig::SMALL).await;
}

/// A send that is dropped at any poll leaves the frame unsent or whole, never a part (row 5).
pub async fn row_05_a_dropped_send_tears_no_frame(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::SMALL).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    let len_of = |number: u64| (number as usize * 6_151) % 50_000;

    let write = async {
        let mut accepted = Vec::new();
        for number in 0..400_u64 {
            let handed_over = Cell::new(false);
            {
                let mut attempt = pin!(async {
                    poll_fn(|cx| sink.poll_ready(cx)).await?;
                    sink.send(frame(number, len_of(number)));
                    handed_over.set(true);
                    flush(&mut *sink).await
                });
                for _ in 0..=number % 5 {
                    let polled = poll_fn(|cx| Poll::Ready(attempt.as_mut().poll(cx))).await;
                    match polled {
                        Poll::Ready(Ok(())) => break,
                        Poll::Ready(Err(err)) => panic!("sending frame {number}: {err}"),
                        Poll::Pending => yield_once().await,
                    }
                }
            }
            if handed_over.get() {
                accepted.push(number);
            }
        }
        close(&mut *sink).await.expect("closing");
        accepted
    };
    let read = async {
        let mut arrived = Vec::new();
        loop {
            match recv(&mut *source).await {
                Ok(frame) => {
                    let number = frame.desc.msg_id;
                    check(&frame, number, len_of(number));
                    arrived.push(number);
                }
                Err(err) => {
                    assert_eq!(err, LinkError::Closed, "how the link ended");
                    break arrived;
                }
            }
            for _ in 0..3 {
                yield_once().await;
            }
        }
    };
    let (accepted, arrived) = join(write, read).await;
    assert!(!accepted.is_empty(), "no frame was accepted at all");
    assert_eq!(
        arrived, accepted,
        "exactly the accepted frames arrive, in order"
    );
}

/// A sink with nothing to write is flushed, before, between and after frames.
pub async fn flushing_nothing_is_ready(pair: impl AsyncFn(PairConfig) -> Pair) {
    let (a, b) = pair(PairConfig::USUAL).await;
    let ((mut sink, _keep), (_keep_too, mut source)) = (a.split(), b.split());
    for number in 0..3 {
        flush(&mut *sink).await.expect("flushing nothing");
        send_all(&mut *sink, number..number + 1, |_| 100).await;
        let again = poll_fn(|cx| Poll::Ready(sink.poll_flush(cx))).await;
        assert_eq!(
            again,
            Poll::Ready(Ok(())),
            "a flushed sink stays flushed until the next frame"
        );
        recv_all(&mut *source, number..number + 1, |_| 100).await;
    }
}
