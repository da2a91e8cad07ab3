//! The simulator of rapace.
#![forbid(unsafe_code)]

mod draw;
mod engine;
pub mod fault;
pub mod html;
pub mod link;
mod lives;
mod marks;
mod panics;
mod pipe;
pub mod plan;
pub mod process;
pub mod program;
pub mod report;
mod run;
pub mod scenario;
pub mod shm;
pub mod shrink;
mod stage;
pub mod standard;
pub mod sweep;
mod tap;
pub mod time;
pub mod trace;
pub mod world;

pub use fault::{DoorbellEffect, Fault, FrameKind, Moment, What, When};
pub use link::{LinkConfig, LinkKind};
pub use marks::mark;
pub use plan::{Cast, CastLink, Plan};
pub use process::Process;
pub use program::{Program, Restart};
pub use report::{Failure, Oracle, Report};
pub use shrink::{Shrunk, shrink};
pub use sweep::{Sweep, SweepReport, sweep};
pub use time::Nanos;
pub use trace::{Trace, TraceEvent, TraceHash};
pub use world::{World, WorldBuilder};
