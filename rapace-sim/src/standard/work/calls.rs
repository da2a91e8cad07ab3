//! Unary calls: that answers are right, deadlines are kept, and nothing runs twice.

use std::time::Duration;

use futures_util::FutureExt as _;
use rapace_session::{CallError, Code, Durations as _};

use super::Worker;
use crate::sometimes;
use crate::time::Nanos;

/// Timers are rounded up, and the host has other things to do.
const DEADLINE_SLACK: Duration = Duration::from_millis(2);

impl Worker {
    pub(super) async fn add(&mut self) {
        let (a, b) = (self.draws.next() as i32, self.draws.next() as i32);
        let idempotent = self.draws.chance(1, 2);
        let mut call = self.testbed.add(a, b).idempotent(idempotent);
        if self.draws.chance(1, 2) {
            call = call.deadline(30.secs());
        }
        let sum = self.host.watch("add", call).await;
        if idempotent {
            self.must_be_repeated("add", &sum);
        }
        if let Some(sum) = self.settled("add", sum) {
            self.must(sum == a.wrapping_add(b), || {
                format!("add({a}, {b}) gave {sum}")
            });
        }
    }

    pub(super) async fn echo(&mut self) {
        let data = self.bytes();
        let call = self.testbed.echo(data.clone());
        let echoed = self.host.watch("echo", call).await;
        if let Some(echoed) = self.settled("echo", echoed) {
            self.must(echoed == data, || "echo gave other bytes back".into());
        }
    }

    pub(super) async fn divide(&mut self) {
        let call = self.testbed.divide(7, self.draws.below(2) as i32);
        let quotient = self.host.watch("divide", call).await;
        if let Some(quotient) = self.settled("divide", quotient) {
            let right = quotient == Ok(7) || quotient == Err("division by zero".to_owned());
            self.must(right, || format!("divide gave {quotient:?}"));
        }
    }

    /// A handler that panics, or that there is none of: the caller hears of it at once.
    pub(super) async fn fail(&mut self) {
        let (expected, failed) = if self.draws.chance(1, 2) {
            let call = self.testbed.boom(super::BOOM.to_owned());
            (Code::INTERNAL, self.host.watch("boom", call).await)
        } else {
            let call = self.absent.nothing();
            (Code::UNIMPLEMENTED, self.host.watch("absent", call).await)
        };
        match failed {
            Ok(()) => self.must(false, || format!("no error {expected}")),
            Err(error) if error.code() == expected => {}
            Err(error) => {
                self.settled::<()>("what fails", Err(error));
            }
        }
    }

    /// A deadline that may or may not pass before the answer.
    pub(super) async fn nap(&mut self) {
        let millis = self.draws.within(1, 40) as u32;
        let deadline = Duration::from_millis(self.draws.within(1, 60));
        let started = self.host.now();
        let call = self.testbed.nap(millis).deadline(deadline);
        let napped = self.host.watch("nap", call).await;
        let took = self.host.now() - started;
        let late = took > Nanos::from(deadline + DEADLINE_SLACK);
        self.must(self.weather.skewed || !late, || {
            format!("the deadline of {deadline:?} is heard of after {took}")
        });
        match napped {
            Ok(napped) => self.must(napped == millis, || format!("nap gave {napped}")),
            Err(CallError::DeadlineExceeded) => {
                sometimes!("a deadline passed");
                self.must(self.weather.skewed || took >= Nanos::from(deadline), || {
                    format!("the deadline of {deadline:?} passed after {took}")
                });
            }
            Err(CallError::Status(status)) if status.code == Code::DEADLINE_EXCEEDED => {
                sometimes!("the peer saw the deadline pass");
            }
            other => {
                self.settled("nap", other);
            }
        }
    }

    /// What a handler sees of its caller's deadline: never more than there was.
    pub(super) async fn time_left(&mut self) {
        let deadline = Duration::from_millis(self.draws.within(20, 2_000));
        let call = self.bouncer.time_left().deadline(deadline);
        let left = self.host.watch("time_left", call).await;
        if let Err(CallError::DeadlineExceeded) = left {
            sometimes!("a deadline passed");
            return;
        }
        if let Some(left) = self.settled("time_left", left) {
            let fits = left <= deadline.as_nanos() as u64;
            self.must(self.weather.skewed || fits, || {
                format!("the handler has {left} ns left of a deadline of {deadline:?}")
            });
        }
    }

    pub(super) async fn bounce(&mut self) {
        let depth = self.draws.within(1, 6) as u32;
        let call = self.bouncer.bounce(depth);
        let bounced = self.host.watch("bounce", call).await;
        match self.settled("bounce", bounced) {
            Some(Ok(deep)) => self.must(deep == depth, || format!("bounce({depth}) gave {deep}")),
            Some(Err(error)) => {
                // Each hop holds a call at its peer, and there may be few of them.
                let allowed = error.contains("limit") || self.weather.retiring;
                assert!(!self.weather.calm || allowed, "bounce({depth}): {error}");
            }
            None => {}
        }
    }

    /// A call that may be repeated, and that may go on in another task than it began in.
    pub(super) async fn later(&mut self) {
        let micros = self.draws.below(30_000) as u32;
        let value = self.draws.next();
        let call = self.bouncer.later(micros, value);
        let answer = if self.draws.chance(1, 3) {
            let host = self.host.clone();
            let mut call = Box::pin(async move { host.watch("later", call).await });
            match call.as_mut().now_or_never() {
                Some(answer) => Some(answer),
                None => self.host.spawn(call).await,
            }
        } else {
            Some(self.host.watch("later", call).await)
        };
        let Some(answer) = answer else { return };
        self.must_be_repeated("later", &answer);
        if let Some(answer) = self.settled("later", answer) {
            self.must(answer == value, || format!("later gave {answer}"));
        }
    }

    /// A call that is not idempotent: it may be lost, but must not run twice.
    pub(super) async fn once(&mut self) {
        let token = self.draws.next();
        let call = self.host.watch("once", self.bouncer.once(token)).await;
        if let Some(first) = self.settled("once", call) {
            self.must(first, || format!("once({token}) ran twice"));
        }
    }

    /// Many calls at once.
    pub(super) async fn burst(&mut self) {
        let note = self.bouncer.note(self.draws.next());
        let noted = self.host.watch("note", note).await;
        self.settled("note", noted);
        let calls: Vec<_> = (0..self.draws.within(2, 12) as i32)
            .map(|at| {
                let call = self.testbed.add(at, 100);
                (at, self.apart("add", call))
            })
            .collect();
        for (at, call) in calls {
            let Some(sum) = call.await else { return };
            if let Some(sum) = self.settled("add", sum) {
                self.must(sum == at + 100, || format!("one of many gave {sum}"));
            }
        }
    }

    /// A lost call that may be repeated is, as often as its plugin can have been lost here.
    fn must_be_repeated<T>(&self, what: &str, result: &Result<T, CallError>) {
        if let (Some(losses), Err(error)) = (self.losses, result) {
            let gave_up = error.is_lost() && losses <= REPEATS_MAX;
            self.must(!gave_up, || {
                format!("{what} gave up after {losses} losses at most: {error}")
            });
        }
    }
}

/// What [`Reconnect::retries_max`](rapace_session::Reconnect::retries_max) says by default.
const REPEATS_MAX: usize = 3;
