//! The operating system with a failpoint behind every store, every ring and every control message.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use rapace_shm::layout::{HEAD, PAGE};
use rapace_shm::os::{Bell, Mapping, Os, Socket};
use rapace_shm::{
    Alarm, Control, Doorbell, Incoming, Memory, Outgoing, Parts, Platform, Region, ShmConfig,
    ShmTransport,
};
use rustix::process::{Signal, getpid, kill_process};

/// What happens to this process, and after how many events. Never, unless it was armed.
pub(crate) struct Failpoint {
    left: AtomicU64,
    stops: AtomicBool,
    late_payloads: AtomicBool,
}

pub(crate) static FAILPOINT: Failpoint = Failpoint {
    left: AtomicU64::new(u64::MAX),
    stops: AtomicBool::new(false),
    late_payloads: AtomicBool::new(false),
};

impl Failpoint {
    /// From now on the process goes on for `left` events.
    pub(crate) fn arm(&self, left: u64, signal: Signal, late_payloads: bool) {
        self.late_payloads.store(late_payloads, Ordering::SeqCst);
        self.stops.store(signal == Signal::STOP, Ordering::SeqCst);
        self.left.store(left, Ordering::SeqCst);
    }

    /// An event has happened.
    pub(crate) fn event(&self) {
        match self.left.load(Ordering::SeqCst) {
            u64::MAX => {}
            0 => {
                self.left.store(u64::MAX, Ordering::SeqCst);
                let stops = self.stops.load(Ordering::SeqCst);
                let signal = if stops { Signal::STOP } else { Signal::KILL };
                kill_process(getpid(), signal).expect("a signal to itself");
                assert!(stops, "a process outlived SIGKILL");
                // Another thread may be the one that hears the signal and stops the rest; until
                // then this one does nothing.
                std::thread::sleep(Duration::from_millis(5));
            }
            left => self.left.store(left - 1, Ordering::SeqCst),
        }
    }
}

/// A mapping whose stores are events.
pub(crate) struct Counted {
    mapping: Mapping,
    /// Payloads that a planted flaw writes only after the head was stored.
    late: Mutex<Vec<(usize, Vec<u8>)>>,
}

impl Counted {
    fn new(mapping: Mapping) -> Arc<Self> {
        let late = Mutex::default();
        Arc::new(Counted { mapping, late })
    }
}

impl Memory for Counted {
    fn len_bytes(&self) -> usize {
        self.mapping.len_bytes()
    }

    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.mapping.load(at, order)
    }

    fn store(&self, at: usize, value: u64, order: Ordering) {
        self.mapping.store(at, value, order);
        FAILPOINT.event();
        if at == HEAD {
            for (at, bytes) in std::mem::take(&mut *self.late.lock().unwrap()) {
                self.mapping.write(at, &bytes);
                FAILPOINT.event();
            }
        }
    }

    fn fence(&self) {
        self.mapping.fence();
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        self.mapping.read(at, out);
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        if FAILPOINT.late_payloads.load(Ordering::SeqCst) && at >= PAGE {
            self.late.lock().unwrap().push((at, bytes.to_vec()));
            return;
        }
        // Two events: a payload may be there by half.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        self.mapping.write(at, first);
        FAILPOINT.event();
        self.mapping.write(at + first.len(), second);
        FAILPOINT.event();
    }

    fn region(&self) -> Option<Region> {
        self.mapping.region()
    }
}

pub(crate) struct CountedBell(Bell);

impl Doorbell for CountedBell {
    fn ring(&self) {
        self.0.ring();
        FAILPOINT.event();
    }

    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_rung(cx)
    }
}

/// The memory that a process has mapped for a link, its own and the peer's.
pub(crate) type Mapped = Arc<Mutex<Vec<Weak<Counted>>>>;

pub(crate) struct CountedSocket {
    socket: Socket,
    mapped: Mapped,
}

impl CountedSocket {
    fn watched(&self, mapping: Mapping) -> Arc<Counted> {
        let memory = Counted::new(mapping);
        self.mapped.lock().unwrap().push(Arc::downgrade(&memory));
        memory
    }
}

impl Control for CountedSocket {
    type Memory = Arc<Counted>;

    fn create(&self, bytes: usize) -> io::Result<Arc<Counted>> {
        let mapping = self.socket.create(bytes)?;
        FAILPOINT.event();
        Ok(self.watched(mapping))
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        message: &Outgoing<'_, Arc<Counted>>,
    ) -> Poll<io::Result<()>> {
        let message = match *message {
            Outgoing::Segment { serial, memory } => Outgoing::Segment {
                serial,
                memory: &memory.mapping,
            },
            Outgoing::Drop { serial } => Outgoing::Drop { serial },
        };
        let sent = self.socket.poll_send(cx, &message);
        FAILPOINT.event();
        sent
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Arc<Counted>>>> {
        self.socket.poll_recv(cx).map_ok(|message| match message {
            Incoming::Segment { serial, memory } => Incoming::Segment {
                serial,
                memory: self.watched(memory),
            },
            Incoming::Drop { serial } => Incoming::Drop { serial },
            Incoming::HungUp => Incoming::HungUp,
            Incoming::Malformed(what) => Incoming::Malformed(what),
        })
    }

    fn expect_message(&self) {
        self.socket.expect_message();
    }
}

/// [`Os`] with failpoints.
pub(crate) struct Failing;

impl Platform for Failing {
    type Memory = Arc<Counted>;
    type Doorbell = CountedBell;
    type Control = CountedSocket;

    fn now_ns() -> u64 {
        Os::now_ns()
    }

    fn processor() -> Option<u64> {
        Os::processor()
    }

    fn yield_now(cx: &mut Context<'_>) {
        Os::yield_now(cx);
    }

    fn alarm() -> Box<dyn Alarm> {
        Os::alarm()
    }
}

/// A link with failpoints, the peer's lane for looking at it, and all memory that is mapped for it.
pub(crate) fn link(
    parts: Parts<Os>,
    config: ShmConfig,
) -> (ShmTransport<Failing>, Arc<Counted>, Mapped) {
    let mapped = Mapped::default();
    let control = CountedSocket {
        socket: parts.control,
        mapped: mapped.clone(),
    };
    let (own, peer) = (control.watched(parts.own), control.watched(parts.peer));
    let parts: Parts<Failing> = Parts {
        own,
        peer: peer.clone(),
        own_data: CountedBell(parts.own_data),
        own_room: CountedBell(parts.own_room),
        peer_data: CountedBell(parts.peer_data),
        peer_room: CountedBell(parts.peer_room),
        control,
    };
    let link = ShmTransport::new(parts, config).expect("a link");
    (link, peer, mapped)
}
