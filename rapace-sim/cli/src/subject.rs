//! What a command is about: a seed, a scenario or a saved plan.

use std::fs;
use std::path::{Path, PathBuf};

use rapace_sim::scenario::{SavedPlan, Scenario, ScriptError, Services, Verdict};
use rapace_sim::{LinkKind, Plan, Report, WorldBuilder, standard};

use crate::Unusable;
use crate::seeds::Seeds;

/// Something that can be run.
pub(crate) enum Subject {
    /// The standard world with a plan.
    Standard(Plan),
    /// A scenario over one transport, with a plan that may not be its own.
    Scenario {
        scenario: Box<Scenario>,
        /// What saved plans call it: its name, or a path where that would not be found.
        world: String,
        transport: LinkKind,
        plan: Plan,
    },
}

/// The folder of scenario files: `scenarios` here or in a folder above.
pub(crate) fn folder() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors()
        .map(|folder| folder.join("scenarios"))
        .find(|folder| folder.is_dir())
}

/// Files of a folder that end in `.toml`, sorted by name.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    files
}

/// The file that a name means: a path, or a file of the folder of scenarios.
fn find(name: &str) -> Result<PathBuf, Unusable> {
    let path = Path::new(name);
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let folder = folder();
    let places = folder.iter().flat_map(|folder| {
        [
            folder.join(format!("{name}.toml")),
            folder.join("regressions").join(format!("{name}.toml")),
        ]
    });
    let found = places.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| Unusable(nothing_like(name, folder.as_deref())))
}

/// Why a name means nothing, and what might have been meant.
fn nothing_like(name: &str, folder: Option<&Path>) -> String {
    let path = Path::new(name);
    if path.is_dir() {
        return format!(
            "`{name}` is a folder; name a file in it, or run all of scenarios/ with `cargo sim run --all`"
        );
    }
    if name.parse::<Seeds>().is_ok() {
        return format!(
            "`{name}` is a range, and one seed is needed; `cargo sim sweep --seeds {name}` runs them all"
        );
    }
    let Some(folder) = folder else {
        return format!(
            "there is no file `{name}`, and no folder `scenarios` here or above that could have it"
        );
    };
    let mut known: Vec<String> = [folder.to_owned(), folder.join("regressions")]
        .iter()
        .flat_map(|folder| files(folder))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    // Of a path its last part: `scenarios/row_4.toml`.
    let wanted = path.file_stem().unwrap_or_default().to_string_lossy();
    let likeness = |known: &str| {
        if !wanted.is_empty() && known.contains(&*wanted) {
            return 1.0;
        }
        strsim::jaro_winkler(known, &wanted)
    };
    known.retain(|known| likeness(known) >= LIKE);
    known.sort_by(|one, other| likeness(other).total_cmp(&likeness(one)));
    known.truncate(SUGGESTIONS_MAX);
    if known.is_empty() {
        return format!(
            "there is no file and no scenario `{name}`; `cargo sim list` shows what there is"
        );
    }
    let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
    format!(
        "there is no file and no scenario `{name}`; is it {}?",
        known.join(" or ")
    )
}

/// Names that are less like what was written are not worth mentioning, from 0 to 1.
const LIKE: f64 = 0.9;
/// So many names are mentioned.
const SUGGESTIONS_MAX: usize = 4;

fn read(path: &Path) -> Result<String, Unusable> {
    fs::read_to_string(path)
        .map_err(|error| Unusable(format!("{} cannot be read: {error}", path.display())))
}

/// Whether a file is a scenario rather than a saved plan.
fn is_scenario(text: &str) -> bool {
    text.lines()
        .any(|line| line.trim_start().starts_with("[plugin"))
}

/// A scenario by name or path.
pub(crate) fn scenario(name: &str) -> Result<Scenario, Unusable> {
    let path = find(name)?;
    let shown = path.display().to_string();
    Scenario::parse(&shown, &read(&path)?).map_err(|error| not_read(&path, &error))
}

/// Why a file cannot be used.
fn not_read(path: &Path, error: &ScriptError) -> Unusable {
    let is_toml = path.extension().is_some_and(|ending| ending == "toml");
    let hint = if is_toml {
        ""
    } else {
        "\n(scenarios are TOML files: docs/simulator/scenario-format.md)"
    };
    Unusable(format!("{error}{hint}"))
}

