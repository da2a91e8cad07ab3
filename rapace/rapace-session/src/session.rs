//! Sessions: built, ready, in use, closed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rapace_core::session::{Config, Features, Limits, Role, Session as Core};
use rapace_transport::Transport;

use crate::caller::{Caller, Client};
use crate::driver::Driver;
use crate::error::{BuildError, SessionEnd};
use crate::introspect::Introspect;
use crate::lifecycle::Stage;
use crate::router::Router;
use crate::runtime::Runtime;
use crate::service::Service;
use crate::shared::{Shared, TableSizes};

/// The handshake timeout may not be longer (\[hello.fail\]).
const HANDSHAKE_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// One live connection to a peer. Both sides can serve and call at once.
///
/// Cheap to clone. When the last `Session`, [`Caller`], client and stream of it is dropped, the
/// session drains: calls that are being served are answered, then the link closes.
#[derive(Clone)]
pub struct Session {
    handle: Arc<Handle>,
}

/// What all clones of a session, and everything made from it, hold on to.
pub(crate) struct Handle {
    shared: Arc<Shared>,
    /// Whether the session ends with it.
    owner: bool,
}

impl Handle {
    /// For those who still hold a session that is ending: it does not keep it.
    pub(crate) fn detached(shared: Arc<Shared>) -> Self {
        Handle {
            shared,
            owner: false,
        }
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.owner {
            self.shared.drain("all handles dropped");
        }
    }
}

impl Session {
    /// Starts a builder.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// Waits until both sides have said Hello. A session that is ready answers calls.
    ///
    /// Calls may be made before: they wait for the same moment. Cancel safe.
    ///
    /// # Errors
    ///
    /// Why the session will never be ready, or is over.
    pub async fn ready(&self) -> Result<(), SessionEnd> {
        self.handle.shared.ready().await
    }

    /// Ends the session in good order: no new calls, calls under way are finished (at most
    /// [`Limits::grace`] long), then the link is closed (\[goaway\]). Cancel safe; the session goes
    /// on closing.
    pub async fn close(&self) -> SessionEnd {
        self.handle.shared.drain("");
        self.closed().await
    }

    /// Ends the session now. Calls and streams under way fail on both sides.
    pub fn abort(&self) {
        self.handle.shared.abort("");
    }

    /// Waits until the session is over and says why. Cancel safe.
    pub async fn closed(&self) -> SessionEnd {
        self.handle.shared.closed().await
    }

    /// Why the session is over; `None` while it lives.
    pub fn end(&self) -> Option<SessionEnd> {
        self.handle.shared.end()
    }

    /// The caller that clients are made from.
    pub fn caller(&self) -> Caller {
        Caller::to_shared(&self.handle.shared)
    }

    /// A client of the peer's service: `session.client::<FooClient>()`.
    pub fn client<C: Client>(&self) -> C {
        C::from_caller(self.caller())
    }

    /// The name that the peer gave itself; `None` before the handshake or when it gave none.
    pub fn peer_name(&self) -> Option<String> {
        self.handle
            .shared
            .lock()
            .core
            .peer()
            .and_then(|peer| peer.name.clone())
    }

    /// The number that tells this life of the peer's process from its earlier ones
    /// (`rapace.epoch`); `None` before the handshake or when it gave none.
    pub fn peer_epoch(&self) -> Option<u64> {
        self.handle
            .shared
            .lock()
            .core
            .peer()
            .and_then(|peer| peer.epoch)
    }

    /// How many entries the session's tables hold: for tests that look for leaks.
    pub fn table_sizes(&self) -> TableSizes {
        self.handle.shared.lock().table_sizes()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stage = self.handle.shared.lifecycle.stage().clone();
        write!(f, "Session({}, {stage:?})", self.handle.shared.info.kind)
    }
}

impl From<&Session> for Caller {
    fn from(session: &Session) -> Self {
        session.caller()
    }
}

impl Shared {
    pub(crate) async fn ready(&self) -> Result<(), SessionEnd> {
        let reached = self.lifecycle.reach(|stage| match stage {
            Stage::Connecting => None,
            Stage::Ready => Some(Ok(())),
            Stage::Ended(end) => Some(Err(end.clone())),
        });
        reached.await
    }

