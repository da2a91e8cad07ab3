//! What a handler can know of the call it serves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rapace_core::{Metadata, Time};
use rapace_transport::Room;

use crate::caller::Caller;
use crate::error::CallError;
use crate::handlers::HandlerControl;
use crate::loan::{self, LoanMut};
use crate::service::Responder;

/// The circumstances of one incoming call: who asks, with what metadata, until when.
///
/// A service method that wants it takes `cx: &Context` right after `&self`. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    responder: Responder,
    metadata: Metadata,
    deadline: Option<Time>,
    trailers: Mutex<Metadata>,
    /// The handler has returned.
    answered: AtomicBool,
}

impl Context {
    pub(crate) fn new(responder: &Responder, metadata: Metadata, deadline: Option<Time>) -> Self {
        let responder = responder.clone();
        let trailers = Mutex::new(Metadata::default());
        Context {
            inner: Arc::new(Inner {
                responder,
                metadata,
                deadline,
                trailers,
                answered: AtomicBool::new(false),
            }),
        }
    }

    /// The name that the peer gave itself in its Hello (`rapace.peer-name`).
    pub fn peer_name(&self) -> Option<String> {
        let state = self.inner.responder.shared.lock();
        state.core.peer().and_then(|peer| peer.name.clone())
    }

    /// The value that the caller sent under `key`.
    pub fn metadata(&self, key: &str) -> Option<&Bytes> {
        self.inner.metadata.get(key)
    }

    /// All that the caller sent along.
    pub fn all_metadata(&self) -> &Metadata {
        &self.inner.metadata
    }

    /// The time left until the caller's deadline; `None` when it set none.
    pub fn time_left(&self) -> Option<Duration> {
        let now = self.inner.responder.shared.runtime.now();
        self.inner.deadline.map(|deadline| deadline.since(now))
    }

    /// A token that tells when the call was cancelled: by the caller, by its deadline, or because
    /// the link was lost. The handler itself is dropped then; the token is for work that it
    /// handed to others.
    pub fn cancellation(&self) -> Cancellation {
        let responder = &self.inner.responder;
        let mut state = responder.shared.lock();
        if let Some(control) = state.handlers.get(&responder.call) {
            let control = control.clone();
            return Cancellation { control };
        }
        if state.core.is_call_live(responder.call) {
            let control = state.handlers.entry(responder.call).or_default().clone();
            return Cancellation { control };
        }
        drop(state);
        // The call is over, and its entry in the table with it.
        let control = Arc::new(HandlerControl::default());
        if !self.inner.answered.load(Ordering::Acquire) {
            control.abort();
        }
        Cancellation { control }
    }

    /// A caller to the peer, for calling back in the middle of serving.
    pub fn caller(&self) -> Caller {
        Caller::to_shared(&self.inner.responder.shared)
    }

    /// Memory of the link for `len` bytes of the response, or of a stream or tunnel. See
    /// [`Caller::loan`], which also says when it waits.
    ///
    /// Cancel safe: a dropped `loan` has taken nothing.
    ///
    /// # Errors
    ///
    /// As for [`Caller::loan`].
    pub async fn loan(&self, len: usize) -> Result<LoanMut, CallError> {
        self.loan_with_room(loan::roomy(len)).await
    }

    /// As [`Caller::loan_with_room`].
    ///
    /// # Errors
    ///
    /// As for [`Caller::loan`].
    pub async fn loan_with_room(&self, room: Room) -> Result<LoanMut, CallError> {
        LoanMut::of(&self.inner.responder.shared, room).await
    }

    /// Sends `value` under `key` along with the response.
    ///
    /// # Errors
    ///
    /// When the entry breaks a limit of \[ctl.small\].
    pub fn set_trailer(
        &self,
        key: impl Into<String>,
        value: impl Into<Bytes>,
    ) -> Result<(), rapace_core::metadata::BadMetadata> {
        let mut trailers = self
            .inner
            .trailers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        trailers.insert(key.into(), value.into())
    }

    /// What to send along with the response, which is about to be sent.
    pub(crate) fn take_trailers(&self) -> Metadata {
        self.inner.answered.store(true, Ordering::Release);
        std::mem::take(
            &mut self
                .inner
                .trailers
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("metadata", &self.inner.metadata)
            .field("time_left", &self.time_left())
            .finish()
    }
}

/// Tells when a call was cancelled. Cheap to clone.
#[derive(Clone)]
pub struct Cancellation {
    control: Arc<HandlerControl>,
}

impl Cancellation {
    /// Whether the call was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.control.is_aborted()
    }

    /// Resolves when the call is cancelled; never, when it ends with a response.
    ///
    /// Cancel safe.
    pub async fn cancelled(&self) {
        self.control.aborted().await;
    }
}

impl std::fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cancellation({})", self.is_cancelled())
    }
}
