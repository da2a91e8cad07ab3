//! A world: nodes that are killed, restarted, paused and cut off, and what must hold after it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use madsim::net::NetSim;
use madsim::runtime::Handle;
use madsim::task::NodeId;
use rapace_session::{Session, TableSizes};
use tokio::time::sleep;

use crate::book::Book;
use crate::host::Host;
use crate::log::Log;
use crate::plugin::Plugin;
use crate::socket::Life;

/// How long a world may take, in virtual time, before whatever still runs counts as hanging.
const DURATION_MAX: Duration = Duration::from_mins(5);
/// How long a world runs on after its last host is done. A link that was cut off tries again for up
/// to ten seconds.
const REST: Duration = Duration::from_secs(15);

/// What the nodes of a world share with it and with its oracles.
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

struct Node {
    id: NodeId,
    life: Arc<Mutex<Arc<Life>>>,
    awaited: bool,
}

/// One run. Its methods are called from the main task of the simulation, which no fault hits.
pub struct World {
    handle: Handle,
    net: Arc<NetSim>,
    shared: Arc<Shared>,
    nodes: BTreeMap<Arc<str>, Node>,
}

/// What a run was like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Every event, one per line.
    pub log: String,
    /// How many calls of the book were answered.
    pub answered: usize,
}

impl World {
    /// A world in the simulation that runs here; its random draws come from that one's seed.
    pub fn new() -> Self {
        let handle = Handle::current();
        World {
            net: NetSim::current(),
            shared: Arc::new(Shared {
                seed: handle.seed(),
                log: Log::default(),
                book: Arc::default(),
                sessions: Mutex::default(),
                done: Mutex::default(),
            }),
            nodes: BTreeMap::new(),
            handle,
        }
    }

    /// Random numbers for the plan of faults.
    pub fn rng(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.shared.seed)
    }

    /// Adds a plugin: it listens from the start, and again after each restart.
    pub fn plugin(&mut self, name: &str, plugin: Plugin) {
        self.add(name, false, move |host| {
            let plugin = plugin.clone();
            async move {
                if let Err(error) = plugin.run(host).await {
                    panic!("a plugin cannot listen: {error}");
                }
            }
        });
    }

    /// Adds a host that runs `body`; [`World::finish`] waits until it has come to its end.
    pub fn host<F, Fut>(&mut self, name: &str, body: F)
    where
        F: Fn(Host) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        self.add(name, true, body);
    }

    fn add<F, Fut>(&mut self, name: &str, awaited: bool, body: F)
    where
        F: Fn(Host) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let name: Arc<str> = name.into();
        let ip = IpAddr::from(Ipv4Addr::new(10, 0, 0, 1 + self.nodes.len() as u8));
        self.net.add_dns_record(&name, ip);
        let (shared, lives) = (self.shared.clone(), AtomicU64::new(0));
        let life: Arc<Mutex<Arc<Life>>> = Arc::default();
        let (host_name, host_life) = (name.clone(), life.clone());
        let init = move || {
            let process = Arc::new(Life::default());
            *lock(&host_life) = process.clone();
            let (shared, name) = (shared.clone(), host_name.clone());
            let body = body(Host {
                shared: shared.clone(),
                name: name.clone(),
                life: 1 + lives.fetch_add(1, Ordering::Relaxed),
                process,
            });
            async move {
                body.await;
                lock(&shared.done).insert(name);
                // A node whose first task has ended exits, with its drivers.
                std::future::pending::<()>().await;
            }
        };
        let node = self
            .handle
            .create_node()
            .name(&*name)
            .ip(ip)
            .init(init)
            .build();
        let id = node.id();
        self.nodes.insert(name, Node { id, life, awaited });
    }

    /// Kills a node: it says nothing more, and its connections end.
    pub fn kill(&self, name: &str) {
        self.note(format!("kill {name}"));
        lock(&self.node(name).life).kill();
        self.handle.kill(self.node(name).id);
    }

    /// Starts a node again from nothing; kills it first if it lives.
    pub fn restart(&self, name: &str) {
        self.note(format!("restart {name}"));
        lock(&self.node(name).life).kill();
        self.handle.kill(self.node(name).id);
        self.handle.restart(self.node(name).id);
    }

    /// Stops a node's tasks where they are.
    pub fn pause(&self, name: &str) {
        self.note(format!("pause {name}"));
        self.handle.pause(self.node(name).id);
    }

    /// Lets a paused node go on.
    pub fn resume(&self, name: &str) {
        self.note(format!("resume {name}"));
        self.handle.resume(self.node(name).id);
    }

    /// Cuts the link between two nodes; what is sent waits.
    pub fn clog(&self, a: &str, b: &str) {
        self.note(format!("clog {a} - {b}"));
        self.net.clog_link(self.node(a).id, self.node(b).id);
        self.net.clog_link(self.node(b).id, self.node(a).id);
    }

    /// Mends the link. Messages that wait pass at their next try, up to ten seconds later.
    pub fn unclog(&self, a: &str, b: &str) {
        self.note(format!("unclog {a} - {b}"));
        self.net.unclog_link(self.node(a).id, self.node(b).id);
        self.net.unclog_link(self.node(b).id, self.node(a).id);
    }

    /// Waits until all hosts are done and the world has come to rest, and checks what must hold in
    /// every world: no host hangs, the book's accounts fit, and every session's tables are empty.
    ///
    /// # Panics
    ///
    /// When one of these does not hold, with the log.
    pub async fn finish(self) -> Report {
        loop {
            let busy: Vec<&str> = {
                let done = lock(&self.shared.done);
                let hosts = self.nodes.iter().filter(|(_, node)| node.awaited);
                hosts
                    .filter_map(|(name, _)| (!done.contains(name)).then_some(&**name))
                    .collect()
            };
            if busy.is_empty() {
                break;
            }
            if crate::net::now() > DURATION_MAX {
                self.fail(&format!(
                    "after {DURATION_MAX:?} of virtual time still busy: {busy:?}"
                ));
            }
            sleep(Duration::from_millis(50)).await;
        }
        sleep(REST).await;
        for (label, session) in lock(&self.shared.sessions).iter() {
            let mut sizes = session.table_sizes();
            // The core forgets ports that stayed empty by and by: it keeps up to 256.
            if sizes.core.awaiting_ports <= 256 {
                sizes.core.awaiting_ports = 0;
            }
            if sizes != TableSizes::default() {
                self.fail(&format!("the session \"{label}\" kept entries: {sizes:?}"));
            }
        }
        for node in self.nodes.values() {
            lock(&node.life).kill();
            self.handle.kill(node.id);
        }
        // The tasks are dropped here, inside of the simulation.
        sleep(Duration::from_millis(1)).await;
        match self.shared.book.audit() {
            Ok(answered) => Report {
                log: self.shared.log.text(),
                answered,
            },
            Err(why) => self.fail(&why),
        }
    }

    fn fail(&self, why: &str) -> ! {
        panic!("{why}\nlog:\n{}", self.shared.log.text());
    }

    fn note(&self, fault: String) {
        self.shared.log.add(format!("* {fault}"));
    }

    fn node(&self, name: &str) -> &Node {
        match self.nodes.get(name) {
            Some(node) => node,
            None => panic!("there is no node `{name}`"),
        }
    }
}

impl Default for World {
    fn default() -> Self {
        World::new()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
