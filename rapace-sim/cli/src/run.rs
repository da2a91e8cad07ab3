//! `run`: scenarios, once, with many seeds, or with a crash at every event.

use std::fs;
use std::path::{Path, PathBuf};

use rapace_sim::LinkKind;
use rapace_sim::scenario::{SavedPlan, Scenario, Services, Verdict};

use crate::args::RunArgs;
use crate::names::{find, scenarios, world_of_plan};
use crate::output;
use crate::progress::{Progress, counted, grouped};
use crate::seeds::Shard;
use crate::single::{self, write};
use crate::subject::{
    Choice, Script, Subject, replay_again, run_again, script, transports, world_name,
};
use crate::sweep::FOLDER;
use crate::{Done, Unusable};

/// Runs scenarios and says what is not as they expect; saved plans as `replay` does.
pub(crate) fn run(args: &RunArgs) -> Done {
    let paths: Vec<PathBuf> = match &args.scenario {
        Some(name) => vec![find(name)?],
        None => scenarios()?,
    };
    let mut all_fine = true;
    let mut progress = Progress::new();
    for path in &paths {
        if !all_fine && !output::is_open() {
            // Nobody hears of more, and what the exit code will be is known.
            break;
        }
        match (script(path)?, &args.scenario) {
            (Script::Scenario(scenario), _) => {
                let mut runs = Runs {
                    name: world_name(path, &scenario),
                    file: path,
                    scenario: &scenario,
                    args,
                    progress: &mut progress,
                };
                all_fine &= runs.all()?;
            }
            (Script::Plan(saved), Some(name)) => all_fine &= plan(name, path, saved, args)?,
            (Script::Plan(_), None) => {
                return Err(Unusable(format!(
                    "{} is a saved plan, and those are kept in scenarios/regressions",
                    path.display()
                )));
            }
        }
    }
    progress.end();
    Ok(all_fine)
}

fn plan(name: &str, path: &Path, saved: SavedPlan, args: &RunArgs) -> Done {
    if args.seeds.is_some() || args.crash_everywhere {
        return Err(Unusable(format!(
            "`{name}` is a saved plan, which has one seed and its faults; `--seeds` and \
             `--crash-everywhere` are for scenarios"
        )));
    }
    let choice = Choice {
        transport: args.transport.as_deref(),
        seed: args.seed,
    };
    Ok(single::replayed(
        &Subject::saved(name, path, saved, choice)?,
        args.trace,
    ))
}

/// The runs of one scenario.
struct Runs<'a> {
    /// What commands call it.
    name: String,
    file: &'a Path,
    scenario: &'a Scenario,
    args: &'a RunArgs,
    progress: &'a mut Progress,
}

