//! Callers: what clients call through.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use facet::Facet;

use crate::call::Call;
use crate::error::CallError;
use crate::method::{Method, ServiceDescriptor};
use crate::runtime::Runtime;
use crate::session::{Handle, Session};
use crate::shared::Shared;

/// Makes calls to one peer. Cheap to clone; not generic over the transport.
#[derive(Clone)]
pub struct Caller {
    target: Target,
}

#[derive(Clone)]
enum Target {
    Session(Link),
    Supervised(Arc<dyn Reconnect>),
}

/// A session and, unless it is ending already, the right to keep it open.
#[derive(Clone)]
pub(crate) struct Link {
    handle: Arc<Handle>,
}

impl Link {
    pub(crate) fn to(shared: &Arc<Shared>) -> Self {
        let handle = shared.handle.get().and_then(std::sync::Weak::upgrade);
        Link {
            handle: handle.unwrap_or_else(|| Arc::new(Handle::detached(shared.clone()))),
        }
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.handle.shared()
    }
}

/// Where a call finds its session.
pub(crate) enum Found {
    Now(Link),
    Later(Pin<Box<dyn Future<Output = Result<Session, CallError>> + Send>>),
}

/// A peer that can come back: the session of a plugin that is restarted.
pub trait Reconnect: Send + Sync + 'static {
    /// The live session, if there is one.
    fn current(&self) -> Option<Session>;

    /// Waits for a live session, or fails: at once when the handle is set to fail fast, else when
    /// there will never be one again.
    fn session(&self) -> Pin<Box<dyn Future<Output = Result<Session, CallError>> + Send>>;

    /// The clock for deadlines of calls that wait for a session.
    fn runtime(&self) -> Arc<dyn Runtime>;

    /// How often a lost call of an idempotent method is repeated. Default: 3 times.
    fn retries_max(&self) -> u32 {
        3
    }
}

impl Caller {
    pub(crate) fn to_shared(shared: &Arc<Shared>) -> Self {
        Caller {
            target: Target::Session(Link::to(shared)),
        }
    }

    /// A caller that survives restarts of its peer. Calls go to whatever session is live; lost
    /// calls are repeated if the request certainly was not processed or the method is marked
    /// `#[rapace(idempotent)]`.
    pub fn supervised(peer: Arc<dyn Reconnect>) -> Self {
        Caller {
            target: Target::Supervised(peer),
        }
    }

    /// A call of `method`; nothing happens before it is polled. Generated clients use this.
    #[inline]
    pub fn call<A, R>(&self, method: &'static Method<A, R>, args: A) -> Call<A, R>
    where
        A: Facet<'static>,
        R: Facet<'static>,
    {
        Call::new(self.clone(), method, args)
    }

    pub(crate) fn find(&self) -> Found {
        match &self.target {
            Target::Session(link) => Found::Now(link.clone()),
            Target::Supervised(peer) => match peer.current() {
                Some(session) if session.end().is_none() => Found::Now(Link::to(session.shared())),
                _ => Found::Later(peer.session()),
            },
        }
    }

    pub(crate) fn runtime(&self) -> Arc<dyn Runtime> {
        match &self.target {
            Target::Session(link) => link.shared().runtime.clone(),
            Target::Supervised(peer) => peer.runtime(),
        }
    }

    /// How often a lost call may be repeated; none when nobody brings the peer back.
    pub(crate) fn retries_max(&self) -> u32 {
        match &self.target {
            Target::Session(_) => 0,
            Target::Supervised(peer) => peer.retries_max(),
        }
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.target {
            Target::Session(link) => write!(f, "Caller({})", link.shared().info.kind),
            Target::Supervised(_) => f.write_str("Caller(supervised)"),
        }
    }
}

impl From<&Caller> for Caller {
    fn from(caller: &Caller) -> Self {
        caller.clone()
    }
}

/// A generated client.
pub trait Client: Sized {
    /// A client that calls through `caller`.
    fn from_caller(caller: Caller) -> Self;
    /// What it calls through.
    fn caller(&self) -> &Caller;
    /// The service that it is a client of.
    fn descriptor() -> &'static ServiceDescriptor;
}

/// What generated clients do when they are made: check the types once, not at the first call.
///
/// # Panics
///
/// When the service uses a type that the wire cannot carry. This depends on the service's
/// declaration alone, so whoever makes the client once has tested it.
#[track_caller]
pub fn client_caller(caller: Caller, descriptor: &'static ServiceDescriptor) -> Caller {
    if let Err(error) = descriptor.check() {
        panic!("{error}");
    }
    caller
}
