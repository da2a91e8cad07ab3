//! The worlds, by name.
//!
//! | world | what goes on |
//! |---|---|
//! | `calls` | many callers at once, answers of every kind |
//! | `streams` | streams and tunnels, both ways, at every pace |
//! | `cancels` | calls and streams dropped at any moment, deadlines |
//! | `restarts` | a plugin that is killed and restarted under a client that reconnects |
//! | `cuts` | links that are cut and mended, nodes that stand still |
//! | `mesh` | many hosts, many plugins, and all of the above |

mod quiet;
mod rough;
mod work;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::world::Report;

/// A world's run, in the simulation that is current when it is polled.
pub type Run = Pin<Box<dyn Future<Output = Report>>>;

/// What starts a world.
pub type Start = fn() -> Run;

/// Every world: its name, and what starts it.
pub const ALL: [(&str, Start); 6] = [
    ("calls", || Box::pin(quiet::calls())),
    ("streams", || Box::pin(quiet::streams())),
    ("cancels", || Box::pin(quiet::cancels())),
    ("restarts", || Box::pin(rough::restarts())),
    ("cuts", || Box::pin(rough::cuts())),
    ("mesh", || Box::pin(rough::mesh())),
];

/// The world of this name.
pub fn find(name: &str) -> Option<Start> {
    let found = ALL.iter().find(|(candidate, _)| *candidate == name);
    found.map(|(_, start)| *start)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
