//! What the two halves of one end, its loans and its borrowed payloads share.
//!
//! | word of the own lane | written by |
//! |---|---|
//! | `HEAD`, the descriptors, `CLOSED` | the sink |
//! | `CONSUMED`, `NAP_DATA` | the source |
//! | `RETURNS_HEAD`, the returns | [`Shared::give_back`], under the giver's lock |
//! | `NAP_ROOM` | [`Shared::poll_room`], under the lock of [`Room`] |
//! | payloads | the holder of the slot |
//!
//! Lock order: `room.nap`, then `heap`, then `shortage`. The others are taken alone. The system is never
//! asked for memory under the last two.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crossbeam_utils::CachePadded;
use futures_util::task::AtomicWaker;
use rapace_transport::{Death, LinkError};

use crate::ShmConfig;
use crate::control::{Control, Incoming, Platform};
use crate::doorbell::Doorbell;
use crate::heap::{Heap, SEGMENTS_MAX};
use crate::layout::{CLOSED, Geometry, NAP_DATA, NAP_ROOM, RANG_AT};
use crate::memory::Memory;
use crate::nap::{Alert, Nap};
use crate::returns::Giver;
use crate::ring::Corrupt;
use crate::shortage::Shortage;

/// Control messages that are kept until the source sees to them.
pub(crate) const MAIL_MAX: usize = 2 * SEGMENTS_MAX;

pub(crate) struct Shared<P: Platform> {
    pub(crate) config: ShmConfig,
    /// This end's lane: only this process writes it.
    pub(crate) own: Arc<P::Memory>,
    /// The peer's lane: only the peer writes it.
    pub(crate) peer: Arc<P::Memory>,
    pub(crate) bells: Bells<P>,
    pub(crate) control: P::Control,
    data_alert: Alert,
    room_alert: Alert,
    // Padded: whoever drops a payload, on whatever thread, and the sink do not share a line.
    pub(crate) heap: CachePadded<Mutex<Heap<Arc<P::Memory>>>>,
    pub(crate) shortage: Mutex<Shortage>,
    /// An alarm has to be set, or is, for those who wait for the system to give memory.
    pub(crate) short: AtomicBool,
    giver: CachePadded<Mutex<Giver>>,
    /// Payload bytes of the peer's lane that the program holds.
    pub(crate) borrowed: AtomicUsize,
    /// Slots of the peer's lane that the program holds.
    pub(crate) borrowed_slots: AtomicUsize,
    room: Mutex<Nap>,
    /// The source's verdict, a hint for the sink.
    pub(crate) spinning_pays: AtomicBool,
    /// Who waits at this end, for the wakers that others keep.
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) waiting_waker: Waker,
    /// Control messages that the source has not seen to yet.
    mail: Mutex<Vec<Incoming<P::Memory>>>,
    end: Mutex<Option<LinkError>>,
    /// `end` is set.
    pub(crate) ended: AtomicBool,
    hung_up: AtomicBool,
    /// Halves that have not been dropped.
    halves: AtomicUsize,
}

/// The bells of one end.
pub(crate) struct Bells<P: Platform> {
    pub(crate) own_data: P::Doorbell,
    pub(crate) own_room: P::Doorbell,
    pub(crate) peer_data: P::Doorbell,
    pub(crate) peer_room: P::Doorbell,
}

/// The tasks that wait at one end.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) source: AtomicWaker,
    pub(crate) sink: AtomicWaker,
    /// Tasks that wait for a loan.
    lenders: Mutex<Vec<Waker>>,
    /// Somebody waits for room.
    pub(crate) room: AtomicBool,
}

impl Waiting {
    /// Wakes those who wait for room.
    pub(crate) fn wake_room(&self) {
        if self.room.swap(false, Ordering::AcqRel) {
            self.sink.wake();
            let lenders = std::mem::take(&mut *lock(&self.lenders));
            for lender in lenders {
                lender.wake();
            }
        }
    }

    pub(crate) fn lender(&self, waker: &Waker) {
        let mut lenders = lock(&self.lenders);
        if !lenders.iter().any(|known| known.will_wake(waker)) {
            lenders.push(waker.clone());
        }
    }

