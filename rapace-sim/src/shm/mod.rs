//! Shared memory in a world: the shipping `rapace-shm` over simulated memory.
//!
//! | module | owns |
//! |---|---|
//! | here | how such links are shaped; one life of one, and what faults do to it |
//! | `memory` | words, stores that a process dies at, what a death leaves |
//! | `bell` | doorbells that come late, merged or twice |
//! | `control` | the control channel: further memory, hang-up |
//! | `platform` | clock, alarm and spinning in virtual time |
//! | `explore`, `losses` | death at every store, with every subset of what was not released: [`explore_stores`] |
//!
//! What is simulated: the order of polls, deaths between any two stores, rings and control messages;
//! stores that a compiler put off and that a dead process therefore never made; wake-ups that come
//! late, merged or twice; a system that has no more memory; a control channel that is full.
//!
//! What is not: what two processors that run at the same time see of each other's stores. Polls are
//! whole here, so a missing fence goes unnoticed: the models of rapace-shm itself under loom are for
//! that. Payloads are staged, since simulated memory has no address. Spinning is off unless
//! [`ShmShape::spin`] says otherwise: a poll takes no virtual time, so that a spinning receiver only
//! adds events.

pub(crate) mod bell;
pub(crate) mod control;
pub(crate) mod explore;
mod losses;
pub(crate) mod memory;
mod platform;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rapace_shm::{LaneGauge, LaneUse, Memory, Parts, ShmConfig, ShmTransport, Spin, prepare_lane};
use rapace_transport::{LinkError, Transport};
use serde::{Deserialize, Serialize};

use bell::{Bell, BellEnd, Pace};
use control::{ControlEnd, Line};
use memory::{Mapping, Words, Writer};
use platform::Simulated;

use crate::draw::{Draws, Purpose};
use crate::engine::Engine;
use crate::engine::process::LifeCell;
use crate::fault::DoorbellEffect;
use crate::time::Nanos;

pub use explore::{StoreExploration, explore_stores};

/// The shape of a link over shared memory; of both of its lanes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShmShape {
    /// Entries of each ring, as [`ShmConfig::ring_frames`]. Default: 16, so that rings are full
    /// often.
    pub ring_frames: u32,
    /// Payloads that may be held at once, as [`ShmConfig::slots_max`]. Default: 8.
    pub slots_max: u32,
    /// All payload memory of a lane in bytes, as [`ShmConfig::lane_bytes_max`]; a single payload
    /// may take half of it. Default: 4 MiB.
    pub lane_bytes_max: u32,
    /// Payloads are copied out before anybody looks at them. Default: no.
    pub copy_payloads: bool,
    /// A receiver looks again for so long before it parks. Default: 0, it parks at once.
    pub spin: Nanos,
    /// Messages that a control channel holds. Default: 8; at least 1.
    pub control_messages: u32,
    /// What a dead process leaves of its last stores. Default: what the seed draws.
    pub tear: Tear,
    /// What is wrong with the memory itself. Default: nothing.
    pub flaw: Flaw,
}

/// Which of the words that a process had stored and not released are *not* there after its death.
///
/// SIGKILL takes back no store; but a compiler may have put off all stores until the next one with
/// release order, the next fence or the next call into the system. A fault can also say exactly which
/// ones are lost: [`What::KillLosing`](crate::What::KillLosing).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tear {
    /// The seed draws them: none, all, or each by itself.
    #[default]
    Drawn,
    /// All words are there.
    Nothing,
    /// None of them is.
    Everything,
}

/// Planted flaws of the memory, for those who want to see that a fault of this kind is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// None.
    #[default]
    None,
    /// Payloads are stored only after the head of the ring was.
    PayloadAfterPublish,
    /// Stores with release order are as relaxed as any other.
    RelaxedRelease,
}

impl Default for ShmShape {
    fn default() -> Self {
        ShmShape {
            ring_frames: 16,
            slots_max: 8,
            lane_bytes_max: 4 << 20,
            copy_payloads: false,
            spin: Nanos::ZERO,
            control_messages: 8,
            tear: Tear::Drawn,
            flaw: Flaw::None,
        }
    }
}

impl ShmShape {
    /// A small shape, so that everything is full now and then. `bytes_max` is the longest payload
    /// that must go through.
    pub(crate) fn draw(seed: u64, whom: u64, bytes_max: u32) -> Self {
        let mut draws = Draws::new(seed, Purpose::Shape, whom);
        ShmShape {
            ring_frames: *draws.pick(&[8, 8, 16, 64]),
            slots_max: *draws.pick(&[2, 2, 4, 16, 64]),
            lane_bytes_max: *draws.pick(&[1, 1, 4, 64]) * bytes_max.next_power_of_two() * 2,
            copy_payloads: draws.chance(1, 4),
            spin: Nanos(*draws.pick(&[0, 0, 0, 20_000])),
            control_messages: *draws.pick(&[1, 2, 16]),
            ..ShmShape::default()
        }
    }

    fn config(&self) -> ShmConfig {
        let spin = match self.spin.0 {
            0 => Spin::Never,
            _ => Spin::Fixed(self.spin.into()),
        };
        ShmConfig {
            ring_frames: self.ring_frames,
            slots_max: self.slots_max,
            payload_bytes_min: rapace_shm::layout::PAGE,
            lane_bytes_max: self.lane_bytes_max as usize,
            copy_payloads: self.copy_payloads,
            spin,
            ..ShmConfig::default()
        }
    }
}

