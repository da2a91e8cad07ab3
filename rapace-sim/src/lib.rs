//! The simulator of rapace.
#![forbid(unsafe_code)]

mod draw;
pub mod fault;
pub mod plan;
pub mod time;
pub mod trace;

pub use fault::{DoorbellEffect, Fault, FrameKind, Moment, What, When};
pub use plan::{Cast, CastLink, Plan};
pub use time::Nanos;
pub use trace::{Trace, TraceEvent, TraceHash};
