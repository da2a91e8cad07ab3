//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use rapace_sim::LinkKind;

use crate::seeds::{Seeds, Shard, seed};
use crate::subject::Choice;

/// Runs whole worlds of hosts and plugins in virtual time, with crashes, and replays them.
///
/// Without a command it sweeps the standard world for a minute and prints a table.
#[derive(Parser, Debug)]
#[command(name = "cargo sim", bin_name = "cargo sim", version, after_help = AFTER)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const TRANSPORTS: [&str; 3] = [
    LinkKind::Stream.name(),
    LinkKind::Mem.name(),
    LinkKind::Shm.name(),
];

const AFTER: &str = "\
Examples:
  cargo sim                                 sweep for a minute
  cargo sim sweep --seeds 0..10000          these seeds
  cargo sim sweep --for 10m --shard 3/8     the fourth of eight parts of the work
  cargo sim run row_04_unread_stream        one scenario over each of its transports
  cargo sim run my.toml --trace             a file of your own, with its trace
  cargo sim replay 4711                     the standard world of a seed; ends with its trace hash
  cargo sim shrink 4711                     the faults that matter, made simple
  cargo sim show 4711 --html trace.html     a page to click through
  cargo sim list                            what there is to run

Exit codes:
  0  everything was as it must be
  1  something was found wrong
  2  the command line or a file cannot be understood, or output cannot be written
  130, 143  Ctrl-C, SIGTERM; a sweep prints its table first";

const RUN: &str = "\
Examples:
  cargo sim run row_04_unread_stream                  over each of its transports
  cargo sim run my.toml --transport shm --trace       over one, and what happened
  cargo sim run my.toml --seeds 0..1000               another order of tasks each time
  cargo sim run my.toml --crash-everywhere            a crash before every event";

const SWEEP: &str = "\
Examples:
  cargo sim sweep --seeds 0..10000                    these seeds
  cargo sim sweep --for 10m --failures 5              ten minutes, or five failures
  cargo sim sweep --seeds 0..1000000 --shard 3/8      the fourth of eight parts of the work";

const REPLAY: &str = "\
Examples:
  cargo sim replay 4711                               the standard world of a seed
  cargo sim replay target/sim/seed-4711.toml          a plan that a sweep has saved
  cargo sim replay row_02_link_cut --seed 5 --trace   a scenario, and what happened";

const SHRINK: &str = "\
Examples:
  cargo sim shrink 4711                               a seed of the standard world
  cargo sim shrink my.toml --transport shm --seed 5   a scenario
  cargo sim shrink 4711 --out scenarios/regressions/lost_credit.toml";

const SHOW: &str = "\
Examples:
  cargo sim show crash_in_tunnel                      the trace as text
  cargo sim show 4711 --html trace.html               a page to click through
  cargo sim show my.toml --seed 5 --json | jq '.events | length'";

const LIST: &str = "\
Examples:
  cargo sim list                                      scenarios and saved plans
  cargo sim list | grep shm                           those that run over shared memory
  cargo sim run NAME                                  one of them";

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a scenario and say what is not as it expects
    #[command(after_help = RUN)]
    Run(RunArgs),
    /// Run the standard world with many seeds
    #[command(after_help = SWEEP)]
    Sweep(SweepArgs),
    /// Run a seed of the standard world, a scenario or a saved plan again; the last line is its
    /// trace hash
    #[command(after_help = REPLAY)]
    Replay(ReplayArgs),
    /// Find the faults that matter in a run that fails, and make them simple
    #[command(after_help = SHRINK)]
    Shrink(ShrinkArgs),
    /// Print the trace of a run, or write it as a page
    #[command(after_help = SHOW)]
    Show(ShowArgs),
    /// List scenarios and saved plans
    #[command(after_help = LIST)]
    List,
}

