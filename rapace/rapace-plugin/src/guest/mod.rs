//! The plugin's side: the `main` of a plugin process.
//!
//! | module | owns |
//! |---|---|
//! | `hangup` | the thread that ends the process when its host is gone |
//! | `error` | [`RunError`] |

mod error;
mod hangup;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rapace_session::{
    BuildError, CallError, Caller, Limits, NotSent, Reconnect, Runtime, Service, Session,
    SessionBuilder, SessionEnd, TokioRuntime,
};
use tokio::sync::watch;

pub use error::RunError;
use hangup::Hangup;

use crate::handover::Handover;
#[cfg(feature = "shm")]
use crate::{ShmConfig, wire::Wire};

/// How long a plugin may go on after its host hung up.
const LINGER: Duration = Duration::from_secs(1);

/// Serves `service` to the host that started this process, until the host closes the link: all
/// that the `main` of a plugin needs.
///
/// Must be called in a tokio runtime with I/O and time enabled. Dropping the future closes the
/// link.
///
/// Ends with `Ok` when the host has closed the link, in good order or by dying. When the process
/// then does not end by itself within a second, because a handler is busy, it is ended with exit
/// code 1: see [`PluginBuilder::linger`].
///
/// # Errors
///
/// [`RunError::NotStartedByHost`] when the program was started by hand; the others say what went
/// wrong with the link.
pub async fn run(service: impl Service) -> Result<(), RunError> {
    builder().serve(service).run().await
}

/// Like [`run`], for a service that calls back into its host: `make` gets the caller to do so.
///
/// Calls wait until the link is ready. The caller does not keep the link open.
pub async fn run_with<S: Service>(make: impl FnOnce(Caller) -> S) -> Result<(), RunError> {
    builder().serve_with(make).run().await
}

/// For plugins that serve several services or change defaults.
pub fn builder() -> PluginBuilder {
    PluginBuilder::default()
}

/// Whether this process was started as a plugin, for programs that are host and plugin in one.
///
/// Also true in children of a plugin; [`run`] tells the difference.
pub fn started_by_host() -> bool {
    Handover::is_set()
}

/// Builds the plugin's side of the session; see [`builder`].
#[must_use = "a plugin does nothing before `run`"]
pub struct PluginBuilder {
    session: SessionBuilder,
    host: Arc<Host>,
    linger: Duration,
    #[cfg(feature = "shm")]
    shm: ShmConfig,
}

impl Default for PluginBuilder {
    fn default() -> Self {
        PluginBuilder {
            session: Session::builder(),
            host: Arc::new(Host {
                link: watch::Sender::new(Link::Starting),
                runtime: OnceLock::new(),
            }),
            linger: LINGER,
            #[cfg(feature = "shm")]
            shm: ShmConfig::default(),
        }
    }
}

impl PluginBuilder {
    /// Serves `service` to the host, beside those given before.
    pub fn serve(mut self, service: impl Service) -> Self {
        self.session = self.session.serve(service);
        self
    }

    /// Serves what `make` makes of the caller that leads back to the host.
    pub fn serve_with<S: Service>(self, make: impl FnOnce(Caller) -> S) -> Self {
        let service = make(self.host());
        self.serve(service)
    }

    /// The caller that leads back to the host. Calls wait until the link is ready, and fail with
    /// [`NotSent::Down`] once it is over. The caller does not keep the link open.
    ///
    /// Its calls must be polled in the tokio runtime that [`PluginBuilder::run`] runs in; before
    /// that runs, a call with a deadline panics outside of tokio.
    pub fn host(&self) -> Caller {
        Caller::supervised(self.host.clone())
    }

    /// The name that this plugin gives itself towards the host. Default: none.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.session = self.session.name(name);
        self
    }

    /// Bounds of everything that can grow. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.session = self.session.limits(limits);
        self
    }

    /// How long the process may go on after the host hung up, before it is ended with exit code 1
    /// whatever it does. Default: 1 s. Raise it for a plugin that has to save something.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// The plugin's own lane, where the link is one over shared memory. Default:
    /// [`ShmConfig::default`].
    #[cfg(feature = "shm")]
    pub fn shm(mut self, config: ShmConfig) -> Self {
        self.shm = config;
        self
    }

    /// Serves until the host closes the link; see [`run`].
    ///
    /// # Errors
    ///
    /// See [`run`].
    pub async fn run(self) -> Result<(), RunError> {
        let PluginBuilder {
            session,
            host,
            linger,
            #[cfg(feature = "shm")]
            shm,
        } = self;
        let current = TokioRuntime::current().ok_or(RunError::Build(BuildError::NoRuntime))?;
        let runtime = host.runtime.get_or_init(|| Arc::new(current)).clone();
        let (wire, socket) = Handover::take()?;
        let hangup = Hangup::watch(&socket, linger).map_err(|error| RunError::Io(error.into()))?;
        #[cfg(feature = "shm")]
        let wire = match wire {
            Wire::Shm(_) => Wire::Shm(shm),
            other => other,
        };
        let transport = wire
            .accept(socket)
            .await
            .map_err(|error| RunError::Io(error.into()))?;
        let session = session
            .runtime(runtime)
            .accept(transport)
            .map_err(RunError::Build)?;
        let ended = HostEnded(host.clone());

        match session.ready().await {
            // A life can be so short that it is over, in good order, before this task looks.
            Ok(()) | Err(SessionEnd::Peer(None) | SessionEnd::Drained) => {}
            Err(end) => return Err(RunError::NotReady(end)),
        }
        host.link.send_replace(Link::Up(session.clone()));
        let end = session.closed().await;
        drop(ended);
        match end {
            // The host closing its end is how every plugin ends.
            SessionEnd::Peer(None) | SessionEnd::Drained | SessionEnd::PeerDied(_) => {
                hangup.end_process_when_due();
                Ok(())
            }
            SessionEnd::Local => Ok(()),
            end => Err(RunError::Ended(end)),
        }
    }
}

/// The way back to the host, for services that are made before there is a link.
struct Host {
    link: watch::Sender<Link>,
    /// The clock of the session, and of calls that wait for it: they must be one and the same.
    runtime: OnceLock<Arc<dyn Runtime>>,
}

#[derive(Clone)]
enum Link {
    Starting,
    Up(Session),
    Over,
}

/// Lets go of the session, however `run` ends: services hold on to the caller and with it to the
/// session.
struct HostEnded(Arc<Host>);

impl Drop for HostEnded {
    fn drop(&mut self) {
        self.0.link.send_replace(Link::Over);
    }
}

impl Reconnect for Host {
    fn current(&self) -> Option<Session> {
        match &*self.link.borrow() {
            Link::Up(session) => Some(session.clone()),
            Link::Starting | Link::Over => None,
        }
    }

    fn session(&self) -> Pin<Box<dyn Future<Output = Result<Session, CallError>> + Send>> {
        let mut link = self.link.subscribe();
        Box::pin(async move {
            let settled = link.wait_for(|link| !matches!(link, Link::Starting)).await;
            match settled.as_deref() {
                Ok(Link::Up(session)) if session.end().is_none() => Ok(session.clone()),
                _ => Err(CallError::NotSent(NotSent::Down("the host is gone".into()))),
            }
        })
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        let runtime = self.runtime.get_or_init(|| {
            // Somebody polls a call, with a deadline, before `run` was polled.
            let current = TokioRuntime::current();
            Arc::new(current.expect("calls to the host are made in a tokio runtime"))
        });
        runtime.clone()
    }

    fn retries_max(&self) -> u32 {
        0
    }
}
