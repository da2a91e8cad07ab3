//! A thread that sees from outside when one input takes too long.
//!
//! It ends the process: a thread that does not come back cannot be stopped, and the input is what
//! matters.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One input may take so long.
const INPUT_TIME_MAX: Duration = Duration::from_secs(5);

const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// Watches while it lives.
pub(super) struct Watch {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Odd while an input runs; each begin and end counts one.
    turn: AtomicU64,
    over: AtomicBool,
    input: Mutex<Vec<u8>>,
}

impl Watch {
    /// Starts watching a parser.
    pub(super) fn start(name: &'static str, seed: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let seen = shared.clone();
        std::thread::spawn(move || look(name, seed, &seen));
        Watch { shared }
    }

    pub(super) fn begin(&self, input: &[u8]) {
        let mut kept = self
            .shared
            .input
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.clear();
        kept.extend_from_slice(input);
        self.shared.turn.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.shared.turn.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

fn look(name: &str, seed: u64, shared: &Shared) {
    let mut last = (0, Instant::now());
    while !shared.over.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK_PERIOD);
        let turn = shared.turn.load(Ordering::Relaxed);
        if turn != last.0 || turn.is_multiple_of(2) {
            last = (turn, Instant::now());
        } else if last.1.elapsed() > INPUT_TIME_MAX {
            let input = shared.input.lock().unwrap_or_else(PoisonError::into_inner);
            println!("{name} FAILED (seed {seed}): one input takes more than {INPUT_TIME_MAX:?}");
            println!(
                "replay: rapace hostile --only {name} --replay {}",
                super::to_hex(&input)
            );
            std::process::exit(1);
        }
    }
}
