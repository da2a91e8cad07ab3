//! Panics inside of worlds: caught, kept, and not printed by the thousand.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static IN_WORLD: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic of this thread was, while it was in a world.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

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
                PLACE.set(info.location().map(ToString::to_string));
            }));
        });
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

/// Where the last panic of this thread was: file, line and column. Not to be written into a trace,
/// which is the same wherever the sources lie.
pub(crate) fn take_place() -> Option<String> {
    PLACE.take()
}
