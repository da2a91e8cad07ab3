//! The simulator of rapace: whole worlds of hosts and plugins, in virtual time, replayed from a seed.
//!
//! A world's processes run the shipping session driver, the shipping transports, generated clients
//! and your own handlers; nothing is mocked. What goes wrong is data ([`Plan`]), every run checks
//! itself ([`Oracle`]), and the same seed always gives the same run.
//!
//! ```
//! use bytes::Bytes;
//! use rapace_session::CallError;
//! use rapace_sim::{FrameKind, Moment, Program, What, When, World};
//!
//! #[rapace_macros::service(crate = "rapace_session")]
//! pub trait Thumbnails {
//!     /// Every pixel whose place is a multiple of `factor`.
//!     #[rapace(idempotent)]
//!     async fn shrink(&self, pixels: Bytes, factor: u32) -> Bytes;
//! }
//!
//! struct Nearest;
//!
//! impl Thumbnails for Nearest {
//!     async fn shrink(&self, pixels: Bytes, factor: u32) -> Bytes {
//!         pixels.iter().step_by(factor as usize).copied().collect()
//!     }
//! }
//!
//! let report = World::builder()
//!     .seed(7)
//!     .host("site", Program::new().main(|site| async move {
//!         let images: ThumbnailsClient = site.client("images");
//!         // The first answer never leaves the plugin; the call is made again in its next life.
//!         let small = site.watch("shrink", images.shrink(vec![7; 100].into(), 10)).await;
//!         assert_eq!(small.expect("repeated").len(), 10);
//!     }))
//!     .plugin("images", Program::new().serve(|| ThumbnailsServer::new(Nearest)))
//!     .fault(
//!         When::Frame {
//!             from: "images".into(),
//!             kind: FrameKind::Response,
//!             n: 1,
//!             moment: Moment::Before,
//!         },
//!         What::Kill { process: "images".into() },
//!     )
//!     .run();
//! report.check();
//! # let _: Option<CallError> = None;
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`world`], [`program`], [`process`] | describing a world, and what its processes can do in it |
//! | [`link`] | the links between them |
//! | [`plan`], [`fault`] | what goes wrong, as data: from a seed, a file, any bytes |
//! | [`report`], [`trace`] | what came of a run |
//! | [`mod@sweep`], [`mod@shrink`] | many seeds; from a failing plan to the faults that matter, as simple as they can be |
//! | [`harness`], [`snapshot`] | worlds as tests: [`macro@test`], [`assert_trace_snapshot!`], [`sometimes!`] |
//! | [`standard`] | the standard mixed world of a seed |
//! | `engine` | the executor: tasks in seeded order, events, virtual time |
//! | `pipe`, `tap`, `oracle` | simulated sockets; the transport around a real one that writes frames down; whether these keep to the protocol |
//! | `stage`, `lives`, `run` | a running world: what is shared, how processes live and die, what faults do |
//!
//! # What is simulated, and what is not
//!
//! Time, the order of tasks, sockets and the deaths of processes are simulated; what your handlers
//! compute is real and takes no virtual time. `tokio::time`, `tokio::sync` and `tokio::spawn` work
//! inside of handlers, timers to the millisecond. Threads, files and real sockets do not belong in a
//! world. What depends on the real clock, on addresses or on random state (`Instant::now`, the order
//! of a `HashMap`, `tokio::select!` without `biased`) makes runs differ; sweeps run some seeds twice
//! to find that out.
//!
//! What a task of `tokio::spawn` does outlives the kill of its process, because tokio owns it;
//! [`Process::spawn`] dies with it.
#![forbid(unsafe_code)]

mod draw;
mod engine;
pub mod fault;
pub mod harness;
pub mod html;
pub mod link;
mod lives;
mod marks;
mod oracle;
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
pub mod snapshot;
mod stage;
pub mod standard;
pub mod sweep;
mod tap;
pub mod time;
pub mod trace;
pub mod world;

#[doc(hidden)]
pub use insta;

pub use fault::{DoorbellEffect, Fault, FaultKind, FrameKind, Moment, Since, What, When};
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

/// Makes a function that describes a world an ordinary test over many seeds.
///
/// The function fills the world that it is given with processes and gives it back. `seeds` says how
/// many seeds are run, from 0 on ([`harness::SEEDS`] by default); every seed draws faults of its own
/// unless `faults = false`, and the transport of [`WorldBuilder::plugin`]: a socket, shared memory or
/// a link within the process. Bytes never change on their way, as no answer could be trusted then; who
/// wants that adds [`What::Corrupt`] to the world. A failure names the seed, what was found first,
/// the faults that matter, as simple as they can be, and the command that replays it.
///
/// ```
/// # use rapace_session::Durations as _;
/// # use rapace_sim::{Program, WorldBuilder};
/// # use rapace_testbed::{Subject, TestbedClient, TestbedServer};
/// #[rapace_sim::test(seeds = 200)]
/// fn sums_are_right_in_the_end(world: WorldBuilder) -> WorldBuilder {
///     let host = Program::new().main(|host| async move {
///         let plugin: TestbedClient = host.client("sums");
///         // A fault may cost a call, but not for ever, and never makes a wrong sum.
///         let sum = loop {
///             match plugin.add(1, 2).deadline(1.secs()).await {
///                 Ok(sum) => break sum,
///                 Err(_) => host.sleep(100.ms()).await,
///             }
///         };
///         assert_eq!(sum, 3);
///     });
///     world
///         .host("host", host)
///         .plugin("sums", Program::new().serve(|| TestbedServer::new(Subject)))
/// }
/// ```
pub use rapace_sim_macros::test;
