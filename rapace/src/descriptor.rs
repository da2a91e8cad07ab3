//! Services as values: what is known of them at run time, and how a request reaches them.
//!
//! [`crate::Client::descriptor`] and [`crate::Service::descriptor`] lead here. Programs that only
//! declare, serve and call services need none of it.

pub use rapace_session::method::{AnyMethod, MethodInfo, MethodSpec, ServiceDescriptor};
pub use rapace_session::service::{Handler, Request};
