//! Ctrl-C and SIGTERM: the first one ends a sweep in good order, the second one the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Signals that have been caught.
pub(crate) struct Interrupt {
    /// Set by the first signal.
    pub(crate) stop: Arc<AtomicBool>,
    which: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Catches them from now on.
    pub(crate) fn catch() -> Self {
        let interrupt = Interrupt {
            stop: Arc::default(),
            which: Arc::default(),
        };
        for signal in [SIGINT, SIGTERM] {
            // In this order: the second signal finds the flag set and ends the program.
            let (stop, which) = (interrupt.stop.clone(), interrupt.which.clone());
            let caught = flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())
                .and_then(|_| flag::register_usize(signal, which, signal as usize))
                .and_then(|_| flag::register(signal, stop));
            // A signal that cannot be caught ends the program at once, as it would without us.
            drop(caught);
        }
        interrupt
    }

    /// The exit code that shells expect of who was ended by the signal that came, if one did.
    pub(crate) fn code(&self) -> Option<u8> {
        match self.which.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(128 + signal as u8),
        }
    }

    /// From now on the first signal ends the program at once.
    pub(crate) fn no_longer(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}
