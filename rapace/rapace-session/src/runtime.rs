//! The fourth seam: where a session gets its time, its tasks and its random numbers from.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use rapace_core::Time;

/// A task that a session hands to its runtime.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// What a session needs from the world.
///
/// Production uses [`TokioRuntime`]; the simulator brings virtual time and a seeded executor. No
/// code of rapace asks which one it runs on.
pub trait Runtime: Send + Sync + 'static {
    /// The time now. Never goes back.
    fn now(&self) -> Time;

    /// A timer that is not set.
    fn timer(&self) -> Box<dyn Timer>;

    /// Runs a task to its end, beside all others.
    fn spawn(&self, task: Task);

    /// A random number: for epochs and trace ids, not for secrets.
    fn random(&self) -> u64;
}

/// An alarm that can be set again and again.
pub trait Timer: Send {
    /// Sets the alarm to `at`, or switches it off.
    fn reset(&mut self, at: Option<Time>);

    /// Ready when the alarm has gone off since it was set. Pending for ever when it is off.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

#[cfg(feature = "tokio-runtime")]
pub use production::TokioRuntime;

#[cfg(feature = "tokio-runtime")]
mod production {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::LazyLock;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use rapace_core::Time;
    use tokio::runtime::Handle;
    use tokio::time::{Instant, Sleep};

    use super::{Runtime, Task, Timer};

    /// Where every [`TokioRuntime`] of this process counts from, so that a time which one of them
    /// says means the same to another: a caller that survives restarts sets a deadline by its own
    /// clock and hands it to one session after another.
    ///
    /// On Unix it is where `CLOCK_MONOTONIC` counts from, so that it means the same to other
    /// processes of this machine: over shared memory deadlines are absolute (\[deadline.wire\]).
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    static ZERO: LazyLock<std::time::Instant> = LazyLock::new(|| {
        // An instant does not tell its number, but it runs with that clock (on Apple's systems, only
        // while the machine is awake): how much the clock says is how far back its zero is. Two reads around the instant take out that reading takes
        // time.
        let before = since_zero();
        let now = std::time::Instant::now();
        let behind = (before + since_zero()) / 2;
        now.checked_sub(behind).unwrap_or(now)
    });

    #[cfg(unix)]
    fn since_zero() -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        // The clock counts from the start of the machine: never below zero.
        Duration::try_from(now).unwrap_or_default()
    }

    /// A day before the first use: clocks that tokio's tests have paused may be a little behind.
    #[cfg(not(unix))]
    fn since_zero() -> Duration {
        Duration::from_hours(24)
    }

    /// Tokio: tasks on the runtime that was current when this was made, and its clock.
    ///
    /// On Unix its [`Time`] is `CLOCK_MONOTONIC` in nanoseconds, in every process of the machine;
    /// elsewhere all of a process count from the same moment.
    #[derive(Clone, Debug)]
    pub struct TokioRuntime {
        handle: Handle,
        started: Instant,
    }

    impl TokioRuntime {
        /// The runtime that is current here, or `None` outside of tokio.
        pub fn current() -> Option<Self> {
            let handle = Handle::try_current().ok()?;
            Some(TokioRuntime {
                handle,
                started: Instant::from(*ZERO),
            })
        }
    }

    impl Runtime for TokioRuntime {
        fn now(&self) -> Time {
            Time::ZERO + self.started.elapsed()
        }

        fn timer(&self) -> Box<dyn Timer> {
            Box::new(TokioTimer {
                started: self.started,
                sleep: None,
                set: false,
            })
        }

        fn spawn(&self, task: Task) {
            self.handle.spawn(task);
        }

        fn random(&self) -> u64 {
            // The system's generator does not fail on the systems rapace runs on; if it did, a
            // clock still tells two epochs apart.
            getrandom::u64().unwrap_or_else(|_| self.started.elapsed().as_nanos() as u64)
        }
    }

    struct TokioTimer {
        started: Instant,
        /// Allocated at the first use: most sessions never set a deadline.
        sleep: Option<Pin<Box<Sleep>>>,
        set: bool,
    }

    impl Timer for TokioTimer {
        #[expect(clippy::disallowed_methods, reason = "production's timer is tokio's")]
        fn reset(&mut self, at: Option<Time>) {
            self.set = at.is_some();
            let Some(at) = at else { return };
            let at = self.started + Duration::from_nanos(at.as_nanos());
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(at),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(at))),
            }
        }

        fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            match &mut self.sleep {
                Some(sleep) if self.set => match sleep.as_mut().poll(cx) {
                    Poll::Ready(()) => {
                        self.set = false;
                        Poll::Ready(())
                    }
                    Poll::Pending => Poll::Pending,
                },
                _ => Poll::Pending,
            }
        }
    }
}
