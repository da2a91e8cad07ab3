//! A process of a world, as its own code sees it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rapace_core::Time;
use rapace_session::{CallError, Caller, Client, NotSent, Reconnect, Runtime, Session};
use tokio::sync::{oneshot, watch};

use crate::engine::process::LifeCell;
use crate::engine::runtime::SimRuntime;
use crate::engine::tasks::TaskKind;
use crate::fault::What;
use crate::stage::{Peering, Stage, Wish};
use crate::time::Nanos;
use crate::trace::CallEnd;
use crate::trace::record::Entry;

/// One life of a process: given to its main function and to services that ask for it.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Process {
    pub(crate) stage: Arc<Stage>,
    pub(crate) life: Arc<LifeCell>,
    pub(crate) runtime: Arc<SimRuntime>,
    pub(crate) kind: TaskKind,
}

impl Process {
    pub(crate) fn new(stage: Arc<Stage>, life: Arc<LifeCell>, kind: TaskKind) -> Self {
        let runtime = Arc::new(SimRuntime::new(stage.engine.clone(), life.clone()));
        Process {
            stage,
            life,
            runtime,
            kind,
        }
    }

    fn index(&self) -> usize {
        self.life.process.index
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.stage.names[self.index()]
    }

    /// Which of its lives this is, from 1.
    pub fn life(&self) -> u32 {
        self.life.life
    }

    /// The seed of the world.
    pub fn seed(&self) -> u64 {
        self.stage.engine.seed
    }

    /// A client of a service of another process, which must be linked to this one.
    ///
    /// A host's client of a plugin survives the plugin's restarts, as
    /// [`Caller::supervised`] says: calls wait while it is down, lost calls of idempotent methods
    /// are repeated. Once it is down for good ([`Restart::Never`](crate::Restart::Never)) calls fail
    /// with [`NotSent::Down`].
    ///
    /// # Panics
    ///
    /// When there is no link between the two.
    #[track_caller]
    pub fn client<C: Client>(&self, peer: &str) -> C {
        C::from_caller(self.caller(peer))
    }

    /// The caller that [`Process::client`] makes clients from.
    ///
    /// # Panics
    ///
    /// When there is no link between the two.
    #[track_caller]
    pub fn caller(&self, peer: &str) -> Caller {
        let (link, end) = self.link(peer);
        Caller::supervised(Arc::new(Peer {
            stage: self.stage.clone(),
            runtime: self.runtime.clone(),
            link,
            end,
        }))
    }

    /// The live session with a linked process, if there is one.
    ///
    /// # Panics
    ///
    /// When there is no link between the two.
    #[track_caller]
    pub fn session(&self, peer: &str) -> Option<Session> {
        let (link, end) = self.link(peer);
        self.stage.links[link].peers[end].borrow().live().cloned()
    }

    /// Waits until there is a live session with a linked process: for ever, when nobody starts that
    /// process again. Cancel safe.
    ///
    /// # Panics
    ///
    /// When there is no link between the two.
    pub async fn connected(&self, peer: &str) -> Session {
        let (link, end) = self.link(peer);
        let mut peer = self.stage.links[link].peers[end].subscribe();
        loop {
            if let Ok(session) = met(&mut peer).await {
                return session;
            }
            // Only the plan can start it again.
            let _ = peer.changed().await;
        }
    }

    #[track_caller]
    fn link(&self, peer: &str) -> (usize, usize) {
        let index = self.stage.process(peer);
        let link = index.and_then(|peer| self.stage.link_between(self.index(), peer));
        let Some(link) = link else {
            panic!("there is no link between `{}` and `{peer}`", self.name());
        };
        let end = usize::from(self.stage.links[link].ends[1] == self.index());
        (link, end)
    }

    /// Watches a call: its beginning and its end stand in the trace, and it is counted.
    ///
    /// Cancel safe as far as `call` is; a call that is dropped is counted as dropped.
    pub async fn watch<T: fmt::Debug>(
        &self,
        label: impl Into<String>,
        call: impl IntoFuture<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let label = label.into();
        let number = self.stage.call_begins(self.index(), &label);
        let mut watched = Watched {
            stage: self.stage.clone(),
            process: self.index(),
            call: number,
            label,
            end: CallEnd::Dropped,
        };
        let result = call.await;
        watched.end = match &result {
            Ok(value) => CallEnd::Ok(brief(value)),
            Err(error) => CallEnd::Err(error.to_string()),
        };
        result
    }

    /// Writes a line into the trace.
    pub fn note(&self, text: impl Into<String>) {
        self.stage.note(Entry::Note {
            process: self.index(),
            text: text.into(),
        });
    }

