//! What the workers of the standard world do, and what may come of it.
//!
//! A worker knows what kind of faults its world has. Without faults every call must succeed; with
//! them a call may end in any typed error, but an answer that comes must be right, and what was
//! received of a stream or tunnel must be a prefix of what was sent. Where bytes are changed on their
//! way nothing can be said of answers, as the protocol has no checksums; there everything must still
//! end in some way, and nothing may panic.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use rapace_session::facet::Facet;
use rapace_session::{Call, CallError, Code, Durations as _, NotSent, Streaming, Tunnel};
use rapace_testbed::TestbedClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::service::BouncerClient;
use crate::draw::{Draws, Purpose};
use crate::plan::Cast;
use crate::process::Process;
use crate::sometimes;
use crate::time::Nanos;

/// Operations of one worker at most.
const OPERATIONS_MAX: u64 = 16;
/// A probe after the last fault may take so long, and is tried so often.
const PROBE: Duration = Duration::from_secs(10);
const PROBES_MAX: u32 = 12;

/// Longer than a ping and all that can follow from it.
const IDLE: Nanos = Nanos::from_secs(20);

/// How long a worker waits for anything where answers may be lost, and nobody could know.
const PATIENCE: Nanos = Nanos::from_secs(40);

/// Timers are rounded up, and the host has other things to do.
const DEADLINE_SLACK: Duration = Duration::from_millis(2);

/// What kind of faults a world has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// None at all.
    pub(crate) calm: bool,
    /// Plugins retire: calls may find their session draining, and no call is lost for it.
    pub(crate) retiring: bool,
    /// Clocks jump.
    pub(crate) skewed: bool,
    /// Bytes are changed on their way.
    pub(crate) spoiled: bool,
}

pub(crate) async fn main(host: Process, plugins: Vec<String>, workers: u64, weather: Weather) {
    let mut joining = Vec::new();
    for (at, plugin) in plugins.iter().enumerate() {
        for worker in 0..workers {
            let whom = (at as u64) << 8 | worker;
            let worker = Worker {
                draws: Draws::new(host.seed(), Purpose::Workload, whom),
                testbed: host.client(plugin),
                bouncer: host.client(plugin),
                host: host.clone(),
                weather,
            };
            joining.push(host.spawn(worker.run()));
        }
    }
    for worker in joining {
        worker.await;
    }
    let horizon = Cast::standard().horizon;
    if weather.calm {
        be_idle(&host, &plugins, weather).await;
    } else if host.now() < horizon {
        host.sleep(horizon - host.now()).await;
    }
    for plugin in &plugins {
        probe(&host, plugin, weather).await;
    }
}

/// Nothing ends a session just because nobody has anything to say.
async fn be_idle(host: &Process, plugins: &[String], weather: Weather) {
    let live = plugins.iter().filter_map(|plugin| host.session(plugin));
    let sessions: Vec<_> = live.collect();
    host.sleep(IDLE).await;
    for end in sessions.iter().filter_map(rapace_session::Session::end) {
        assert!(weather.retiring, "a quiet session ended: {end}");
    }
}

/// After the last fault a plugin answers again.
async fn probe(host: &Process, plugin: &str, weather: Weather) {
    let testbed: TestbedClient = host.client(plugin);
    for at in 0..PROBES_MAX as i32 {
        let answer = host
            .watch(
                format!("{plugin} probe"),
                testbed.add(at, 1).deadline(PROBE),
            )
            .await;
        match answer {
            Ok(sum) => {
                assert!(weather.spoiled || sum == at + 1, "the probe's sum is {sum}");
                return;
            }
            // Where the Hello itself was changed, that is the right answer to every call.
            Err(CallError::SchemaMismatch { .. }) if weather.spoiled => return,
            Err(_) => {
                if let (true, Some(session)) = (weather.spoiled, host.session(plugin)) {
                    // One changed byte can have the two disagree on all that follows.
                    session.abort();
                }
                host.sleep(Nanos::from_millis(100)).await;
            }
        }
    }
    // A changed byte of a Hello can leave the two sides with different limits for good.
    assert!(
        weather.spoiled,
        "{plugin} does not answer after the last fault"
    );
}

struct Worker {
    draws: Draws,
    testbed: TestbedClient,
    bouncer: BouncerClient,
    host: Process,
    weather: Weather,
}

impl Worker {
    async fn run(mut self) {
        for _ in 0..self.draws.within(3, OPERATIONS_MAX) {
            if self.weather.spoiled {
                let host = self.host.clone();
                let patience = std::pin::pin!(host.sleep(PATIENCE));
                select(std::pin::pin!(self.operation()), patience).await;
            } else {
                self.operation().await;
            }
            let think = *self.draws.pick(&[0, 50_000, 3_000_000, 200_000_000]);
            if think > 0 {
                let think = Nanos(self.draws.below(think));
                self.host.sleep(think).await;
            }
        }
    }

