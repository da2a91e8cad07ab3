//! Panics inside of worlds: kept, reported with the run, and not printed by the thousand.
//!
//! A session catches what a handler panics with and answers the call; tokio keeps the panic of a task
//! in a handle that may have been dropped. The panic hook sees them all, so that none of them gets
//! lost.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IN_WORLD: Cell<bool> = const { Cell::new(false) };
    /// The panics of this thread since they were taken last, while it was in a world.
    static CAUGHT: RefCell<Vec<Caught>> = const { RefCell::new(Vec::new()) };
}

/// A panic that somebody has caught, or will catch.
pub(crate) struct Caught {
    pub(crate) message: String,
    /// File, line and column. Not to be written into a trace, which is the same wherever the sources
    /// lie.
    pub(crate) place: Option<String>,
}

/// So many panics between two polls tell enough.
const CAUGHT_MAX: usize = 16;

/// While it lives, panics of this thread are not printed: they are reported with the run.
pub(crate) struct Quiet {
    was: bool,
}

impl Quiet {
    pub(crate) fn begin() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = take_hook();
            set_hook(Box::new(move |info| {
                if !IN_WORLD.get() {
                    return before(info);
                }
                let caught = Caught {
                    message: message(info.payload()),
                    place: info.location().map(ToString::to_string),
                };
                CAUGHT.with_borrow_mut(|all| {
                    if all.len() < CAUGHT_MAX {
                        all.push(caught);
                    }
                });
            }));
        });
        take();
        Quiet {
            was: IN_WORLD.replace(true),
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        IN_WORLD.set(self.was);
    }
}

/// What a panic says.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}

/// The panics since the last time, oldest first.
pub(crate) fn take() -> Vec<Caught> {
    CAUGHT.take()
}
