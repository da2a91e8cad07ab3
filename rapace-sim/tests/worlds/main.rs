//! Whole worlds, through the public API.
#![allow(
    clippy::disallowed_methods,
    reason = "tests look at real time to show what breaks determinism"
)]

mod attribute;
mod basics;
mod determinism;
mod mistakes;
mod oracles;
mod panics;
mod readme;
mod shrinking;
mod stops;

use rapace_sim::Program;
use rapace_testbed::{Subject, TestbedServer};

/// A process that serves the testbed and does nothing else.
fn testbed() -> Program {
    Program::new().serve(|| TestbedServer::new(Subject))
}

fn kill(process: &str) -> rapace_sim::What {
    rapace_sim::What::Kill {
        process: process.to_owned(),
    }
}
