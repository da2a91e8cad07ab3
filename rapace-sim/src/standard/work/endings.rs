//! What ends before its time: calls that are dropped, plugins that retire.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::future::{Either, select};
use rapace_session::{CallError, Streaming, Tunnel};

use super::Worker;
use crate::sometimes;
use crate::time::Nanos;

/// Much longer than any world: a handler that nobody stops is still there when all is over.
const ENDLESS_MILLIS: u32 = 500_000;

/// When a call is dropped.
#[derive(Clone, Copy)]
struct Patience {
    span: Nanos,
    /// So often it is polled before that: instead of once more it is dropped, though what it was
    /// woken for has come.
    polls: u64,
}

impl Worker {
    /// A call that is dropped, at any moment of its life.
    pub(super) async fn cancel(&mut self) {
        let span = *self.draws.pick(&[10_000, 100_000, 700_000, 3_000_000]);
        let span = Nanos(self.draws.below(span));
        let patience = Patience {
            span,
            polls: *self.draws.pick(&[1, 2, u64::MAX, u64::MAX]),
        };
        match self.draws.below(8) {
            0 => {
                let call = self.testbed.count(300);
                self.drop_call(patience, "cancelled count", call).await;
            }
            1 => {
                let items: Vec<String> = (0..300).map(|at| format!("item {at}")).collect();
                let call = self.testbed.relay(Streaming::from(items));
                self.drop_call(patience, "cancelled relay", call).await;
            }
            2 => {
                let (tunnel, remote) = Tunnel::pair();
                let call = self.testbed.pipe(remote);
                self.drop_call(patience, "cancelled pipe", call).await;
                drop(tunnel);
            }
            3 => {
                let items: Vec<i32> = (0..300).collect();
                let call = self.testbed.sum(Streaming::from(items));
                self.drop_call(patience, "cancelled sum", call).await;
            }
            _ => {
                // A handler that nobody stops outlasts the world; where a cancellation can arrive
                // as something else it may have to.
                let long = !self.weather.spoiled && self.draws.chance(1, 2);
                let millis = if long { ENDLESS_MILLIS } else { 2 };
                let call = self.testbed.nap(millis);
                self.drop_call(patience, "cancelled nap", call).await;
            }
        }
    }

    async fn drop_call<T: std::fmt::Debug>(
        &self,
        patience: Patience,
        label: &'static str,
        call: impl IntoFuture<Output = Result<T, CallError>>,
    ) {
        let mut call = std::pin::pin!(self.host.watch(label, call));
        let mut polls = patience.polls;
        let polling = poll_fn(|cx| {
            if polls == 0 {
                return Poll::Ready(None);
            }
            polls -= 1;
            call.as_mut().poll(cx).map(Some)
        });
        let waiting = std::pin::pin!(self.host.sleep(patience.span));
        let ended = match select(polling, waiting).await {
            Either::Left((ended, _)) => ended,
            Either::Right(_) => None,
        };
        match ended {
            Some(result) => {
                self.settled(label, result);
            }
            None => sometimes!("a call was cancelled"),
        }
    }

    /// A plugin that goes in good order finishes what it has begun.
    pub(super) async fn retire(&mut self) {
        if self.weather.retiring {
            let call = self.host.watch("retire", self.bouncer.retire()).await;
            sometimes!(call.is_ok(), "a plugin retired");
            self.settled("retire", call);
        }
    }
}
