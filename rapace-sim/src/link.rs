//! Links: which transport connects two processes, and how it behaves.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use rapace_mem::KillSwitch;
use rapace_stream::StreamTransport;
use rapace_transport::{LinkError, Transport};
use serde::{Deserialize, Serialize};

use crate::draw::{Purpose, draw};
use crate::engine::Engine;
use crate::engine::process::LifeCell;
use crate::fault::{DoorbellEffect, FaultKind, What};
use crate::pipe::{End, Pipe, PipeConfig, PipeReader, PipeWriter};
use crate::shm::memory::Writer;
use crate::shm::{self, ShmLink, ShmShape};
use crate::time::Nanos;

/// Which transport a link uses. All of them are the shipping ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// `rapace-stream` over simulated byte pipes.
    #[default]
    Stream,
    /// `rapace-mem`: frames are moved within the process. No latency, no partial frames.
    Mem,
    /// `rapace-shm` over simulated memory and doorbells: see [`crate::shm`].
    Shm,
}

impl LinkKind {
    /// What worlds draw from: sockets and shared memory twice as often as links within a process.
    pub(crate) const MIXED: &[LinkKind] = &[
        LinkKind::Stream,
        LinkKind::Stream,
        LinkKind::Mem,
        LinkKind::Shm,
        LinkKind::Shm,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            LinkKind::Stream => "stream",
            LinkKind::Mem => "mem",
            LinkKind::Shm => "shm",
        }
    }

    /// Whether links of this kind can have faults of that kind.
    pub fn can_have(self, fault: FaultKind) -> bool {
        match fault {
            FaultKind::Doorbell => self == LinkKind::Shm,
            FaultKind::Latency | FaultKind::Exhaust | FaultKind::Corrupt => self != LinkKind::Mem,
            FaultKind::Window | FaultKind::ShortIo | FaultKind::CutHalf => self == LinkKind::Stream,
            FaultKind::Kill
            | FaultKind::KillLosing
            | FaultKind::KillAfterStore
            | FaultKind::Restart
            | FaultKind::Hang
            | FaultKind::Slow
            | FaultKind::ClockSkew
            | FaultKind::Freeze
            | FaultKind::Thaw
            | FaultKind::Cut => true,
        }
    }

    /// Whether this version can simulate it.
    pub const fn is_available(self) -> bool {
        matches!(self, LinkKind::Stream | LinkKind::Mem | LinkKind::Shm)
    }
}

/// How a link behaves while no fault changes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkConfig {
    /// Which transport. Default: stream.
    pub kind: LinkKind,
    /// How long bytes are under way, or a doorbell of shared memory takes. Default: 20 µs.
    pub latency: Nanos,
    /// Every write or ring takes up to so much longer. Default: 10 µs.
    pub jitter: Nanos,
    /// How many bytes each direction holds before its writer waits. Default: 208 KiB, as a Unix
    /// socket on Linux. Streams only.
    pub window_bytes: u32,
    /// Whether one read or write in four moves only a part of what it could. Default: yes. Streams
    /// only.
    pub short_io: bool,
    /// Rings, slots and memory. Shared memory only.
    pub shm: ShmShape,
}

impl Default for LinkConfig {
    fn default() -> Self {
        LinkConfig {
            kind: LinkKind::Stream,
            latency: Nanos::from_micros(20),
            jitter: Nanos::from_micros(10),
            window_bytes: 208 << 10,
            short_io: true,
            shm: ShmShape::default(),
        }
    }
}

impl LinkConfig {
    /// A socket.
    pub fn stream() -> Self {
        LinkConfig::default()
    }

    /// A link within one process.
    pub fn mem() -> Self {
        LinkConfig {
            kind: LinkKind::Mem,
            ..LinkConfig::default()
        }
    }

    /// Shared memory.
    pub fn shm() -> Self {
        LinkConfig {
            kind: LinkKind::Shm,
            ..LinkConfig::default()
        }
    }

    /// Rings, slots and memory of a link over shared memory.
    pub fn shape(mut self, shape: ShmShape) -> Self {
        self.shm = shape;
        self
    }

    /// Bytes are under way for so long.
    pub fn latency(mut self, latency: impl Into<Nanos>) -> Self {
        self.latency = latency.into();
        self
    }

    /// Every write takes up to so much longer.
    pub fn jitter(mut self, jitter: impl Into<Nanos>) -> Self {
        self.jitter = jitter.into();
        self
    }

    /// Each direction holds so many bytes; at least 1.
    pub fn window_bytes(mut self, bytes: u32) -> Self {
        self.window_bytes = bytes.max(1);
        self
    }

    /// Whether reads and writes may be short.
    pub fn short_io(mut self, short: bool) -> Self {
        self.short_io = short;
        self
    }

    fn pipe(&self) -> PipeConfig {
        PipeConfig {
            latency: self.latency.0,
            jitter: self.jitter.0,
            window_bytes: self.window_bytes.max(1) as usize,
            io_bytes_max: usize::MAX,
            short_io: self.short_io,
        }
    }
}