    async fn operation(&mut self) {
        match self.draws.below(14) {
            0 => self.add().await,
            1 => self.echo().await,
            2 => self.divide().await,
            3 => self.nap().await,
            4 => self.sum().await,
            5 => self.count().await,
            6 => self.relay().await,
            7 => self.pipe().await,
            8 => self.cancel().await,
            9 => self.bounce().await,
            10 => self.later().await,
            11 => self.once().await,
            12 => self.retire().await,
            _ => self.burst().await,
        }
    }

    /// A call in a task of its own; `None` when the worker lost its patience with it.
    fn apart<A, R>(
        &self,
        label: &'static str,
        call: Call<A, R>,
    ) -> impl Future<Output = Option<Result<R, CallError>>>
    where
        A: Facet<'static> + Send,
        R: Facet<'static> + Send + std::fmt::Debug,
    {
        let host = self.host.clone();
        let spoiled = self.weather.spoiled;
        let joining = self.host.spawn(async move {
            let call = std::pin::pin!(host.watch(label, call));
            if !spoiled {
                return Some(call.await);
            }
            match select(call, std::pin::pin!(host.sleep(PATIENCE))).await {
                Either::Left((result, _)) => Some(result),
                Either::Right(_) => None,
            }
        });
        async move { joining.await.flatten() }
    }

    /// What must be true wherever bytes arrive as they were sent.
    #[track_caller]
    fn must(&self, holds: bool, what: impl FnOnce() -> String) {
        assert!(holds || self.weather.spoiled, "{}", what());
    }

    /// Who writes to a plugin that has just gone may hear of that before it has read the plugin's
    /// last words.
    fn unheard(&self, error: &impl std::fmt::Display) -> bool {
        self.weather.retiring && error.to_string().contains("broken pipe")
    }

