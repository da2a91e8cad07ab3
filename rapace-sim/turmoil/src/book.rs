//! The call oracle: who called, what came of it, and how often the handler really ran.
//!
//! The book lies outside of the world: it survives every crash, and both sides write into it. A
//! caller's view alone cannot tell a call that was lost from one that ran twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rapace_session::CallError;

/// The service that the book is kept through.
#[rapace_macros::service(crate = "rapace_session")]
pub trait Ledger {
    /// Works for `millis`, once. Returns the life of the process that did it.
    async fn post(&self, id: u64, millis: u32) -> u64;
    /// The same, and may be repeated.
    #[rapace(idempotent)]
    async fn repost(&self, id: u64, millis: u32) -> u64;
}

/// What a caller got, as far as the oracle cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Answered,
    /// The error promises that the method did not run.
    NotRun,
    /// The error says that the method may have run.
    Unknown,
    /// The caller went away first, with its process or by its own will.
    Dropped,
}

#[derive(Debug)]
struct Entry {
    repeats_max: u32,
    outcome: Option<Outcome>,
    started: u32,
    finished: u32,
}

/// All calls of a world. Cheap to share.
#[derive(Debug, Default)]
pub struct Book {
    entries: Mutex<BTreeMap<u64, Entry>>,
}

/// A call that has been made and has not ended. Dropping it says that its caller went away.
#[derive(Debug)]
pub struct Open {
    book: Arc<Book>,
    id: u64,
}

impl Book {
    /// Opens an entry for a call that is about to be made and may be repeated `repeats_max` times.
    pub fn open(self: &Arc<Self>, repeats_max: u32) -> Open {
        let mut entries = self.entries();
        let id = entries.len() as u64;
        entries.insert(
            id,
            Entry {
                repeats_max,
                outcome: None,
                started: 0,
                finished: 0,
            },
        );
        drop(entries);
        Open {
            book: self.clone(),
            id,
        }
    }

    /// How many handlers have started and neither finished nor been dropped with their process:
    /// those that were cancelled count as started only.
    pub fn runs(&self, id: u64) -> (u32, u32) {
        self.entries()
            .get(&id)
            .map_or((0, 0), |entry| (entry.started, entry.finished))
    }

    /// Checks every entry, after the world has come to rest. Returns how many calls were answered.
    ///
    /// # Errors
    ///
    /// The first entry in which the two sides' accounts do not fit.
    pub fn audit(&self) -> Result<usize, String> {
        let mut answered = 0;
        for (id, entry) in self.entries().iter() {
            let runs_max = 1 + entry.repeats_max;
            let fits = match entry.outcome {
                None => return Err(format!("call {id} never ended: {entry:?}")),
                Some(Outcome::Answered) => {
                    answered += 1;
                    entry.finished >= 1 && entry.started <= runs_max
                }
                Some(Outcome::NotRun) => entry.started == 0,
                Some(Outcome::Unknown | Outcome::Dropped) => entry.started <= runs_max,
            };
            if !fits {
                return Err(format!("the accounts of call {id} do not fit: {entry:?}"));
            }
        }
        Ok(answered)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Entry)) {
        match self.entries().get_mut(&id) {
            Some(entry) => change(entry),
            None => panic!("call {id} is in nobody's book: its arguments were garbled"),
        }
    }
}

impl Open {
    /// The number to call with.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Writes down how the call ended.
    ///
    /// # Panics
    ///
    /// When the error is none that a lost peer, a deadline or an ending session explains: then the
    /// world has found a bug, or provoked a refusal that it must handle itself.
    pub fn close<T>(self, result: &Result<T, CallError>) {
        let outcome = match result {
            Ok(_) => Outcome::Answered,
            Err(CallError::NotSent(_)) => Outcome::NotRun,
            Err(CallError::DeadlineExceeded | CallError::MaybeSent(_) | CallError::PeerDied(_)) => {
                Outcome::Unknown
            }
            Err(error) => panic!("call {} ended in an odd way: {error:?}", self.id),
        };
        self.book.change(self.id, |entry| {
            assert!(entry.outcome.is_none(), "call {} ended twice", self.id);
            entry.outcome = Some(outcome);
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.book.change(self.id, |entry| {
            entry.outcome.get_or_insert(Outcome::Dropped);
        });
    }
}

/// The book's keeper in one life of a process.
#[derive(Clone, Debug)]
pub struct Clerk {
    book: Arc<Book>,
    life: u64,
}

impl Clerk {
    /// Keeps `book` in the given life of its process.
    pub fn new(book: Arc<Book>, life: u64) -> Self {
        Clerk { book, life }
    }

    async fn work(&self, id: u64, millis: u32) -> u64 {
        self.book.change(id, |entry| entry.started += 1);
        if millis > 0 {
            tokio::time::sleep(Duration::from_millis(millis.into())).await;
        }
        self.book.change(id, |entry| entry.finished += 1);
        self.life
    }
}

impl Ledger for Clerk {
    async fn post(&self, id: u64, millis: u32) -> u64 {
        self.work(id, millis).await
    }

    async fn repost(&self, id: u64, millis: u32) -> u64 {
        self.work(id, millis).await
    }
}

#[cfg(test)]
mod tests {
    use rapace_session::{NotSent, SessionEnd};

    use super::*;

    #[test]
    fn accounts_that_do_not_fit_are_found() {
        let book = Arc::new(Book::default());
        let refused = book.open(0);
        book.change(refused.id(), |entry| entry.started = 1);
        refused.close::<()>(&Err(CallError::NotSent(NotSent::Draining)));
        assert!(book.audit().is_err(), "a call that was not sent has run");

        let book = Arc::new(Book::default());
        let twice = book.open(0);
        book.change(twice.id(), |entry| entry.started = 2);
        twice.close::<()>(&Err(CallError::MaybeSent(SessionEnd::Local)));
        assert!(book.audit().is_err(), "a call ran twice");

        let book = Arc::new(Book::default());
        book.open(0).close(&Ok(()));
        assert!(book.audit().is_err(), "an answer without a run");

        let book = Arc::new(Book::default());
        let endless = book.open(0);
        assert!(book.audit().is_err(), "a call that never ended");
        drop(endless);
        assert_eq!(book.audit(), Ok(0));
    }
}
