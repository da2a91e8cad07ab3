//! Callers: what clients call through.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use facet::Facet;
use rapace_transport::Room;

use crate::call::{Call, EncodedCall};
use crate::error::CallError;
use crate::loan::{self, LoanMut};
use crate::method::{AnyMethod, Method, ServiceDescriptor};
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

    /// A call of a method that is known by its schema only: `request` is its arguments as
    /// [`MethodSchema::json_to_request`](rapace_codec::MethodSchema::json_to_request) encodes them,
    /// and it resolves to the encoded return value. In both, streams and tunnels are port numbers:
    /// see [`EncodedCall::port`] and [`EncodedReply::port`](crate::call::EncodedReply::port).
    pub fn call_encoded(&self, method: &'static dyn AnyMethod, request: Bytes) -> EncodedCall {
        EncodedCall::new(self.clone(), method, request)
    }

    /// Memory of the link for `len` bytes of payload, with room around it for an envelope and a
    /// method's other, small fields (128 bytes before it, 64 behind it). See [`LoanMut`].
    ///
    /// What stands in it at first is unspecified. Waits while the link's memory is used up: it
    /// comes back as the peer is done with what it was sent. Who holds loans while waiting for
    /// more can wait for ever. On a link that does not lend it is memory of the heap, at once.
    ///
    /// A loan serves the session that lent it. A supervised caller waits for a live session; bytes
    /// that then travel on the next one are copied there.
    ///
    /// Cancel safe: a dropped `loan` has taken nothing.
    ///
    /// # Errors
    ///
    /// [`CallError::TooLarge`] when the link never lends so much at once;
    /// [`CallError::NotSent`] when the session is over, or when the system refuses the memory for too
    /// long.
    pub async fn loan(&self, len: usize) -> Result<LoanMut, CallError> {
        self.loan_with_room(loan::roomy(len)).await
    }

    /// As [`Caller::loan`], with room for fields that stand before or behind the bytes and are
    /// longer, or with less of it. What does not fit there makes the link copy the bytes.
    ///
    /// # Errors
    ///
    /// As for [`Caller::loan`].
    pub async fn loan_with_room(&self, room: Room) -> Result<LoanMut, CallError> {
        let link = match self.find() {
            Found::Now(link) => link,
            Found::Later(session) => Link::to(session.await?.shared()),
        };
        LoanMut::of(link.shared(), room).await
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
