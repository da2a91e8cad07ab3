//! rapace measured against tarpc, tonic, iceoryx2, the bare socket and bare shared memory, doing the
//! same work.
//!
//! - [`args`]: the command line.
//! - [`run`]: the order of a whole run: servers, warm-up, rounds that alternate between peers.
//! - [`client`]: what every peer must be able to do, the one trait that the work is written against.
//! - [`peers`]: one file per peer, each with its server and its client.
//! - [`work`]: what is measured, and the loops that measure it.
//! - [`codec`]: encoding and decoding alone, without any link.
//! - [`child`]: the server process, and how its CPU time is asked for.
//! - [`lane`]: bare shared memory, the floor of the shared-memory rows; [`handover`]: its descriptors.
//! - [`cores`]: which cores client and server run on.
//! - [`spin`]: keeps the cores from halting while measuring.
//! - [`system_calls`]: counts them, with `perf`.
//! - [`machine`]: what the figures were measured on, and CPU time.
//! - [`summary`]: medians of the rounds; [`targets`]: what is held against what was promised;
//!   [`report`]: the table and the JSON.
//!
//! The harness knows nothing of any peer's wire format, and no peer knows what is measured on it.

// Allowed for the mapping in `lane`, and for one registration in `peers::eventfd`.
#![deny(unsafe_code)]

mod args;
mod child;
mod client;
mod codec;
mod cores;
mod handover;
mod lane;
mod machine;
mod peers;
mod report;
mod run;
mod spin;
mod summary;
mod system_calls;
mod targets;
mod work;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let done = match args::Args::parse().command {
        args::Command::Run(options) => run::run(&options),
        args::Command::Server {
            peer,
            socket,
            runtime,
        } => child::serve(peer, &socket, runtime),
        args::Command::Spin => spin::spin(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
