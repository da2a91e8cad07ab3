//! The body of the fuzz target `shm_peer`, an ordinary function so that stable `cargo test` can
//! replay a corpus.
//!
//! Two ends of a link run the shipping code over memory that panics when it is touched out of
//! bounds. The input says who does what, and which words of one end's lane change under way, which
//! control messages are made up, which headers are wrong. The other end must refuse what makes no
//! sense with a typed error, and go on otherwise.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use rapace_core::frame::{Descriptor, Flags, Frame, Payload};
use rapace_core::id::{ChannelId, MethodId};
use rapace_transport::{FrameSink, FrameSource, Lender, LinkError, Room, Transport};

use crate::layout::{
    CLOSED, CONSUMED, HEAD, NAP_DATA, NAP_PROCESSOR, NAP_ROOM, RANG_AT, RETURNS_HEAD, RINGS,
};
use crate::shared::lock;
use crate::{
    Alarm, Control, Doorbell, Incoming, Memory, Outgoing, Parts, Platform, ShmConfig, ShmTransport,
    Spin, prepare_lane,
};

/// Words in which something can be wrong everywhere.
const POLLED: [usize; 8] = [
    HEAD,
    CONSUMED,
    RETURNS_HEAD,
    NAP_DATA,
    NAP_DATA + NAP_PROCESSOR,
    NAP_DATA + RANG_AT,
    NAP_ROOM,
    CLOSED,
];
/// Operations of one input.
const OPERATIONS_MAX: usize = 400;

#[derive(Clone)]
struct Words(Arc<Vec<AtomicU64>>);

impl Words {
    fn new(bytes: usize) -> Self {
        Words(Arc::new(
            (0..bytes.div_ceil(8)).map(|_| AtomicU64::new(0)).collect(),
        ))
    }

    fn set_byte(&self, at: usize, byte: u8) {
        let shift = at % 8 * 8;
        let word = &self.0[at / 8];
        let old = word.load(Ordering::Relaxed);
        word.store(
            old & !(0xFF << shift) | u64::from(byte) << shift,
            Ordering::Relaxed,
        );
    }
}

impl Memory for Words {
    fn len_bytes(&self) -> usize {
        self.0.len() * 8
    }

    fn load(&self, at: usize, order: Ordering) -> u64 {
        assert!(at.is_multiple_of(8), "a word at {at}");
        self.0[at / 8].load(order)
    }

    fn store(&self, at: usize, value: u64, order: Ordering) {
        assert!(at.is_multiple_of(8), "a word at {at}");
        self.0[at / 8].store(value, order);
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        for (index, byte) in out.iter_mut().enumerate() {
            let word = self.0[(at + index) / 8].load(Ordering::Relaxed);
            *byte = (word >> ((at + index) % 8 * 8)) as u8;
        }
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            self.set_byte(at + index, *byte);
        }
    }
}

#[derive(Clone, Default)]
struct Flag(Arc<AtomicBool>);