impl Runs<'_> {
    fn all(&mut self) -> Done {
        let (scenario, args) = (self.scenario, self.args);
        let only = args.transport.as_deref();
        let has = |only| scenario.transports.iter().any(|kind| kind.name() == only);
        if args.all && only.is_some_and(|only| !has(only)) {
            return Ok(true);
        }
        let over = transports(scenario, only)?;
        let mut all_fine = true;
        if let Some(seeds) = args.seeds {
            let Some(end) = seeds.end else {
                return Err(Unusable("`run --seeds` needs an end: 0..1000".to_owned()));
            };
            let all = seeds.of(Shard { index: 0, count: 1 });
            let total = (end - seeds.start).saturating_mul(over.len() as u64);
            let mut runs = 0;
            for transport in over {
                all_fine &= all.clone().all(|seed| {
                    let is_fine = self.once(transport, seed, true);
                    runs += 1;
                    self.tell_seeds(transport, runs, total);
                    is_fine
                });
            }
            if all_fine {
                let (name, start) = (&scenario.name, seeds.start);
                self.progress
                    .aside(|| say!("{name} is fine with seeds {start}..{end}"));
            }
            return Ok(all_fine);
        }
        for transport in over {
            all_fine &= if args.crash_everywhere {
                self.crash_everywhere(transport)?
            } else {
                self.once(transport, args.seed.unwrap_or(scenario.seed), false)
            };
        }
        Ok(all_fine)
    }

    fn tell_seeds(&mut self, transport: LinkKind, runs: u64, total: u64) {
        let name = &self.scenario.name;
        self.progress.show(|clock| {
            let done = runs as f64 / total as f64;
            let counts = format!("{clock}  {}/{} runs", grouped(runs), grouped(total));
            let over = format!("{name} over {}", transport.name());
            (Some(done), vec![counts, over])
        });
    }

    /// One run; `quiet` says nothing when all is fine.
    fn once(&mut self, transport: LinkKind, seed: u64, quiet: bool) -> bool {
        let services = Services::standard();
        let mut verdict = self.scenario.run_with(transport, seed, &services);
        verdict.again = run_again(&self.name, transport, seed);
        let trace = self.args.trace;
        let is_told = !verdict.is_ok() || !quiet;
        if trace || is_told {
            self.progress.aside(|| {
                if trace {
                    say!("{}", verdict.text(self.scenario));
                }
                if is_told {
                    say!("{verdict}");
                }
            });
        }
        verdict.is_ok()
    }

    /// One run for each event, store and byte of each process, which dies there.
    fn crash_everywhere(&mut self, transport: LinkKind) -> Done {
        let (name, over) = (&self.scenario.name, transport.name());
        let services = Services::standard();
        let all = self
            .scenario
            .crash_everywhere(transport, &services, |so_far| {
                self.progress.show(|clock| {
                    let fields = vec![
                        format!("{clock}  {}", counted(so_far.runs, "run")),
                        format!("{} failed", so_far.failures.len()),
                        counted(so_far.moments, "crash point"),
                        format!("{name} over {over}"),
                    ];
                    (None, fields)
                });
            });
        let kinds: Vec<String> = [
            (all.events, "event"),
            (all.stores, "store"),
            (all.bytes, "byte"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| counted(*count, kind))
        .collect();
        self.progress.aside(|| {
            say!(
                "{name} over {over}: {} ({}), {}, {} fail",
                counted(all.moments, "crash point"),
                kinds.join(", "),
                counted(all.runs, "run"),
                all.failures.len()
            );
            for fault in &all.left_out {
                say!(
                    "  without `{fault}`: there are no checksums, so that changed bytes may be obeyed"
                );
            }
            if all.thinned > 0 {
                say!(
                    "  {} crash points could lose too much to try every subset of it",
                    all.thinned
                );
            }
            for process in &all.cut_short {
                say!("  {process} has more events, stores or bytes than are explored");
            }
            let shown = all.failures.iter().take(CRASHES_SHOWN).enumerate();
            let mut shown = shown.map(|(at, verdict)| self.crashed(transport, at, verdict));
            shown.try_for_each(|saved| saved)
        })?;
        Ok(all.failures.is_empty())
    }

    /// Shows a failure, and saves its plan.
    fn crashed(&self, transport: LinkKind, at: usize, verdict: &Verdict) -> Result<(), Unusable> {
        if let Some(crash) = verdict.report.plan.faults.last() {
            say!("  with {crash}");
        }
        for problem in &verdict.problems {
            say!("  - {problem}");
        }
        let folder = Path::new(FOLDER);
        let (name, over) = (&self.scenario.name, transport.name());
        let path = folder.join(format!("{name}-{over}-{at}.toml"));
        // What is wrong with the folder is said by the write.
        let _ = fs::create_dir_all(folder);
        let saved = SavedPlan {
            about: verdict.problems.first().cloned().unwrap_or_default(),
            world: world_of_plan(&path, self.file, self.scenario),
            transport: Some(transport),
            plan: verdict.report.plan.clone(),
        };
        write(&path, &saved.to_string())?;
        say!("  see it again: {}", replay_again(&path.to_string_lossy()));
        Ok(())
    }
}

/// Failures of one exploration that are shown and saved.
const CRASHES_SHOWN: usize = 5;
