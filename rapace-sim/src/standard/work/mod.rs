//! What the workers of the standard world do, and what may come of it.
//!
//! A worker knows what kind of faults its world has. Without faults every call must succeed; with
//! them a call may end in any typed error, but an answer that comes must be right, and what was
//! received of a stream or tunnel must be a prefix of what was sent. Where bytes are changed on their
//! way nothing can be said of answers, as the protocol has no checksums; there everything must still
//! end in some way, and nothing may panic.
//!
//! | module | owns |
//! |---|---|
//! | here | the workers, what is allowed in which weather, and the end: idleness, probes, readers |
//! | `calls` | unary calls |
//! | `streams` | streams both ways |
//! | `tunnels` | tunnels |
//! | `endings` | calls that are dropped, plugins that retire |

mod calls;
mod endings;
mod streams;
mod tunnels;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use rapace_session::facet::Facet;
use rapace_session::{Call, CallError, Code, NotSent};
use rapace_testbed::TestbedClient;

use super::service::{AbsentClient, BouncerClient, Known};
use crate::draw::{Draws, Purpose};
use crate::fault::{FaultKind, What};
use crate::plan::{Cast, Plan};
use crate::process::Process;
use crate::sometimes;
use crate::time::Nanos;

/// What handlers panic with when they are told to.
pub(crate) const BOOM: &str = "on purpose";
/// Operations of one worker at most.
const OPERATIONS_MAX: u64 = 16;
/// A probe after the last fault may take so long, and is tried so often.
const PROBE: Duration = Duration::from_secs(10);
const PROBES_MAX: u32 = 12;

/// Longer than a ping and all that can follow from it.
const IDLE: Nanos = Nanos::from_secs(20);

/// How long a worker waits for anything where answers may be lost, and nobody could know.
const PATIENCE: Nanos = Nanos::from_secs(40);

/// Who reads a stream has heard of its end so long after all is over, however slow its link is.
const READERS_PATIENCE: Nanos = Nanos::from_secs(60);

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

impl Weather {
    /// The weather that a plan makes, which is a part of the one that the seed has drawn. Leaving
    /// out a fault must leave everything else as it is, so both count.
    pub(crate) fn of(plan: &Plan, drawn: &Plan, retiring: bool) -> Self {
        let has = |kind: FaultKind| plan.has(kind) || drawn.has(kind);
        Weather {
            calm: plan.faults.is_empty(),
            retiring,
            skewed: has(FaultKind::ClockSkew),
            spoiled: has(FaultKind::Corrupt),
        }
    }
}

/// How often a plugin's sessions can end by the faults of a plan; `None` when nobody can know.
fn losses(plan: &Plan, plugin: &str, weather: Weather) -> Option<usize> {
    if weather.retiring || weather.spoiled {
        return None;
    }
    let ends = plan.faults.iter().filter(|fault| match &fault.what {
        What::Kill { process }
        | What::KillAfterStore { process, .. }
        | What::Restart { process, .. } => process == plugin,
        What::Cut { link } | What::CutHalf { link, .. } | What::Freeze { link, .. } => {
            link == plugin
        }
        // Those who share memory share a clock.
        What::ClockSkew { .. } => true,
        _ => false,
    });
    Some(ends.count())
}

/// What the main function of the host is told.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) plugins: Vec<String>,
    /// For each plugin.
    pub(crate) workers: u64,
    pub(crate) window_bytes: u32,
    pub(crate) weather: Weather,
    pub(crate) plan: Plan,
    /// What the service of all processes writes down.
    pub(crate) known: Known,
}

pub(crate) async fn main(host: Process, orders: Orders) {
    let Orders {
        plugins, weather, ..
    } = orders;
    let mut joining = Vec::new();
    for (at, plugin) in plugins.iter().enumerate() {
        let losses = losses(&orders.plan, plugin, weather);
        for worker in 0..orders.workers {
            let whom = (at as u64) << 8 | worker;
            let worker = Worker {
                draws: Draws::new(host.seed(), Purpose::Workload, whom),
                testbed: host.client(plugin),
                bouncer: host.client(plugin),
                absent: host.client(plugin),
                host: host.clone(),
                window_bytes: orders.window_bytes,
                losses,
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
    let patience = host.now() + READERS_PATIENCE;
    while orders.known.readers() > 0 && !weather.spoiled {
        assert!(
            host.now() < patience,
            "{} streams are still being read, and nobody sends on them",
            orders.known.readers()
        );
        host.sleep(Nanos::from_millis(10)).await;
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
    absent: AbsentClient,
    host: Process,
    /// What may be unread on one stream or tunnel.
    window_bytes: u32,
    /// How often the plugin can be lost in this world.
    losses: Option<usize>,
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
        match self.draws.below(19) {
            0 => self.add().await,
            1 => self.echo().await,
            2 => self.divide().await,
            3 => self.nap().await,
            4 => self.sum().await,
            5 => self.count().await,
            6 => self.relay().await,
            7 | 8 => self.pipe().await,
            9 => self.cancel().await,
            10 => self.bounce().await,
            11 => self.later().await,
            12 => self.once().await,
            13 => self.retire().await,
            14 => self.collect().await,
            15 => self.hand_over().await,
            16 => self.time_left().await,
            17 => self.fail().await,
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
                let retired = self.weather.retiring && error.is_safe_to_retry();
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

    fn bytes(&mut self) -> Bytes {
        let most = *self.draws.pick(&[16, 17, 200, 3_000, 40_000]);
        let len = self.draws.below(most + 1);
        let first = self.draws.next();
        let bytes = (0..len).map(|at| (first.wrapping_add(at * at)) as u8);
        bytes.collect::<Vec<u8>>().into()
    }
}
