//! When the system refuses memory: when to ask it again, and for how long that has gone on.
//!
//! A *shortage* begins with a refusal and lasts until memory is granted. Whoever needs memory
//! meanwhile waits and asks again after a pause, which grows: a system without memory is not made
//! better by being asked. A shortage that nobody has asked about for a while is forgotten, since
//! what the next one who asks will hear is not known.
//!
//! Pure bookkeeping: the time is handed in. The source keeps the alarm (`ShmSource::poll_shortage`),
//! since it is polled where the runtime's timers are at hand.

use std::sync::Arc;

/// The pause after the first refusal and the longest one, in nanoseconds.
const PAUSE_NS: (u64, u64) = (1_000_000, 100_000_000);
/// A shortage is forgotten when nobody has asked for so long, in nanoseconds.
const FORGOTTEN_NS: u64 = 10 * PAUSE_NS.1;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Shortage(Option<Refused>);

#[derive(Debug)]
struct Refused {
    since_ns: u64,
    ask_at_ns: u64,
    pause_ns: u64,
    /// What the system said last.
    why: Arc<str>,
    /// An alarm is set for `ask_at_ns`.
    armed: bool,
}

impl Shortage {
    /// Whether the system may be asked now.
    pub(crate) fn may_ask(&self, now_ns: u64) -> bool {
        self.0
            .as_ref()
            .is_none_or(|refused| now_ns >= refused.ask_at_ns)
    }

    /// The system was asked and has refused.
    pub(crate) fn refused(&mut self, now_ns: u64, why: Arc<str>) {
        let (since_ns, pause_ns) = match &self.0 {
            Some(before) if now_ns.saturating_sub(before.ask_at_ns) < FORGOTTEN_NS => {
                (before.since_ns, (before.pause_ns * 2).min(PAUSE_NS.1))
            }
            _ => (now_ns, PAUSE_NS.0),
        };
        self.0 = Some(Refused {
            since_ns,
            ask_at_ns: now_ns + pause_ns,
            pause_ns,
            why,
            armed: false,
        });
    }

    /// The system has given memory.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }

    /// For how long the system has refused, and what it said last.
    pub(crate) fn lasting(&self, now_ns: u64) -> Option<(u64, Arc<str>)> {
        let refused = self.0.as_ref()?;
        let lasting_ns = now_ns.saturating_sub(refused.since_ns);
        Some((lasting_ns, refused.why.clone()))
    }

    /// When to wake those who wait, unless an alarm for that is set already.
    pub(crate) fn unarmed(&self) -> Option<u64> {
        let refused = self.0.as_ref().filter(|refused| !refused.armed)?;
        Some(refused.ask_at_ns)
    }

    /// Whether an alarm is set.
    pub(crate) fn is_armed(&self) -> bool {
        self.0.as_ref().is_some_and(|refused| refused.armed)
    }

    /// An alarm for [`Shortage::unarmed`] was set, or has gone off.
    pub(crate) fn set_armed(&mut self, armed: bool) {
        if let Some(refused) = &mut self.0 {
            refused.armed = armed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn refused(shortage: &mut Shortage, now_ns: u64) {
        assert!(shortage.may_ask(now_ns), "asked too early at {now_ns}");
        shortage.refused(now_ns, "no".into());
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let mut shortage = Shortage::default();
        let mut now = 7 * MS;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            refused(&mut shortage, now);
            let next = shortage.unarmed().expect("when to ask again");
            assert!(!shortage.may_ask(next - 1));
            pauses.push((next - now) / MS);
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 100, 100, 100]);
        let (lasting_ns, _) = shortage.lasting(now).expect("it lasts");
        assert_eq!(lasting_ns / MS, pauses.iter().sum::<u64>());
    }

    #[test]
    fn memory_that_is_granted_ends_it_and_so_does_having_forgotten_it() {
        let mut shortage = Shortage::default();
        refused(&mut shortage, 0);
        shortage.end();
        assert!(shortage.may_ask(0) && shortage.lasting(5).is_none());
        refused(&mut shortage, MS);
        let long_after = 2 * MS + FORGOTTEN_NS;
        refused(&mut shortage, long_after);
        assert_eq!(
            shortage.lasting(long_after).expect("a new one").0,
            0,
            "the time in which nobody asked counts"
        );
    }
}
