//! Commands about one thing: `run`, `replay`, `show`.

use std::fs;
use std::path::Path;

use rapace_sim::scenario::{SavedPlan, Scenario, Services};
use rapace_sim::{LinkKind, Report, html};

use crate::args::{ReplayArgs, RunArgs, ShowArgs};
use crate::seeds::Shard;
use crate::subject::{Subject, files, folder, scenario, transports};
use crate::sweep::FOLDER;
use crate::{Done, Unusable};

/// Runs scenarios and says what is not as they expect.
pub(crate) fn run(args: &RunArgs) -> Done {
    let names: Vec<String> = match &args.scenario {
        Some(name) => vec![name.clone()],
        None => {
            let folder = folder()
                .ok_or_else(|| {
                    let text = "there is no folder `scenarios` here or above; `cargo sim run FILE` takes any file";
                    Unusable(text.to_owned())
                })?;
            let files = files(&folder).into_iter();
            files.map(|path| path.display().to_string()).collect()
        }
    };
    let mut all_fine = true;
    for name in &names {
        let scenario = scenario(name)?;
        // Found by its path, it may not be found by its name.
        let file = if Path::new(name).is_file() {
            name
        } else {
            &scenario.name
        };
        let once =
            |transport, seed, quiet| once(&scenario, file, transport, seed, args.trace, quiet);
        let only = args.transport.as_deref();
        let has = |only| scenario.transports.iter().any(|kind| kind.name() == only);
        if args.all && only.is_some_and(|only| !has(only)) {
            continue;
        }
        for transport in transports(&scenario, only)? {
            all_fine &= match (args.crash_everywhere, args.seeds) {
                (true, _) => crash_everywhere(&scenario, file, transport)?,
                (false, Some(seeds)) => {
                    let whole = Shard { index: 0, count: 1 };
                    if seeds.end.is_none() {
                        return Err(Unusable("`run --seeds` needs an end: 0..1000".to_owned()));
                    }
                    seeds.of(whole).all(|seed| once(transport, seed, true))
                }
                (false, None) => {
                    let seed = args.seed.unwrap_or(scenario.seed);
                    once(transport, seed, false)
                }
            };
        }
        if let (Some(seeds), true) = (args.seeds, all_fine) {
            say!(
                "{} is fine with seeds {}..{}",
                scenario.name,
                seeds.start,
                seeds.end.unwrap_or(0)
            );
        }
    }
    Ok(all_fine)
}

/// One run of a scenario; `quiet` says nothing when all is fine.
fn once(
    scenario: &Scenario,
    file: &str,
    transport: LinkKind,
    seed: u64,
    trace: bool,
    quiet: bool,
) -> bool {
    let mut verdict = scenario.run_with(transport, seed, &Services::standard());
    file.clone_into(&mut verdict.file);
    if trace {
        say!("{}", verdict.text(scenario));
    }
    if !verdict.is_ok() || !quiet {
        say!("{verdict}");
    }
    verdict.is_ok()
}

/// Failures of one exploration that are shown and saved.
const CRASHES_SHOWN: usize = 5;

/// One run for each event of each process, which dies right before it.
fn crash_everywhere(scenario: &Scenario, file: &str, transport: LinkKind) -> Done {
    let all = scenario.crash_everywhere(transport, &Services::standard(), |_| {});
    let (name, over) = (&scenario.name, transport.name());
    say!(
        "{name} over {over}: {} crash points, {} runs, {} fail",
        all.moments,
        all.runs,
        all.failures.len()
    );
    if all.thinned > 0 {
        say!(
            "  {} crash points could lose too much to try every subset of it",
            all.thinned
        );
    }
    for process in &all.cut_short {
        say!("  {process} has more events than are explored");
    }
    for (at, verdict) in all.failures.iter().take(CRASHES_SHOWN).enumerate() {
        if let Some(crash) = verdict.report.plan.faults.last() {
            say!("  with {crash}");
        }
        for problem in &verdict.problems {
            say!("  - {problem}");
        }
        let saved = SavedPlan {
            about: verdict.problems.first().cloned().unwrap_or_default(),
            world: file.to_owned(),
            transport: Some(transport),
            plan: verdict.report.plan.clone(),
        };
        let folder = Path::new(FOLDER);
        let path = folder.join(format!("{name}-{over}-{at}.toml"));
        // What is wrong with the folder is said by the write.
        let _ = fs::create_dir_all(folder);
        write(&path, &saved.to_string())?;
        say!("  see it again: cargo sim replay {}", path.display());
    }
    Ok(all.failures.is_empty())
}

/// Runs something again; the last line is its trace hash.
pub(crate) fn replay(args: &ReplayArgs) -> Done {
    let subject = Subject::find(&args.subject, args.transport.as_deref())?;
    let (problems, report, _) = subject.run();
    if let (true, Some(trace)) = (args.trace, &report.trace) {
        say_on!("{trace}");
    }
    describe(&subject, &report);
    for problem in &problems {
        say!("fails {problem}");
    }
    say!("trace hash {}", report.hash);
    Ok(problems.is_empty())
}

fn describe(subject: &Subject, report: &Report) {
    say!("{}", subject.title());
    for fault in &report.plan.faults {
        say!("  {fault}");
    }
    let calls = report.calls;
    say!(
        "{} calls: {} fine, {} failed, {} dropped; {} frames, {} steps, {} of virtual time",
        calls.begun,
        calls.ok,
        calls.failed,
        calls.dropped,
        report.frames,
        report.steps,
        report.virtual_time
    );
}

/// Prints a trace, or writes it as a page.
pub(crate) fn show(args: &ShowArgs) -> Done {
    let subject = Subject::find(&args.subject, args.transport.as_deref())?;
    let (problems, report, verdict) = subject.run();
    let Some(trace) = &report.trace else {
        return Err(Unusable("the run has no trace".to_owned()));
    };
    if let Some(path) = &args.html {
        write(path, &html::page(trace, &subject.title()))?;
        say!("{} events in {}", trace.events.len(), path.display());
    } else if args.json {
        let json = serde_json::to_string_pretty(trace)
            .map_err(|error| Unusable(format!("the trace cannot be written: {error}")))?;
        say!("{json}");
    } else {
        say_on!("{trace}");
        if let Some(verdict) = verdict.filter(|verdict| !verdict.is_ok()) {
            say!("{verdict}");
        }
    }
    Ok(problems.is_empty())
}

/// Writes a file, or says what can be done about it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Unusable> {
    fs::write(path, text).map_err(|error| {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let hint = match parent {
            _ if path.is_dir() => {
                format!("; name a file in it: {}", path.join("trace.html").display())
            }
            Some(parent) if !parent.exists() => format!("; first `mkdir -p {}`", parent.display()),
            _ => String::new(),
        };
        Unusable(format!(
            "{} cannot be written: {error}{hint}",
            path.display()
        ))
    })
}