/// One life of a link over shared memory. The first of each two is the initiator's.
pub(crate) struct ShmLink {
    tear: Tear,
    pace: Arc<Pace>,
    label: u64,
    pub(crate) writers: [Arc<Writer>; 2],
    /// What each end sends on.
    lines: [Arc<Line>; 2],
    gauges: [LaneGauge<Simulated>; 2],
    exhausted: Arc<AtomicBool>,
}

/// Memory of a lane before anybody sees it: what is written there is no store of a process.
struct Fresh(Mapping);

/// Opens a link between two lives.
///
/// # Errors
///
/// The shape makes no lane.
pub(crate) fn open(
    engine: &Arc<Engine>,
    shape: &ShmShape,
    (latency, jitter): (Nanos, Nanos),
    label: u64,
    lives: &[Arc<LifeCell>; 2],
) -> Result<(ShmLink, [Box<dyn Transport>; 2]), LinkError> {
    let config = shape.config();
    let pace = Pace::new(engine.clone(), latency.0, jitter.0);
    let writers = lives
        .each_ref()
        .map(|life| Writer::new(life.clone(), shape.flaw));
    let lanes = writers.each_ref().map(|writer| {
        let lane = Mapping {
            words: Words::zeros(config.lane_len_bytes()),
            owner: writer.clone(),
            writable: true,
        };
        prepare_lane(&Fresh(lane.clone()), &config);
        lane
    });
    // The bells that tell each end of frames and of room, and the lines on which it sends.
    let label = label << 3;
    let bells = [0, 1].map(|end: u64| {
        let bell = |of: u64| {
            let listener = lives[end as usize].clone();
            Bell::new(pace.clone(), label | end << 1 | of, listener)
        };
        [bell(0), bell(1)]
    });
    let lines = [4, 5].map(|line| {
        let room = shape.control_messages.max(1) as usize;
        Line::new(pace.clone(), label | line, room)
    });
    let exhausted = Arc::new(AtomicBool::new(false));
    let end = |this: usize| {
        let peer = 1 - this;
        let bell = |of: usize, kind: usize| BellEnd {
            bell: bells[of][kind].clone(),
            holder: writers[this].clone(),
        };
        let parts: Parts<Simulated> = Parts {
            own: lanes[this].clone(),
            peer: lanes[peer].read_only(),
            own_data: bell(this, 0),
            own_room: bell(this, 1),
            peer_data: bell(peer, 0),
            peer_room: bell(peer, 1),
            control: ControlEnd {
                incoming: lines[peer].clone(),
                outgoing: lines[this].clone(),
                writer: writers[this].clone(),
                exhausted: exhausted.clone(),
                expected: AtomicBool::new(false),
            },
        };
        ShmTransport::new(parts, config.clone())
    };
    let [first, second] = [end(0)?, end(1)?];
    let link = ShmLink {
        tear: shape.tear,
        pace,
        label,
        gauges: [first.gauge(), second.gauge()],
        writers,
        lines,
        exhausted,
    };
    Ok((link, [Box::new(first), Box::new(second)]))
}

impl ShmLink {
    /// The process at one end is dead. Says how many of its words may be missing for that.
    pub(crate) fn died(&self, engine: &Engine, end: usize) -> usize {
        let words = self.writers[end].tear(self.tear, engine.seed, self.label | end as u64);
        self.lines[end].hang_up();
        self.lines[1 - end].break_off();
        words
    }

    /// Breaks the control channel, which is all of a link that can break; false when nothing was
    /// left to break.
    pub(crate) fn cut(&self) -> bool {
        let hung_up = self.lines.each_ref().map(Line::hang_up);
        hung_up.contains(&true)
    }

    /// Whether memory can be had.
    pub(crate) fn exhaust(&self, exhausted: bool) {
        self.exhausted.store(exhausted, Ordering::Relaxed);
    }

    /// From now on wake-ups take so long.
    pub(crate) fn set_latency(&self, latency: Nanos) {
        self.pace.set_latency(latency.0);
    }

    /// What happens to rings from now on.
    pub(crate) fn ring_with(&self, effect: Option<DoorbellEffect>) {
        self.pace.set_effect(effect);
    }

    pub(crate) fn is_corrupted(&self) -> bool {
        self.writers.iter().any(|writer| writer.is_corrupted())
    }

    /// What each end has not got back.
    pub(crate) fn leaks(&self) -> Vec<(usize, LaneUse)> {
        let uses = self.gauges.iter().enumerate();
        uses.filter_map(|(end, gauge)| Some((end, gauge.read()?)))
            .filter(|(_, used)| *used != LaneUse::default())
            .collect()
    }
}

impl Memory for Fresh {
    fn len_bytes(&self) -> usize {
        self.0.len_bytes()
    }

    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.0.load(at, order)
    }

    fn store(&self, at: usize, value: u64, _: Ordering) {
        self.0.words.set(at, value);
    }

    fn fence(&self) {}

    fn read(&self, at: usize, out: &mut [u8]) {
        self.0.read(at, out);
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        for (index, part) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.0.words.set(at + index * 8, u64::from_le_bytes(word));
        }
    }
}