impl Doorbell for Flag {
    fn ring(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn poll_rung(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.swap(false, Ordering::SeqCst) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

/// Messages to one end; what it sent itself, and what the input makes up.
type Queue = Arc<Mutex<VecDeque<Incoming<Words>>>>;

struct Line {
    incoming: Queue,
    outgoing: Queue,
}

impl Control for Line {
    type Memory = Words;

    fn create(&self, bytes: usize) -> io::Result<Words> {
        Ok(Words::new(bytes))
    }

    fn poll_send(
        &self,
        _: &mut Context<'_>,
        message: &Outgoing<'_, Words>,
    ) -> Poll<io::Result<()>> {
        lock(&self.outgoing).push_back(match message {
            Outgoing::Segment { serial, memory } => Incoming::Segment {
                serial: *serial,
                memory: (*memory).clone(),
            },
            Outgoing::Drop { serial } => Incoming::Drop { serial: *serial },
        });
        Poll::Ready(Ok(()))
    }

    fn poll_recv(&self, _: &mut Context<'_>) -> Poll<io::Result<Incoming<Words>>> {
        match lock(&self.incoming).pop_front() {
            Some(message) => Poll::Ready(Ok(message)),
            None => Poll::Pending,
        }
    }
}

thread_local! {
    static NOW_NS: Cell<u64> = const { Cell::new(0) };
}

struct Cells;

impl Platform for Cells {
    type Memory = Words;
    type Doorbell = Flag;
    type Control = Line;

    fn now_ns() -> u64 {
        // Spinning ends only because time passes.
        NOW_NS.with(|now| {
            now.set(now.get() + 50_000);
            now.get()
        })
    }

    fn processor() -> Option<u64> {
        Some(0)
    }

    fn alarm() -> Box<dyn Alarm> {
        Box::new(Soon { looks: None })
    }
}

/// Goes off at the second look after it was set.
struct Soon {
    looks: Option<u8>,
}

impl Alarm for Soon {
    fn set(&mut self, after: Option<Duration>) {
        self.looks = after.map(|_| 0);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        match &mut self.looks {
            Some(0) => {
                self.looks = Some(1);
                Poll::Pending
            }
            Some(_) => {
                self.looks = None;
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    }
}

struct End {
    sink: Box<dyn FrameSink>,
    source: Box<dyn FrameSource>,
    lender: Option<Arc<dyn Lender>>,
    kept: VecDeque<Bytes>,
    ended: Option<LinkError>,
}

impl End {
    fn new(transport: ShmTransport<Cells>) -> Self {
        let lender = transport.lender();
        let (sink, mut source) = Box::new(transport).split();
        source.raise_payload_limit(16 << 10);
        End {
            sink,
            source,
            lender,
            kept: VecDeque::new(),
            ended: None,
        }
    }

    fn send(&mut self, payload: Payload) {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(Ok(())) = self.sink.poll_ready(&mut cx) {
            let desc = Descriptor::new(ChannelId(1), MethodId(1), Flags::DATA);
            self.sink.send(Frame::new(desc, payload));
        }
        let _ = self.sink.poll_flush(&mut cx);
    }

    fn send_bytes(&mut self, len: usize) {
        self.send(Payload::Bytes(Bytes::from(vec![0xA5; len])));
    }

    fn send_loan(&mut self, len: usize) {
        let room = Room {
            head: 8,
            len,
            tail: 8,
        };
        if let Some(loan) = self
            .lender
            .as_ref()
            .and_then(|lender| lender.try_loan(room))
        {
            self.send(Payload::Loan(loan));
        }
    }

    fn receive(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        match self.source.poll_recv(&mut cx) {
            Poll::Ready(Ok(frame)) => {
                assert!(self.ended.is_none(), "a frame after the end");
                assert_eq!(frame.desc.payload_len as usize, frame.payload.len());
                self.kept.push_back(frame.payload.into_bytes());
                if self.kept.len() > 8 {
                    self.kept.pop_front();
                }
            }
            Poll::Ready(Err(error)) => {
                if let Some(ended) = &self.ended {
                    assert_eq!(*ended, error, "it ended twice");
                }
                self.ended = Some(error);
            }
            Poll::Pending => assert!(self.ended.is_none(), "waits after the end"),
        }
    }
}

/// Reads the input from its front; nothing but zeros behind its end.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A value that is likely to be just wrong.
    fn value(&mut self, old: u64) -> u64 {
        match self.byte() % 8 {
            0 => old.wrapping_add(1),
            1 => old.wrapping_sub(1),
            2 => old.wrapping_add(u64::from(self.byte())),
            3 => old ^ (1 << (self.byte() % 64)),
            4 => u64::MAX,
            5 => 0,
            6 => u64::from(self.byte()),
            _ => self.word(),
        }
    }

    fn length(&mut self) -> usize {
        match self.byte() {
            short @ 0..128 => usize::from(short),
            long => usize::from(long - 127) * 97,
        }
    }
}

/// Changes a word of the lane.
fn corrupt(input: &mut Input<'_>, lane: &Words) {
    let choice = input.byte();
    let at = match choice {
        0..100 => POLLED[usize::from(choice) % POLLED.len()],
        // Descriptors, mostly those that will be read next, and returns.
        100..220 => RINGS + usize::from(input.byte()) * 8,
        _ => usize::from(input.byte()) * 256 % lane.len_bytes() / 8 * 8,
    };
    let old = lane.load(at, Ordering::Relaxed);
    lane.store(at, input.value(old), Ordering::Release);
}

fn made_up(input: &mut Input<'_>) -> Incoming<Words> {
    let serial = u32::from(input.byte() % 4);
    match input.byte() % 6 {
        0 => Incoming::HungUp,
        1 => Incoming::Malformed("made up".into()),
        2 | 3 => Incoming::Drop { serial },
        _ => Incoming::Segment {
            serial,
            memory: Words::new(usize::from(input.byte()) * 64),
        },
    }
}

/// Inputs to start from: traffic in both directions, a word changed under way, a made-up message,
/// a wrong header.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![0, 7, 20, 7, 200, 3, 3, 0, 200, 9, 11, 2, 90, 9, 6, 6, 3],
        vec![0, 7, 20, 12, 0, 0, 7, 200, 12, 150, 4, 3, 7, 3, 3],
        vec![2, 7, 255, 7, 255, 3, 3, 7, 255, 15, 1, 4, 9, 3, 15, 1, 2, 3],
        vec![4, 3, 7, 255, 255],
    ]
}

/// A peer that writes anything at any time. Panics when the other end breaks a promise.
pub fn peer(bytes: &[u8]) {
    NOW_NS.set(0);
    let mut input = Input(bytes);
    let choice = input.byte();
    let config = ShmConfig {
        ring_frames: 8,
        slots_max: 4,
        payload_bytes_min: 4 << 10,
        lane_bytes_max: 64 << 10,
        borrow_bytes_max: 8 << 10,
        copy_payloads: choice & 1 != 0,
        spin: if choice & 2 != 0 {
            Spin::Adaptive
        } else {
            Spin::Never
        },
        ..ShmConfig::default()
    };
    let lanes: [Words; 2] = std::array::from_fn(|_| {
        let lane = Words::new(config.lane_len_bytes());
        prepare_lane(&lane, &config);
        lane
    });
    if choice & 4 != 0 {
        let word = usize::from(input.byte() % 8) * 8;
        let old = lanes[1].load(word, Ordering::Relaxed);
        lanes[1].store(word, input.value(old), Ordering::Relaxed);
    }
    let queues: [Queue; 2] = Default::default();
    let data: [Flag; 2] = Default::default();
    let room: [Flag; 2] = Default::default();
    let end = |this: usize| {
        let peer = 1 - this;
        let parts: Parts<Cells> = Parts {
            own: lanes[this].clone(),
            peer: lanes[peer].clone(),
            own_data: data[this].clone(),
            own_room: room[this].clone(),
            peer_data: data[peer].clone(),
            peer_room: room[peer].clone(),
            control: Line {
                incoming: queues[this].clone(),
                outgoing: queues[peer].clone(),
            },
        };
        ShmTransport::new(parts, config.clone()).map(End::new)
    };
    let mut honest = match end(0) {
        Ok(honest) => honest,
        Err(error) => return assert!(matches!(error, LinkError::Malformed(_)), "{error}"),
    };
    let Ok(mut hostile) = end(1) else { return };
    for _ in 0..OPERATIONS_MAX {
        if input.0.is_empty() {
            break;
        }
        match input.byte() % 16 {
            0 | 1 => {
                let len = input.length();
                honest.send_bytes(len);
            }
            2 => {
                let len = input.length();
                honest.send_loan(len);
            }
            3..=5 => honest.receive(),
            6 => drop(honest.kept.pop_front()),
            7 | 8 => {
                let len = input.length();
                hostile.send_bytes(len);
            }
            9 | 10 => hostile.receive(),
            11 => drop(hostile.kept.pop_front()),
            12..=14 => corrupt(&mut input, &lanes[1]),
            _ => {
                let message = made_up(&mut input);
                lock(&queues[0]).push_back(message);
            }
        }
    }
    // Whatever happened, the end comes, and comes as an error that says what was wrong.
    lock(&queues[0]).push_back(Incoming::HungUp);
    // Each frame that is left, and a few looks of a receiver that spins before it parks.
    for _ in 0..2 * config.ring_frames + 20 {
        honest.receive();
    }
    let end = honest.ended.as_ref().expect("a hung up peer is an end");
    let expected = matches!(
        end,
        LinkError::Malformed(_) | LinkError::Closed | LinkError::PeerDied(_)
    );
    assert!(expected, "the peer's doing was reported as {end}");
    let mut cx = Context::from_waker(Waker::noop());
    let _ = honest.sink.poll_close(&mut cx);
}
