//! A world: hosts, plugins, a plan of faults, one run of them, and what must hold after it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rapace_session::{Session, TableSizes};
use turmoil::Sim;

use crate::book::Book;
use crate::fault::Fault;
use crate::host::Host;
use crate::log::Log;
use crate::panics::PanicWatch;
use crate::plugin::Plugin;
use crate::socket::Life;

/// How long a world may take, in virtual time, before whatever still runs counts as hanging.
const DURATION_MAX: Duration = Duration::from_mins(2);
/// How long a world runs on after its last host is done: credits come back, cancellations arrive,
/// ends are noticed.
const REST: Duration = Duration::from_secs(2);

/// What the hosts of a world share with it and with its oracles. Outside of the world: it survives
/// every crash.
pub(crate) struct Shared {
    pub(crate) seed: u64,
    pub(crate) log: Log,
    pub(crate) book: Arc<Book>,
    sessions: Mutex<Vec<(String, Session)>>,
    done: Mutex<BTreeSet<Arc<str>>>,
}

impl Shared {
    pub(crate) fn keep(&self, label: String, session: Session) {
        lock(&self.sessions).push((label, session));
    }
}

/// One run in the making.
pub struct World {
    shared: Arc<Shared>,
    sim: Sim<'static>,
    panics: PanicWatch,
    /// Each host, and the life that it leads now.
    hosts: BTreeMap<Arc<str>, Arc<Mutex<Arc<Life>>>>,
    awaited: BTreeSet<Arc<str>>,
    plan: BTreeMap<(Duration, usize), Fault>,
}

/// What a run was like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Every event, one per line: see [`Log`].
    pub log: String,
    /// How many calls of the [`Book`] were answered.
    pub answered: usize,
    /// How many sessions there were, on all sides.
    pub sessions: usize,
    /// How long it took, in virtual time.
    pub took: Duration,
}

impl World {
    /// A world whose random draws (latencies, the order in which hosts run within a tick, and
    /// [`Host::rng`]) come from `seed`. `configure` may change turmoil's settings, for example the
    /// range of latencies: 0 to 100 ms by default.
    pub fn new(seed: u64, configure: impl FnOnce(&mut turmoil::Builder)) -> Self {
        let mut builder = turmoil::Builder::new();
        builder
            .rng_seed(seed)
            .enable_random_order()
            .simulation_duration(DURATION_MAX + REST);
        configure(&mut builder);
        World {
            shared: Arc::new(Shared {
                seed,
                log: Log::default(),
                book: Arc::default(),
                sessions: Mutex::default(),
                done: Mutex::default(),
            }),
            sim: builder.build(),
            panics: PanicWatch::start(),
            hosts: BTreeMap::new(),
            awaited: BTreeSet::new(),
            plan: BTreeMap::new(),
        }
    }

    /// Adds a plugin: it listens from the start, and again after each bounce.
    pub fn plugin(&mut self, name: &str, plugin: Plugin) {
        self.add(name, move |host| plugin.clone().run(host));
    }

