//! The receiving half.
//!
//! What stands in the peer's lane is a claim. A descriptor is copied out once, every field that
//! names memory is checked against geometry that this process keeps for itself, and only then is
//! the memory looked at.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use rapace_core::frame::{Descriptor, Frame, Payload, SLOT_INLINE};
use rapace_core::limits::PAYLOAD_BYTES_BEFORE_HELLO;
use rapace_transport::{FrameSource, LinkError};

use crate::borrowed::Borrowed;
use crate::control::{Alarm, Control, Incoming, Platform};
use crate::doorbell::Doorbell;
use crate::heap::SEGMENTS_MAX;
use crate::layout::{Geometry, NAP_DATA, NAP_PROCESSOR, RANG_AT};
use crate::memory::Memory;
use crate::nap::Nap;
use crate::ring::{Consumer, RUN_BYTES_MAX};
use crate::shared::{MAIL_MAX, Shared, lock};
use crate::sink::{SLOT_RUN, descriptor, inline};
use crate::spin::{Spinner, Step};

/// Payloads up to this many bytes are copied out: holding a slot costs more than that.
const COPY_BYTES_MAX: usize = 128;

/// The shortest time that unused memory is kept.
const IDLE_MIN: Duration = Duration::from_millis(1);

/// Reads descriptors and payloads from the peer's lane.
pub(crate) struct ShmSource<P: Platform> {
    shared: Arc<Shared<P>>,
    consumer: Consumer,
    nap: Nap,
    spinner: Spinner,
    /// The segments of the peer's lane by number, the lane itself first.
    segments: Vec<Segment<P>>,
    payload_limit: u32,
    /// What the program may keep borrowed and still leave the peer enough to go on with.
    borrow_bytes_max: usize,
    borrow_slots_max: usize,
    /// Set while there is memory that could be given back.
    alarm: Option<Box<dyn Alarm>>,
    /// For those who wait for the system to give memory.
    shortage_alarm: Option<Box<dyn Alarm>>,
    ended: Option<LinkError>,
}

struct Segment<P: Platform> {
    serial: u32,
    memory: Arc<P::Memory>,
    /// Where payloads may begin and where they must end.
    from: usize,
    to: usize,
}

/// A short payload, copied out of the ring.
struct Run<const ROOM: usize> {
    bytes: [u8; ROOM],
    len: usize,
}

impl<const ROOM: usize> AsRef<[u8]> for Run<ROOM> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<P: Platform> ShmSource<P> {
    pub(crate) fn new(shared: Arc<Shared<P>>, consumer: Consumer, peer: Geometry) -> Self {
        let lane = Segment {
            serial: 0,
            memory: shared.peer.clone(),
            from: peer.payload_at as usize,
            to: peer.len_bytes(),
        };
        let quarter = usize::try_from(peer.payload_max / 4).unwrap_or(usize::MAX);
        // The peer has no more in flight than either ring of returns has entries.
        let slots = peer.returns.min(shared.config.geometry().returns);
        ShmSource {
            borrow_bytes_max: shared.config.borrow_bytes_max.min(quarter),
            borrow_slots_max: slots as usize / 2,
            consumer,
            nap: Nap::new(NAP_DATA),
            spinner: Spinner::new(shared.config.spin),
            segments: vec![lane],
            payload_limit: PAYLOAD_BYTES_BEFORE_HELLO,
            alarm: None,
            shortage_alarm: None,
            ended: None,
            shared,
        }
    }

    /// The next frame of the ring.
    #[inline]
    fn next(&mut self) -> Result<Option<Frame>, LinkError> {
        let words = self.consumer.next(&*self.shared.peer);
        let Some(words) = words.map_err(|what| self.shared.corrupt(what))? else {
            return Ok(None);
        };
        let desc = descriptor(words);
        let payload = if desc.payload_slot == SLOT_INLINE {
            match inline(&desc) {
                Some(inline) => Payload::Inline(inline),
                None => {
                    return Err(self
                        .shared
                        .corrupt("an inline payload longer than 16 bytes"));
                }
            }
        } else if desc.payload_slot == SLOT_RUN {
            self.run(&desc)?
        } else {
            self.payload(&desc)?
        };
        // A ring that is read in long batches is given back in parts, so that the peer goes on.
        if self.consumer.unpublished() * 4 >= self.consumer.capacity() {
            self.publish();
        }
        Ok(Some(Frame { desc, payload }))
    }

    /// The payload that stands behind its descriptor.
    fn run(&mut self, desc: &Descriptor) -> Result<Payload, LinkError> {
        let len = desc.payload_len as usize;
        if len > RUN_BYTES_MAX {
            return Err(self
                .shared
                .corrupt("a payload in the ring longer than such are"));
        }
        let bytes = match len {
            ..=64 => self.run_of::<64>(len),
            65..=128 => self.run_of::<128>(len),
            _ => self.run_of::<RUN_BYTES_MAX>(len),
        };
        Ok(Payload::Bytes(bytes?))
    }