    /// The virtual time by the clock of this process, from the start of the world.
    pub fn now(&self) -> Nanos {
        Nanos(self.runtime.local_now())
    }

    /// Waits for a span of virtual time, to the nanosecond; `tokio::time::sleep` works too, to the
    /// millisecond. Cancel safe.
    pub async fn sleep(&self, span: impl Into<Nanos>) {
        let mut timer = self.runtime.timer();
        timer.reset(Some(self.runtime.now() + Duration::from(span.into())));
        std::future::poll_fn(|cx| timer.poll(cx)).await;
    }

    /// A random number that depends on the seed, the process and how many it drew before.
    pub fn random(&self) -> u64 {
        self.runtime.random()
    }

    /// Runs a future beside the others of this process; it dies with it. A world goes on until what
    /// its hosts have spawned has ended.
    ///
    /// `tokio::spawn` works, too, but what it starts outlives a kill.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Joining<T> {
        let (sender, receiver) = oneshot::channel();
        let task = Box::pin(async move {
            // Nobody may be waiting for it.
            let _ = sender.send(future.await);
        });
        self.stage
            .engine
            .spawn(&self.life, self.kind, "spawned", task);
        Joining { receiver }
    }

    /// Lets something go wrong, right after this poll.
    pub fn inject(&self, what: What) {
        self.stage.wish(Wish::Fault(what));
    }

    /// Kills a process as SIGKILL does, right after this poll.
    pub fn kill(&self, process: &str) {
        self.inject(What::Kill {
            process: process.to_owned(),
        });
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({} #{})", self.name(), self.life())
    }
}

/// Waits for what [`Process::spawn`] started. Dropping it lets the task run on.
#[derive(Debug)]
pub struct Joining<T> {
    receiver: oneshot::Receiver<T>,
}

impl<T> Future for Joining<T> {
    /// `None` when the task panicked or died with its process.
    type Output = Option<T>;

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<T>> {
        Pin::new(&mut self.receiver).poll(cx).map(Result::ok)
    }
}

struct Watched {
    stage: Arc<Stage>,
    process: usize,
    call: u64,
    label: String,
    end: CallEnd,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let label = std::mem::take(&mut self.label);
        let end = std::mem::replace(&mut self.end, CallEnd::Dropped);
        self.stage.call_ends(self.process, self.call, label, end);
    }
}

/// Results longer than this many characters are cut in the trace.
const BRIEF_CHARS: usize = 60;

/// How a value looks, cut short without formatting all of it.
fn brief(value: &dyn fmt::Debug) -> String {
    struct Limited(String);
    impl fmt::Write for Limited {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let left = BRIEF_CHARS.saturating_sub(self.0.chars().count());
            self.0.extend(text.chars().take(left));
            if text.chars().count() > left {
                return Err(fmt::Error);
            }
            Ok(())
        }
    }
    let mut out = Limited(String::new());
    if fmt::write(&mut out, format_args!("{value:?}")).is_err() {
        out.0.push('…');
    }
    out.0
}

/// Waits for a session with the process at the other end, or says why there will never be one.
async fn met(peer: &mut watch::Receiver<Peering>) -> Result<Session, Arc<str>> {
    loop {
        match &*peer.borrow_and_update() {
            Peering::Up(session) if session.end().is_none() => return Ok(session.clone()),
            Peering::Down(why) => return Err(why.clone()),
            Peering::Up(_) | Peering::Awaited => {}
        }
        if peer.changed().await.is_err() {
            // The world is over; nobody polls this again.
            std::future::pending::<()>().await;
        }
    }
}

/// The process at the other end of a link, over all its lives.
struct Peer {
    stage: Arc<Stage>,
    runtime: Arc<SimRuntime>,
    link: usize,
    end: usize,
}

impl Reconnect for Peer {
    fn current(&self) -> Option<Session> {
        let peer = self.stage.links[self.link].peers[self.end].borrow();
        peer.live().cloned()
    }

    fn session(&self) -> Pin<Box<dyn Future<Output = Result<Session, CallError>> + Send>> {
        let mut peer = self.stage.links[self.link].peers[self.end].subscribe();
        Box::pin(async move {
            let met = met(&mut peer).await;
            met.map_err(|why| CallError::NotSent(NotSent::Down(why)))
        })
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        self.runtime.clone()
    }
}

impl SimRuntime {
    /// Sleeps until a time of the world.
    pub(crate) async fn until(&self, at: u64) {
        let mut timer = self.timer();
        timer.reset(Some(Time::from_nanos(at)));
        std::future::poll_fn(|cx| timer.poll(cx)).await;
    }
}
