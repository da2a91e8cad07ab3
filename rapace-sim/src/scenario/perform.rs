//! Making the calls of a script and noting how they end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{Either, join_all, select};
use serde_json::Value;
use tokio::sync::watch;

use super::invoke::invoke;
use super::model::{CallScript, HOST, Scenario};
use super::outcome::Ending;
use super::services::Services;
use crate::process::Process;
use crate::time::Nanos;

/// How one call ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Its value, or how it failed and what that failure says. Failures of its streams count, too.
    pub ended: Result<Value, (Ending, String)>,
    /// Items or bytes that were read from its streams and tunnels, by their names; those that never
    /// came are not in it.
    pub reads: BTreeMap<String, u64>,
    /// Something came that had not been sent so.
    pub wrong: Option<String>,
    /// When it was made, by the caller's clock.
    pub begun: Nanos,
    /// When it ended.
    pub over: Nanos,
}

impl Outcome {
    /// Items and bytes that were read from all its streams and tunnels.
    pub fn reads_in_all(&self) -> u64 {
        self.reads.values().sum()
    }
}

/// What a call has read so far; it is still known when the call is dropped.
#[derive(Clone, Default)]
pub(super) struct Seen {
    reads: Arc<Mutex<BTreeMap<String, u64>>>,
    wrong: Arc<Mutex<Option<String>>>,
}

impl Seen {
    /// Notes that so much more was read from a stream or tunnel, which is there; how much that makes.
    pub(super) fn read(&self, name: &str, count: u64) -> u64 {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = match reads.get_mut(name) {
            Some(so_far) => so_far,
            None => reads.entry(name.to_owned()).or_default(),
        };
        *so_far += count;
        *so_far
    }

    /// Only the first is kept.
    pub(super) fn is_wrong(&self, what: impl FnOnce() -> String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.get_or_insert_with(what);
    }
}

/// The outcomes of all calls of a run.
pub(super) struct Board {
    calls: Vec<Slot>,
}

struct Slot {
    name: String,
    outcomes: Mutex<Vec<Outcome>>,
    /// How many are to be made.
    total: u64,
    /// How many have not ended yet.
    left: watch::Sender<u64>,
}

impl Board {
    pub(super) fn new(calls: &[CallScript]) -> Arc<Self> {
        let slot = |call: &CallScript| Slot {
            name: call.name.clone(),
            outcomes: Mutex::default(),
            total: call.total(),
            left: watch::Sender::new(call.total()),
        };
        Arc::new(Board {
            calls: calls.iter().map(slot).collect(),
        })
    }

    /// Nothing has been called yet.
    pub(super) fn begin(&self) {
        for (at, slot) in self.calls.iter().enumerate() {
            self.outcomes(at).clear();
            slot.left.send_replace(slot.total);
        }
    }

    pub(super) fn outcomes(&self, call: usize) -> MutexGuard<'_, Vec<Outcome>> {
        let outcomes = self.calls[call].outcomes.lock();
        outcomes.unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, call: usize, outcome: Outcome) {
        self.outcomes(call).push(outcome);
        self.calls[call]
            .left
            .send_modify(|left| *left = left.saturating_sub(1));
    }

    /// Waits until all calls of this name have ended.
    async fn ended(&self, name: &str) {
        for slot in self.calls.iter().filter(|slot| slot.name == name) {
            let mut left = slot.left.subscribe();
            // The sender lives as long as the board.
            let _ = left.wait_for(|left| *left == 0).await;
        }
    }
}

/// What is left of a caller's calls when its process dies.
struct Remaining {
    board: Arc<Board>,
    call: usize,
    left: u32,
    /// The call that is under way.
    current: Option<(Nanos, Seen)>,
    now: Nanos,
}

impl Drop for Remaining {
    fn drop(&mut self) {
        for _ in 0..self.left {
            let (begun, seen) = self.current.take().unwrap_or((self.now, Seen::default()));
            let why = "its process died, or the world ended before it".to_owned();
            self.board.note(
                self.call,
                outcome(Err((Ending::Dropped, why)), &seen, begun, self.now),
            );
        }
    }
}

fn outcome(
    ended: Result<Value, (Ending, String)>,
    seen: &Seen,
    begun: Nanos,
    over: Nanos,
) -> Outcome {
    let wrong = seen.wrong.lock().unwrap_or_else(PoisonError::into_inner);
    let reads = seen.reads.lock().unwrap_or_else(PoisonError::into_inner);
    Outcome {
        ended,
        reads: reads.clone(),
        wrong: wrong.clone(),
        begun,
        over,
    }
}

/// The main function of every process of a scenario: makes its calls. A plugin makes them in its
/// first life only.
pub(super) async fn perform(
    process: Process,
    scenario: Arc<Scenario>,
    services: Services,
    board: Arc<Board>,
) {
    if process.name() != HOST && process.life() > 1 {
        return;
    }
    let mut callers = Vec::new();
    for (at, call) in scenario.calls.iter().enumerate() {
        if call.from != process.name() {
            continue;
        }
        for lane in 0..call.parallel {
            let lane = Lane {
                process: process.clone(),
                scenario: scenario.clone(),
                services: services.clone(),
                board: board.clone(),
                call: at,
                number: lane,
            };
            callers.push(process.spawn(lane.run()));
        }
    }
    join_all(callers).await;
}

/// One of the callers that make the calls of a script.
struct Lane {
    process: Process,
    scenario: Arc<Scenario>,
    services: Services,
    board: Arc<Board>,
    call: usize,
    /// Which of the script's parallel callers, from 0.
    number: u32,
}

impl Lane {
    async fn run(self) {
        let call = &self.scenario.calls[self.call];
        let process = &self.process;
        let mut remaining = Remaining {
            board: self.board.clone(),
            call: self.call,
            left: call.repeat,
            current: None,
            now: process.now(),
        };
        process.sleep(call.at).await;
        for name in &call.after {
            self.board.ended(name).await;
        }
        for n in 0..call.repeat {
            if n > 0 && call.every > Nanos::ZERO {
                process.sleep(call.every).await;
            }
            let seen = Seen::default();
            let begun = process.now();
            remaining.current = Some((begun, seen.clone()));
            let ended = self.one(call, n, &seen).await;
            remaining.left -= 1;
            remaining.current = None;
            remaining.now = process.now();
            self.board
                .note(self.call, outcome(ended, &seen, begun, remaining.now));
        }
    }

    async fn one(&self, call: &CallScript, n: u32, seen: &Seen) -> Result<Value, (Ending, String)> {
        let process = &self.process;
        let number = u64::from(self.number) * u64::from(call.repeat) + u64::from(n) + 1;
        let label = match call.repeat * call.parallel {
            1 => call.name.clone(),
            _ => format!("{} {number}", call.name),
        };
        let invoked = Box::pin(invoke(process.clone(), call, &self.services, seen.clone()));
        let watched = Box::pin(process.watch(label, invoked));
        let result = match call.cancel {
            None => watched.await,
            Some(after) => match select(watched, Box::pin(process.sleep(after))).await {
                Either::Left((result, _)) => result,
                Either::Right(((), watched)) => {
                    drop(watched);
                    return Err((Ending::Dropped, format!("cancelled after {after}")));
                }
            },
        };
        match result {
            Ok(got) => match got.broken() {
                Some((ending, says)) => Err((ending, says)),
                None => Ok(got.value),
            },
            Err(error) => Err((Ending::from(&error), error.to_string())),
        }
    }
}
