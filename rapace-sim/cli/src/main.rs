//! `cargo sim`: the simulator of rapace on the command line.
//!
//! | module | owns |
//! |---|---|
//! | `args` | the command line |
//! | `subject` | what a command is about: a seed, a scenario, a saved plan |
//! | `names` | which file a name means |
//! | `run` | scenarios: once, with many seeds, with a crash everywhere |
//! | `sweep` | many seeds, and the table of them |
//! | `progress` | how far it is |
//! | `interrupt` | Ctrl-C |
//! | `single` | `replay`, `show` |
//! | `shrink` | from a failure to the faults that matter |
//! | `list` | what there is to run |
//! | `output` | printing, and what happens when that is not possible |
//! | `seeds` | seeds, ranges of them, and shards of ranges |
//!
//! What runs and what it is checked for is the library's; nothing here decides about right and
//! wrong.
#![forbid(unsafe_code)]

#[macro_use]
mod output;

mod args;
mod interrupt;
mod list;
mod names;
mod progress;
mod run;
mod seeds;
mod shrink;
mod single;
mod subject;
mod sweep;

use std::fmt;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

/// Everything was as it must be.
const FINE: u8 = 0;
/// Something was found wrong.
const FOUND: u8 = 1;
/// The command line or a file cannot be understood, or stdout cannot be written.
const UNUSABLE: u8 = 2;

/// A file or an argument that cannot be used, in words for whoever typed it.
#[derive(Debug)]
struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether all was fine, or why a command could not do its work.
type Done = Result<bool, Unusable>;

/// How a command ended that could do its work.
enum Ended {
    /// Everything was as it must be.
    Fine,
    /// Something was found wrong.
    Found,
    /// By a signal, and with this exit code.
    Stopped(u8),
}

impl From<bool> for Ended {
    fn from(fine: bool) -> Self {
        if fine { Ended::Fine } else { Ended::Found }
    }
}

fn main() -> ExitCode {
    // As an installed cargo subcommand the first argument is its own name.
    let mut words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "sim") {
        words.remove(1);
    }
    let code = match Args::try_parse_from(words) {
        Ok(args) => code(command(args)),
        Err(asked) if asked.use_stderr() => {
            // Where that cannot be written the exit code says it.
            let _ = asked.print();
            UNUSABLE
        }
        // Help, or the version.
        Err(asked) => {
            output::noted(asked.print());
            FINE
        }
    };
    let written = output::finish();
    ExitCode::from(match code {
        FINE | FOUND if !written => UNUSABLE,
        code => code,
    })
}

fn command(args: Args) -> Result<Ended, Unusable> {
    match args.command {
        None => sweep::sweep(&args::SweepArgs::default()),
        Some(Command::Sweep(sweep)) => sweep::sweep(&sweep),
        Some(Command::Run(run)) => run::run(&run).map(Ended::from),
        Some(Command::Replay(replay)) => single::replay(&replay).map(Ended::from),
        Some(Command::Shrink(shrink)) => shrink::shrink(&shrink).map(Ended::from),
        Some(Command::Show(show)) => single::show(&show).map(Ended::from),
        Some(Command::List) => list::list().map(Ended::from),
    }
}

fn code(done: Result<Ended, Unusable>) -> u8 {
    match done {
        Ok(Ended::Fine) => FINE,
        Ok(Ended::Found) => FOUND,
        Ok(Ended::Stopped(code)) => code,
        Err(problem) => {
            complain!("error: {problem}");
            UNUSABLE
        }
    }
}
