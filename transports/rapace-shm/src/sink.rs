//! The sending half.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use rapace_core::frame::{
    DESCRIPTOR_LEN, Descriptor, Frame, INLINE_LEN, InlineBytes, Loan, Payload, SLOT_INLINE,
    SLOT_RESERVED,
};
use rapace_transport::{FrameSink, LinkError};

use crate::control::Platform;
use crate::heap::Purpose;
use crate::lent::Lent;
use crate::memory::Memory;
use crate::ring::{FRAME_ENTRIES_MAX, Producer, RUN_BYTES_MAX, Words};
use crate::shared::{Shared, lock};

/// The slot number of a payload that stands in the ring behind its descriptor. The wire reserves it
/// (\[frame.desc\]), and shared memory uses it.
pub(crate) const SLOT_RUN: u32 = SLOT_RESERVED;

/// Writes descriptors and payloads into the own lane.
pub(crate) struct ShmSink<P: Platform> {
    shared: Arc<Shared<P>>,
    producer: Producer,
    /// Accepted, and waiting for payload memory. Nothing overtakes it.
    held: Option<Frame>,
    /// Polls in a row that found no room.
    looks: u32,
    closed: bool,
}

/// How often a sink without room looks again before it has itself woken, while spinning pays at all:
/// the peer drains a ring in a few microseconds.
const LOOKS_MAX: u32 = 64;

/// Where a payload is now.
enum Placed {
    /// In a slot that the descriptor names.
    Yes,
    /// Still with the sender: there is no memory, or too much is in flight.
    NotYet(Payload),
}

impl<P: Platform> ShmSink<P> {
    pub(crate) fn new(shared: Arc<Shared<P>>, producer: Producer) -> Self {
        ShmSink {
            shared,
            producer,
            held: None,
            looks: 0,
            closed: false,
        }
    }

    /// Writes the frame into the ring, which has room, or holds it back until there is memory for
    /// its payload.
    fn accept(&mut self, frame: Frame) -> Result<(), LinkError> {
        let Frame { mut desc, payload } = frame;
        if desc.payload_len as usize <= INLINE_LEN {
            // `Frame::new` has written the bytes into the descriptor.
            desc.payload_slot = SLOT_INLINE;
        } else if desc.payload_len as usize <= RUN_BYTES_MAX {
            self.write_with_run(desc, &payload);
            return Ok(());
        } else if let Placed::NotYet(payload) = self.place(&mut desc, payload)? {
            self.held = Some(Frame { desc, payload });
            return Ok(());
        }
        self.producer.write(&*self.shared.own, &words(&desc));
        Ok(())
    }

    /// Writes a frame with a short payload: all of it in the ring.
    fn write_with_run(&mut self, mut desc: Descriptor, payload: &Payload) {
        desc.payload_slot = SLOT_RUN;
        let own = &*self.shared.own;
        self.producer.write(own, &words(&desc));
        if let Some(bytes) = payload.as_slice() {
            self.producer.write_run(own, bytes);
        } else {
            let mut bytes = [0; RUN_BYTES_MAX];
            let bytes = &mut bytes[..desc.payload_len as usize];
            payload.copy_to(bytes);
            self.producer.write_run(own, bytes);
        }
    }

    /// Writes the frame that waits for memory, if there is one. Says whether none waits any more.
    fn accept_held(&mut self) -> Result<bool, LinkError> {
        if let Some(frame) = self.held.take() {
            self.accept(frame)?;
        }
        Ok(self.held.is_none())
    }

    fn place(&mut self, desc: &mut Descriptor, payload: Payload) -> Result<Placed, LinkError> {
        let mut payload = match payload {
            Payload::Loan(loan) => {
                return self.place_loan(desc, loan);
            }
            other => other,
        };
        let placed = match &mut payload {
            Payload::Bytes(bytes) => self.place_runs(desc, std::slice::from_mut(bytes))?,
            Payload::Chain(runs) => self.place_runs(desc, runs)?,
            // Neither is longer than what an inline payload can be.
            Payload::Inline(_) | Payload::Loan(_) => true,
        };
        Ok(if placed {
            Placed::Yes
        } else {
            Placed::NotYet(payload)
        })
    }

