//! The conformance suite catches broken transports: an in-process link with one fault built in
//! fails the cases that are about it.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite measures and bounds real time"
)]

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rapace_core::frame::{Frame, Payload};
use rapace_mem::{MemConfig, pair_with};
use rapace_transport::conformance::{self, Pair, PairConfig};
use rapace_transport::{FrameSink, FrameSource, LinkError, LinkInfo, Transport};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    SwapsFrames,
    CutsLongPayloads,
    HandsShortPayloadsOverAsBytes,
    ForgetsFlags,
    BuffersWithoutBound,
    ClosesWithoutFlushing,
    LosesFramesOfUnfinishedFlushes,
    NeverWakesReceivers,
    WakesTheFirstReceiver,
    WakesIdleReceivers,
    NeverWakesSenders,
    AcceptsAnyLength,
    ForgetsItsError,
    FailsTheSecondClose,
}

struct Broken {
    inner: Box<dyn Transport>,
    fault: Fault,
}

impl Transport for Broken {
    fn info(&self) -> LinkInfo {
        self.inner.info()
    }

    fn split(self: Box<Self>) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
        let (sink, mut source) = self.inner.split();
        if self.fault == Fault::AcceptsAnyLength {
            source.raise_payload_limit(u32::MAX);
        }
        let sink = BrokenSink {
            inner: sink,
            fault: self.fault,
            held: VecDeque::new(),
            flushes: 0,
            closes: 0,
        };
        let source = BrokenSource {
            inner: source,
            fault: self.fault,
            held: None,
            first_waker: None,
            has_failed: false,
        };
        (Box::new(sink), Box::new(source))
    }
}

struct BrokenSink {
    inner: Box<dyn FrameSink>,
    fault: Fault,
    /// Frames kept back by the faults that need to.
    held: VecDeque<Frame>,
    flushes: u32,
    closes: u32,
}

impl BrokenSink {
    fn holds_back(&self) -> bool {
        matches!(
            self.fault,
            Fault::BuffersWithoutBound
                | Fault::ClosesWithoutFlushing
                | Fault::LosesFramesOfUnfinishedFlushes
        )
    }
}

impl FrameSink for BrokenSink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.fault == Fault::BuffersWithoutBound {
            return Poll::Ready(Ok(()));
        }
        if self.fault == Fault::NeverWakesSenders {
            return self
                .inner
                .poll_ready(&mut Context::from_waker(Waker::noop()));
        }
        if self.fault == Fault::LosesFramesOfUnfinishedFlushes {
            self.held.clear();
        }
        self.inner.poll_ready(cx)
    }

    fn send(&mut self, mut frame: Frame) {
        if self.fault == Fault::ForgetsFlags {
            frame.desc.flags.0 &= 0xFFFF;
        }
        if self.fault == Fault::CutsLongPayloads && frame.payload.len() > 1_000 {
            let bytes = frame.payload.into_bytes();
            frame = Frame::new(frame.desc, Payload::Bytes(bytes.slice(1..)));
        }
        if self.holds_back() {
            self.held.push_back(frame);
        } else {
            self.inner.send(frame);
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.flushes += 1;
        if self.fault == Fault::LosesFramesOfUnfinishedFlushes && self.flushes % 2 == 1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while !self.held.is_empty() {
            if self.inner.poll_ready(cx)?.is_pending() {
                return Poll::Pending;
            }
            self.inner.send(self.held.pop_front().expect("not empty"));
            let _ = self.inner.poll_flush(cx)?;
        }
        self.inner.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.closes += 1;
        if self.fault == Fault::FailsTheSecondClose && self.closes > 1 {
            return Poll::Ready(Err(LinkError::Closed));
        }
        if self.fault != Fault::ClosesWithoutFlushing
            && !self.held.is_empty()
            && self.poll_flush(cx)?.is_pending()
        {
            return Poll::Pending;
        }
        self.inner.poll_close(cx)
    }
}

struct BrokenSource {
    inner: Box<dyn FrameSource>,
    fault: Fault,
    held: Option<Frame>,
    first_waker: Option<Waker>,
    has_failed: bool,
}