    /// Adds a host that runs `body`. The world is over when all these have come to their end, so a
    /// call that hangs is a world that does not end.
    pub fn host<F, Fut>(&mut self, name: &str, body: F)
    where
        F: Fn(Host) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let name = self.background(name, body);
        self.awaited.insert(name);
    }

    /// Adds a host that nobody waits for: one that dies, or never ends.
    pub fn background<F, Fut>(&mut self, name: &str, body: F) -> Arc<str>
    where
        F: Fn(Host) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        self.add(name, move |host| {
            let (shared, name) = (host.shared.clone(), host.name.clone());
            let body = body(host);
            async move {
                body.await;
                lock(&shared.done).insert(name);
                // turmoil stops the clock of a host whose software has ended, with its drivers.
                std::future::pending().await
            }
        })
    }

    fn add<F, Fut>(&mut self, name: &str, software: F) -> Arc<str>
    where
        F: Fn(Host) -> Fut + 'static,
        Fut: Future<Output = turmoil::Result> + 'static,
    {
        let name: Arc<str> = name.into();
        let (shared, lives) = (self.shared.clone(), AtomicU64::new(0));
        let current: Arc<Mutex<Arc<Life>>> = Arc::default();
        self.hosts.insert(name.clone(), current.clone());
        let host_name = name.clone();
        self.sim.host(name.as_ref(), move || {
            let process = Arc::new(Life::default());
            *lock(&current) = process.clone();
            software(Host {
                process,
                shared: shared.clone(),
                name: host_name.clone(),
                life: 1 + lives.fetch_add(1, Ordering::Relaxed),
            })
        });
        name
    }

    /// Plans a fault for a moment of virtual time. Faults of one moment happen in the order in
    /// which they were planned.
    pub fn at(&mut self, when: Duration, fault: Fault) {
        self.plan.insert((when, self.plan.len()), fault);
    }

    /// Runs the world to its end and checks what must hold in every world:
    ///
    /// - no host hangs, and no task panics;
    /// - the [`Book`]'s accounts fit: every call ended, and ran as often as its outcome says;
    /// - after quiet the tables of every session, alive or over, are empty.
    ///
    /// # Errors
    ///
    /// What did not hold, with the log.
    pub fn run(mut self) -> Result<Report, String> {
        let planned: Vec<String> = self
            .plan
            .iter()
            .map(|((at, _), fault)| format!("  {at:?}: {fault}"))
            .collect();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.drive()));
        let outcome = outcome.unwrap_or_else(|_| Err("turmoil itself panicked".to_owned()));
        let panic = self.panics.first();
        let log = self.shared.log.text();
        match (outcome, panic) {
            (Ok((answered, took)), None) => Ok(Report {
                log,
                answered,
                sessions: lock(&self.shared.sessions).len(),
                took,
            }),
            (outcome, panic) => {
                // Sockets ask turmoil for their host when they are dropped, and there is none.
                std::mem::forget(self.sim);
                let why = panic.or(outcome.err()).unwrap_or_default();
                let planned = planned.join("\n");
                Err(format!("{why}\nplan:\n{planned}\nlog:\n{log}"))
            }
        }
    }

    fn drive(&mut self) -> Result<(usize, Duration), String> {
        loop {
            while let Some(planned) = self.plan.first_entry() {
                if planned.key().0 > self.sim.elapsed() {
                    break;
                }
                let fault = planned.remove();
                self.shared
                    .log
                    .add_at(self.sim.elapsed(), format!("* {fault}"));
                if let Fault::Crash(host) | Fault::Bounce(host) = &fault {
                    self.kill(host);
                }
                fault.apply(&mut self.sim);
            }
            self.step()?;
            let busy: Vec<_> = {
                let done = lock(&self.shared.done);
                self.awaited.difference(&done).cloned().collect()
            };
            if busy.is_empty() && self.plan.is_empty() {
                break;
            }
            if self.sim.elapsed() > DURATION_MAX {
                return Err(format!(
                    "after {DURATION_MAX:?} of virtual time still busy: {busy:?}"
                ));
            }
        }
        let took = self.sim.elapsed();
        while self.sim.elapsed() < took + REST {
            self.step()?;
        }
        for (label, session) in lock(&self.shared.sessions).iter() {
            let mut sizes = session.table_sizes();
            // A port that stayed empty may still be opened for all that the protocol knows: the
            // core forgets the oldest 256 of them by and by.
            if sizes.core.awaiting_ports <= 256 {
                sizes.core.awaiting_ports = 0;
            }
            if sizes != TableSizes::default() {
                return Err(format!("the session \"{label}\" kept entries: {sizes:?}"));
            }
        }
        for host in self.hosts.keys() {
            // Inside turmoil's world, where sockets can be dropped.
            self.kill(host);
            self.sim.crash(host.as_ref());
        }
        let answered = self.shared.book.audit()?;
        Ok((answered, took))
    }

    fn kill(&self, host: &str) {
        if let Some(life) = self.hosts.get(host) {
            lock(life).kill();
        }
    }

    fn step(&mut self) -> Result<(), String> {
        self.sim.step().map_err(|error| error.to_string())?;
        match self.panics.first() {
            Some(panic) => Err(panic),
            None => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
