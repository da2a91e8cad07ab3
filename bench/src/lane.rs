//! Bare shared memory: the floor under every way to use it, and the only unsafe code of the bench.
//!
//! One memory file for two processes: four single-writer rings of 64-byte slots (messages there and
//! back, payload slots there and back) and four payload slots of up to 16 MiB. Nothing is validated,
//! no one sleeps, and a process that dies is not noticed: both are this program.
//!
//! A ring's producer alone writes its slots and its head, the consumer alone its tail, each on a
//! cache line of its own. The head is stored with Release after the slots it publishes and loaded
//! with Acquire before they are read; the tail likewise after they were read and before they are
//! written again. Both cursors only grow; the producer keeps `head - tail <= RING_SLOTS`.
//!
//! A payload slot belongs to whoever holds its [`Slot`], of which there is one: made by
//! [`Lane::create`], given up by [`SlotSender::push`], made again from the number that the other
//! side's [`SlotReceiver::pop`] finds in the ring.

#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

/// What a ring's slot holds: one cache line.
pub(crate) type Message = [u64; 8];

/// Messages that a ring has room for.
pub(crate) const RING_SLOTS: u64 = 256;
/// Payload slots of a lane: as many payloads can be in flight.
pub(crate) const PAYLOADS: usize = 4;
/// The largest payload.
pub(crate) const PAYLOAD_LEN: usize = 16 * 1024 * 1024;

/// Two cache lines: the processor fetches them in pairs, and the cursors are not to share one.
const LINE: usize = 128;
const TAIL: usize = LINE;
const SLOTS: usize = 2 * LINE;
const RING_LEN: usize = SLOTS + RING_SLOTS as usize * size_of::<Message>();
const RINGS: usize = 4;
/// Payloads begin on a page.
const PAYLOADS_AT: usize = (RINGS * RING_LEN).next_multiple_of(4096);
const LANE_LEN: usize = PAYLOADS_AT + PAYLOADS * PAYLOAD_LEN;

/// One side of the shared memory. Neither side's parts may be used by two threads at once, which
/// their `&mut self` sees to.
pub(crate) struct Lane {
    pub(crate) out: Sender,
    pub(crate) back: Receiver,
    pub(crate) slots_out: SlotSender,
    pub(crate) slots_back: SlotReceiver,
    /// The slots that belong to this side.
    pub(crate) free: Vec<Slot>,
}

impl Lane {
    /// New shared memory, with the side that owns all slots, and the descriptor to hand over.
    pub(crate) fn create() -> Result<(Self, OwnedFd)> {
        let file = file(LANE_LEN)?;
        let memory = Arc::new(Memory::map(&file, LANE_LEN)?);
        let free = (0..PAYLOADS).map(|number| Slot {
            memory: Arc::clone(&memory),
            number,
        });
        let free = free.collect();
        Ok((Self::over(&memory, [0, 1, 2, 3], free), file))
    }

    /// The other side. `file` must be what [`Lane::create`] gave, and be attached to once.
    pub(crate) fn attach(file: OwnedFd) -> Result<Self> {
        let memory = Arc::new(Memory::map(&file, LANE_LEN)?);
        Ok(Self::over(&memory, [1, 0, 3, 2], Vec::new()))
    }

    fn over(memory: &Arc<Memory>, rings: [usize; RINGS], free: Vec<Slot>) -> Self {
        let [out, back, slots_out, slots_back] = rings;
        Self {
            out: Sender::over(memory, out),
            back: Receiver::over(memory, back),
            slots_out: SlotSender(Sender::over(memory, slots_out)),
            slots_back: SlotReceiver(Receiver::over(memory, slots_back)),
            free,
        }
    }
}

/// A new memory file.
fn file(len: usize) -> Result<OwnedFd> {
    let file = memfd_create(c"bench-lane", MemfdFlags::CLOEXEC).context("make a memory file")?;
    ftruncate(&file, len as u64)?;
    Ok(file)
}

/// Shared memory that is read and written a word at a time: for rapace's own ring.
pub(crate) struct Words(Memory);

impl Words {
    pub(crate) fn create(len: usize) -> Result<(Self, OwnedFd)> {
        let file = file(len)?;
        Ok((Self(Memory::map(&file, len)?), file))
    }

