//! The payload memory of one's own lane: private bookkeeping, ordinary memory, no atomics.
//!
//! A *segment* is one memory file: the lane itself first, further ones when payloads need them. A
//! *slot* is a number for one allocation: the peer sees it in a descriptor and gives it back in its
//! ring of returns. Where a slot is, how long, and how often it is in flight, only this side knows;
//! what the peer returns is checked against that.
//!
//! A slot is free again when nobody on this side holds it and every descriptor that named it has
//! been returned. The allocator prefers what was freed last, since warm memory is many times faster
//! than cold.

use std::collections::BTreeMap;

use offset_allocator::{Allocation, Allocator};

use crate::Memory;
use crate::returns::Taker;
use crate::ring::Corrupt;
use crate::sizes::{GRANULE, fitting, floor_granules, granules};

/// Segments of one lane, dropped ones not counted.
pub(crate) const SEGMENTS_MAX: usize = 64;
/// Growth beyond what a payload needs at once stops here, in bytes.
const GROWTH_MAX: usize = 32 << 20;
/// Allocations from this size look for returned memory first: reusing warm memory is worth a look
/// at the peer's cache line.
const COLLECT_FIRST: usize = 4 * 1024;

/// Who wants memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// A loan: all of them together may take half of the lane and half of the slots, so that
    /// frames that wait for memory find some in the end. One loan is always granted, or a lane of
    /// a single slot could lend nothing.
    Loan,
    /// A frame that is sent now.
    Frame,
}

/// The answer to a wish for memory.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Here it is.
    Granted(u32),
    /// A further segment would do.
    Grow {
        /// Best of this many bytes, so that a lane grows a few times and not once per payload.
        generous: usize,
        /// At least of this many.
        exact: usize,
    },
    /// Not before something is returned, or segments that nothing is in make room for one that
    /// fits.
    Crowded,
    /// Not before something is returned.
    Full,
}

/// Where a slot is.
#[derive(Debug)]
pub(crate) struct Place<M> {
    pub(crate) memory: M,
    /// From the start of that file, in bytes.
    pub(crate) at: usize,
}

struct Slot {
    segment: usize,
    allocation: Allocation<u32>,
    at: usize,
    /// What it takes of its segment.
    bytes: usize,
    /// Descriptors that name it and were not returned.
    remote: u32,
    /// Somebody on this side may still look at it.
    local: bool,
    /// It counts as lent.
    lent: bool,
    /// The room around the lent bytes was written, and the peer may be reading it.
    room_taken: bool,
}

struct Segment<M> {
    serial: u32,
    memory: M,
    /// Where its payload area begins.
    at: usize,
    bytes: usize,
    allocator: Allocator<u32>,
    live: u32,
    /// Since the last [`Heap::take_idle`].
    used: bool,
}

/// A frozen loan, found by the address of its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frozen {
    pub(crate) slot: u32,
    /// The lent bytes, by address.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Room before and behind them, in bytes.
    pub(crate) head: usize,
    pub(crate) tail: usize,
}

/// See the module.
pub(crate) struct Heap<M> {
    segments: Vec<Option<Segment<M>>>,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    slots_max: usize,
    taker: Taker,
    in_flight: u32,
    in_flight_max: u32,
    lent_bytes: usize,
    lent_slots: usize,
    /// Of all segments, and of those that are being made.
    bytes: usize,
    bytes_max: usize,
    /// Segments that are being made.
    growing: usize,
    next_serial: u32,
    frozen: BTreeMap<usize, Frozen>,
}

