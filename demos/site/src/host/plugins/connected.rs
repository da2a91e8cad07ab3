//! One plugin with its client and its meter, and what becomes of calls that are lost.
//!
//! The client itself repeats a lost call a few times, while other calls run beside it. When all of
//! these attempts were lost, one of the calls beside it may be what kills the plugin; so the call
//! is tried again *alone*. One that is lost even then is the culprit, and the error names it and
//! not a neighbour.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use facet::Facet;
use rapace::{Call, CallError, Client};
use tokio::sync::RwLock;

use super::chaos::Chaos;
use super::link::Link;
use crate::host::error::BuildError;
use crate::host::summary::{Meter, PluginSummary};
use crate::plugins::Name;

/// How long one attempt may take before the plugin counts as hung. The slowest step of a picture
/// takes a fraction of a second; a machine that is busy otherwise may need many times that.
const DEADLINE: Duration = Duration::from_mins(1);

/// How often a call is tried alone: twice, since a plugin can also be killed from outside.
const ALONE_MAX: u32 = 2;

/// The same under chaos, where the killing ends after a known number of kills but not before.
const ALONE_MAX_IN_CHAOS: u32 = 1000;

/// A plugin that can be called through a client of type `C`.
pub(super) struct Connected<C> {
    link: Arc<Link>,
    client: C,
    meter: Meter,
    chaos: Option<Arc<Chaos>>,
    /// Read by calls that run beside others, written by those that run alone.
    company: RwLock<()>,
    /// What [`Link::restarts`] was when the summary was last taken.
    restarts_told: AtomicU64,
}

impl<C: Client> Connected<C> {
    pub(super) fn new((link, chaos): (Arc<Link>, Option<Arc<Chaos>>)) -> Self {
        Self {
            client: link.client(),
            meter: Meter::new(link.name.as_str()),
            link,
            chaos,
            company: RwLock::new(()),
            restarts_told: AtomicU64::new(0),
        }
    }

    /// Makes a call, again if it was lost. `sent` and `received` count payload bytes.
    ///
    /// `make` is asked for one call per attempt, so all methods must be safe to repeat.
    pub(super) async fn call<A, R>(
        &self,
        sent: usize,
        received: impl FnOnce(&R) -> usize,
        make: impl Fn(&C) -> Call<A, R>,
    ) -> Result<R, Unanswered>
    where
        A: Facet<'static>,
        R: Facet<'static>,
    {
        if let Some(chaos) = &self.chaos {
            chaos.call_begins();
        }
        let start = Instant::now();
        let mut outcome = {
            let _beside_others = self.company.read().await;
            make(&self.client).deadline(DEADLINE).await
        };
        let alone_max = match self.chaos {
            Some(_) => ALONE_MAX_IN_CHAOS,
            None => ALONE_MAX,
        };
        for _ in 0..alone_max {
            if !matches!(&outcome, Err(error) if error.is_lost()) {
                break;
            }
            let _alone = self.company.write().await;
            outcome = make(&self.client)
                .idempotent(false)
                .deadline(DEADLINE)
                .await;
        }
        match outcome {
            Ok(answer) => {
                let received = received(&answer) as u64;
                self.meter.record(sent as u64, received, start.elapsed());
                Ok(answer)
            }
            Err(source) => Err(Unanswered {
                plugin: self.link.name,
                source: Box::new(source),
            }),
        }
    }

    /// What was measured since the last time this was asked.
    pub(super) fn take_summary(&self) -> PluginSummary {
        let restarts = self.link.restarts();
        let told = self.restarts_told.swap(restarts, Ordering::Relaxed);
        self.meter.take(restarts - told)
    }
}

/// A plugin gave no answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    plugin: Name,
    source: Box<CallError>,
}

impl Unanswered {
    /// The error of a build that needed the answer for `subject`.
    pub(crate) fn about(self, subject: impl fmt::Display) -> BuildError {
        BuildError::Unanswered {
            subject: subject.to_string(),
            plugin: self.plugin,
            source: self.source,
        }
    }
}
