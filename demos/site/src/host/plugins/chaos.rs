//! Killing plugins on purpose, to show that it changes nothing.
//!
//! As a call begins, it is drawn whether it brings a strike, which plugin that hits, and how long
//! after. The draws depend on the seed and the number of the call alone. Repeated attempts of a call
//! draw nothing, so the strikes are at most as many as the calls, and every build ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::link::Link;

/// The longest time between the beginning of a call and its strike, in microseconds: about as long
/// as the slower calls take, so that plugins are hit at work.
const DELAY_MICROS_MAX: u64 = 20_000;

/// What the user ordered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChaosPlan {
    /// The share of calls that bring a strike, 0 to 1.
    pub(crate) rate: f64,
    /// Decides which calls, whom and when.
    pub(crate) seed: u64,
}

/// Kills plugins.
pub(super) struct Chaos {
    plan: ChaosPlan,
    victims: Vec<Arc<Link>>,
    calls: AtomicU64,
    kills: Arc<AtomicU64>,
    strikes: Mutex<JoinSet<()>>,
}

/// A kill to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Strike {
    victim: usize,
    delay: Duration,
}

impl Chaos {
    pub(super) fn new(plan: ChaosPlan, victims: Vec<Arc<Link>>) -> Self {
        Self {
            plan,
            victims,
            calls: AtomicU64::new(0),
            kills: Arc::default(),
            strikes: Mutex::default(),
        }
    }

    /// Draws the fate of the next call.
    pub(super) fn call_begins(&self) {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let Some(strike) = draw(self.plan, number, self.victims.len()) else {
            return;
        };
        let victim = self.victims[strike.victim].clone();
        let kills = self.kills.clone();
        let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        while strikes.try_join_next().is_some() {}
        strikes.spawn(async move {
            tokio::time::sleep(strike.delay).await;
            // One that is between two lives cannot be killed.
            if victim.kill() {
                kills.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// Calls off the strikes that are still to come.
    pub(super) fn stop(&self) {
        self.strikes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }

    /// Kills since the last time this was asked.
    pub(super) fn take_kills(&self) -> u64 {
        self.kills.swap(0, Ordering::Relaxed)
    }
}

/// What the call of this number brings.
fn draw(plan: ChaosPlan, number: u64, victims: usize) -> Option<Strike> {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&plan.seed.to_le_bytes());
    key[8..].copy_from_slice(&number.to_le_bytes());
    let hash = blake3::hash(&key);
    let mut words = hash.as_bytes().chunks_exact(8).map(|word| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        u64::from_le_bytes(bytes)
    });
    let mut word = || words.next().unwrap_or_default();
    // 53 bits are what a float between 0 and 1 can hold.
    let share = (word() >> 11) as f64 / (1_u64 << 53) as f64;
    (share < plan.rate).then(|| Strike {
        victim: (word() % victims as u64) as usize,
        delay: Duration::from_micros(word() % DELAY_MICROS_MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(rate: f64, seed: u64) -> Vec<Option<Strike>> {
        let plan = ChaosPlan { rate, seed };
        (0..4000).map(|number| draw(plan, number, 4)).collect()
    }

    #[test]
    fn the_rate_is_the_share_of_calls() {
        let count = |rate| strikes(rate, 7).iter().flatten().count();
        assert_eq!((count(0.0), count(1.0)), (0, 4000));
        assert!((340..460).contains(&count(0.1)), "{}", count(0.1));
    }

    #[test]
    fn every_plugin_is_hit_and_the_seed_decides() {
        let one = strikes(0.5, 1);
        for victim in 0..4 {
            let hits = one.iter().flatten().filter(|hit| hit.victim == victim);
            assert!(hits.count() > 400);
        }
        assert_eq!(one, strikes(0.5, 1));
        assert_ne!(one, strikes(0.5, 2));
    }
}