impl FrameSource for BrokenSource {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, LinkError>> {
        let waker = match self.fault {
            Fault::NeverWakesReceivers => Waker::noop().clone(),
            Fault::WakesTheFirstReceiver => self
                .first_waker
                .get_or_insert_with(|| cx.waker().clone())
                .clone(),
            _ => cx.waker().clone(),
        };
        if self.fault == Fault::ForgetsItsError && self.has_failed {
            return Poll::Pending;
        }
        if let Some(frame) = self.held.take() {
            return Poll::Ready(Ok(frame));
        }
        let mut polled = self.inner.poll_recv(&mut Context::from_waker(&waker));
        match &mut polled {
            Poll::Ready(Ok(frame)) => {
                self.first_waker = None;
                if self.fault == Fault::HandsShortPayloadsOverAsBytes
                    && let Payload::Inline(inline) = &frame.payload
                {
                    frame.payload = Payload::Bytes(Bytes::copy_from_slice(inline.as_slice()));
                }
                if self.fault == Fault::SwapsFrames
                    && let Poll::Ready(Ok(next)) = self.inner.poll_recv(cx)
                {
                    self.held = Some(std::mem::replace(frame, next));
                }
            }
            Poll::Ready(Err(_)) => self.has_failed = true,
            Poll::Pending if self.fault == Fault::WakesIdleReceivers => cx.waker().wake_by_ref(),
            Poll::Pending => {}
        }
        polled
    }

    fn raise_payload_limit(&mut self, bytes: u32) {
        self.inner.raise_payload_limit(bytes);
    }
}

fn broken_pair(config: PairConfig, fault: Fault) -> Pair {
    let (a, b) = pair_with(if config.small_buffers {
        MemConfig {
            queue_frames_max: 1,
            queue_bytes_max: 1,
        }
    } else {
        MemConfig::default()
    });
    let end = |inner| Box::new(Broken { inner, fault });
    (end(Box::new(a)), end(Box::new(b)))
}

/// Whether the case ends well, and in time. A case that ends only because the timer made it look
/// again has lost a wake-up.
fn passes(case: impl Future<Output = ()>) -> bool {
    const LIMIT: Duration = Duration::from_secs(3);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let begin = Instant::now();
    catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { tokio::time::timeout(LIMIT, case).await })
    }))
    .is_ok_and(|timed| timed.is_ok() && begin.elapsed() < LIMIT)
}

/// Asserts that the case fails with the fault, and passes without it.
macro_rules! catches {
    ($($test:ident: $fault:ident fails $case:ident;)*) => {
        $(
            #[test]
            fn $test() {
                let run = |fault| {
                    passes(conformance::$case(async |config| broken_pair(config, fault)))
                };
                assert!(run(Fault::None), "the case passes without the fault");
                assert!(!run(Fault::$fault), "the case passes in spite of the fault");
            }
        )*
    };
}

catches! {
    order: SwapsFrames fails order_is_kept;
    sizes: CutsLongPayloads fails every_payload_size_arrives_whole;
    seventeen_mib: CutsLongPayloads fails row_17_a_payload_of_17_mib_arrives;
    inline: HandsShortPayloadsOverAsBytes fails short_payloads_are_inline;
    descriptors: ForgetsFlags fails descriptors_arrive_unchanged;
    chains: CutsLongPayloads fails chains_arrive_as_one_run;
    both_directions: NeverWakesSenders fails both_directions_at_once;
    pressure: BuffersWithoutBound fails backpressure_bounds_what_is_buffered;
    dropped_sends: LosesFramesOfUnfinishedFlushes fails row_05_a_dropped_send_tears_no_frame;
    close_wakes: NeverWakesReceivers fails row_07_close_wakes_a_blocked_receive;
    close_flushes: ClosesWithoutFlushing fails close_flushes_first;
    second_close: FailsTheSecondClose fails close_is_idempotent;
    sticky: ForgetsItsError fails peer_close_is_closed_and_stays_closed;
    dropped_peer: ForgetsItsError fails a_dropped_peer_is_seen_by_both_halves;
    first_limit: AcceptsAnyLength fails payload_limit_is_64_kib_before_it_is_raised;
    raised_limit: AcceptsAnyLength fails payload_limit_holds_after_it_is_raised;
    last_receiver: WakesTheFirstReceiver fails receive_wakes_the_last_task;
    last_sender: NeverWakesSenders fails ready_wakes_the_last_task;
    idle: WakesIdleReceivers fails an_idle_link_wakes_nobody;
}
