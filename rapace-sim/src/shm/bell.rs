//! Simulated doorbells.
//!
//! A ring takes a while, and several of them may be one. A ring that has been made is not lost with
//! who made it, since the kernel keeps it; one that comes to a dead process is.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use rapace_shm::Doorbell;

use super::memory::Writer;
use crate::draw::{Purpose, below, draw};
use crate::engine::Engine;
use crate::engine::agenda::Event;
use crate::engine::process::LifeCell;
use crate::fault::DoorbellEffect;

/// Rings that are held back to become one are held for so long.
const COALESCE_NS: u64 = 200_000;
/// The second of two rings comes at most so much later.
const DUPLICATE_NS: u64 = 100_000;

/// How fast the wake-ups of a link are, and what is done to them; shared by all of its bells.
pub(crate) struct Pace {
    engine: Arc<Engine>,
    latency: AtomicU64,
    jitter: u64,
    effect: Mutex<Option<DoorbellEffect>>,
}

impl Pace {
    pub(crate) fn new(engine: Arc<Engine>, latency: u64, jitter: u64) -> Arc<Self> {
        Arc::new(Pace {
            engine,
            latency: AtomicU64::new(latency),
            jitter,
            effect: Mutex::new(None),
        })
    }

    pub(crate) fn set_latency(&self, latency: u64) {
        self.latency.store(latency, Ordering::Relaxed);
    }

    pub(crate) fn set_effect(&self, effect: Option<DoorbellEffect>) {
        *self.effect.lock().unwrap_or_else(PoisonError::into_inner) = effect;
    }

    fn effect(&self) -> Option<DoorbellEffect> {
        *self.effect.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the `n`-th wake-up of its kind that is sent now is felt.
    pub(crate) fn arrival(&self, label: u64, n: u64) -> u64 {
        let jitter = match self.jitter {
            0 => 0,
            jitter => below(draw(self.engine.seed, Purpose::Doorbell, label, n), jitter),
        };
        let takes = self.latency.load(Ordering::Relaxed).saturating_add(jitter);
        self.engine.now().saturating_add(takes)
    }

    pub(crate) fn enter(&self, at: u64, event: Event) {
        self.engine.agenda.enter(at, event);
    }
}

/// A bell: what the kernel knows of it.
pub(crate) struct Bell {
    pace: Arc<Pace>,
    /// Tells its draws from those of others.
    label: u64,
    listener: Arc<LifeCell>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rung: bool,
    waker: Option<Waker>,
    rings: u64,
    /// Rings that nobody has heard yet.
    under_way: u32,
}

impl Bell {
    pub(crate) fn new(pace: Arc<Pace>, label: u64, listener: Arc<LifeCell>) -> Arc<Self> {
        Arc::new(Bell {
            pace,
            label,
            listener,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(self: &Arc<Self>) {
        let mut state = self.state();
        state.rings += 1;
        let effect = self.pace.effect();
        let coalesces = effect == Some(DoorbellEffect::Coalesce);
        if coalesces && state.under_way > 0 {
            return;
        }
        let mut at = self.pace.arrival(self.label, state.rings);
        match effect {
            Some(DoorbellEffect::Delay(longer)) => at = at.saturating_add(longer.0),
            Some(DoorbellEffect::Coalesce) => at = at.saturating_add(COALESCE_NS),
            Some(DoorbellEffect::Duplicate) => {
                let seed = self.pace.engine.seed;
                let later = draw(seed, Purpose::Doorbell, !self.label, state.rings);
                state.under_way += 1;
                let again = at + below(later, DUPLICATE_NS);
                self.pace.enter(again, Event::Ring(self.clone()));
            }
            None => {}
        }
        state.under_way += 1;
        drop(state);
        self.pace.enter(at, Event::Ring(self.clone()));
    }

    /// A ring has come.
    pub(crate) fn heard(&self) {
        let mut state = self.state();
        state.under_way -= 1;
        if self.listener.is_dead() {
            return;
        }
        state.rung = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A bell in the hands of one process.
pub(crate) struct BellEnd {
    pub(crate) bell: Arc<Bell>,
    pub(crate) holder: Arc<Writer>,
}

impl Doorbell for BellEnd {
    fn ring(&self) {
        if self.holder.calls_system() {
            self.bell.ring();
        }
    }

    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.holder.life.is_dead() {
            return Poll::Pending;
        }
        let mut state = self.bell.state();
        if std::mem::take(&mut state.rung) {
            return Poll::Ready(Ok(()));
        }
        match &mut state.waker {
            Some(known) => known.clone_from(cx.waker()),
            None => state.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}
