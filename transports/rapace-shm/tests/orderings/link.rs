//! Two whole ends of a link, each in a thread of its own: the shipping sink and source.
//!
//! What is under `std` locks in there belongs to one end, so the threads never meet at one; they
//! meet in lanes, bells and the control channel, which are loom's here.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use loom::future::block_on;
use loom::sync::Mutex;
use loom::thread;
use rapace_core::frame::{Descriptor, Flags, Frame, Payload};
use rapace_core::id::{ChannelId, MethodId};
use rapace_shm::layout::Geometry;
use rapace_shm::{
    Alarm, Control, Doorbell, Incoming, Outgoing, Parts, Platform, ShmConfig, ShmTransport, Spin,
    prepare_lane,
};
use rapace_transport::{FrameSink, FrameSource, LinkError, Transport};

use crate::memory::{DEADLOCK, Flaw, Lane};
use crate::{assert_found_by_abort, explore, explore_some};

/// Entries of the ring: the fewest that a link may have.
const RING: u32 = 8;
/// More frames than it takes: it keeps room for one with a payload behind it.
const FILLING: u64 = 5;

#[derive(Default)]
struct Bell {
    rung: bool,
    waker: Option<Waker>,
}

#[derive(Clone)]
struct LoomBell(Arc<Mutex<Bell>>);

impl LoomBell {
    fn new() -> Self {
        LoomBell(Arc::new(Mutex::new(Bell::default())))
    }
}