/// Holds back what has arrived over a link whose transport cannot be frozen itself.
#[derive(Default)]
pub(crate) struct Gate {
    inner: Mutex<GateInner>,
}

#[derive(Default)]
struct GateInner {
    shut: bool,
    waiting: Option<Waker>,
}

impl Gate {
    /// Whether one may pass. If not, the waker is woken once one may.
    pub(crate) fn pass(&self, waker: &Waker) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.shut {
            inner.waiting = Some(waker.clone());
        }
        !inner.shut
    }

    fn shut(&self, shut: bool) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.shut = shut;
        let waiting = inner.waiting.take();
        drop(inner);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

/// One life of a link: what faults can do to it.
pub(crate) struct LiveLink {
    pub(crate) lives: [Arc<LifeCell>; 2],
    medium: Medium,
}

enum Medium {
    /// The pipe of each end's sending.
    Stream([Arc<Pipe>; 2]),
    /// The kill switch of each end, and the gate before each end's receiving.
    Mem([KillSwitch; 2], [Arc<Gate>; 2]),
    /// Besides the link itself, the gate before each end's receiving.
    Shm(ShmLink, [Arc<Gate>; 2]),
}

/// What carries the bytes of one direction, and may have been made to change some of them.
pub(crate) enum Carrier {
    Pipe(Arc<Pipe>),
    Lane(Arc<Writer>),
}

impl Carrier {
    /// Whether it has changed bytes.
    pub(crate) fn is_corrupted(&self) -> bool {
        match self {
            Carrier::Pipe(pipe) => pipe.is_corrupted(),
            Carrier::Lane(writer) => writer.is_corrupted(),
        }
    }

    /// How many bytes its reader has read up to the end, if it carries frames one after the other
    /// and has ended.
    pub(crate) fn read_to_end(&self) -> Option<u64> {
        match self {
            Carrier::Pipe(pipe) => pipe.read_to_end(),
            Carrier::Lane(_) => None,
        }
    }
}

/// The two ends of a new link; the first is the initiator's.
pub(crate) struct Opened {
    pub(crate) link: LiveLink,
    pub(crate) ends: [(Box<dyn Transport>, Arc<Gate>); 2],
}

/// Opens a link between two lives.
///
/// # Errors
///
/// Its configuration makes no link.
pub(crate) fn open(
    engine: &Arc<Engine>,
    config: &LinkConfig,
    label: u64,
    lives: [Arc<LifeCell>; 2],
) -> Result<Opened, LinkError> {
    let gates = [Arc::<Gate>::default(), Arc::<Gate>::default()];
    let (ends, medium): ([Box<dyn Transport>; 2], Medium) = match config.kind {
        LinkKind::Stream => {
            let pipe = |dir: u64| Pipe::new(engine.clone(), label << 1 | dir, config.pipe());
            let pipes = [pipe(0), pipe(1)];
            let end = |at: usize| -> Box<dyn Transport> {
                let reader = PipeReader {
                    pipe: pipes[1 - at].clone(),
                    life: lives[at].clone(),
                };
                let writer = PipeWriter {
                    pipe: pipes[at].clone(),
                    life: lives[at].clone(),
                };
                Box::new(StreamTransport::from_halves(reader, writer))
            };
            ([end(0), end(1)], Medium::Stream(pipes.clone()))
        }
        LinkKind::Mem => {
            let (a, b) = rapace_mem::pair();
            let switches = [a.kill_switch(), b.kill_switch()];
            (
                [Box::new(a), Box::new(b)],
                Medium::Mem(switches, gates.clone()),
            )
        }
        LinkKind::Shm => {
            let pace = (config.latency, config.jitter);
            let (link, ends) = shm::open(engine, &config.shm, pace, label, &lives)?;
            (ends, Medium::Shm(link, gates.clone()))
        }
    };
    let [first, second] = ends;
    let [first_gate, second_gate] = gates;
    Ok(Opened {
        link: LiveLink { lives, medium },
        ends: [(first, first_gate), (second, second_gate)],
    })
}

impl LiveLink {
    /// The process at one end has died: it is a ghost already. Says how many words of shared memory
    /// it had stored and not released.
    pub(crate) fn died(&self, engine: &Engine, end: usize) -> usize {
        match &self.medium {
            Medium::Stream(pipes) => {
                // What the kernel tells the other end depends on what lay unread.
                let life = &self.lives[end];
                let number = draw(
                    engine.seed,
                    Purpose::Death,
                    life.process.index as u64,
                    u64::from(life.life),
                );
                let how = if number.is_multiple_of(4) {
                    End::Reset
                } else {
                    End::Fin
                };
                pipes[end].end(how);
                pipes[1 - end].reader_gone();
            }
            Medium::Mem(switches, _) => switches[end].kill(),
            Medium::Shm(link, _) => return link.died(engine, end),
        }
        0
    }