/// What a saved plan calls the scenario of a file: its name, if that finds the file.
fn world_name(path: &Path, scenario: &Scenario) -> String {
    let same = |other: PathBuf| {
        let same = path.canonicalize().ok()? == other.canonicalize().ok()?;
        same.then_some(())
    };
    match find(&scenario.name).ok().and_then(same) {
        Some(()) => scenario.name.clone(),
        None => path.display().to_string(),
    }
}

/// The transports of a scenario that are asked for.
pub(crate) fn transports(
    scenario: &Scenario,
    only: Option<&str>,
) -> Result<Vec<LinkKind>, Unusable> {
    let all = scenario.transports.iter().copied();
    let Some(only) = only else {
        let kinds: Vec<LinkKind> = all.filter(|kind| kind.is_available()).collect();
        if kinds.is_empty() {
            let name = &scenario.name;
            return Err(Unusable(format!(
                "this version cannot simulate a transport of `{name}`"
            )));
        }
        return Ok(kinds);
    };
    let kinds: Vec<LinkKind> = all.clone().filter(|kind| kind.name() == only).collect();
    match kinds.as_slice() {
        [] => {
            let names: Vec<&str> = all.map(LinkKind::name).collect();
            Err(Unusable(format!(
                "`{}` does not run over `{only}`, but over {}",
                scenario.name,
                names.join(", ")
            )))
        }
        [kind] if !kind.is_available() => Err(Unusable(format!(
            "this version cannot simulate `{only}` yet"
        ))),
        _ => Ok(kinds),
    }
}

impl Subject {
    /// From a seed, the name of a scenario, or the path of a file.
    pub(crate) fn find(name: &str, transport: Option<&str>) -> Result<Self, Unusable> {
        if let Ok(seed) = name.parse::<u64>() {
            return Ok(Subject::Standard(standard::world(seed).planned().clone()));
        }
        let path = find(name)?;
        let text = read(&path)?;
        let shown = path.display().to_string();
        if path.extension().is_some_and(|ending| ending == "json") {
            let plan = serde_json::from_str(&text)
                .map_err(|error| Unusable(format!("{shown} is no plan: {error}")))?;
            return Ok(Subject::Standard(plan));
        }
        if is_scenario(&text) {
            let scenario =
                Scenario::parse(&shown, &text).map_err(|error| not_read(&path, &error))?;
            let transport = transports(&scenario, transport)?[0];
            let plan = scenario.plan(scenario.seed);
            let world = world_name(&path, &scenario);
            return Ok(Subject::Scenario {
                scenario: Box::new(scenario),
                world,
                transport,
                plan,
            });
        }
        let saved = SavedPlan::parse(&shown, &text).map_err(|error| not_read(&path, &error))?;
        if saved.world == SavedPlan::STANDARD {
            return Ok(Subject::Standard(saved.plan));
        }
        let scenario = self::scenario(&saved.world)?;
        let wanted = saved.transport.map(LinkKind::name);
        let transport = transports(&scenario, wanted.or(transport))?[0];
        Ok(Subject::Scenario {
            scenario: Box::new(scenario),
            world: saved.world,
            transport,
            plan: saved.plan,
        })
    }

    /// Its name in titles.
    pub(crate) fn title(&self) -> String {
        match self {
            Subject::Standard(plan) => format!("standard world, seed {}", plan.seed),
            Subject::Scenario {
                scenario,
                transport,
                ..
            } => {
                format!("{} over {}", scenario.name, transport.name())
            }
        }
    }

    /// Runs it; what is wrong with it, and the report, which has the trace.
    pub(crate) fn run(&self) -> (Vec<String>, Report, Option<Verdict>) {
        match self {
            Subject::Standard(plan) => {
                let report = standard::with_plan(plan.clone()).trace(true).run();
                let problems = report.failures.iter().map(ToString::to_string).collect();
                (problems, report, None)
            }
            Subject::Scenario {
                scenario,
                transport,
                plan,
                ..
            } => {
                let verdict = scenario.run_plan(*transport, plan, &Services::standard());
                let (problems, report) = (verdict.problems.clone(), verdict.report.clone());
                (problems, report, Some(verdict))
            }
        }
    }

    /// The world, for shrinking.
    pub(crate) fn world(&self) -> WorldBuilder {
        match self {
            Subject::Standard(plan) => standard::with_plan(plan.clone()),
            Subject::Scenario {
                scenario,
                transport,
                plan,
                ..
            } => scenario
                .builder(*transport, &Services::standard())
                .plan(plan.clone()),
        }
    }
}