    /// One allocation, also when the bytes are shared later, which an owned vector would pay for
    /// with another.
    fn run_of<const ROOM: usize>(&mut self, len: usize) -> Result<Bytes, LinkError> {
        let mut run = Run {
            bytes: [0; ROOM],
            len,
        };
        let read = self
            .consumer
            .read_run(&*self.shared.peer, &mut run.bytes[..len]);
        read.map_err(|what| self.shared.corrupt(what))?;
        Ok(Bytes::from_owner(run))
    }

    /// The payload that a descriptor names.
    fn payload(&mut self, desc: &Descriptor) -> Result<Payload, LinkError> {
        let len = desc.payload_len as usize;
        if desc.payload_len > self.payload_limit {
            let limit = self.payload_limit;
            let what = format!("a payload of {len} bytes, more than the allowed {limit}");
            return Err(self.shared.end(LinkError::Malformed(what.into())));
        }
        let slot = desc.payload_slot;
        let serial = desc.payload_generation;
        let found = match self.segment(serial) {
            Some(found) => found,
            None => {
                // Its announcement was sent before this descriptor was published.
                self.shared.control.expect_message();
                self.read_control()?;
                match self.segment(serial) {
                    Some(found) => found,
                    None => return Err(self.shared.corrupt("a payload in memory never announced")),
                }
            }
        };
        let segment = &self.segments[found];
        let at = desc.payload_offset as usize;
        if at < segment.from || at > segment.to || len > segment.to - at {
            return Err(self.shared.corrupt("a payload outside of its memory"));
        }
        let memory = segment.memory.clone();
        let held = self.shared.borrowed.load(Ordering::Relaxed);
        let copy = self.shared.config.copy_payloads
            || len <= COPY_BYTES_MAX
            || held.saturating_add(len) > self.borrow_bytes_max
            || self.shared.borrowed_slots.load(Ordering::Relaxed) >= self.borrow_slots_max;
        Ok(Payload::Bytes(if copy {
            let mut bytes = vec![0; len];
            memory.read(at, &mut bytes);
            self.shared.give_back(slot);
            Bytes::from(bytes)
        } else {
            Borrowed::bytes(&self.shared, memory, at, len, slot)
        }))
    }

    fn segment(&self, serial: u32) -> Option<usize> {
        self.segments.iter().position(|it| it.serial == serial)
    }

    /// Sees to everything that the peer has said about its segments.
    fn read_control(&mut self) -> Result<(), LinkError> {
        loop {
            self.shared.poll_control()?;
            let mail = self.shared.take_mail();
            let more = mail.len() >= MAIL_MAX;
            self.read_mail(mail)?;
            if !more {
                return Ok(());
            }
        }
    }

    fn read_mail(&mut self, mail: Vec<Incoming<P::Memory>>) -> Result<(), LinkError> {
        for message in mail {
            match message {
                Incoming::Segment { serial, memory } => {
                    if self.segments.len() > SEGMENTS_MAX || self.segment(serial).is_some() {
                        return Err(self.shared.corrupt("too many segments, or one twice"));
                    }
                    self.segments.push(Segment {
                        serial,
                        from: 0,
                        to: memory.len_bytes(),
                        memory: Arc::new(memory),
                    });
                }
                Incoming::Drop { serial } => match self.segment(serial) {
                    Some(found) if serial != 0 => {
                        // Payloads that are still borrowed keep their memory mapped.
                        self.segments.swap_remove(found);
                    }
                    _ => return Err(self.shared.corrupt("it drops a segment that is not there")),
                },
                Incoming::HungUp | Incoming::Malformed(_) => {}
            }
        }
        Ok(())
    }

    /// Lets the peer use the ring again as far as it was read.
    fn publish(&mut self) {
        if self.consumer.publish(&*self.shared.own) {
            self.shared.alert_room();
        }
    }

    fn look(&mut self) -> Result<bool, LinkError> {
        let looked = self.consumer.look(&*self.shared.peer);
        looked.map_err(|what| self.shared.corrupt(what))
    }

    /// Whether the peer last waited on the processor that this thread runs on.
    fn same_processor(shared: &Shared<P>) -> bool {
        let Some(processor) = P::processor() else {
            return false;
        };
        let word = NAP_DATA + NAP_PROCESSOR;
        // Hints only: relaxed.
        shared.own.store(word, processor + 1, Ordering::Relaxed);
        shared.peer.load(word, Ordering::Relaxed) == processor + 1
    }

