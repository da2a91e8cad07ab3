//! Two ends of a link in one process, without an operating system between them: memory that counts
//! what is copied, bells that are wakers, control channels that are queues.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::cell::{RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rapace_shm::{
    Alarm, Control, Doorbell, Incoming, Memory, Outgoing, Parts, Platform, Region, ShmConfig,
    ShmTransport, prepare_lane,
};

/// Bytes that were copied through a lane since the test began.
#[derive(Default, Debug)]
pub(crate) struct Copies {
    pub(crate) written: AtomicUsize,
    pub(crate) read: AtomicUsize,
}

impl Copies {
    pub(crate) fn total(&self) -> usize {
        self.written.load(Ordering::Relaxed) + self.read.load(Ordering::Relaxed)
    }
}

#[repr(align(64))]
#[derive(Default)]
struct Line([UnsafeCell<u64>; 8]);

/// Zeroed memory. `IN_PLACE` says whether payloads may be touched where they are.
pub(crate) struct Cells<const IN_PLACE: bool> {
    lines: Box<[Line]>,
    pub(crate) copies: Arc<Copies>,
    /// Counts the bytes of memory that are there.
    there: Arc<AtomicUsize>,
}

impl<const IN_PLACE: bool> Drop for Cells<IN_PLACE> {
    fn drop(&mut self) {
        self.there.fetch_sub(self.len_bytes(), Ordering::SeqCst);
    }
}

// SAFETY: words are touched through atomics only, runs of bytes by whoever owns their slot.
unsafe impl<const IN_PLACE: bool> Send for Cells<IN_PLACE> {}
// SAFETY: as above.
unsafe impl<const IN_PLACE: bool> Sync for Cells<IN_PLACE> {}

impl<const IN_PLACE: bool> Cells<IN_PLACE> {
    pub(crate) fn new(bytes: usize, copies: Arc<Copies>, there: Arc<AtomicUsize>) -> Self {
        let lines = (0..bytes.div_ceil(64)).map(|_| Line::default()).collect();
        let cells = Cells {
            lines,
            copies,
            there,
        };
        cells.there.fetch_add(cells.len_bytes(), Ordering::SeqCst);
        cells
    }

    fn base(&self) -> *mut u8 {
        self.lines.as_ptr().cast_mut().cast()
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.len_bytes());
        // SAFETY: in bounds, aligned, and never accessed otherwise than as an atomic.
        unsafe { AtomicU64::from_ptr(self.base().add(at).cast()) }
    }
}

impl<const IN_PLACE: bool> Memory for Arc2<IN_PLACE> {
    fn len_bytes(&self) -> usize {
        self.0.len_bytes()
    }

    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.0.word(at).load(order)
    }

    fn store(&self, at: usize, value: u64, order: Ordering) {
        self.0.word(at).store(value, order);
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        assert!(at + out.len() <= self.0.len_bytes());
        self.0.copies.read.fetch_add(out.len(), Ordering::Relaxed);
        // SAFETY: in bounds.
        unsafe {
            self.0
                .base()
                .add(at)
                .copy_to_nonoverlapping(out.as_mut_ptr(), out.len());
        };
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.0.len_bytes());
        self.0
            .copies
            .written
            .fetch_add(bytes.len(), Ordering::Relaxed);
        // SAFETY: in bounds.
        unsafe {
            self.0
                .base()
                .add(at)
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        };
    }

    fn region(&self) -> Option<Region> {
        // SAFETY: the cells live as long as this, are aligned and may be used by any thread.
        IN_PLACE.then(|| unsafe {
            Region::new(NonNull::new_unchecked(self.0.base()), self.0.len_bytes())
        })
    }
}

impl<const IN_PLACE: bool> Cells<IN_PLACE> {
    fn len_bytes(&self) -> usize {
        self.lines.len() * 64
    }
}

/// One mapping of some cells.
#[derive(Clone)]
pub(crate) struct Arc2<const IN_PLACE: bool>(pub Arc<Cells<IN_PLACE>>);

#[derive(Default)]
struct BellState {
    rung: AtomicBool,
    waker: Mutex<Option<Waker>>,
    rings: AtomicUsize,
}