    /// Breaks the link; false when nothing was left to break.
    pub(crate) fn cut(&self) -> bool {
        match &self.medium {
            Medium::Stream(pipes) => {
                let first = pipes[0].cut();
                pipes[1].cut() || first
            }
            Medium::Mem(switches, _) => {
                switches.iter().for_each(KillSwitch::kill);
                true
            }
            Medium::Shm(link, _) => link.cut(),
        }
    }

    /// Ends one end's sending; false for links that have no halves.
    pub(crate) fn cut_half(&self, end: usize) -> bool {
        match &self.medium {
            Medium::Stream(pipes) => {
                pipes[end].end(End::Fin);
                true
            }
            Medium::Mem(..) | Medium::Shm(..) => false,
        }
    }

    pub(crate) fn freeze(&self, frozen: bool) {
        match &self.medium {
            Medium::Stream(pipes) => {
                for pipe in pipes {
                    pipe.freeze(frozen);
                }
            }
            Medium::Mem(_, gates) | Medium::Shm(_, gates) => {
                for gate in gates {
                    gate.shut(frozen);
                }
            }
        }
    }

    pub(crate) fn exhaust(&self, exhausted: bool) -> bool {
        match &self.medium {
            Medium::Stream(pipes) => {
                for pipe in pipes {
                    pipe.exhaust(exhausted);
                }
                true
            }
            Medium::Shm(link, _) => {
                link.exhaust(exhausted);
                true
            }
            Medium::Mem(..) => false,
        }
    }

    /// Changes how bytes flow; false for links that carry no bytes.
    pub(crate) fn configure(&self, change: impl Fn(&mut PipeConfig)) -> bool {
        match &self.medium {
            Medium::Stream(pipes) => {
                for pipe in pipes {
                    pipe.configure(&change);
                }
                true
            }
            Medium::Mem(..) | Medium::Shm(..) => false,
        }
    }

    /// From now on bytes, or rings, take so long.
    pub(crate) fn set_latency(&self, latency: Nanos) {
        match &self.medium {
            Medium::Stream(_) => {
                self.configure(|pipe| pipe.latency = latency.0);
            }
            Medium::Shm(link, _) => link.set_latency(latency),
            Medium::Mem(..) => {}
        }
    }

    /// What happens to the link's doorbells from now on; false for links that have none.
    pub(crate) fn ring_with(&self, effect: Option<DoorbellEffect>) -> bool {
        match &self.medium {
            Medium::Shm(link, _) => {
                link.ring_with(effect);
                true
            }
            Medium::Stream(_) | Medium::Mem(..) => false,
        }
    }

    /// Whether this link can have such a fault.
    pub(crate) fn can_have(&self, what: &What) -> bool {
        let kind = match self.medium {
            Medium::Stream(_) => LinkKind::Stream,
            Medium::Mem(..) => LinkKind::Mem,
            Medium::Shm(..) => LinkKind::Shm,
        };
        kind.can_have(what.kind())
    }

    pub(crate) fn corrupt(&self, end: usize, offset: u64, xor: u8) -> bool {
        match &self.medium {
            Medium::Stream(pipes) => {
                pipes[end].corrupt(offset, xor);
                true
            }
            Medium::Shm(link, _) => {
                link.writers[end].corrupt(offset, xor);
                true
            }
            Medium::Mem(..) => false,
        }
    }

    /// Bytes that one end has sent and the other has not read.
    pub(crate) fn held_bytes(&self) -> usize {
        match &self.medium {
            Medium::Stream(pipes) => pipes.iter().map(|pipe| pipe.held_bytes()).sum(),
            Medium::Mem(..) | Medium::Shm(..) => 0,
        }
    }

    /// What the ends of a link over shared memory have not got back: the end and what it lacks.
    pub(crate) fn lane_leaks(&self) -> Vec<(usize, String)> {
        match &self.medium {
            Medium::Shm(link, _) => {
                let leaks = link.leaks().into_iter();
                leaks
                    .map(|(end, used)| (end, format!("{used:?}")))
                    .collect()
            }
            Medium::Stream(_) | Medium::Mem(..) => Vec::new(),
        }
    }

    /// Whether bytes were changed on their way.
    pub(crate) fn is_corrupted(&self) -> bool {
        match &self.medium {
            Medium::Stream(pipes) => pipes.iter().any(|pipe| pipe.is_corrupted()),
            Medium::Shm(link, _) => link.is_corrupted(),
            Medium::Mem(..) => false,
        }
    }

    /// What carries the bytes that one end sends, if the link is made of bytes.
    pub(crate) fn carrier(&self, end: usize) -> Option<Carrier> {
        match &self.medium {
            Medium::Stream(pipes) => Some(Carrier::Pipe(pipes[end].clone())),
            Medium::Shm(link, _) => Some(Carrier::Lane(link.writers[end].clone())),
            Medium::Mem(..) => None,
        }
    }
}