    /// Waits: pending with the task registered, or ready when it is worth looking again.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let shared = self.shared.clone();
        match self
            .spinner
            .empty(P::now_ns, || Self::same_processor(&shared))
        {
            Step::Yield => {
                self.shared.spinning_pays.store(true, Ordering::Relaxed);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Step::Look(looks) => {
                for _ in 0..looks {
                    std::hint::spin_loop();
                    if self.look()? {
                        return Poll::Ready(Ok(()));
                    }
                }
                if self.shared.ended.load(Ordering::Relaxed) {
                    return self.poll_park(cx);
                }
                P::yield_now(cx);
                return Poll::Pending;
            }
            Step::Park => self.shared.spinning_pays.store(false, Ordering::Relaxed),
        }
        self.poll_park(cx)
    }

    fn poll_park(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.shared.waiting.source.register(cx.waker());
        loop {
            match self.shared.bells.own_data.poll_rung(cx) {
                // That nap is over; a further one is a different one.
                Poll::Ready(Ok(())) if self.nap.asleep() => self.wake_up(),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    let error = LinkError::Io(error.to_string().into());
                    return Poll::Ready(Err(self.shared.end(error)));
                }
                Poll::Pending => break,
            }
        }
        self.nap.fall_asleep(&*self.shared.own);
        if self.look()? {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = self.shared.ending() {
            return Poll::Ready(Err(error));
        }
        self.read_control()?;
        if let Some(error) = self.shared.peer_ending() {
            // What it published before it ended comes first.
            return Poll::Ready(if self.look()? {
                Ok(())
            } else {
                Err(self.shared.end(error))
            });
        }
        self.poll_idle(cx)?;
        Poll::Pending
    }

    /// Ends a nap, and learns from it.
    #[cold]
    fn wake_up(&mut self) {
        self.nap.wake_up(&*self.shared.own);
        let rang = self.shared.peer.load(NAP_DATA + RANG_AT, Ordering::Relaxed);
        self.spinner.woken(rang, P::now_ns());
    }

    /// Gives memory back to the system that payloads have not needed for some time.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Result<(), LinkError> {
        // An alarm that goes off as soon as it is set would keep this from ever ending.
        let idle = self.shared.config.idle.max(IDLE_MIN);
        let mut heap = lock(&self.shared.heap);
        if !heap.has_grown() {
            self.alarm = None;
            return Ok(());
        }
        let alarm = self.alarm.get_or_insert_with(|| {
            heap.mark_idle();
            let mut alarm = P::alarm();
            alarm.set(Some(idle));
            alarm
        });
        while alarm.poll(cx).is_ready() {
            let collected = heap.collect(&*self.shared.peer);
            collected.map_err(|what| self.shared.corrupt(what))?;
            self.shared.drop_unused(&mut heap, false)?;
            heap.mark_idle();
            if !heap.has_grown() {
                self.alarm = None;
                return Ok(());
            }
            alarm.set(Some(idle));
        }
        Ok(())
    }
}

impl<P: Platform> ShmSource<P> {
    /// Wakes those who wait for memory when it is time to ask the system again.
    #[cold]
    fn poll_shortage(&mut self, cx: &mut Context<'_>) {
        let mut shortage = lock(&self.shared.shortage);
        let alarm = self.shortage_alarm.get_or_insert_with(P::alarm);
        if let Some(ask_at_ns) = shortage.unarmed() {
            let after_ns = ask_at_ns.saturating_sub(P::now_ns());
            alarm.set(Some(Duration::from_nanos(after_ns)));
            shortage.set_armed(true);
        }
        if alarm.poll(cx).is_pending() && shortage.is_armed() {
            return;
        }
        shortage.set_armed(false);
        self.shared.short.store(false, Ordering::Release);
        drop(shortage);
        // Most links never get here: nothing is kept for another time.
        self.shortage_alarm = None;
        self.shared.waiting.wake_room();
    }
}

impl<P: Platform> FrameSource for ShmSource<P> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, LinkError>> {
        if let Some(error) = &self.ended {
            return Poll::Ready(Err(error.clone()));
        }
        // Relaxed: who sets it wakes this task, and the lock orders the rest.
        if self.shared.short.load(Ordering::Relaxed) {
            self.poll_shortage(cx);
        }
        loop {
            match self.next() {
                Ok(Some(frame)) => {
                    if self.nap.asleep() {
                        self.wake_up();
                    }
                    self.spinner.frame();
                    return Poll::Ready(Ok(frame));
                }
                Ok(None) => {}
                Err(error) => {
                    self.ended = Some(error.clone());
                    return Poll::Ready(Err(error));
                }
            }
            self.publish();
            match self.poll_wait(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.ended = Some(error.clone());
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn raise_payload_limit(&mut self, bytes: u32) {
        self.payload_limit = bytes;
    }
}

impl<P: Platform> Drop for ShmSource<P> {
    fn drop(&mut self) {
        self.shared.drop_half();
    }
}