#[derive(clap::Args, Debug)]
pub(crate) struct RunArgs {
    /// A name from `cargo sim list`, or a file
    #[arg(required_unless_present = "all")]
    pub(crate) scenario: Option<String>,
    /// Run every scenario there is
    #[arg(long, conflicts_with = "scenario")]
    pub(crate) all: bool,
    /// Use this seed instead of the scenario's own
    #[arg(long, value_name = "N", value_parser = seed, allow_hyphen_values = true)]
    pub(crate) seed: Option<u64>,
    /// Run it with each of these seeds
    #[arg(
        long,
        value_name = "A..B",
        conflicts_with = "seed",
        allow_hyphen_values = true
    )]
    pub(crate) seeds: Option<Seeds>,
    /// Run it over this transport only
    #[arg(long, value_name = "NAME", value_parser = TRANSPORTS)]
    pub(crate) transport: Option<String>,
    /// Print the trace, too
    #[arg(long)]
    pub(crate) trace: bool,
    /// Crash each process before each of its events, its stores into shared memory and the bytes that it
    /// writes to a socket, one run for each; faults that change bytes are left out
    #[arg(long, conflicts_with_all = ["seed", "seeds", "trace"])]
    pub(crate) crash_everywhere: bool,
}

#[derive(clap::Args, Debug, Default)]
pub(crate) struct SweepArgs {
    /// Which seeds; `A..` goes on until the time is over [default: 0..]
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
    pub(crate) seeds: Option<Seeds>,
    /// How long, for example 60s or 10m [default: 60s, unless the seeds have an end]
    #[arg(long = "for", value_name = "TIME", value_parser = span, allow_hyphen_values = true)]
    pub(crate) time: Option<Duration>,
    /// Do one part of the work: part I of N, counted from 0
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// How many worlds run at once [default: one for each core]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) threads: Option<usize>,
    /// Go on after failures until there are so many [default: 1]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) failures: Option<usize>,
    /// Where plans of failures are written, shrunk [default: target/sim]
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,
}

/// What a scenario leaves open. Seeds and saved plans leave nothing of it open.
#[derive(clap::Args, Debug)]
pub(crate) struct ChoiceArgs {
    /// For scenarios: which transport [default: the first one]
    #[arg(long, value_name = "NAME", value_parser = TRANSPORTS)]
    transport: Option<String>,
    /// For scenarios: this seed instead of its own
    #[arg(long, value_name = "N", value_parser = seed, allow_hyphen_values = true)]
    seed: Option<u64>,
}

impl ChoiceArgs {
    pub(crate) fn choice(&self) -> Choice<'_> {
        Choice {
            transport: self.transport.as_deref(),
            seed: self.seed,
        }
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct ReplayArgs {
    /// A seed of the standard world, a scenario, or the file of a saved plan
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,
    /// Print the trace, too
    #[arg(long)]
    pub(crate) trace: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ShrinkArgs {
    /// A seed of the standard world, a scenario, or the file of a saved plan
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,
    /// Write the plan that is left into this file, for scenarios/regressions/
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// A seed of the standard world, a scenario, or the file of a saved plan
    pub(crate) subject: String,
    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,
    /// Write one self-contained page instead
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Print the events as JSON instead
    #[arg(long, conflicts_with = "html")]
    pub(crate) json: bool,
}

/// A number of things of which there must be one.
fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("write a number from 1 on".to_owned()),
    }
}

/// `60s`, `500ms`, `10m`, `2h`.
fn span(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic());
    let split = split.ok_or("a unit is missing: write 60s, 10m or 2h")?;
    let number: f64 = text[..split]
        .parse()
        .map_err(|_| format!("`{}` is no number: write 60s, 10m or 2h", &text[..split]))?;
    let unit = match &text[split..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        other => {
            return Err(format!(
                "`{other}` is no unit of time: write 60s, 10m or 2h"
            ));
        }
    };
    if number <= 0.0 {
        return Err("nothing can be done in no time: write 60s, 10m or 2h".to_owned());
    }
    Duration::try_from_secs_f64(number * unit).map_err(|_| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Args::command().debug_assert();
    }

    #[test]
    fn spans_have_units() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("1.5m"), Ok(Duration::from_secs(90)));
        assert!(span("90").is_err());
        assert!(span("s").is_err());
        assert!(span("1e300h").is_err());
        assert!(span("0s").is_err());
        assert!(span("-3s").is_err());
        assert!(span("NaNs").is_err());
    }
}
