//! What happened in a world, one line per event, virtual time first.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The events of one run, in the order in which they happened.
///
/// Lines hold nothing that differs between two runs of one seed: no address, no real time, no
/// random number. That is what makes "the same seed gives the same log" worth asserting.
#[derive(Debug, Default)]
pub struct Log {
    lines: Mutex<Vec<String>>,
}

impl Log {
    /// Adds an event that happens now, on the host that is running.
    pub fn add(&self, event: impl AsRef<str>) {
        self.add_at(crate::net::now(), event);
    }

    /// Adds an event of the world itself, which has no host to ask for the time.
    pub(crate) fn add_at(&self, at: Duration, event: impl AsRef<str>) {
        let micros = at.as_micros();
        let (millis, rest) = (micros / 1000, micros % 1000);
        self.lines()
            .push(format!("{millis:>7}.{rest:03} ms  {}", event.as_ref()));
    }

    /// All lines so far.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.lines().iter() {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{line}");
        }
        text
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
