//! What `rapace-shm` needs of a system, in virtual time.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rapace_session::{Runtime as _, Timer};
use rapace_shm::{Alarm, Platform};

use super::bell::BellEnd;
use super::control::ControlEnd;
use super::memory::Mapping;
use crate::engine::runtime::SimRuntime;
use crate::stage;

/// A look takes so long, in virtual time: or a receiver that spins would do so for ever.
const LOOK_NS: u64 = 1_000;

/// The simulated system.
#[derive(Debug)]
pub(crate) struct Simulated;

impl Platform for Simulated {
    type Memory = Mapping;
    type Doorbell = BellEnd;
    type Control = ControlEnd;

    fn now_ns() -> u64 {
        stage::current().map_or(0, |stage| stage.engine.now())
    }

    /// Unknown: a world has processes, not processors.
    fn processor() -> Option<u64> {
        None
    }

    fn yield_now(cx: &mut Context<'_>) {
        match stage::current() {
            Some(stage) => {
                let at = stage.engine.now() + LOOK_NS;
                stage.engine.agenda.look_again(at, cx.waker());
            }
            None => cx.waker().wake_by_ref(),
        }
    }

    fn alarm() -> Box<dyn Alarm> {
        let process = stage::current().and_then(|stage| {
            let process = stage.engine.current()?;
            let life = stage.engine.processes()[process].life.clone();
            Some((stage.engine.clone(), life))
        });
        let Some((engine, life)) = process else {
            // Outside of all processes nobody waits.
            return Box::new(Off);
        };
        let runtime = Arc::new(SimRuntime::new(engine, life));
        Box::new(VirtualAlarm {
            timer: runtime.timer(),
            runtime,
        })
    }
}

struct VirtualAlarm {
    timer: Box<dyn Timer>,
    runtime: Arc<SimRuntime>,
}

impl Alarm for VirtualAlarm {
    fn set(&mut self, after: Option<Duration>) {
        self.timer
            .reset(after.map(|after| self.runtime.now() + after));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.poll(cx)
    }
}

struct Off;

impl Alarm for Off {
    fn set(&mut self, _: Option<Duration>) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
