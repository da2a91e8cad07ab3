//! An end of a link that a test drives by hand, one poll at a time.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use rapace_core::frame::{Descriptor, Flags, Frame, Loan, Payload};
use rapace_core::id::{ChannelId, MethodId};
use rapace_transport::{FrameSink, FrameSource, Lender, LinkError, Room, Transport};

/// A waker that remembers that it was called.
#[derive(Default)]
pub(crate) struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One half's task.
#[derive(Default)]
pub(crate) struct Task(Arc<Woken>);

impl Task {
    pub(crate) fn waker(&self) -> Waker {
        Waker::from(self.0.clone())
    }

    /// Whether it was woken since this was asked last.
    pub(crate) fn was_woken(&self) -> bool {
        self.0.0.swap(false, Ordering::SeqCst)
    }
}

pub(crate) struct End {
    pub(crate) sink: Box<dyn FrameSink>,
    pub(crate) source: Box<dyn FrameSource>,
    pub(crate) lender: Arc<dyn Lender>,
    /// Waits to send.
    pub(crate) sending: Task,
    /// Waits to receive.
    pub(crate) receiving: Task,
    /// Waits for a loan.
    pub(crate) lending: Task,
}

impl End {
    pub(crate) fn new(transport: impl Transport) -> Self {
        let lender = transport.lender().expect("shared memory lends");
        let (sink, mut source) = Box::new(transport).split();
        source.raise_payload_limit(u32::MAX);
        End {
            sink,
            source,
            lender,
            sending: Task::default(),
            receiving: Task::default(),
            lending: Task::default(),
        }
    }

    pub(crate) fn poll_ready(&mut self) -> Poll<Result<(), LinkError>> {
        let waker = self.sending.waker();
        self.sink.poll_ready(&mut Context::from_waker(&waker))
    }

    pub(crate) fn poll_flush(&mut self) -> Poll<Result<(), LinkError>> {
        let waker = self.sending.waker();
        self.sink.poll_flush(&mut Context::from_waker(&waker))
    }

    pub(crate) fn poll_recv(&mut self) -> Poll<Result<Frame, LinkError>> {
        let waker = self.receiving.waker();
        self.source.poll_recv(&mut Context::from_waker(&waker))
    }

    pub(crate) fn poll_loan(&mut self, room: Room) -> Poll<Result<Loan, LinkError>> {
        let waker = self.lending.waker();
        let mut cx = Context::from_waker(&waker);
        self.lender.poll_loan(&mut cx, room)
    }

    pub(crate) fn poll_close(&mut self) -> Poll<Result<(), LinkError>> {
        let waker = self.sending.waker();
        self.sink.poll_close(&mut Context::from_waker(&waker))
    }

    /// Sends if the link takes a frame now; says whether it did.
    pub(crate) fn try_send(&mut self, frame: impl FnOnce() -> Frame) -> Result<bool, LinkError> {
        match self.poll_ready()? {
            Poll::Pending => Ok(false),
            Poll::Ready(()) => {
                self.sink.send(frame());
                let _ = self.poll_flush()?;
                Ok(true)
            }
        }
    }

    /// Sends a frame that must be accepted at once.
    pub(crate) fn send(&mut self, frame: Frame) {
        let sent = self.try_send(|| frame).expect("the link lives");
        assert!(sent, "the link takes no frame");
    }

    /// The frame that must be there.
    pub(crate) fn receive(&mut self) -> Frame {
        match self.poll_recv() {
            Poll::Ready(Ok(frame)) => frame,
            other => panic!("no frame, but {other:?}"),
        }
    }

    /// A loan that must be granted now.
    pub(crate) fn lend(&self, room: Room) -> Loan {
        self.lender.try_loan(room).expect("a loan")
    }
}

/// A frame with this number around a payload.
pub(crate) fn frame(number: u64, payload: Payload) -> Frame {
    let mut desc = Descriptor::new(ChannelId(1), MethodId(1), Flags::DATA);
    desc.msg_id = number;
    Frame::new(desc, payload)
}

/// Bytes that depend on the frame's number and on where they stand.
pub(crate) fn contents(number: u64, len: usize) -> Vec<u8> {
    let mut word = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|at| {
            word = word.rotate_left(5) ^ at as u64;
            word as u8
        })
        .collect()
}

/// A frame with [`contents`] as its payload.
pub(crate) fn filled(number: u64, len: usize) -> Frame {
    frame(number, Payload::Bytes(Bytes::from(contents(number, len))))
}

/// Asserts that this is the frame that [`filled`] made.
pub(crate) fn assert_filled(got: Frame, number: u64, len: usize) -> Bytes {
    assert_eq!(got.desc.msg_id, number);
    let bytes = got.payload.into_bytes();
    assert!(
        bytes == contents(number, len),
        "frame {number} of {len} bytes is damaged"
    );
    bytes
}

/// How many of the frames with payloads of these lengths stand in the first `entries` entries of a
/// ring: all of each frame, not a part of it.
pub(crate) fn frames_within(lens: &[usize], entries: u64) -> usize {
    let mut used = 0;
    lens.iter()
        .take_while(|len| {
            // A frame takes one entry, and more if its payload stands in the ring too.
            let in_ring = (17..=rapace_shm::ring::RUN_BYTES_MAX).contains(*len);
            used += 1 + if in_ring { len.div_ceil(64) as u64 } else { 0 };
            used <= entries
        })
        .count()
}
