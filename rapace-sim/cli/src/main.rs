//! `cargo sim`: the simulator of rapace on the command line.
//!
//! | module | owns |
//! |---|---|
//! | `args` | the command line |
//! | `subject` | what a command is about: a seed, a scenario, a saved plan |
//! | `sweep` | many seeds, and the table of them |
//! | `progress` | how far a sweep is |
//! | `interrupt` | Ctrl-C |
//! | `single` | `run`, `replay`, `show` |
//! | `shrink` | from a failure to the faults that matter |
//! | `list` | what there is to run |
//! | `seeds` | ranges of seeds, and shards of them |
//!
//! What runs and what it is checked for is the library's; nothing here decides about right and
//! wrong.
#![forbid(unsafe_code)]

/// Prints a line; when nobody reads it any more (`… | head`), that is the end.
macro_rules! say {
    ($($word:tt)*) => {
        $crate::print(format_args!("{}\n", format_args!($($word)*)))
    };
}

/// As `say!`, without a new line.
macro_rules! say_on {
    ($($word:tt)*) => {
        $crate::print(format_args!($($word)*))
    };
}

mod args;
mod interrupt;
mod list;
mod progress;
mod seeds;
mod shrink;
mod single;
mod subject;
mod sweep;

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

/// Everything was as it must be.
const FINE: u8 = 0;
/// Something was found wrong.
const FOUND: u8 = 1;
/// The command line or a file cannot be understood.
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

fn print(text: fmt::Arguments<'_>) {
    if std::io::stdout().lock().write_fmt(text).is_err() {
        std::process::exit(i32::from(FINE));
    }
}

fn main() -> ExitCode {
    // As an installed cargo subcommand the first argument is its own name.
    let mut words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "sim") {
        words.remove(1);
    }
    let args = Args::parse_from(words);
    let done = match args.command {
        None => sweep::sweep(&args::SweepArgs::default()),
        Some(Command::Sweep(sweep)) => sweep::sweep(&sweep),
        Some(Command::Run(run)) => single::run(&run).map(Ended::from),
        Some(Command::Replay(replay)) => single::replay(&replay).map(Ended::from),
        Some(Command::Shrink(shrink)) => shrink::shrink(&shrink).map(Ended::from),
        Some(Command::Show(show)) => single::show(&show).map(Ended::from),
        Some(Command::List) => list::list().map(Ended::from),
    };
    match done {
        Ok(Ended::Fine) => ExitCode::from(FINE),
        Ok(Ended::Found) => ExitCode::from(FOUND),
        Ok(Ended::Stopped(code)) => ExitCode::from(code),
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(UNUSABLE)
        }
    }
}
