//! Panics that nobody would otherwise hear of.
//!
//! turmoil runs its hosts on tokio runtimes, and tokio keeps the panic of a spawned task in a
//! `JoinHandle` that may have been dropped: a world with a broken driver would pass. So every panic
//! on the thread of a running world is written down by the panic hook, and fails the world.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::rc::Rc;
use std::sync::Once;

/// What the message of a panic starts with that a world provokes on purpose.
pub const EXPECTED: &str = "expected:";

type Panics = Rc<RefCell<Vec<String>>>;

thread_local! {
    /// The panics of the world that runs on this thread; `None` when none runs.
    static SEEN: RefCell<Option<Panics>> = const { RefCell::new(None) };
}

/// Collects the panics of this thread for as long as it lives.
///
/// A world runs on one thread, so tests that run beside it on other threads are not disturbed.
#[derive(Debug)]
pub(crate) struct PanicWatch(Panics);

impl PanicWatch {
    pub(crate) fn start() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !note(info) {
                    previous(info);
                }
            }));
        });
        let panics = Panics::default();
        SEEN.set(Some(panics.clone()));
        PanicWatch(panics)
    }

    /// The first panic that nobody expected, with its place.
    pub(crate) fn first(&self) -> Option<String> {
        self.0.borrow().first().cloned()
    }
}

impl Drop for PanicWatch {
    fn drop(&mut self) {
        SEEN.set(None);
    }
}

/// Writes the panic down if a world runs here, and says whether one does.
fn note(info: &PanicHookInfo<'_>) -> bool {
    // A thread that is ending has no world any more.
    let panics = SEEN.try_with(|seen| seen.try_borrow().ok()?.clone());
    let Ok(Some(panics)) = panics else {
        return false;
    };
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    if !message.starts_with(EXPECTED) {
        let place = info
            .location()
            .map(|at| format!(" at {}:{}", at.file(), at.line()));
        panics
            .borrow_mut()
            .push(format!("{message}{}", place.unwrap_or_default()));
    }
    true
}
