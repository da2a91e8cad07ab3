//! How long a receiver looks again before it parks.
//!
//! A parked receiver costs the sender a system call and itself a wake-up of 2 to 100 µs; one that
//! spins costs a core. So it spins only while it pays: when most waits end within a *window* of
//! twice the measured wake-up. A shorter window is worse than none (it burns the time and parks
//! all the same). While it does not spin, the sender's note of when it rang still tells whether
//! spinning would have paid, so no probing is needed.

use std::time::Duration;

use crate::config::Spin;

/// The shortest and the longest window, in nanoseconds.
const WINDOW_NS: (u64, u64) = (10_000, 200_000);
/// The wake-up that is assumed before one was measured, in nanoseconds.
const WAKE_NS: u64 = 25_000;
/// Waits that count: the score goes from minus to plus this.
const SCORE_MAX: i32 = 16;
/// How often a spinning receiver looks before it lets other tasks run: about a microsecond.
const LOOKS: u32 = 24;
/// As often it looks the first time where the last frame came within so many looks, about four
/// microseconds: letting the runtime do everything else costs a system call, which delays the frame
/// that is about to come.
const LOOKS_QUICK: u32 = 100;

/// What to do about an empty ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Look again after the tasks that are ready now.
    Yield,
    /// Look again so many times, then let the runtime do everything else that it has to do, timers
    /// and sockets included, and look again.
    Look(u32),
    /// Park.
    Park,
}

/// The state of one receiver's decision.
#[derive(Debug)]
pub(crate) struct Spinner {
    mode: Spin,
    score: i32,
    wake_ns: u64,
    /// Polls that found nothing since the last frame.
    empty: u32,
    /// Looks since the last frame.
    looks: u32,
    /// The last frame came within [`LOOKS_QUICK`].
    quick: bool,
    /// When this wait began, once somebody read the clock.
    since_ns: Option<u64>,
    /// This wait was counted.
    counted: bool,
    same_processor: bool,
}

impl Spinner {
    pub(crate) fn new(mode: Spin) -> Self {
        Spinner {
            mode,
            score: 0,
            wake_ns: WAKE_NS,
            empty: 0,
            looks: 0,
            quick: false,
            since_ns: None,
            counted: false,
            same_processor: false,
        }
    }

    fn window_ns(&self) -> u64 {
        match self.mode {
            Spin::Never => 0,
            Spin::Fixed(window) => u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
            Spin::Adaptive => (2 * self.wake_ns).clamp(WINDOW_NS.0, WINDOW_NS.1),
        }
    }

    fn on(&self) -> bool {
        match self.mode {
            Spin::Never => false,
            Spin::Fixed(window) => window > Duration::ZERO,
            Spin::Adaptive => self.score > 0 && !self.same_processor,
        }
    }

    /// The ring is empty. `now_ns` and `same_processor` are asked only when the answer matters.
    #[inline]
    pub(crate) fn empty(
        &mut self,
        now_ns: impl FnOnce() -> u64,
        same_processor: impl FnOnce() -> bool,
    ) -> Step {
        self.empty += 1;
        if !self.on() {
            if self.since_ns.is_none() && self.mode == Spin::Adaptive {
                self.since_ns = Some(now_ns());
                self.same_processor = same_processor();
            }
            return Step::Park;
        }
        match self.empty {
            // The session has frames to see to first.
            1 => Step::Yield,
            2 => self.look(if self.quick { LOOKS_QUICK } else { LOOKS }),
            _ => {
                let now = now_ns();
                let since = *self.since_ns.get_or_insert(now);
                if now.saturating_sub(since) < self.window_ns() {
                    return self.look(LOOKS);
                }
                self.count(false);
                if self.mode == Spin::Adaptive {
                    self.same_processor = same_processor();
                }
                Step::Park
            }
        }
    }

    fn look(&mut self, looks: u32) -> Step {
        self.looks = self.looks.saturating_add(looks);
        Step::Look(looks)
    }

    /// A frame is there.
    #[inline]
    pub(crate) fn frame(&mut self) {
        if self.empty > 0 {
            self.found();
        }
    }

