//! Whether and when a plugin that went down is started again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Restarts that are remembered when their number is not limited: enough for the delay to have
/// reached its maximum.
const REMEMBERED_MAX: u32 = 64;

/// What happens after a plugin went down.
///
/// This is about plugins that have worked: a plugin whose *first* start fails has failed for good,
/// because that is a mistake in the set-up more often than bad luck.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restart {
    /// It stays down.
    Never,
    /// It is started again after a while.
    Always(Backoff),
}

impl Default for Restart {
    /// [`Restart::Always`] with the default [`Backoff`].
    fn default() -> Self {
        Restart::Always(Backoff::default())
    }
}

/// How long to wait before each restart, and when to give up.
///
/// The wait before a restart is `initial × factor ^ n`, at most `max`, where `n` is the number of
/// restarts within the last `window`. There is no random part: plugins of one host do not stampede.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The wait before the first restart. Default: 10 ms.
    pub initial: Duration,
    /// How much longer each wait is than the one before. Default: 2.
    pub factor: u32,
    /// The longest wait. Default: 5 s.
    pub max: Duration,
    /// How many restarts within `window` are tried before giving up; `None` is without limit.
    /// Default: 5. Raising it makes a plugin that always crashes cost more.
    pub limit: Option<u32>,
    /// How long a restart is remembered. Default: 10 s.
    pub window: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            initial: Duration::from_millis(10),
            factor: 2,
            max: Duration::from_secs(5),
            limit: Some(5),
            window: Duration::from_secs(10),
        }
    }
}

/// A policy and what it has to remember.
#[derive(Debug)]
pub(crate) struct Restarts {
    policy: Restart,
    /// When the restarts within the window were decided, oldest first.
    recent: VecDeque<Instant>,
}

impl Restarts {
    pub(crate) fn new(policy: Restart) -> Self {
        Restarts {
            policy,
            recent: VecDeque::new(),
        }
    }

    /// The wait before the next restart; `None` gives up.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Duration> {
        let Restart::Always(backoff) = self.policy else {
            return None;
        };
        while self
            .recent
            .front()
            .is_some_and(|at| now.duration_since(*at) >= backoff.window)
        {
            self.recent.pop_front();
        }
        let count = self.recent.len() as u32;
        if backoff.limit.is_some_and(|limit| count >= limit) {
            return None;
        }
        if backoff.limit.is_none() && count >= REMEMBERED_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        let factor = backoff.factor.max(1).saturating_pow(count);
        Some(backoff.initial.saturating_mul(factor).min(backoff.max))
    }

    /// How many restarts there were within the window.
    pub(crate) fn recent(&self) -> u32 {
        self.recent.len() as u32
    }

    /// The window; zero without restarts.
    pub(crate) fn window(&self) -> Duration {
        match self.policy {
            Restart::Never => Duration::ZERO,
            Restart::Always(backoff) => backoff.window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(delays: &[Option<Duration>]) -> Vec<Option<u128>> {
        delays
            .iter()
            .map(|delay| delay.map(|delay| delay.as_millis()))
            .collect()
    }

    #[test]
    fn waits_grow_to_the_maximum_and_end_at_the_limit() {
        let backoff = Backoff {
            max: Duration::from_millis(50),
            ..Backoff::default()
        };
        let mut restarts = Restarts::new(Restart::Always(backoff));
        let now = Instant::now();
        let delays: Vec<_> = (0..6).map(|_| restarts.next(now)).collect();
        let expected = [Some(10), Some(20), Some(40), Some(50), Some(50), None];
        assert_eq!(millis(&delays), expected);
    }

    #[test]
    fn restarts_older_than_the_window_are_forgotten() {
        let mut restarts = Restarts::new(Restart::default());
        let start = Instant::now();
        for second in 0..100 {
            let at = start + Duration::from_millis(second * 2500);
            let delay = restarts
                .next(at)
                .expect("four in ten seconds are within the limit");
            assert!(delay <= Duration::from_millis(80), "{delay:?}");
        }
    }

    #[test]
    fn without_a_limit_neither_memory_nor_the_wait_grows_for_ever() {
        let backoff = Backoff {
            limit: None,
            ..Backoff::default()
        };
        let mut restarts = Restarts::new(Restart::Always(backoff));
        let now = Instant::now();
        for _ in 0..10_000 {
            assert!(restarts.next(now).is_some());
        }
        assert_eq!(restarts.recent(), REMEMBERED_MAX);
        assert_eq!(restarts.next(now), Some(backoff.max));
    }

    #[test]
    fn never_means_never() {
        assert_eq!(Restarts::new(Restart::Never).next(Instant::now()), None);
    }
}
