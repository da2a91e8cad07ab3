//! What sessions get as their [`Runtime`].

use std::sync::Arc;
use std::task::{Context, Poll};

use rapace_core::Time;
use rapace_session::runtime::Task;
use rapace_session::{Runtime, Timer};

use super::agenda::{Event, TimerCell};
use super::process::LifeCell;
use super::tasks::TaskKind;
use super::{Engine, SESSION_TASK};
use crate::draw::{Purpose, draw};

/// Virtual time, seeded tasks and keyed random numbers for one life of one process.
pub(crate) struct SimRuntime {
    engine: Arc<Engine>,
    life: Arc<LifeCell>,
}

impl SimRuntime {
    pub(crate) fn new(engine: Arc<Engine>, life: Arc<LifeCell>) -> Self {
        SimRuntime { engine, life }
    }

    pub(crate) fn local_now(&self) -> u64 {
        self.life.process.to_local(self.engine.now())
    }
}

impl Runtime for SimRuntime {
    fn now(&self) -> Time {
        Time::from_nanos(self.local_now())
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(SimTimer {
            cell: TimerCell::new(self.life.process.clone()),
            engine: self.engine.clone(),
            life: self.life.clone(),
        })
    }

    fn spawn(&self, task: Task) {
        // A session's driver, its handlers and what moves its streams come through the same door.
        // After quiet only the drivers of live sessions are left of them.
        self.engine
            .spawn(&self.life, TaskKind::Daemon, SESSION_TASK, task);
    }

    fn random(&self) -> u64 {
        let process = &self.life.process;
        draw(
            self.engine.seed,
            Purpose::Process,
            process.index as u64,
            process.next_draw(),
        )
    }
}

struct SimTimer {
    cell: Arc<TimerCell>,
    engine: Arc<Engine>,
    life: Arc<LifeCell>,
}

impl Timer for SimTimer {
    fn reset(&mut self, at: Option<Time>) {
        if let Some((set, due)) = self.cell.set(at.map(Time::as_nanos)) {
            let event = Event::Timer(self.cell.clone(), set);
            self.engine.agenda.enter(due, event);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.life.process.to_local(self.engine.now());
        if self.cell.poll(cx.waker(), now) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for SimTimer {
    fn drop(&mut self) {
        self.cell.set(None);
    }
}
