//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::cores::{Placement, PlacementChoice};
use crate::peers::Peer;
use crate::work::Work;

const EXAMPLES: &str = "\
Examples:
  rapace-bench run                               everything, about 5 minutes
  rapace-bench run --quick                       everything, about half a minute, rougher figures
  rapace-bench run --only raw,tarpc              two peers
  rapace-bench run --work echo-64,items          two kinds of work
  rapace-bench run --work codec                  encoding and decoding alone
  rapace-bench run --cores apart                 client and server on a core each, not also on one
  rapace-bench run --runtime both                tokio's current_thread and its multi_thread runtime

The table goes to stdout, progress to stderr. The figures go to results/latest.json beside this
crate's manifest; those of a run with --quick, --only or --work to results/partial.json, so that
they don't replace a whole run's. A core halts when it has nothing to do, and in a virtual machine
waking it takes longer than a call: a spinner of the lowest priority on every core prevents that.

Exit codes: 0 measured, 1 something failed, 2 the command line was wrong. A missed target is no
failure: it stands in the table.";

/// rapace measured against tarpc, tonic, iceoryx2, the bare socket and bare shared memory, in one run.
#[derive(Parser)]
#[command(name = "rapace-bench", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Measure, print the table, write the JSON.
    #[command(after_help = EXAMPLES)]
    Run(RunOptions),
    /// Serve one peer on a Unix socket until stdin closes; `run` starts these itself.
    #[command(hide = true)]
    Server {
        peer: Peer,
        socket: PathBuf,
        #[arg(long, value_enum, default_value_t = Runtime::Current)]
        runtime: Runtime,
    },
    /// Keep every core busy at the lowest priority until stdin closes; `run` starts this itself.
    #[command(hide = true)]
    Spin,
}

#[derive(clap::Args)]
pub(crate) struct RunOptions {
    /// Fewer and shorter rounds: half a minute in all, rougher figures.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only these peers.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PEER,…")]
    pub(crate) only: Vec<Peer>,
    /// Only this work.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,…")]
    pub(crate) work: Vec<WorkName>,
    /// The tokio runtime in both processes.
    #[arg(long, value_enum, default_value_t = RuntimeChoice::Current)]
    pub(crate) runtime: RuntimeChoice,
    /// Where client and server run, with the current_thread runtime.
    #[arg(long, value_enum, default_value_t = PlacementChoice::Both)]
    cores: PlacementChoice,
    /// Rounds; each figure is the median of its rounds [default: 5, with --quick 3].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Milliseconds of each round of each peer [default: 400, with --quick 80].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    round_ms: Option<u64>,
    /// Let idle cores halt.
    #[arg(long)]
    pub(crate) no_spin: bool,
    /// Where the JSON goes.
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

impl RunOptions {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 })
    }

    pub(crate) fn round(&self) -> Duration {
        Duration::from_millis(self.round_ms.unwrap_or(if self.quick { 80 } else { 400 }))
    }

    /// Where client and server run. The multi_thread runtime wants all cores in both processes.
    pub(crate) fn placements(&self, runtime: Runtime) -> &'static [Placement] {
        match runtime {
            Runtime::Current => self.cores.placements(),
            Runtime::Multi => &[Placement::Free],
        }
    }

    /// How long each peer does each work before its first measured round.
    pub(crate) fn warm_up(&self) -> Duration {
        self.round() / 2
    }

    /// The work on links to do, in the order of the table.
    pub(crate) fn links(&self) -> Vec<Work> {
        let named =
            |work: Work| self.work.is_empty() || self.work.iter().any(|name| name.0 == Some(work));
        Work::ALL.into_iter().filter(|work| named(*work)).collect()
    }

    /// The codec is no peer: it is measured when it is named, or when nothing was left out.
    pub(crate) fn codec(&self) -> bool {
        let nothing_left_out = self.work.is_empty() && self.only.is_empty();
        nothing_left_out || self.work.contains(&WorkName(None))
    }

    pub(crate) fn peers(&self) -> Vec<Peer> {
        let named = |peer: Peer| self.only.is_empty() || self.only.contains(&peer);
        Peer::value_variants()
            .iter()
            .copied()
            .filter(|peer| named(*peer))
            .collect()
    }

    pub(crate) fn json(&self) -> PathBuf {
        if let Some(path) = &self.json {
            return path.clone();
        }
        let whole = !self.quick && self.only.is_empty() && self.work.is_empty();
        let name = if whole { "latest.json" } else { "partial.json" };
        // Cargo sets the variable for `cargo run`; without it the repository's root is assumed.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
        manifest
            .map_or_else(|| PathBuf::from("bench"), PathBuf::from)
            .join("results")
            .join(name)
    }
}

/// A name for `--work`: one kind of work on a link, or, as `None`, the codec alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkName(Option<Work>);

impl ValueEnum for WorkName {
    fn value_variants<'a>() -> &'a [Self] {
        const NAMES: [WorkName; Work::ALL.len() + 1] = {
            let mut names = [WorkName(None); Work::ALL.len() + 1];
            let mut at = 0;
            while at < Work::ALL.len() {
                names[at] = WorkName(Some(Work::ALL[at]));
                at += 1;
            }
            names
        };
        &NAMES
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let (name, help) = match self.0 {
            Some(work) => (work.name(), work.title()),
            None => (
                "codec",
                "encode and decode four kinds of type, without a link",
            ),
        };
        Some(clap::builder::PossibleValue::new(name).help(help))
    }
}

/// One of tokio's two runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// One thread.
    Current,
    /// tokio's default: a worker per core.
    Multi,
}

impl Runtime {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Current => "current_thread",
            Self::Multi => "multi_thread",
        }
    }

    /// The word that the command line takes for it.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Multi => "multi",
        }
    }

    pub(crate) fn build(self) -> std::io::Result<tokio::runtime::Runtime> {
        match self {
            Self::Current => tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build(),
            Self::Multi => tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeChoice {
    /// One thread in each process.
    Current,
    /// tokio's default, a worker per core in each process.
    Multi,
    /// First the one, then the other: two tables.
    Both,
}

impl RuntimeChoice {
    pub(crate) fn runtimes(self) -> &'static [Runtime] {
        match self {
            Self::Current => &[Runtime::Current],
            Self::Multi => &[Runtime::Multi],
            Self::Both => &[Runtime::Current, Runtime::Multi],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> RunOptions {
        match Args::parse_from(line.split(' ')).command {
            Command::Run(options) => options,
            _ => unreachable!("every line of these tests says run"),
        }
    }

    #[test]
    fn a_plain_run_leaves_nothing_out() {
        let options = parse("rapace-bench run");
        assert_eq!(options.links(), Work::ALL);
        assert_eq!(options.peers(), Peer::value_variants());
        assert!(options.codec());
        assert!(options.json().ends_with("latest.json"));
    }

    #[test]
    fn naming_work_leaves_out_the_rest() {
        let options = parse("rapace-bench run --work items,echo-64");
        assert_eq!(options.links(), [Work::Echo64, Work::Items]);
        assert!(!options.codec());
        let options = parse("rapace-bench run --work codec");
        assert!(options.links().is_empty());
        assert!(options.codec());
        assert!(options.json().ends_with("partial.json"));
    }

    #[test]
    fn naming_peers_leaves_out_the_rest_and_the_codec() {
        let options = parse("rapace-bench run --only raw");
        assert_eq!(options.peers(), [Peer::Raw]);
        assert!(!options.codec());
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