impl<M: Memory + Clone> Heap<M> {
    /// Over the payload area of a fresh lane. `returns` is the size of the *peer's* ring of returns.
    pub(crate) fn new(
        lane: M,
        at: usize,
        bytes: usize,
        bytes_max: usize,
        slots_max: u32,
        taker: Taker,
        returns: u32,
    ) -> Self {
        let in_flight_max = slots_max.min(returns);
        let base = Segment::new(0, lane, at, bytes, slots_max);
        Heap {
            segments: vec![Some(base)],
            slots: Vec::new(),
            free: Vec::new(),
            slots_max: slots_max as usize,
            taker,
            in_flight: 0,
            in_flight_max,
            lent_bytes: 0,
            lent_slots: 0,
            bytes,
            bytes_max: bytes_max.max(bytes),
            growing: 0,
            next_serial: 1,
            frozen: BTreeMap::new(),
        }
    }

    /// Memory for `bytes`, if there is some.
    pub(crate) fn wish<P: Memory>(
        &mut self,
        peer: &P,
        bytes: usize,
        purpose: Purpose,
    ) -> Result<Wish, Corrupt> {
        if bytes >= COLLECT_FIRST {
            self.collect(peer)?;
        }
        let mut wish = self.try_wish(bytes, purpose);
        if !matches!(wish, Wish::Granted(_)) && self.collect(peer)? {
            wish = self.try_wish(bytes, purpose);
        }
        Ok(wish)
    }

    fn try_wish(&mut self, bytes: usize, purpose: Purpose) -> Wish {
        let lent = purpose == Purpose::Loan;
        let granules = granules(bytes);
        let bytes = granules * GRANULE;
        if (lent && !self.may_lend(bytes))
            || self.in_flight >= self.in_flight_max
            || (self.free.is_empty() && self.slots.len() >= self.slots_max)
        {
            return Wish::Full;
        }
        for index in 0..self.segments.len() {
            let Some(segment) = &mut self.segments[index] else {
                continue;
            };
            if segment.bytes < bytes {
                continue;
            }
            if let Some(allocation) = segment.allocator.allocate(granules as u32) {
                segment.live += 1;
                segment.used = true;
                let at = segment.at + allocation.offset as usize * GRANULE;
                if lent {
                    self.lent_bytes += bytes;
                    self.lent_slots += 1;
                }
                return Wish::Granted(self.insert(Slot {
                    segment: index,
                    allocation,
                    at,
                    bytes,
                    remote: 0,
                    local: true,
                    lent,
                    room_taken: false,
                }));
            }
        }
        self.growth(bytes)
    }

    /// Whether one more loan of so many bytes leaves enough for frames.
    fn may_lend(&self, bytes: usize) -> bool {
        let slots = self.slots_max.min(self.in_flight_max as usize);
        self.lent_slots == 0
            || (self.lent_slots < slots / 2 && self.lent_bytes + bytes <= self.bytes_max / 2)
    }

    /// Ends what makes a slot count as lent.
    fn lend_no_more(&mut self, slot: u32) {
        if let Some(Some(found)) = self.slots.get_mut(slot as usize)
            && std::mem::take(&mut found.lent)
        {
            self.lent_bytes -= found.bytes;
            self.lent_slots -= 1;
        }
    }

    fn insert(&mut self, slot: Slot) -> u32 {
        if let Some(number) = self.free.pop() {
            self.slots[number as usize] = Some(slot);
            number
        } else {
            self.slots.push(Some(slot));
            self.slots.len() as u32 - 1
        }
    }

    /// How large a further segment for a payload of `bytes` should be.
    fn growth(&mut self, bytes: usize) -> Wish {
        // Twice as much as there is.
        let generous = fitting(bytes.max(self.bytes.min(GROWTH_MAX)));
        let exact = fitting(bytes);
        let live = self.segments.iter().flatten().count();
        if live + self.growing < SEGMENTS_MAX {
            if self.bytes + generous <= self.bytes_max {
                return Wish::Grow { generous, exact };
            }
            if self.bytes + exact <= self.bytes_max {
                let generous = exact;
                return Wish::Grow { generous, exact };
            }
        }
        // Without the segments that nothing is in, would there be room for one that fits?
        let empty = self.segments.iter().skip(1).flatten();
        let unused: usize = empty.filter(|it| it.live == 0).map(|it| it.bytes).sum();
        if unused > 0 && self.bytes - unused + exact <= self.bytes_max {
            return Wish::Crowded;
        }
        Wish::Full
    }

