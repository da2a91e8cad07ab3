//! The order of a whole run.
//!
//! For each work, every peer warms up, then the peers take turns, round after round, and the first
//! in a round is another one each time: what slows the machine for a second slows them all alike.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::runtime::Runtime as Tokio;

use crate::args::{RunOptions, Runtime};
use crate::child::Server;
use crate::client::Subject;
use crate::codec;
use crate::cores::{Cores, Placement};
use crate::machine::{self, Machine};
use crate::peers::Peer;
use crate::report::{self, Report};
use crate::spin::Spinner;
use crate::summary::{Outcome, Setting, Table};
use crate::system_calls::{self, Count};
use crate::work::{Sample, Work};

/// Cores kept busy by others from which on a warning is due.
const BUSY_LOAD: f64 = 0.5;

/// `rapace-bench run`.
pub(crate) fn run(options: &RunOptions) -> Result<()> {
    let machine = Machine::read();
    if let Some(load) = machine.load_before.filter(|load| *load > BUSY_LOAD) {
        eprintln!("other programs keep {load} cores busy: these figures will be theirs as well");
    }
    let cores = Cores::allowed()?;
    let spinner = (!options.no_spin).then(Spinner::start).transpose()?;
    let counting = system_calls::check();
    if let Err(error) = &counting {
        eprintln!("system calls are not counted: {error:#}");
    }
    let mut tables = Vec::new();
    for setting in settings(options) {
        let table = measure(options, &cores, setting, counting.is_ok())?;
        tables.extend((!table.outcomes.is_empty()).then_some(table));
    }
    cores.place_client(Placement::Shared)?;
    let codec = if options.codec() {
        codec::measure(options)?
    } else {
        Vec::new()
    };
    drop(spinner);
    ensure!(
        !tables.is_empty() || !codec.is_empty(),
        "none of these peers does this work; name others with --only or --work"
    );

    let report = Report {
        machine,
        rounds: options.rounds(),
        round: options.round(),
        spinner: !options.no_spin,
        tables,
        codec,
    };
    print!("{}", report::markdown(&report));
    let path = options.json();
    write_json(&path, &report).with_context(|| format!("write {}", path.display()))?;
    Ok(())
}

/// The tables of this run, in order.
fn settings(options: &RunOptions) -> Vec<Setting> {
    let mut settings = Vec::new();
    for &runtime in options.runtime.runtimes() {
        let between = options
            .placements(runtime)
            .iter()
            .map(|placement| (*placement, false));
        // Within one process only several threads can be on several cores.
        let within = match runtime {
            Runtime::Current => (Placement::Shared, true),
            Runtime::Multi => (Placement::Free, true),
        };
        for (placement, in_process) in between.chain([within]) {
            settings.push(Setting {
                runtime,
                placement,
                in_process,
            });
        }
    }
    settings
}

fn write_json(path: &Path, report: &Report) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut text = serde_json::to_string_pretty(&report::json(report))?;
    text.push('\n');
    std::fs::write(path, text)?;
    Ok(())
}

/// A peer that takes part, with its server process if it has one.
struct Contestant {
    peer: Peer,
    subject: Box<dyn Subject>,
    server: Option<Server>,
}

impl Contestant {
    fn start(peer: Peer, tokio: &Tokio, cores: &Cores, setting: Setting) -> Result<Self> {
        if peer.in_process() {
            let subject = tokio.block_on(async { peer.start() })?;
            return Ok(Self {
                peer,
                subject,
                server: None,
            });
        }
        // Once connected the socket needs no name, so that nothing is left behind on any exit.
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("bench.sock");
        cores.place_server(setting.placement)?;
        let server = Server::start(peer, &socket, setting.runtime)?;
        cores.place_client(setting.placement)?;
        let subject = tokio.block_on(peer.connect(&socket))?;
        Ok(Self {
            peer,
            subject,
            server: Some(server),
        })
    }

