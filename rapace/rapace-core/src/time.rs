//! Time as the session sees it: a number handed in from outside.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time in nanoseconds since an epoch that the runtime chooses.
///
/// The protocol never reads a clock. Production hands in `CLOCK_MONOTONIC`, the simulator hands
/// in virtual time. Arithmetic saturates, so no peer input can overflow it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(u64);

impl Time {
    /// The epoch itself.
    pub const ZERO: Time = Time(0);
    /// Later than anything that happens.
    pub const MAX: Time = Time(u64::MAX);

    /// The point `ns` nanoseconds after the epoch.
    pub const fn from_nanos(ns: u64) -> Self {
        Time(ns)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not later.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, by: Duration) -> Time {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(ns))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, by: Duration) -> Time {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_sub(ns))
    }
}

/// How a deadline stands in the descriptor (\[deadline.wire\]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeadlineForm {
    /// The time left when the frame was sent, in nanoseconds.
    Remaining,
    /// An absolute `CLOCK_MONOTONIC` time, in nanoseconds; both ends share one clock.
    Monotonic,
}