    pub(crate) fn attach(file: OwnedFd, len: usize) -> Result<Self> {
        Ok(Self(Memory::map(&file, len)?))
    }
}

impl rapace_shm::Memory for Words {
    fn len_bytes(&self) -> usize {
        self.0.0.len()
    }

    #[inline]
    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.0.cursor(at).load(order)
    }

    #[inline]
    fn store(&self, at: usize, value: u64, order: Ordering) {
        self.0.cursor(at).store(value, order);
    }

    fn fence(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    fn read(&self, _: usize, _: &mut [u8]) {
        unreachable!("a ring is made of words");
    }

    fn write(&self, _: usize, _: &[u8]) {
        unreachable!("a ring is made of words");
    }
}

/// A mapping of a whole memory file.
struct Memory(MmapRaw);

impl Memory {
    fn map(file: &OwnedFd, len: usize) -> Result<Self> {
        let map = MmapOptions::new().len(len).map_raw(file);
        let map = map.context("map the memory file")?;
        ensure!(map.len() == len, "the memory file is mapped in part");
        Ok(Self(map))
    }

    /// The address `at` bytes into the memory.
    #[inline]
    fn at<T>(&self, at: usize, count: usize) -> *mut T {
        let end = at + count * size_of::<T>();
        assert!(end <= self.0.len() && at.is_multiple_of(align_of::<T>()));
        // SAFETY: just checked to lie within the mapping.
        unsafe { self.0.as_mut_ptr().add(at).cast() }
    }

    #[inline]
    fn cursor(&self, at: usize) -> &AtomicU64 {
        // SAFETY: in bounds and aligned by `at`, the mapping lives as long as `self`, and neither
        // cursors nor `Words` are ever accessed but through these atomics.
        unsafe { AtomicU64::from_ptr(self.at(at, 1)) }
    }
}

/// Where one ring lies.
struct Ring {
    memory: Arc<Memory>,
    base: usize,
    slots: *mut Message,
}

// SAFETY: `slots` points into `memory`, which is shared memory and has no thread of its own; whoever
// moves the ring's end to another thread stops using it in this one.
unsafe impl Send for Ring {}

impl Ring {
    fn over(memory: &Arc<Memory>, number: usize) -> Self {
        let base = number * RING_LEN;
        Self {
            slots: memory.at(base + SLOTS, RING_SLOTS as usize),
            memory: Arc::clone(memory),
            base,
        }
    }

    fn head(&self) -> &AtomicU64 {
        self.memory.cursor(self.base)
    }

    fn tail(&self) -> &AtomicU64 {
        self.memory.cursor(self.base + TAIL)
    }

    fn slot(&self, cursor: u64) -> *mut Message {
        // SAFETY: the remainder is below RING_SLOTS, and `over` checked that many slots.
        unsafe { self.slots.add((cursor % RING_SLOTS) as usize) }
    }
}

/// The producer's end of a ring.
pub(crate) struct Sender {
    ring: Ring,
    head: u64,
    /// The consumer's cursor as last looked at.
    tail: u64,
}

impl Sender {
    fn over(memory: &Arc<Memory>, number: usize) -> Self {
        let ring = Ring::over(memory, number);
        Self {
            ring,
            head: 0,
            tail: 0,
        }
    }

    /// Writes the next slot without publishing it; false when the ring is full.
    pub(crate) fn push(&mut self, message: &Message) -> bool {
        if self.head - self.tail == RING_SLOTS {
            self.tail = self.ring.tail().load(Ordering::Acquire);
            if self.head - self.tail == RING_SLOTS {
                return false;
            }
        }
        // SAFETY: the consumer has read what this slot held, as its tail said (Acquire above), and
        // reads it again only once the head has passed it.
        unsafe { self.ring.slot(self.head).write(*message) };
        self.head += 1;
        true
    }

    /// Publishes what was pushed.
    pub(crate) fn publish(&mut self) {
        self.ring.head().store(self.head, Ordering::Release);
    }
}

/// The consumer's end of a ring.
pub(crate) struct Receiver {
    ring: Ring,
    tail: u64,
    /// The producer's cursor as last looked at.
    head: u64,
}