    fn found(&mut self) {
        if self.on() {
            self.count(true);
            self.quick = self.looks <= LOOKS_QUICK;
        }
        self.looks = 0;
        self.empty = 0;
        self.since_ns = None;
        self.counted = false;
    }

    /// The bell has woken the receiver: the peer rang at `rang_ns`, and it is `now_ns`.
    pub(crate) fn woken(&mut self, rang_ns: u64, now_ns: u64) {
        let Some(since) = self.since_ns else { return };
        // What the peer writes there is only a hint; an absurd one changes nothing much.
        if rang_ns < since || rang_ns > now_ns {
            return;
        }
        let wake = (now_ns - rang_ns).min(1_000_000);
        self.wake_ns = (self.wake_ns * 7 + wake) / 8;
        self.count(rang_ns - since <= self.window_ns());
    }

    /// Counts this wait, once, as one in which spinning paid or would have.
    fn count(&mut self, paid: bool) {
        if self.counted {
            return;
        }
        self.counted = true;
        let by = if paid { 1 } else { -3 };
        self.score = (self.score + by).clamp(-SCORE_MAX, SCORE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_parked(spinner: &mut Spinner, begin: u64, gap: u64) -> Step {
        let step = spinner.empty(|| begin, || false);
        if step == Step::Park {
            spinner.woken(begin + gap, begin + gap + 30_000);
        }
        spinner.frame();
        step
    }

    #[test]
    fn short_waits_turn_spinning_on_and_long_ones_off() {
        let mut spinner = Spinner::new(Spin::Adaptive);
        assert_eq!(wait_parked(&mut spinner, 1_000_000, 5_000), Step::Park);
        assert_eq!(spinner.empty(|| 2_000_000, || false), Step::Yield);
        // This wait lasts: looks until the window is over, then parks.
        let mut now = 2_000_000;
        while spinner.empty(|| now, || false) != Step::Park {
            now += 1_000;
            assert!(now < 2_300_000, "spins for ever");
        }
        assert!(now >= 2_000_000 + WINDOW_NS.0, "parked after {now}");
        spinner.woken(now + 5_000_000, now + 5_030_000);
        spinner.frame();
        // And the next wait parks at once.
        assert_eq!(spinner.empty(|| 9_000_000, || false), Step::Park);
    }

    #[test]
    fn two_ends_on_one_processor_never_spin() {
        let mut spinner = Spinner::new(Spin::Adaptive);
        for wait in 0..100 {
            let begin = wait * 1_000_000;
            assert_eq!(spinner.empty(|| begin, || true), Step::Park);
            spinner.woken(begin + 100, begin + 2_000);
            spinner.frame();
        }
    }

    /// Spins through a wait that ends in the look number `polls`; gives how many looks that took.
    fn spin_for(spinner: &mut Spinner, polls: usize) -> Vec<u32> {
        assert_eq!(spinner.empty(|| 0, || false), Step::Yield);
        let looks = (0..polls).map(|_| match spinner.empty(|| 0, || false) {
            Step::Look(looks) => looks,
            other => panic!("{other:?}"),
        });
        let looks = looks.collect();
        spinner.frame();
        looks
    }

    #[test]
    fn who_is_answered_at_once_looks_longer_before_others_run() {
        let mut spinner = Spinner::new(Spin::Fixed(Duration::from_secs(1)));
        assert_eq!(spin_for(&mut spinner, 3), [LOOKS; 3]);
        assert_eq!(spin_for(&mut spinner, 3), [LOOKS_QUICK, LOOKS, LOOKS]);
        // That wait was a long one.
        assert_eq!(spin_for(&mut spinner, 10), [LOOKS; 10]);
        assert_eq!(spin_for(&mut spinner, 1), [LOOKS]);
        assert_eq!(spin_for(&mut spinner, 1), [LOOKS_QUICK]);
    }

    #[test]
    fn never_means_never() {
        let mut spinner = Spinner::new(Spin::Never);
        assert_eq!(spinner.empty(|| 0, || false), Step::Park);
        spinner.woken(1, 2);
        spinner.frame();
        assert_eq!(spinner.empty(|| 3, || false), Step::Park);
    }
}