    /// A loan of this link is sent as it is; one of another link is copied like anything else.
    fn place_loan(&mut self, desc: &mut Descriptor, loan: Loan) -> Result<Placed, LinkError> {
        let len = loan.0.as_slice().len();
        if !lock(&self.shared.heap).can_send() {
            self.collect()?;
            if !lock(&self.shared.heap).can_send() {
                return Ok(Placed::NotYet(Payload::Loan(loan)));
            }
        }
        let lent = match loan.0.into_any().downcast::<Lent<P>>() {
            Ok(lent) if lent.is_of(&self.shared) => lent,
            // Made into ordinary bytes first: this is not a path that anybody hurries on.
            Ok(lent) => return self.place(desc, Payload::Bytes(lent.into_bytes())),
            Err(_) => {
                let what = "a loan of another transport was sent";
                return Err(self.shared.end(LinkError::Io(what.into())));
            }
        };
        let head = lent.room.head;
        let slot = lent.into_slot();
        self.name(desc, slot, head, len, false);
        // It counts no more among the loans.
        self.shared.waiting.wake_room();
        Ok(Placed::Yes)
    }

    /// Several runs as one payload: around a frozen loan of this link if one of them is one,
    /// otherwise copied.
    fn place_runs(&mut self, desc: &mut Descriptor, runs: &mut [Bytes]) -> Result<bool, LinkError> {
        if let Some(placed) = self.place_around_frozen(desc, runs)? {
            return Ok(placed);
        }
        let len = runs.iter().map(Bytes::len).sum();
        let most = self.shared.config.payload_bytes_max();
        if len > most {
            let what = format!("a payload of {len} bytes is longer than the {most} of this link");
            return Err(self.shared.end(LinkError::Io(what.into())));
        }
        let mut slot = self.shared.allocate(len, Purpose::Frame)?;
        if slot.is_none() && self.let_go_of_frozen(runs) {
            slot = self.shared.allocate(len, Purpose::Frame)?;
        }
        let Some(slot) = slot else {
            return Ok(false);
        };
        let place = lock(&self.shared.heap).place(slot);
        if let Some(place) = place {
            let mut at = place.at;
            for run in runs.iter() {
                place.memory.write(at, run);
                at += run.len();
            }
        }
        self.name(desc, slot, 0, len, false);
        Ok(true)
    }

    /// Moves frozen loans of this link out of the lane: a frame that has to be copied must not wait
    /// for memory that it holds itself. Says whether there were any.
    fn let_go_of_frozen(&self, runs: &mut [Bytes]) -> bool {
        let mut any = false;
        for run in runs {
            // A statement of its own: dropping the loan takes this lock again.
            let frozen = lock(&self.shared.heap).find_frozen(run).is_some();
            if frozen {
                *run = Bytes::copy_from_slice(run);
                any = true;
            }
        }
        any
    }

    /// `None` when no run is a frozen loan of this link, or what stands around it does not fit into
    /// its room.
    fn place_around_frozen(
        &mut self,
        desc: &mut Descriptor,
        runs: &[Bytes],
    ) -> Result<Option<bool>, LinkError> {
        let mut heap = lock(&self.shared.heap);
        let found = runs.iter().enumerate().find_map(|(index, run)| {
            let frozen = heap.find_frozen(run)?;
            Some((index, frozen))
        });
        let Some((index, frozen)) = found else {
            return Ok(None);
        };
        let run = &runs[index];
        let start = run.as_ptr().addr();
        let (before, behind) = (&runs[..index], &runs[index + 1..]);
        let head: usize = before.iter().map(Bytes::len).sum();
        let tail: usize = behind.iter().map(Bytes::len).sum();
        // A part of the loan has the rest of it around it, which others may be reading.
        let fits = |need: usize, room: usize, edge: bool| need == 0 || (edge && need <= room);
        if !fits(head, frozen.head, start == frozen.start)
            || !fits(tail, frozen.tail, start + run.len() == frozen.end)
        {
            return Ok(None);
        }
        if !heap.can_send() {
            let collected = heap.collect(&*self.shared.peer);
            collected.map_err(|what| self.shared.corrupt(what))?;
            if !heap.can_send() {
                return Ok(Some(false));
            }
        }
        if head + tail > 0 && !heap.take_room(frozen.slot) {
            return Ok(None);
        }
        let place = heap.place(frozen.slot);
        drop(heap);
        let Some(place) = place else {
            return Ok(None);
        };
        let offset = frozen.head + (start - frozen.start) - head;
        let mut at = place.at + offset;
        for run in before {
            place.memory.write(at, run);
            at += run.len();
        }
        if place.memory.region().is_none() {
            // The loan's bytes are in private memory until now.
            place.memory.write(at, run);
        }
        at += run.len();
        for run in behind {
            place.memory.write(at, run);
            at += run.len();
        }
        self.name(desc, frozen.slot, offset, head + run.len() + tail, true);
        Ok(Some(true))
    }