    /// An answer that came, or nothing where the world allows for it.
    fn settled<T>(&self, what: &str, result: Result<T, CallError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                sometimes!(matches!(error, CallError::PeerDied(_)), "a call was lost");
                sometimes!(
                    matches!(error, CallError::DeadlineExceeded),
                    "a deadline passed"
                );
                sometimes!(error.is_safe_to_retry(), "a call was not sent");
                let crowded = matches!(
                    error,
                    CallError::NotSent(
                        NotSent::TooManyCalls { .. } | NotSent::TooManyChannels { .. }
                    )
                ) || error.code() == Code::RESOURCE_EXHAUSTED;
                let retired =
                    self.weather.retiring && error.is_safe_to_retry() || self.unheard(&error);
                assert!(
                    !self.weather.calm || crowded || retired,
                    "{what} failed without any fault: {error}"
                );
                let ours = matches!(
                    error,
                    CallError::Encode(_)
                        | CallError::SchemaMismatch { .. }
                        | CallError::TooLarge { .. }
                );
                self.must(!ours, || format!("{what}: {error}"));
                None
            }
        }
    }

    async fn add(&mut self) {
        let (a, b) = (self.draws.next() as i32, self.draws.next() as i32);
        let mut call = self.testbed.add(a, b).idempotent(self.draws.chance(1, 2));
        if self.draws.chance(1, 2) {
            call = call.deadline(30.secs());
        }
        let sum = self.host.watch("add", call).await;
        if let Some(sum) = self.settled("add", sum) {
            self.must(sum == a.wrapping_add(b), || {
                format!("add({a}, {b}) gave {sum}")
            });
        }
    }

    fn bytes(&mut self) -> Bytes {
        let most = *self.draws.pick(&[16, 17, 200, 3_000, 40_000]);
        let len = self.draws.below(most + 1);
        let first = self.draws.next();
        let bytes = (0..len).map(|at| (first.wrapping_add(at * at)) as u8);
        bytes.collect::<Vec<u8>>().into()
    }

    async fn echo(&mut self) {
        let data = self.bytes();
        let call = self.testbed.echo(data.clone());
        let echoed = self.host.watch("echo", call).await;
        if let Some(echoed) = self.settled("echo", echoed) {
            self.must(echoed == data, || "echo gave other bytes back".into());
        }
    }

    async fn divide(&mut self) {
        let call = self.testbed.divide(7, self.draws.below(2) as i32);
        let quotient = self.host.watch("divide", call).await;
        if let Some(quotient) = self.settled("divide", quotient) {
            let right = quotient == Ok(7) || quotient == Err("division by zero".to_owned());
            self.must(right, || format!("divide gave {quotient:?}"));
        }
    }

    /// A deadline that may or may not pass before the answer.
    async fn nap(&mut self) {
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

    async fn sum(&mut self) {
        let most = *self.draws.pick(&[3, 20, 300]);
        let len = self.draws.below(most) as i32;
        let items: Vec<i32> = (0..len).collect();
        let expected: i64 = items.iter().map(|item| i64::from(*item)).sum();
        let call = self.testbed.sum(Streaming::from(items));
        let sum = self.host.watch("sum", call).await;
        if let Some(sum) = self.settled("sum", sum) {
            // The plugin answers with what it has when a stream breaks off; that answer is void then.
            self.must(sum == expected, || format!("the sum of 0..{len} is {sum}"));
        }
    }

    async fn count(&mut self) {
        let most = *self.draws.pick(&[3, 20, 300]);
        let len = self.draws.below(most) as u32;
        let leaves_after = if self.draws.chance(1, 4) {
            self.draws.below(most) as u32
        } else {
            u32::MAX
        };
        let pause = *self.draws.pick(&[0, 0, 40_000]);
        let counted = self.host.watch("count", self.testbed.count(len)).await;
        let Some(mut items) = self.settled("count", counted) else {
            return;
        };
        let mut seen = 0;
        loop {
            match items.next().await {
                Some(Ok(item)) => {
                    self.must(item == seen, || {
                        format!("count({len}): {item} after {seen}")
                    });
                    seen += 1;
                }
                Some(Err(error)) => {
                    sometimes!("a stream broke off");
                    let allowed = !self.weather.calm || self.unheard(&error);
                    assert!(allowed, "count({len}) broke off: {error}");
                    return;
                }
                None => {
                    self.must(seen == len, || format!("count({len}) ends after {seen}"));
                    return;
                }
            }
            if seen >= leaves_after {
                sometimes!("a stream was left early");
                return;
            }
            if pause > 0 {
                self.host.sleep(Nanos(pause)).await;
            }
        }
    }

    async fn relay(&mut self) {
        let len = self.draws.below(30);
        let items: Vec<String> = (0..len).map(|at| format!("item {at}")).collect();
        let call = self.testbed.relay(Streaming::from(items));
        let relayed = self.host.watch("relay", call).await;
        let Some(mut items) = self.settled("relay", relayed) else {
            return;
        };
        let mut seen = 0;
        while let Some(item) = items.next().await {
            match item {
                Ok(item) => self.must(item == format!("ITEM {seen}"), || {
                    format!("{item} is relayed after {seen} items")
                }),
                Err(error) => {
                    sometimes!("a stream broke off");
                    let allowed = !self.weather.calm || self.unheard(&error);
                    assert!(allowed, "relay broke off: {error}");
                    return;
                }
            }
            seen += 1;
        }
        // The plugin ends its stream, too, when its half of the items breaks off.
        assert!(
            seen == len || !self.weather.calm,
            "{seen} of {len} items relayed"
        );
    }

    async fn pipe(&mut self) {
        let sent = self.bytes();
        let (tunnel, remote) = Tunnel::pair();
        let call = self.testbed.pipe(remote);
        let call = self.apart("pipe", call);
        let (mut reader, mut writer) = tokio::io::split(tunnel);
        let writing = async {
            writer.write_all(&sent).await?;
            writer.shutdown().await
        };
        let mut echoed = Vec::new();
        let reading = reader.read_to_end(&mut echoed);
        let (written, read) = futures_util::future::join(writing, reading).await;
        self.must(sent.starts_with(&echoed), || {
            "a tunnel gave other bytes back".into()
        });
        let whole = written.is_ok() && read.is_ok();
        sometimes!(!whole, "a tunnel broke off");
        let Some(total) = call.await else {
            return;
        };
        if let Some(total) = self.settled("pipe", total) {
            assert!(
                whole || !self.weather.calm || self.weather.retiring,
                "a tunnel broke off without any fault"
            );
            let len = sent.len() as u64;
            let right = total == len || (total < len && !self.weather.calm);
            self.must(right, || format!("pipe echoed {total} of {len} bytes"));
        }
    }

    /// A call that is dropped, at any moment of its life.
    async fn cancel(&mut self) {
        let span = *self.draws.pick(&[10_000, 100_000, 3_000_000]);
        let span = Nanos(self.draws.below(span));
        // A handler that nobody stops outlasts the world; where a cancellation can arrive as
        // something else it may have to.
        let long = !self.weather.spoiled && self.draws.chance(1, 2);
        let millis = if long { 500_000 } else { 2 };
        let call = self.host.watch("cancelled nap", self.testbed.nap(millis));
        let call = std::pin::pin!(call);
        let patience = std::pin::pin!(self.host.sleep(span));
        match select(call, patience).await {
            Either::Left((napped, _)) => {
                self.settled("nap", napped);
            }
            Either::Right(_) => sometimes!("a call was cancelled"),
        }
    }

    async fn bounce(&mut self) {
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

    async fn later(&mut self) {
        let micros = self.draws.below(30_000) as u32;
        let value = self.draws.next();
        let call = self.bouncer.later(micros, value);
        let answer = self.host.watch("later", call).await;
        if let Some(answer) = self.settled("later", answer) {
            self.must(answer == value, || format!("later gave {answer}"));
        }
    }

    /// A call that is not idempotent: it may be lost, but must not run twice.
    async fn once(&mut self) {
        let token = self.draws.next();
        let call = self.host.watch("once", self.bouncer.once(token)).await;
        if let Some(first) = self.settled("once", call) {
            self.must(first, || format!("once({token}) ran twice"));
        }
    }

    /// A plugin that goes in good order finishes what it has begun.
    async fn retire(&mut self) {
        if self.weather.retiring {
            let call = self.host.watch("retire", self.bouncer.retire()).await;
            sometimes!(call.is_ok(), "a plugin retired");
            self.settled("retire", call);
        }
    }

    /// Many calls at once.
    async fn burst(&mut self) {
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
}
