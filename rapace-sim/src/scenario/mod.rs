//! Scenarios: scripted runs that a person can read.
//!
//! | module | owns |
//! |---|---|
//! | `model` | [`Scenario`] and its parts: plain data |
//! | `parse`, `calls`, `streams`, `limits`, `expect`, `document` | from a TOML file to a [`Scenario`], every error with its place |
//! | `sentence` | faults as sentences, both ways |
//! | `invocation`, `ports` | calls as they are written: `add(1, 2)`; names of streams and tunnels |
//! | `outcome` | how calls end, in words |
//! | `services`, `workbench`, `manifold` | what scenarios can call: [`Services`] |
//! | `run`, `perform`, `invoke`, `dynamic` | running it: a world, its callers, one call, one call by its schema |
//! | `content` | what goes through streams and tunnels, and what must come out |
//! | `verdict` | what is not as expected, in sentences: [`Verdict`] |
//! | `text` | traces as snapshots keep them |
//! | `explore` | crashes at every event, store and byte: [`Exploration`] |
//! | `saved` | failures that are kept: [`SavedPlan`] |
//! | `error` | [`ScriptError`] |
//! | [`fuzz_bodies`] | what fuzzers throw at the parser |
//!
//! # The format
//!
//! A scenario says who takes part, what they call, what goes wrong, and what must come of it:
//!
//! ```toml
//! about = "A call that is under way when the plugin dies fails at once."
//! transports = ["stream", "mem"]      # default: every one
//!
//! [plugin.images]                     # a process, with a link to the host
//! restart = "20ms"                    # comes back so long after a death
//!
//! [[call]]
//! do = "nap(500)"                     # the host calls it as soon as it can
//! fails = "peer died"
//! within = "101ms"
//!
//! [[call]]
//! after = "nap"                       # not before the call of this name has ended
//! do = "add(1, 2)"
//! returns = 3
//!
//! [[fault]]
//! when = "at 100ms"
//! what = "kill images"
//! ```
//!
//! # What this module refuses to know
//!
//! How a world runs, and how sessions work: it uses the simulator as every user can.

mod calls;
mod content;
mod document;
mod dynamic;
mod error;
mod expect;
mod explore;
pub mod fuzz_bodies;
mod invocation;
mod invoke;
mod limits;
mod manifold;
mod model;
mod outcome;
mod parse;
mod perform;
mod ports;
mod run;
mod saved;
mod sentence;
mod services;
mod streams;
#[cfg(test)]
mod tests;
mod text;
mod verdict;
mod workbench;

pub use error::ScriptError;
pub use explore::Exploration;
pub use manifold::{Feeds, Flow, Manifold, ManifoldClient, ManifoldServer, Taken};
pub use model::{
    Arg, CallExpectations, CallScript, Expectations, FaultScript, HOST, Invocation, Party,
    PluginScript, PortScript, Read, Reads, Scenario, Send,
};
pub use outcome::Ending;
pub use perform::Outcome;
pub use run::Verdict;
pub use saved::SavedPlan;
pub use sentence::BadFault;
pub use services::Services;
pub use workbench::{Workbench, WorkbenchClient, WorkbenchServer};