impl Receiver {
    fn over(memory: &Arc<Memory>, number: usize) -> Self {
        let ring = Ring::over(memory, number);
        Self {
            ring,
            tail: 0,
            head: 0,
        }
    }

    /// Reads the next slot, if one is published, without giving it back.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        if self.tail == self.head {
            self.head = self.ring.head().load(Ordering::Acquire);
            if self.tail == self.head {
                return None;
            }
        }
        // SAFETY: published by the head (Acquire above, or at an earlier look), and not written
        // again before `release` moves the tail past it.
        let message = unsafe { self.ring.slot(self.tail).read() };
        self.tail += 1;
        Some(message)
    }

    /// Gives back the slots that were popped.
    pub(crate) fn release(&mut self) {
        self.ring.tail().store(self.tail, Ordering::Release);
    }
}

/// A payload slot, owned.
pub(crate) struct Slot {
    memory: Arc<Memory>,
    number: usize,
}

impl Deref for Slot {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let start = self.memory.at(self.start(), PAYLOAD_LEN);
        // SAFETY: in bounds by `at`, and there is one `Slot` of each number, so nobody writes here
        // while `self` is borrowed. That holds across both processes because a number enters a ring
        // only when its `Slot` is consumed.
        unsafe { std::slice::from_raw_parts(start, PAYLOAD_LEN) }
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut [u8] {
        let start = self.memory.at(self.start(), PAYLOAD_LEN);
        // SAFETY: as in `deref`; `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(start, PAYLOAD_LEN) }
    }
}

impl Slot {
    fn start(&self) -> usize {
        PAYLOADS_AT + self.number * PAYLOAD_LEN
    }
}

/// Hands slots to the other side.
pub(crate) struct SlotSender(Sender);

impl SlotSender {
    /// Gives up `slot`, with a word for the other side. There are fewer slots than a ring has room.
    pub(crate) fn push(&mut self, slot: Slot, word: u64) {
        let pushed = self.0.push(&[slot.number as u64, word, 0, 0, 0, 0, 0, 0]);
        assert!(pushed, "a ring holds more than all slots");
        self.0.publish();
    }
}

/// Takes slots from the other side.
pub(crate) struct SlotReceiver(Receiver);

impl SlotReceiver {
    /// The next slot, with the word that came with it.
    pub(crate) fn pop(&mut self) -> Option<(Slot, u64)> {
        let [number, word, ..] = self.0.pop()?;
        self.0.release();
        let slot = Slot {
            memory: Arc::clone(&self.0.ring.memory),
            number: number as usize,
        };
        Some((slot, word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Lane, Lane) {
        let (near, file) = Lane::create().unwrap();
        (near, Lane::attach(file).unwrap())
    }

    #[test]
    fn what_is_pushed_is_seen_once_published_and_in_order() {
        let (mut near, mut far) = pair();
        for number in 0..3 * RING_SLOTS {
            assert!(near.out.push(&[number; 8]));
            assert_eq!(far.back.pop(), None);
            near.out.publish();
            assert_eq!(far.back.pop(), Some([number; 8]));
            far.back.release();
        }
    }

    #[test]
    fn a_full_ring_takes_no_more_until_slots_are_released() {
        let (mut near, mut far) = pair();
        for number in 0..RING_SLOTS {
            assert!(near.out.push(&[number; 8]));
        }
        near.out.publish();
        assert!(!near.out.push(&[0; 8]));
        assert_eq!(far.back.pop(), Some([0; 8]));
        assert!(!near.out.push(&[0; 8]));
        far.back.release();
        assert!(near.out.push(&[0; 8]));
    }

    #[test]
    fn payloads_come_where_they_were_written_and_their_slots_come_back() {
        let (mut near, mut far) = pair();
        assert_eq!(near.free.len(), PAYLOADS);
        let mut slot = near.free.pop().unwrap();
        slot[PAYLOAD_LEN - 3..].copy_from_slice(b"end");
        near.slots_out.push(slot, 7);
        let (slot, word) = far.slots_back.pop().unwrap();
        assert_eq!((&slot[PAYLOAD_LEN - 3..], word), (&b"end"[..], 7));
        assert!(near.slots_back.pop().is_none());
        far.slots_out.push(slot, 0);
        assert!(near.slots_back.pop().is_some());
    }
}