    /// A further segment of at most `bytes` is being made, without the lock of this heap: it counts
    /// against the bounds already.
    pub(crate) fn begin_growth(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.growing += 1;
    }

    /// Ends what [`Heap::begin_growth`] began; [`Heap::grow`] counts what was made.
    pub(crate) fn end_growth(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.growing -= 1;
    }

    /// Whether an allocation of `bytes` fits into what there is once everything is returned.
    pub(crate) fn could_hold(&self, bytes: usize) -> bool {
        let granules = granules(bytes);
        let mut segments = self.segments.iter().flatten();
        segments.any(|it| floor_granules(it.bytes / GRANULE) >= granules)
    }

    /// The next segment's number.
    pub(crate) fn next_serial(&self) -> u32 {
        self.next_serial
    }

    /// Takes a further segment into use; the peer has been told of it.
    pub(crate) fn grow(&mut self, memory: M) {
        let bytes = memory.len_bytes();
        let serial = self.next_serial;
        self.next_serial += 1;
        self.bytes += bytes;
        let segment = Segment::new(serial, memory, 0, bytes, self.slots_max as u32);
        match self.segments.iter_mut().find(|segment| segment.is_none()) {
            Some(place) => *place = Some(segment),
            None => self.segments.push(Some(segment)),
        }
    }

    /// Whether [`Heap::take_unused`] could ever give anything.
    pub(crate) fn has_grown(&self) -> bool {
        self.segments.len() > 1 && self.segments[1..].iter().any(Option::is_some)
    }

    /// Takes one segment out of use that holds nothing: one that was not used since the last
    /// [`Heap::mark_idle`], or any if `pressed`.
    pub(crate) fn take_unused(&mut self, pressed: bool) -> Option<(u32, M)> {
        let index = (1..self.segments.len()).find(|index| {
            let segment = self.segments[*index].as_ref();
            segment.is_some_and(|it| it.live == 0 && (pressed || !it.used))
        })?;
        let segment = self.segments[index].take()?;
        self.bytes -= segment.bytes;
        Some((segment.serial, segment.memory))
    }

    /// Puts back what [`Heap::take_unused`] gave, because the peer could not be told.
    pub(crate) fn put_back(&mut self, serial: u32, memory: M) {
        let bytes = memory.len_bytes();
        self.bytes += bytes;
        let segment = Segment::new(serial, memory, 0, bytes, self.slots_max as u32);
        match self.segments.iter_mut().find(|segment| segment.is_none()) {
            Some(place) => *place = Some(segment),
            None => self.segments.push(Some(segment)),
        }
    }

    /// From now on segments count as unused until they are used.
    pub(crate) fn mark_idle(&mut self) {
        for segment in self.segments.iter_mut().flatten() {
            segment.used = segment.live > 0;
        }
    }

    /// Where a slot is.
    pub(crate) fn place(&self, slot: u32) -> Option<Place<M>> {
        let found = self.slots.get(slot as usize)?.as_ref()?;
        let segment = self.segments[found.segment].as_ref()?;
        Some(Place {
            memory: segment.memory.clone(),
            at: found.at,
        })
    }

    /// The segment that a slot is in, and where it is in that segment's file.
    #[inline]
    pub(crate) fn address(&self, slot: u32) -> Option<(u32, usize)> {
        let found = self.slots.get(slot as usize)?.as_ref()?;
        let segment = self.segments[found.segment].as_ref()?;
        Some((segment.serial, found.at))
    }

    /// A descriptor that names the slot is about to be written. With `keep`, this side goes on
    /// looking at it.
    pub(crate) fn send(&mut self, slot: u32, keep: bool) {
        if let Some(Some(found)) = self.slots.get_mut(slot as usize) {
            found.remote += 1;
            found.local = keep;
            self.in_flight += 1;
        }
        if !keep {
            self.lend_no_more(slot);
        }
    }