    /// Has the descriptor name `len` bytes at `offset` of the slot, which is in flight from now on.
    fn name(&self, desc: &mut Descriptor, slot: u32, offset: usize, len: usize, keep: bool) {
        let mut heap = lock(&self.shared.heap);
        heap.send(slot, keep);
        if let Some((serial, at)) = heap.address(slot) {
            desc.payload_slot = slot;
            desc.payload_generation = serial;
            desc.payload_offset = (at + offset) as u32;
            desc.payload_len = len as u32;
        }
    }

    fn collect(&self) -> Result<bool, LinkError> {
        let collected = lock(&self.shared.heap).collect(&*self.shared.peer);
        collected.map_err(|what| self.shared.corrupt(what))
    }

    /// Lets the peer see what was written.
    fn publish(&mut self) {
        if self.producer.publish(&*self.shared.own) {
            self.shared.alert_data();
        }
    }

    /// Whether the link takes frames at all.
    fn check(&self) -> Result<(), LinkError> {
        if self.closed {
            return Err(LinkError::Closed);
        }
        self.shared.ending().map_or(Ok(()), Err)
    }

    fn ring_has_room(&mut self) -> Result<bool, LinkError> {
        let room = self
            .producer
            .has_room_for(&*self.shared.peer, FRAME_ENTRIES_MAX);
        room.map_err(|what| self.shared.corrupt(what))
    }

    /// Whether the task should look again instead of sleeping; it is woken for that.
    fn look_again(&mut self, cx: &mut Context<'_>) -> bool {
        if self.looks >= LOOKS_MAX || !self.shared.spinning_pays.load(Ordering::Relaxed) {
            self.looks = 0;
            return false;
        }
        self.looks += 1;
        P::yield_now(cx);
        true
    }

    /// Nothing is held back, and the ring has room.
    fn ready(&mut self) -> Result<bool, LinkError> {
        Ok(self.accept_held()? && self.ring_has_room()?)
    }
}

impl<P: Platform> FrameSink for ShmSink<P> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        if self.ready()? {
            self.looks = 0;
            return Poll::Ready(Ok(()));
        }
        // The peer makes room only by reading what it sees.
        self.publish();
        if self.look_again(cx) {
            return Poll::Pending;
        }
        self.shared.waiting.sink.register(cx.waker());
        let shared = self.shared.clone();
        shared.poll_room(|| Ok(self.ready()?.then_some(())))
    }

    fn send(&mut self, frame: Frame) {
        if self.check().is_err() {
            return;
        }
        // An error has ended the link, and the next poll says so.
        let _ = self.accept(frame);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        let accepted = self.accept_held()?;
        self.publish();
        if accepted {
            return Poll::Ready(Ok(()));
        }
        if self.look_again(cx) {
            return Poll::Pending;
        }
        self.shared.waiting.sink.register(cx.waker());
        let shared = self.shared.clone();
        let flushed = shared.poll_room(|| Ok(self.accept_held()?.then_some(())));
        self.publish();
        flushed
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.closed {
            return Poll::Ready(Ok(()));
        }
        let flushed = match self.poll_flush(cx) {
            Poll::Pending => return Poll::Pending,
            // A link that is closed already is closed.
            Poll::Ready(Err(LinkError::Closed)) => Ok(()),
            Poll::Ready(flushed) => flushed,
        };
        self.closed = true;
        self.shared.end(LinkError::Closed);
        self.shared.say_closed();
        Poll::Ready(flushed)
    }
}

impl<P: Platform> Drop for ShmSink<P> {
    fn drop(&mut self) {
        self.shared.drop_half();
    }
}

/// The descriptor as it stands in the ring. The wire's byte order is little-endian on every machine
/// (\[frame.desc\]); both ends are on this one, so the words themselves have its order.
#[inline]
fn words(desc: &Descriptor) -> Words {
    const _: () = assert!(size_of::<Words>() == DESCRIPTOR_LEN);
    zerocopy::transmute!(desc.to_bytes())
}

/// The inverse of [`words`].
#[inline]
pub(crate) fn descriptor(words: Words) -> Descriptor {
    let bytes: [u8; DESCRIPTOR_LEN] = zerocopy::transmute!(words);
    Descriptor::from_bytes(&bytes)
}

/// The payload that stands in the descriptor itself, if its length can be.
#[inline]
pub(crate) fn inline(desc: &Descriptor) -> Option<InlineBytes> {
    InlineBytes::new(desc.inline_payload.get(..desc.payload_len as usize)?)
}