    pub(crate) async fn closed(&self) -> SessionEnd {
        let reached = self.lifecycle.reach(|stage| match stage {
            Stage::Connecting | Stage::Ready => None,
            Stage::Ended(end) => Some(end.clone()),
        });
        reached.await
    }
}

/// Builds a [`Session`]: what it serves, its limits, its runtime.
#[derive(Default)]
pub struct SessionBuilder {
    services: Vec<Arc<dyn Service>>,
    limits: Limits,
    name: Option<String>,
    epoch: Option<u64>,
    runtime: Option<Arc<dyn Runtime>>,
}

impl SessionBuilder {
    /// Serves `service` to the peer, beside those given before.
    pub fn serve(mut self, service: impl Service) -> Self {
        self.services.push(Arc::new(service));
        self
    }

    /// Serves a service that other sessions serve too.
    pub fn serve_shared(mut self, service: Arc<dyn Service>) -> Self {
        self.services.push(service);
        self
    }

    /// Bounds of everything that can grow. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long the peer may take to say Hello. Default: 10 s; at most 30 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.limits.handshake_timeout = timeout;
        self
    }

    /// The name that this side gives itself in its Hello (`rapace.peer-name`). Default: none.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The number that tells this life of the process from earlier ones. Default: random.
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Time, tasks and randomness. Default: the tokio runtime that is current.
    pub fn runtime(mut self, runtime: Arc<dyn Runtime>) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Starts the session as the initiator: the side that dialled, or the host of a plugin.
    ///
    /// Returns at once; [`Session::ready`] tells when the peer has answered.
    ///
    /// # Errors
    ///
    /// When the services cannot be served: see [`BuildError`].
    pub fn connect(self, transport: impl Transport) -> Result<Session, BuildError> {
        self.start(Role::Initiator, Box::new(transport))
    }

    /// Starts the session as the acceptor: the side that listened, or the plugin.
    ///
    /// # Errors
    ///
    /// As [`SessionBuilder::connect`].
    pub fn accept(self, transport: impl Transport) -> Result<Session, BuildError> {
        self.start(Role::Acceptor, Box::new(transport))
    }

    fn start(self, role: Role, transport: Box<dyn Transport>) -> Result<Session, BuildError> {
        if self.limits.handshake_timeout > HANDSHAKE_TIMEOUT_MAX {
            return Err(BuildError::HandshakeTimeout(self.limits.handshake_timeout));
        }
        let runtime = match self.runtime {
            Some(runtime) => runtime,
            None => current_runtime()?,
        };
        let mut router = Router::default();
        for service in &self.services {
            router.add(service.clone())?;
        }
        router.add(Arc::new(Introspect::new(&self.services)))?;

        let info = transport.info();
        let mut limits = self.limits;
        limits.max_payload_size = limits.max_payload_size.min(info.payload_bytes_max);
        let config = Config {
            role,
            limits,
            deadline_form: info.deadline,
            epoch: self.epoch.unwrap_or_else(|| runtime.random()),
            peer_name: self.name,
            methods: Arc::new(router.table()),
            features: Features::all(),
        };
        let core = Core::new(config, runtime.now());
        let lender = transport.lender();
        let (sink, source) = transport.split();
        let shared = Shared::new(core, sink, info, lender, router, runtime);
        let shared = Arc::new(shared);
        let handle = Arc::new(Handle {
            shared: shared.clone(),
            owner: true,
        });
        let weak: Weak<Handle> = Arc::downgrade(&handle);
        // Fresh above, so it cannot have been set.
        let _ = shared.handle.set(weak);
        let driver = Driver::new(shared.clone(), source);
        shared.runtime.spawn(Box::pin(driver));
        Ok(Session { handle })
    }
}

#[cfg(feature = "tokio-runtime")]
fn current_runtime() -> Result<Arc<dyn Runtime>, BuildError> {
    match crate::runtime::TokioRuntime::current() {
        Some(runtime) => Ok(Arc::new(runtime)),
        None => Err(BuildError::NoRuntime),
    }
}

#[cfg(not(feature = "tokio-runtime"))]
fn current_runtime() -> Result<Arc<dyn Runtime>, BuildError> {
    Err(BuildError::NoRuntime)
}
