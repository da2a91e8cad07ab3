//! The root future of a world: polls its tasks in seeded order, takes its events, moves its clock.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::runtime::{Handle, RuntimeMetrics};

use super::agenda::Event;
use super::clock::Clock;
use super::{Engine, Polled, Turn};
use crate::panics::{self, Caught};

/// What the executor does when no task is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Goes on at this time, or when something is ready earlier.
    At(u64),
    /// The world is over.
    Over,
}

/// What happenings mean; the engine itself does not know.
pub(crate) trait Rules {
    /// An event of the agenda has come that is not the engine's own.
    fn event(&mut self, event: Event);

    /// A fault waits for the event of this process that is about to begin: after this call none does.
    fn awaited(&mut self, process: usize);

    /// A task of this process has been polled.
    fn polled(&mut self, process: usize);

    /// A task of this process has panicked.
    fn panicked(&mut self, process: usize, task: &'static str, panic: Caught);

    /// There was a panic that somebody caught: in a poll of a task of this process, or, without one,
    /// in a task that was given to tokio.
    fn caught(&mut self, process: Option<usize>, panic: Caught);

    /// Nothing is ready, and the next event of the agenda is at `next`.
    fn idle(&mut self, next: Option<u64>) -> Next;

    /// So many steps were taken without the time moving. False ends the world.
    fn steps_at_one_time(&mut self, steps: u64) -> bool;
}

/// Steps without a move of the clock between two questions to [`Rules::steps_at_one_time`].
const STEPS_ASKED: u64 = 1 << 16;

/// The root future.
pub(crate) struct Executor<R> {
    engine: Arc<Engine>,
    clock: Clock,
    metrics: RuntimeMetrics,
    pub(crate) rules: R,
    /// Tokio's own tasks have had their turn since anything happened here.
    yielded: bool,
    steps_here: u64,
}

impl<R: Rules> Executor<R> {
    /// To be called inside the paused runtime.
    pub(crate) fn new(engine: Arc<Engine>, rules: R) -> Self {
        Executor {
            clock: Clock::new(engine.zero()),
            engine,
            metrics: Handle::current().metrics(),
            rules,
            yielded: false,
            steps_here: 0,
        }
    }

    /// Polls the next ready task; false when there is none.
    fn run_ready(&mut self) -> bool {
        let Some(id) = self.engine.ready.pop() else {
            return false;
        };
        let process = loop {
            match self.engine.turn(id) {
                Turn::Go { process } => break process,
                // What happens now may kill the process, or have it hang: then the event has to
                // wait, too.
                Turn::Awaited { process } => self.rules.awaited(process),
                Turn::Gone | Turn::Held => return true,
            }
        };
        self.engine.current.store(process, Ordering::Relaxed);
        let (polled, mut caught) = self.engine.poll_task(id);
        self.engine.current.store(super::NOBODY, Ordering::Relaxed);
        if let Polled::Panicked { process, name } = polled
            && let Some(last) = caught.pop()
        {
            self.rules.panicked(process, name, last);
        }
        for panic in caught {
            self.rules.caught(Some(process), panic);
        }
        self.rules.polled(process);
        true
    }

    fn take_event(&mut self) {
        match self.engine.agenda.take(self.engine.now()) {
            Some(Event::Timer(cell, set)) => cell.fire(set),
            Some(Event::Deliver(pipe)) => pipe.deliver(),
            Some(Event::Ring(bell)) => bell.heard(),
            Some(Event::Message(line)) => line.heard(),
            Some(Event::Wake(waker)) => waker.wake(),
            Some(Event::Resume(process)) => {
                let goes_on = {
                    let mut processes = self.engine.processes();
                    let state = &mut processes[process];
                    let goes_on = state.busy_until <= self.engine.now();
                    if !goes_on && !state.held.is_empty() && state.resume_at < state.busy_until {
                        // Something else of this moment came first, and the process is busy again.
                        state.resume_at = state.busy_until;
                        let resume = Event::Resume(process);
                        self.engine.agenda.enter(state.busy_until, resume);
                    }
                    goes_on
                };
                if goes_on {
                    self.rules.event(Event::Resume(process));
                    self.engine.resume(process);
                }
            }
            Some(event) => self.rules.event(event),
            None => {}
        }
    }

    /// Counts a step; false when there were too many without the time moving.
    fn step(&mut self) -> bool {
        self.engine.steps.fetch_add(1, Ordering::Relaxed);
        self.steps_here += 1;
        !self.steps_here.is_multiple_of(STEPS_ASKED)
            || self.rules.steps_at_one_time(self.steps_here)
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.run_ready() {
                self.yielded = false;
                if self.step() {
                    continue;
                }
                return Poll::Ready(());
            }
            // Tasks that handlers gave to tokio itself run at this time, too.
            if !self.yielded && self.metrics.num_alive_tasks() > 0 {
                self.yielded = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let next = self.engine.agenda.next_at();
            let target = match self.rules.idle(next) {
                Next::At(target) => target,
                Next::Over => return Poll::Ready(()),
            };
            if !self.engine.ready.is_empty() {
                continue;
            }
            if target > self.engine.now() {
                self.steps_here = 0;
                if self.clock.go(cx, target).is_pending() {
                    self.yielded = false;
                    return Poll::Pending;
                }
            }
            self.yielded = false;
            if !self.step() {
                return Poll::Ready(());
            }
            self.take_event();
        }
    }
}

impl<R: Rules + Unpin> Future for Executor<R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let executor = self.get_mut();
        // Since the last time only tokio's own tasks were polled.
        for panic in panics::take() {
            executor.rules.caught(None, panic);
        }
        executor.engine.ready.begin(cx.waker());
        let polled = executor.run(cx);
        executor.engine.ready.end();
        panics::take();
        polled
    }
}
