//! The `rapace` command.
//!
//! | module | owns |
//! |---|---|
//! | `subject` | the conformance subject of docs/protocol.md §9 |
//! | `testbed_call` | calls of the testbed by name, with JSON |
//! | `limits` | `--limits KEY=VALUE,…` |
//! | `signals` | SIGINT and SIGTERM |
//! | `hostile` | random bytes for every parser (feature `hostile`) |
//!
//! What this crate refuses to know: the bytes on the wire. It uses sessions and clients as any
//! program would.
#![forbid(unsafe_code)]

#[cfg(feature = "hostile")]
mod hostile;
mod limits;
mod signals;
mod subject;
mod testbed_call;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  rapace subject --listen unix:/tmp/subject.sock
  rapace subject --listen tcp:127.0.0.1:0 --once
  rapace subject --connect tcp:127.0.0.1:4000 --call Testbed.add --args '[1, 2]'
  RUST_LOG=rapace=debug rapace subject --listen tcp:127.0.0.1:4000

`rapace subject --help` has the addresses, the form of answers, and what ends a connection cleanly.

Exit codes: 0 success, 1 the call, the connection or the check failed, 2 the command line is wrong.
Logs go to stderr when RUST_LOG is set.";

/// RPC between a host and its plugins, on one machine.
#[derive(Parser)]
#[command(name = "rapace", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Subject(subject::Arguments),
    #[cfg(feature = "hostile")]
    Hostile(hostile::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    init_tracing();
    match arguments.command {
        Command::Subject(arguments) => {
            let runtime = match tokio::runtime::Runtime::new() {
                Ok(runtime) => runtime,
                Err(error) => {
                    eprintln!("error: cannot start the tokio runtime: {error}");
                    return ExitCode::FAILURE;
                }
            };
            runtime.block_on(subject::run(arguments))
        }
        #[cfg(feature = "hostile")]
        Command::Hostile(arguments) => hostile::run(&arguments),
    }
}

/// Logs go to standard error, and only when `RUST_LOG` asks: standard output is for answers.
fn init_tracing() {
    use tracing_subscriber::EnvFilter;
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = EnvFilter::from_default_env();
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .init();
    }
}