    /// Whether one more descriptor may name a slot.
    pub(crate) fn can_send(&self) -> bool {
        self.in_flight < self.in_flight_max
    }

    /// Descriptors that name a slot and that the peer has not returned, counting what it has
    /// returned and nobody has collected.
    pub(crate) fn in_flight<P: Memory>(&self, peer: &P) -> u32 {
        let returned = u32::try_from(self.taker.waiting(peer)).unwrap_or(u32::MAX);
        self.in_flight.saturating_sub(returned)
    }

    /// Slots that this side writes or still looks at.
    pub(crate) fn held(&self) -> u32 {
        self.slots
            .iter()
            .flatten()
            .filter(|slot| slot.local)
            .count() as u32
    }

    /// Segments beside the lane itself.
    pub(crate) fn further_segments(&self) -> u32 {
        self.segments.iter().skip(1).flatten().count() as u32
    }

    /// This side will not look at the slot any more.
    pub(crate) fn let_go(&mut self, slot: u32) {
        self.lend_no_more(slot);
        if let Some(Some(found)) = self.slots.get_mut(slot as usize) {
            found.local = false;
            if found.remote == 0 {
                self.release(slot);
            }
        }
    }

    fn release(&mut self, slot: u32) {
        let Some(found) = self.slots.get_mut(slot as usize).and_then(Option::take) else {
            return;
        };
        self.free.push(slot);
        if let Some(segment) = &mut self.segments[found.segment] {
            segment.allocator.free(found.allocation);
            segment.live -= 1;
        }
    }

    /// Takes back what the peer returned. Says whether that was anything.
    pub(crate) fn collect<P: Memory>(&mut self, peer: &P) -> Result<bool, Corrupt> {
        let mut any = false;
        while let Some(slot) = self.taker.take(peer)? {
            let found = self.slots.get_mut(slot as usize).and_then(Option::as_mut);
            let Some(found) = found.filter(|slot| slot.remote > 0) else {
                return Err("it returned a slot that is not in flight");
            };
            found.remote -= 1;
            self.in_flight -= 1;
            if found.remote == 0 {
                found.room_taken = false;
                if !found.local {
                    self.release(slot);
                }
            }
            any = true;
        }
        Ok(any)
    }

    /// Remembers a frozen loan.
    pub(crate) fn freeze(&mut self, frozen: Frozen) {
        self.frozen.insert(frozen.start, frozen);
    }

    /// Forgets it; its slot is let go of.
    pub(crate) fn thaw(&mut self, start: usize, slot: u32) {
        // Empty loans can share an address.
        if self.frozen.get(&start).is_some_and(|it| it.slot == slot) {
            self.frozen.remove(&start);
        }
        self.let_go(slot);
    }

    /// The frozen loan that these bytes lie in.
    pub(crate) fn find_frozen(&self, bytes: &[u8]) -> Option<Frozen> {
        if self.frozen.is_empty() || bytes.is_empty() {
            return None;
        }
        let start = bytes.as_ptr().addr();
        let (_, frozen) = self.frozen.range(..=start).next_back()?;
        (start + bytes.len() <= frozen.end).then_some(*frozen)
    }

    /// Takes the room around a frozen loan, if nobody has.
    pub(crate) fn take_room(&mut self, slot: u32) -> bool {
        match self.slots.get_mut(slot as usize) {
            Some(Some(found)) if !found.room_taken => {
                found.room_taken = true;
                true
            }
            _ => false,
        }
    }
}

impl<M> Segment<M> {
    fn new(serial: u32, memory: M, at: usize, bytes: usize, slots_max: u32) -> Self {
        let granules = (bytes / GRANULE) as u32;
        // Every allocation may leave one free node beside it.
        let nodes = granules.min(slots_max) * 2 + 8;
        Segment {
            serial,
            memory,
            at,
            bytes,
            allocator: Allocator::with_max_allocs(granules, nodes),
            live: 0,
            used: true,
        }
    }
}