    pub(crate) fn wake_all(&self) {
        self.room.store(true, Ordering::Release);
        self.wake_room();
        self.source.wake();
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

/// Nothing of the user's runs under any of these locks, so a poisoned one means a bug here; what it
/// guards is still consistent enough to end the link.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<P: Platform> Shared<P> {
    pub(crate) fn new(
        config: ShmConfig,
        own_geometry: Geometry,
        heap: Heap<Arc<P::Memory>>,
        own: Arc<P::Memory>,
        peer: Arc<P::Memory>,
        bells: Bells<P>,
        control: P::Control,
    ) -> Self {
        let waiting = Arc::new(Waiting::default());
        Shared {
            config,
            own,
            peer,
            bells,
            control,
            data_alert: Alert::new(NAP_DATA),
            room_alert: Alert::new(NAP_ROOM),
            heap: CachePadded::new(Mutex::new(heap)),
            shortage: Mutex::default(),
            short: AtomicBool::new(false),
            giver: CachePadded::new(Mutex::new(Giver::new(own_geometry))),
            borrowed: AtomicUsize::new(0),
            borrowed_slots: AtomicUsize::new(0),
            room: Mutex::new(Nap::new(NAP_ROOM)),
            spinning_pays: AtomicBool::new(false),
            waiting_waker: Waker::from(waiting.clone()),
            waiting,
            mail: Mutex::new(Vec::new()),
            end: Mutex::new(None),
            ended: AtomicBool::new(false),
            hung_up: AtomicBool::new(false),
            halves: AtomicUsize::new(2),
        }
    }

    // How the link ends.

    /// Ends the link, if it has not ended yet, and says how it did.
    pub(crate) fn end(&self, error: LinkError) -> LinkError {
        let mut end = lock(&self.end);
        let error = end.get_or_insert(error).clone();
        drop(end);
        self.ended.store(true, Ordering::Release);
        self.waiting.wake_all();
        error
    }

    /// How the link ended, if it did.
    #[inline]
    pub(crate) fn ending(&self) -> Option<LinkError> {
        // Acquire pairs with the release in `end`.
        if !self.ended.load(Ordering::Acquire) {
            return None;
        }
        lock(&self.end).clone()
    }

    /// Ends the link because of what the peer wrote.
    pub(crate) fn corrupt(&self, what: Corrupt) -> LinkError {
        self.end(LinkError::Malformed(
            format!("shared memory: {what}").into(),
        ))
    }

    /// Whether the peer is gone, or has said that nothing follows. What it published before is to
    /// be read first.
    pub(crate) fn peer_ending(&self) -> Option<LinkError> {
        // Acquire pairs with the release in `say_closed`.
        if self.peer.load(CLOSED, Ordering::Acquire) != 0 {
            return Some(LinkError::Closed);
        }
        self.hung_up
            .load(Ordering::Acquire)
            .then(|| LinkError::PeerDied(Death::seen("its control socket hung up")))
    }

    /// Tells the peer that nothing follows.
    pub(crate) fn say_closed(&self) {
        // Release pairs with the acquire in `peer_ending`: every descriptor comes first.
        self.own.store(CLOSED, 1, Ordering::Release);
        self.bells.peer_data.ring();
        self.bells.peer_room.ring();
    }

    /// One half was dropped; the second one closes the link, whatever loans and payloads still
    /// hold its memory.
    pub(crate) fn drop_half(&self) {
        if self.halves.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.end(LinkError::Closed);
            self.say_closed();
        }
    }

    // Waking the peer.

    /// After publishing descriptors.
    #[inline]
    pub(crate) fn alert_data(&self) {
        if self.data_alert.wanted(&*self.peer) {
            self.own
                .store(NAP_DATA + RANG_AT, P::now_ns(), Ordering::Relaxed);
            self.bells.peer_data.ring();
        }
    }

    /// After reading descriptors or returning slots.
    #[inline]
    pub(crate) fn alert_room(&self) {
        if self.room_alert.wanted(&*self.peer) {
            self.bells.peer_room.ring();
        }
    }

    /// Returns a slot of the peer's lane.
    pub(crate) fn give_back(&self, slot: u32) {
        lock(&self.giver).give(&*self.own, slot);
        self.alert_room();
    }

    // Waiting for the peer.

    /// Waits for room of any kind: `look` says whether it is there. `cx` has been registered with
    /// [`Waiting`] by the caller.
    pub(crate) fn poll_room<T>(
        &self,
        mut look: impl FnMut() -> Result<Option<T>, LinkError>,
    ) -> Poll<Result<T, LinkError>> {
        let mut cx = Context::from_waker(&self.waiting_waker);
        let mut nap = lock(&self.room);
        self.waiting.room.store(true, Ordering::Release);
        loop {
            match self.bells.own_room.poll_rung(&mut cx) {
                // That nap is over; a further one is a different one.
                Poll::Ready(Ok(())) => nap.wake_up(&*self.own),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.failed(&error))),
                Poll::Pending => break,
            }
        }
        nap.fall_asleep(&*self.own);
        drop(nap);
        if let Some(found) = look()? {
            return Poll::Ready(Ok(found));
        }
        // The peer may be gone, and then it returns nothing any more.
        self.poll_control()?;
        if let Some(error) = self.ending() {
            return Poll::Ready(Err(error));
        }
        if let Some(error) = self.peer_ending() {
            // The source reads what is left before it says so.
            self.waiting.source.wake();
            return Poll::Ready(Err(error));
        }
        Poll::Pending
    }

    /// Takes what has come on the control channel, as much as the mailbox holds; both halves are
    /// woken by more.
    pub(crate) fn poll_control(&self) -> Result<(), LinkError> {
        let mut cx = Context::from_waker(&self.waiting_waker);
        // Held throughout: two threads may be here, and messages keep their order. Whoever looks
        // for one finds it in the mailbox or on the channel, never in the other thread's hands.
        let mut mail = lock(&self.mail);
        while !self.hung_up.load(Ordering::Acquire) {
            if mail.len() >= MAIL_MAX {
                drop(mail);
                // The rest stays on the channel until the source has seen to these.
                self.waiting.source.wake();
                return Ok(());
            }
            match self.control.poll_recv(&mut cx) {
                Poll::Ready(Ok(Incoming::HungUp)) => {
                    self.hung_up.store(true, Ordering::Release);
                }
                Poll::Ready(Ok(Incoming::Malformed(what))) => {
                    drop(mail);
                    let what = format!("control socket: {what}");
                    return Err(self.end(LinkError::Malformed(what.into())));
                }
                Poll::Ready(Ok(message)) => mail.push(message),
                Poll::Ready(Err(error)) => {
                    drop(mail);
                    return Err(self.failed(&error));
                }
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// The control messages that have come, in order. When there are [`MAIL_MAX`] of them, more
    /// may wait on the channel.
    pub(crate) fn take_mail(&self) -> Vec<Incoming<P::Memory>> {
        std::mem::take(&mut *lock(&self.mail))
    }

    pub(crate) fn failed(&self, error: &std::io::Error) -> LinkError {
        self.end(LinkError::Io(error.to_string().into()))
    }
}
