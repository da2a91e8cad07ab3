//! Programs: what the processes of a world run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use rapace_session::{Limits, Service};

use crate::process::Process;
use crate::time::Nanos;

pub(crate) type Main =
    Arc<dyn Fn(Process) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;
pub(crate) type Serves = Arc<dyn Fn(&Process) -> Arc<dyn Service> + Send + Sync>;

/// What a process runs in each of its lives: the services that it offers and its main function.
///
/// Everything is made anew for each life, as a process that was killed has lost its memory.
#[derive(Clone, Default)]
pub struct Program {
    pub(crate) services: Vec<Serves>,
    pub(crate) main: Option<Main>,
    pub(crate) limits: Limits,
    pub(crate) restart: Restart,
    /// Panics whose message has one of these in it are no failure of the world.
    pub(crate) panics: Vec<String>,
}

impl Program {
    /// A program that does nothing.
    pub fn new() -> Self {
        Program::default()
    }

    /// Serves what `service` makes, at each start of the process: `|| FooServer::new(Foo)`.
    pub fn serve<S: Service>(self, service: impl Fn() -> S + Send + Sync + 'static) -> Self {
        self.serve_with(move |_| service())
    }

    /// As [`Program::serve`], for services that call other processes or want virtual time.
    pub fn serve_with<S: Service>(
        mut self,
        service: impl Fn(&Process) -> S + Send + Sync + 'static,
    ) -> Self {
        self.services
            .push(Arc::new(move |process| Arc::new(service(process))));
        self
    }

    /// What the process does by itself. A world goes on until the main functions of all its hosts
    /// have returned; those of plugins may run for ever.
    pub fn main<F>(mut self, main: impl Fn(Process) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.main = Some(Arc::new(move |process| Box::pin(main(process))));
        self
    }

    /// The limits of its sessions. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Its handlers may panic with a message that has this text in it; every text has the empty one.
    ///
    /// A handler's panic is an answer to its caller and the process goes on, but mostly it is a bug,
    /// so it fails the world unless this is said. That holds for tasks of `tokio::spawn`, too, which
    /// no empty text announces. A
    /// panic of a main function or of a task of [`Process::spawn`] fails the world always.
    pub fn may_panic(mut self, text: impl Into<String>) -> Self {
        self.panics.push(text.into());
        self
    }

    pub(crate) fn expects(&self, message: &str) -> bool {
        self.panics.iter().any(|text| message.contains(&**text))
    }

    /// As [`Program::expects`], for tasks of tokio's, of which nobody gets an answer: the empty text
    /// does not speak of them.
    pub(crate) fn expects_of_tasks(&self, message: &str) -> bool {
        let texts = self.panics.iter();
        texts
            .filter(|text| !text.is_empty())
            .any(|text| message.contains(&**text))
    }

    /// What happens after it went down, for plugins. Default: [`Restart::default`].
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("services", &self.services.len())
            .field("main", &self.main.is_some())
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}

/// What a host does after one of its plugins went down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restart {
    /// It stays down, unless the plan restarts it; calls fail with
    /// [`NotSent::Down`](rapace_session::NotSent::Down) from then on.
    Never,
    /// It is started again after a wait that doubles with each failure, and is as at first once it
    /// has been up for ten seconds.
    Backoff {
        /// The first wait.
        initial: Nanos,
        /// The longest.
        max: Nanos,
    },
}

impl Default for Restart {
    /// 10 ms, then up to 1 s.
    fn default() -> Self {
        Restart::Backoff {
            initial: Nanos::from_millis(10),
            max: Nanos::from_secs(1),
        }
    }
}

impl Restart {
    /// The wait after so many failures in a row, from 0.
    pub(crate) fn wait(self, failures: u32) -> Option<Nanos> {
        match self {
            Restart::Never => None,
            Restart::Backoff { initial, max } => {
                let wait = initial.0.saturating_mul(1 << failures.min(30));
                Some(Nanos(wait.min(max.0)))
            }
        }
    }
}