impl Doorbell for LoomBell {
    fn ring(&self) {
        let waker = {
            let mut bell = self.0.lock().unwrap();
            bell.rung = true;
            bell.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bell = self.0.lock().unwrap();
        if std::mem::take(&mut bell.rung) {
            return Poll::Ready(Ok(()));
        }
        bell.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Whether the other end hung up, and who waits for that.
type Line = Arc<Mutex<(bool, VecDeque<Infallible>, Option<Waker>)>>;

struct LoomControl {
    incoming: Line,
    outgoing: Line,
}

impl Control for LoomControl {
    type Memory = Lane;

    fn create(&self, _: usize) -> io::Result<Lane> {
        Err(io::ErrorKind::OutOfMemory.into())
    }

    fn poll_send(&self, _: &mut Context<'_>, _: &Outgoing<'_, Lane>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Lane>>> {
        let mut line = self.incoming.lock().unwrap();
        if line.0 {
            return Poll::Ready(Ok(Incoming::HungUp));
        }
        line.2 = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for LoomControl {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let waker = {
            let mut line = self.outgoing.lock().unwrap();
            line.0 = true;
            line.2.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[derive(Debug)]
struct Loom;

impl Platform for Loom {
    type Memory = Lane;
    type Doorbell = LoomBell;
    type Control = LoomControl;

    fn now_ns() -> u64 {
        0
    }

    fn processor() -> Option<u64> {
        None
    }

    fn alarm() -> Box<dyn Alarm> {
        Box::new(Never)
    }
}

struct Never;

impl Alarm for Never {
    fn set(&mut self, _: Option<Duration>) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// The two halves of an end. After a panic they are forgotten: their destructors would talk to a
/// model that is over.
struct Halves {
    sink: Option<Box<dyn FrameSink>>,
    source: Option<Box<dyn FrameSource>>,
}

impl Halves {
    fn sink(&mut self) -> &mut dyn FrameSink {
        &mut **self.sink.as_mut().expect("taken only by drop")
    }

    fn source(&mut self) -> &mut dyn FrameSource {
        &mut **self.source.as_mut().expect("taken only by drop")
    }

    fn receive(&mut self) -> Result<Frame, LinkError> {
        block_on(poll_fn(|cx| self.source().poll_recv(cx)))
    }

    fn send(&mut self, number: u64, len: usize) -> Result<(), LinkError> {
        let sink = self.sink();
        block_on(poll_fn(|cx| sink.poll_ready(cx)))?;
        sink.send(frame(number, len));
        block_on(poll_fn(|cx| sink.poll_flush(cx)))
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget((self.sink.take(), self.source.take()));
        }
    }
}

fn pair(flaw: Flaw) -> [Halves; 2] {
    let config = ShmConfig {
        ring_frames: RING,
        spin: Spin::Never,
        ..ShmConfig::smallest()
    };
    let lanes: [Lane; 2] = std::array::from_fn(|_| {
        let lane = Lane::new(Geometry::new(RING, 2, 4096), flaw);
        prepare_lane(&lane, &config);
        lane
    });
    let data = [LoomBell::new(), LoomBell::new()];
    let room = [LoomBell::new(), LoomBell::new()];
    let lines: [Line; 2] =
        std::array::from_fn(|_| Arc::new(Mutex::new((false, VecDeque::new(), None))));
    std::array::from_fn(|this| {
        let peer = 1 - this;
        let parts: Parts<Loom> = Parts {
            own: lanes[this].clone(),
            peer: lanes[peer].clone(),
            own_data: data[this].clone(),
            own_room: room[this].clone(),
            peer_data: data[peer].clone(),
            peer_room: room[peer].clone(),
            control: LoomControl {
                incoming: lines[this].clone(),
                outgoing: lines[peer].clone(),
            },
        };
        let link = ShmTransport::new(parts, config.clone()).expect("a link");
        let (sink, source) = Box::new(link).split();
        Halves {
            sink: Some(sink),
            source: Some(source),
        }
    })
}

/// A frame with this number, and a payload of so many bytes.
fn frame(number: u64, len: usize) -> Frame {
    let mut desc = Descriptor::new(ChannelId(1), MethodId(1), Flags::DATA);
    desc.msg_id = number;
    let bytes = vec![number as u8; len];
    Frame::new(desc, Payload::Bytes(Bytes::from(bytes)))
}

/// One end sends frames and closes; the other one sees all of them, in order, and then the end.
fn frames_then_close(flaw: Flaw, frames: u64, len: usize) {
    let [mut sender, mut receiver] = pair(flaw);
    let sending = thread::spawn(move || {
        for number in 0..frames {
            sender.send(number, len).expect("sent");
        }
        block_on(poll_fn(|cx| sender.sink().poll_close(cx))).expect("closed");
    });
    for number in 0..frames {
        let got = receiver.receive().expect("a frame");
        assert_eq!(got.desc.msg_id, number);
        assert_eq!(got.payload.into_bytes(), vec![number as u8; len]);
    }
    assert_eq!(receiver.receive().expect_err("the end"), LinkError::Closed);
    drop(receiver);
    sending.join().expect("the sender");
}

#[test]
fn inline_frames_through_a_full_ring_then_the_close() {
    explore_some(|| frames_then_close(Flaw::None, FILLING, 8));
}

#[test]
fn payloads_through_two_slots_then_the_close() {
    explore_some(|| frames_then_close(Flaw::None, 3, 300));
}

#[test]
fn a_system_without_further_memory_has_payloads_wait() {
    explore_some(|| frames_then_close(Flaw::None, 2, 4096));
}

/// One end asks, the other one answers; neither closes before that.
fn ask_and_answer(flaw: Flaw) {
    let [mut client, mut server] = pair(flaw);
    let serving = thread::spawn(move || {
        let got = server.receive().expect("a request");
        server.send(got.desc.msg_id + 1, 8).expect("a reply");
    });
    client.send(7, 8).expect("a request");
    assert_eq!(client.receive().expect("a reply").desc.msg_id, 8);
    assert_eq!(client.receive().expect_err("the end"), LinkError::Closed);
    serving.join().expect("the server");
}

#[test]
fn a_request_and_its_reply() {
    explore(|| ask_and_answer(Flaw::None));
}

#[test]
fn a_link_without_fences_is_found() {
    let test = "link::a_link_without_fences_is_found";
    assert_found_by_abort(DEADLOCK, test, || ask_and_answer(Flaw::NoFence));
}
