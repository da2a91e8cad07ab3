//! Virtual time, and moving it.
//!
//! Tokio's paused clock is the one clock of a world, so that `tokio::time` in handlers and the
//! sessions' own timers agree. Tokio's timers know whole milliseconds only; everything of ours
//! stands in the agenda, to the nanosecond. [`Clock::go`] moves the clock from event to event and
//! never past a millisecond at which a timer of tokio's could be due without letting tokio look.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The grain of tokio's timers.
const TICK_NS: u64 = 1_000_000;

/// Where virtual time counts from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zero(Instant);

impl Zero {
    /// Now. To be called inside the paused runtime, before anything moves its clock.
    pub(crate) fn here() -> Self {
        Zero(Instant::now())
    }

    /// The virtual time, in nanoseconds. Only inside the runtime.
    #[inline]
    pub(crate) fn now(self) -> u64 {
        Instant::now().duration_since(self.0).as_nanos() as u64
    }
}

/// Moves the clock. Belongs to the executor.
pub(crate) struct Clock {
    zero: Zero,
    /// Stands where tokio may go by itself; also keeps it from waiting for real.
    guard: Pin<Box<Sleep>>,
    /// The last millisecond up to which tokio has looked at its timers.
    ticked: u64,
}

impl Clock {
    pub(crate) fn new(zero: Zero) -> Self {
        Clock {
            zero,
            guard: Box::pin(tokio::time::sleep_until(zero.0)),
            ticked: 0,
        }
    }

    /// Goes towards `target`. Ready when it is `target`; pending when tokio has to look at its
    /// timers first, which may wake tasks earlier than that.
    pub(crate) fn go(&mut self, cx: &mut Context<'_>, target: u64) -> Poll<()> {
        let now = self.zero.now();
        if target <= now {
            return Poll::Ready(());
        }
        let tick = target / TICK_NS * TICK_NS;
        if self.ticked < tick {
            // Tokio measures its way in whole ticks, so it has to start from one.
            let aligned = now.next_multiple_of(TICK_NS).min(tick);
            self.set(aligned.max(now));
            self.guard
                .as_mut()
                .reset(self.zero.0 + Duration::from_nanos(tick));
            if self.guard.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.ticked = tick;
        }
        self.set(target);
        Poll::Ready(())
    }

    fn set(&self, at: u64) {
        let by = at - self.zero.now();
        if by == 0 {
            return;
        }
        let mut advance = std::pin::pin!(tokio::time::advance(Duration::from_nanos(by)));
        // The first poll moves the clock, and the rest of `advance` would only yield.
        let _ = advance
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
    }
}