/// A bell that both ends hold.
#[derive(Clone, Default)]
pub(crate) struct LocalBell(Arc<BellState>);

impl LocalBell {
    pub(crate) fn rings(&self) -> usize {
        self.0.rings.load(Ordering::SeqCst)
    }
}

impl Doorbell for LocalBell {
    fn ring(&self) {
        self.0.rings.fetch_add(1, Ordering::SeqCst);
        self.0.rung.store(true, Ordering::SeqCst);
        if let Some(waker) = self.0.waker.lock().unwrap().take() {
            waker.wake();
        }
    }

    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        *self.0.waker.lock().unwrap() = Some(cx.waker().clone());
        if self.0.rung.swap(false, Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

struct Queue<M> {
    messages: VecDeque<Message<M>>,
    gone: bool,
    waker: Option<Waker>,
}

enum Message<M> {
    Segment(u32, M),
    Drop(u32),
}

type Shared<M> = Arc<Mutex<Queue<M>>>;

/// A control channel: what is sent goes into the peer's queue.
pub(crate) struct LocalControl<const IN_PLACE: bool> {
    incoming: Shared<Arc2<IN_PLACE>>,
    outgoing: Shared<Arc2<IN_PLACE>>,
    copies: Arc<Copies>,
    /// Bytes of memory that this end made beside its lane and that are still there.
    pub(crate) made: Arc<AtomicUsize>,
    /// How many segments this end may still make.
    pub(crate) may_make: Arc<AtomicUsize>,
    /// The largest segment that this end may make.
    pub(crate) largest: Arc<AtomicUsize>,
}

impl<const IN_PLACE: bool> Control for LocalControl<IN_PLACE> {
    type Memory = Arc2<IN_PLACE>;

    fn create(&self, bytes: usize) -> io::Result<Self::Memory> {
        let one_less = |left: usize| left.checked_sub(1);
        let left = &self.may_make;
        if left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
            .is_err()
            || bytes > self.largest.load(Ordering::SeqCst)
        {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let cells = Cells::new(bytes, self.copies.clone(), self.made.clone());
        Ok(Arc2(Arc::new(cells)))
    }

    fn poll_send(
        &self,
        _: &mut Context<'_>,
        message: &Outgoing<'_, Self::Memory>,
    ) -> Poll<io::Result<()>> {
        let mut queue = self.outgoing.lock().unwrap();
        if queue.gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        queue.messages.push_back(match message {
            Outgoing::Segment { serial, memory } => Message::Segment(*serial, (*memory).clone()),
            Outgoing::Drop { serial } => Message::Drop(*serial),
        });
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Memory>>> {
        let mut queue = self.incoming.lock().unwrap();
        match queue.messages.pop_front() {
            Some(Message::Segment(serial, memory)) => {
                Poll::Ready(Ok(Incoming::Segment { serial, memory }))
            }
            Some(Message::Drop(serial)) => Poll::Ready(Ok(Incoming::Drop { serial })),
            None if queue.gone => Poll::Ready(Ok(Incoming::HungUp)),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<const IN_PLACE: bool> Drop for LocalControl<IN_PLACE> {
    fn drop(&mut self) {
        for queue in [&self.incoming, &self.outgoing] {
            let mut queue = queue.lock().unwrap();
            queue.gone = true;
            if let Some(waker) = queue.waker.take() {
                waker.wake();
            }
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Local<const IN_PLACE: bool>;

impl<const IN_PLACE: bool> Platform for Local<IN_PLACE> {
    type Memory = Arc2<IN_PLACE>;
    type Doorbell = LocalBell;
    type Control = LocalControl<IN_PLACE>;

    fn now_ns() -> u64 {
        CLOCK.with_borrow(|(now, _)| now.as_nanos() as u64)
    }

    fn processor() -> Option<u64> {
        None
    }

    fn alarm() -> Box<dyn Alarm> {
        Box::new(Virtual::default())
    }
}

thread_local! {
    /// The virtual time of this thread, and who waits for it to pass.
    static CLOCK: RefCell<(Duration, Vec<Waker>)> = const { RefCell::new((Duration::ZERO, Vec::new())) };
}

/// Lets virtual time pass on this thread.
pub(crate) fn pass(time: Duration) {
    let wakers = CLOCK.with_borrow_mut(|(now, wakers)| {
        *now += time;
        std::mem::take(wakers)
    });
    for waker in wakers {
        waker.wake();
    }
}

#[derive(Default)]
struct Virtual(Option<Duration>);

impl Alarm for Virtual {
    fn set(&mut self, after: Option<Duration>) {
        self.0 = after.map(|after| CLOCK.with_borrow(|(now, _)| *now) + after);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.0 else {
            return Poll::Pending;
        };
        CLOCK.with_borrow_mut(|(now, wakers)| {
            if *now >= at {
                self.0 = None;
                return Poll::Ready(());
            }
            wakers.push(cx.waker().clone());
            Poll::Pending
        })
    }
}

/// What a test sees of a pair from outside.
pub(crate) struct Seen<const IN_PLACE: bool> {
    pub(crate) copies: Arc<Copies>,
    /// The lanes, `a`'s first.
    pub(crate) lanes: [Arc2<IN_PLACE>; 2],
    /// The bells that tell `a` and `b` of frames.
    pub(crate) data: [LocalBell; 2],
    /// The bells that tell `a` and `b` of room.
    pub(crate) room: [LocalBell; 2],
    /// Payload memory that `a` and `b` have beside their lanes.
    pub(crate) made: [Arc<AtomicUsize>; 2],
    /// How many segments `a` and `b` may still make.
    pub(crate) may_make: [Arc<AtomicUsize>; 2],
    /// The largest segments that `a` and `b` may make.
    pub(crate) largest: [Arc<AtomicUsize>; 2],
}

/// Two ends of one link.
pub(crate) fn pair<const IN_PLACE: bool>(
    configs: [ShmConfig; 2],
) -> (
    ShmTransport<Local<IN_PLACE>>,
    ShmTransport<Local<IN_PLACE>>,
    Seen<IN_PLACE>,
) {
    let copies = Arc::new(Copies::default());
    let lanes = configs.each_ref().map(|config| {
        let cells = Cells::new(config.lane_len_bytes(), copies.clone(), Arc::default());
        let lane = Arc2(Arc::new(cells));
        prepare_lane(&lane, config);
        lane
    });
    let queues: [Shared<Arc2<IN_PLACE>>; 2] = std::array::from_fn(|_| {
        Arc::new(Mutex::new(Queue {
            messages: VecDeque::new(),
            gone: false,
            waker: None,
        }))
    });
    let data = [LocalBell::default(), LocalBell::default()];
    let room = [LocalBell::default(), LocalBell::default()];
    let made = [Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default()];
    let may_make: [Arc<AtomicUsize>; 2] =
        std::array::from_fn(|_| Arc::new(AtomicUsize::new(usize::MAX)));
    let largest: [Arc<AtomicUsize>; 2] =
        std::array::from_fn(|_| Arc::new(AtomicUsize::new(usize::MAX)));
    let [config_a, config_b] = configs;
    let end = |this: usize, config: ShmConfig| {
        let peer = 1 - this;
        let parts = Parts {
            own: lanes[this].clone(),
            peer: lanes[peer].clone(),
            own_data: data[this].clone(),
            own_room: room[this].clone(),
            peer_data: data[peer].clone(),
            peer_room: room[peer].clone(),
            control: LocalControl {
                incoming: queues[this].clone(),
                outgoing: queues[peer].clone(),
                copies: copies.clone(),
                made: made[this].clone(),
                may_make: may_make[this].clone(),
                largest: largest[this].clone(),
            },
        };
        ShmTransport::new(parts, config).expect("a link")
    };
    let (a, b) = (end(0, config_a), end(1, config_b));
    copies.written.store(0, Ordering::Relaxed);
    copies.read.store(0, Ordering::Relaxed);
    let seen = Seen {
        copies,
        lanes: lanes.clone(),
        data,
        room,
        made,
        may_make,
        largest,
    };
    (a, b, seen)
}