    fn server_cpu(&mut self) -> Result<Duration> {
        self.server.as_mut().map_or(Ok(Duration::ZERO), Server::cpu)
    }

    fn round(&mut self, tokio: &Tokio, work: Work, budget: Duration) -> Result<Sample> {
        let name = self.peer.name();
        let server_before = self.server_cpu()?;
        let client_before = machine::cpu_time()?;
        let mut sample = tokio
            .block_on(self.subject.round(work, budget))
            .with_context(|| format!("{name} failed at {}", work.name()))?;
        sample.client_cpu = machine::cpu_time()?.saturating_sub(client_before);
        sample.server_cpu = self.server_cpu()?.saturating_sub(server_before);
        Ok(sample)
    }

    /// System calls of both processes per operation, in a round that is not timed: counting them
    /// makes each slower.
    fn system_calls(&self, tokio: &Tokio, work: Work, budget: Duration) -> Result<f64> {
        let server = self.server.as_ref().map(Server::process_id);
        let count = Count::start([Some(std::process::id()), server].into_iter().flatten())?;
        let sample = tokio.block_on(self.subject.round(work, budget))?;
        Ok(count.stop()? as f64 / sample.operations.max(1) as f64)
    }
}

fn measure(options: &RunOptions, cores: &Cores, setting: Setting, counting: bool) -> Result<Table> {
    cores.place_client(setting.placement)?;
    let tokio = setting.runtime.build()?;
    let mut contestants = Vec::new();
    for peer in options.peers() {
        if peer.in_process() == setting.in_process {
            let contestant = Contestant::start(peer, &tokio, cores, setting);
            contestants.push(contestant.with_context(|| format!("start {}", peer.name()))?);
        }
    }
    let mut outcomes = Vec::new();
    for work in options.links() {
        if !work.makes_sense(setting.placement) {
            continue;
        }
        let mut able: Vec<_> = contestants
            .iter_mut()
            .filter(|it| it.subject.can(work))
            .filter(|it| setting.placement != Placement::Shared || !it.subject.polls())
            .collect();
        if able.is_empty() {
            continue;
        }
        let mut progress = Progress::new(format!("{}: {}", setting.title(), work.title()));
        for contestant in &mut able {
            progress.show(&format!("warm-up, {}", contestant.peer.name()));
            contestant.round(&tokio, work, options.warm_up())?;
        }
        let mut samples = vec![Vec::new(); able.len()];
        for round in 0..options.rounds() as usize {
            for turn in 0..able.len() {
                let at = (round + turn) % able.len();
                let name = able[at].peer.name();
                progress.show(&format!("round {}/{}, {name}", round + 1, options.rounds()));
                samples[at].push(able[at].round(&tokio, work, options.round())?);
            }
        }
        for (contestant, samples) in able.iter().zip(&samples) {
            let mut outcome = Outcome::of(contestant.peer.name(), work, samples);
            if counting && work.counts_system_calls() {
                progress.show(&format!("system calls, {}", contestant.peer.name()));
                let calls = contestant.system_calls(&tokio, work, options.warm_up())?;
                outcome.system_calls = Some(calls);
            }
            outcomes.push(outcome);
        }
        progress.done();
    }
    Ok(Table { setting, outcomes })
}

/// Progress on stderr: a line that moves on a terminal, one line per work elsewhere.
pub(crate) struct Progress {
    what: String,
    moving: bool,
}

impl Progress {
    pub(crate) fn new(what: String) -> Self {
        let moving = std::io::stderr().is_terminal();
        if !moving {
            eprintln!("{what}");
        }
        Self { what, moving }
    }

    pub(crate) fn show(&mut self, step: &str) {
        if self.moving {
            eprint!("\r\x1b[K{}: {step}", self.what);
            // Progress that cannot be shown is no reason to stop measuring.
            let _ = std::io::stderr().flush();
        }
    }

    pub(crate) fn done(self) {
        if self.moving {
            eprint!("\r\x1b[K");
        }
    }
}
