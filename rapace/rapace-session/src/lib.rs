//! The async driver of the rapace protocol.
//!
//! | module | owns |
//! |---|---|
//! | [`session`] | [`Session`] and its builder |
//! | [`caller`], [`call`] | making calls: [`Caller`], [`Call`] |
//! | [`service`], [`context`] | serving calls: [`Service`], [`service::Request`], [`Context`] |
//! | [`method`] | methods as generated code declares them |
//! | [`ports`] | [`Streaming`] and [`Tunnel`] |
//! | [`loan`] | memory of the link for users to fill: [`LoanMut`] |
//! | [`runtime`] | the seam to time, tasks and randomness: [`Runtime`] |
//! | [`error`] | [`CallError`], [`StreamError`], [`SessionEnd`], [`BuildError`] |
//! | `shared`, `driver`, `lifecycle` | one session's state, the task that drives it, and how far it has come |
//! | `handlers`, `router`, `pace` | running handlers, finding them, and how long they take |
//! | `encode`, `introspect`, `trace` | payloads, schema questions, spans |
//! | `durations` | `500.ms()` |
//!
//! What this crate refuses to know: which transport carries the frames, how a plugin process is
//! started, and every clock but the one its [`Runtime`] hands in.
#![deny(unsafe_code)]

pub mod call;
pub mod caller;
pub mod context;
mod driver;
mod durations;
mod encode;
pub mod error;
mod handlers;
mod introspect;
mod lifecycle;
pub mod loan;
pub mod method;
mod pace;
pub mod ports;
mod router;
pub mod runtime;
pub mod service;
pub mod session;
mod shared;
mod trace;

pub use call::{Call, CallWithMetadata};
pub use caller::{Caller, Client, Reconnect};
pub use context::{Cancellation, Context};
pub use durations::Durations;
pub use error::{BuildError, CallError, NotSent, SessionEnd, StreamError};
pub use facet;
pub use introspect::introspection;
pub use loan::LoanMut;
pub use ports::{StreamClosed, StreamSender, Streaming, Tunnel};
pub use rapace_core::Metadata;
pub use rapace_core::envelope::{Code, Status};
pub use rapace_core::session::Limits;
pub use rapace_transport::Room;
#[cfg(feature = "tokio-runtime")]
pub use runtime::TokioRuntime;
pub use runtime::{Runtime, Timer};
pub use service::Service;
pub use session::{Session, SessionBuilder};
pub use shared::TableSizes;

/// What generated code uses. Not for people.
#[doc(hidden)]
pub mod codegen {
    pub use crate::call::Call;
    pub use crate::caller::{Caller, Client, client_caller};
    pub use crate::context::Context;
    pub use crate::method::{AnyMethod, Method, MethodSpec, ServiceDescriptor};
    pub use crate::service::{Handler, Request, Service};
}
