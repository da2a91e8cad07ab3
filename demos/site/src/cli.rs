//! The command line.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::host::plugins::{ChaosPlan, Transport};
use crate::plugins::Name;

const EXAMPLES: &str = "\
Examples:
  site build demos/site/content --out target/site
  site build demos/site/content --out target/site --transport mem
  site build demos/site/content --out target/site --chaos 0.1 --seed 7
  site serve demos/site/content --port 8000

RUST_LOG=info shows what the plugins print and when they are restarted.

Exit codes: 0 done, 1 the site could not be built, 2 wrong usage, 130 interrupted.";

/// Builds a static site from a folder of Markdown pages and pictures.
#[derive(Parser, Debug)]
#[command(name = "site", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Build a site once and print what the plugins did
    #[command(after_help = EXAMPLES)]
    Build(BuildArgs),
    /// Serve a site on this machine and build it again when a source changes
    #[command(after_help = EXAMPLES)]
    Serve(ServeArgs),
    /// Be a plugin of the host that started this process
    #[command(hide = true)]
    Plugin {
        /// Which one
        name: Name,
    },
}

/// What `build` takes.
#[derive(Args, Debug)]
pub(crate) struct BuildArgs {
    /// The folder with site.toml and the pages
    pub(crate) content: PathBuf,
    /// Where the site goes
    #[arg(long, value_name = "DIR", default_value = "target/site")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) plugins: PluginArgs,
    /// Kill a random plugin process within 20 ms of this share of calls, 0 to 1
    ///
    /// SIGKILL. What was lost is asked for again, so the site comes out the same.
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    pub(crate) chaos: f64,
    /// Seed of the random choices of --chaos
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What `serve` takes.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// The folder with site.toml and the pages
    pub(crate) content: PathBuf,
    /// Where the site goes [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The port on the loopback address; 0 takes any that is free
    #[arg(long, value_name = "N", default_value_t = 8000)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) plugins: PluginArgs,
}

/// How the plugins are run.
#[derive(Args, Debug)]
pub(crate) struct PluginArgs {
    /// How host and plugins are connected
    #[arg(long, value_enum, default_value_t = Transport::default())]
    pub(crate) transport: Transport,
    /// Pages, and pictures, that are worked on at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = jobs)]
    pub(crate) jobs: usize,
}

impl BuildArgs {
    /// What to kill, if anything.
    ///
    /// Ends the process with exit code 2 when there would be nothing to kill.
    pub(crate) fn chaos_plan(&self) -> Option<ChaosPlan> {
        if self.chaos == 0.0 {
            return None;
        }
        if self.plugins.transport == Transport::Mem {
            let why = "--chaos kills plugin processes, and --transport mem has none";
            Cli::command()
                .error(ErrorKind::ArgumentConflict, why)
                .exit();
        }
        Some(ChaosPlan {
            rate: self.chaos,
            seed: self.seed,
        })
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("give a number from 0 to 1".to_owned()),
    }
}

fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs) if (1..=256).contains(&jobs) => Ok(jobs),
        _ => Err("give a number from 1 to 256".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        super::Cli::command().debug_assert();
    }
}
