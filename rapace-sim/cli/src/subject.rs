//! What a command is about: a seed, a scenario or a saved plan.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rapace_sim::scenario::{SavedPlan, Scenario, ScriptError, Services};
use rapace_sim::{LinkKind, Plan, Report, WorldBuilder, standard};

use crate::Unusable;
use crate::names::{find, find_world, is_same, quoted};
use crate::seeds::seed;

/// Something that can be run.
pub(crate) struct Subject {
    pub(crate) world: World,
    /// Its seed, and its faults.
    plan: Plan,
    /// The command that runs it again.
    again: String,
}

/// Where a plan happens.
pub(crate) enum World {
    /// The standard world of the plan's seed.
    Standard,
    /// A scenario over one transport.
    Scenario {
        scenario: Box<Scenario>,
        file: PathBuf,
        transport: LinkKind,
        /// Whether the faults are the scenario's own, so that its expectations hold.
        is_own: bool,
    },
}

/// What a file has in it.
pub(crate) enum Script {
    Scenario(Box<Scenario>),
    Plan(SavedPlan),
}

/// What else the command line says of a subject.
#[derive(Clone, Copy, Default)]
pub(crate) struct Choice<'a> {
    pub(crate) transport: Option<&'a str>,
    pub(crate) seed: Option<u64>,
}

impl Choice<'_> {
    /// Refuses to say what is decided already.
    fn must_be_empty(self, what: &str) -> Result<(), Unusable> {
        if let Some(name) = self.transport {
            return Err(Unusable(format!(
                "`--transport {name}` is for scenarios; {what} has its own transports"
            )));
        }
        self.seed_must_be_open(what)
    }

    fn seed_must_be_open(self, what: &str) -> Result<(), Unusable> {
        match self.seed {
            Some(seed) => Err(Unusable(format!(
                "`--seed {seed}` is for scenarios; {what} has its seed"
            ))),
            None => Ok(()),
        }
    }
}

/// What came of a run.
pub(crate) struct Ran {
    /// What is wrong, each a sentence.
    pub(crate) problems: Vec<String>,
    /// The report, which has the trace.
    pub(crate) report: Report,
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> Result<String, Unusable> {
    fs::read_to_string(path)
        .map_err(|error| Unusable(format!("{} cannot be read: {error}", path.display())))
}

/// A scenario or a saved plan.
pub(crate) fn script(path: &Path) -> Result<Script, Unusable> {
    let shown = path.display().to_string();
    let text = read(path)?;
    if path.extension().is_some_and(|ending| ending == "json") {
        let plan = serde_json::from_str(&text)
            .map_err(|error| Unusable(format!("{shown} is no plan: {error}")))?;
        return Ok(Script::Plan(SavedPlan::standard("", plan)));
    }
    let script = if SavedPlan::is_meant(&text) {
        SavedPlan::parse(&shown, &text).map(Script::Plan)
    } else {
        Scenario::parse(&shown, &text).map(|scenario| Script::Scenario(Box::new(scenario)))
    };
    script.map_err(|error| not_read(path, &error))
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

/// What commands call the scenario of a file: its name, if that finds the file, else the path.
pub(crate) fn world_name(path: &Path, scenario: &Scenario) -> String {
    if find(&scenario.name).is_ok_and(|other| is_same(path, &other)) {
        return scenario.name.clone();
    }
    path.display().to_string()
}

/// The command that runs a scenario again.
pub(crate) fn run_again(name: &str, transport: LinkKind, seed: u64) -> String {
    let (name, transport) = (quoted(name), transport.name());
    format!("cargo sim run {name} --transport {transport} --seed {seed}")
}

/// The command that runs a seed or a saved plan again.
pub(crate) fn replay_again(name: &str) -> String {
    format!("cargo sim replay {}", quoted(name))
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
    pub(crate) fn find(name: &str, choice: Choice<'_>) -> Result<Self, Unusable> {
        if let Ok(seed) = seed(name) {
            choice.must_be_empty("the standard world of a seed")?;
            return Ok(Subject {
                world: World::Standard,
                plan: standard::world(seed).planned().clone(),
                again: replay_again(&seed.to_string()),
            });
        }
        let path = find(name)?;
        match script(&path)? {
            Script::Plan(saved) => Subject::saved(name, &path, saved, choice),
            Script::Scenario(scenario) => {
                let transport = transports(&scenario, choice.transport)?[0];
                let plan = scenario.plan(choice.seed.unwrap_or(scenario.seed));
                let name = world_name(&path, &scenario);
                Ok(Subject {
                    again: run_again(&name, transport, plan.seed),
                    world: World::Scenario {
                        scenario,
                        file: path,
                        transport,
                        is_own: true,
                    },
                    plan,
                })
            }
        }
    }

    /// A saved plan that was found by this name, in this file. Its faults may name only what its world has: one that
    /// can never hit anything shows nothing.
    pub(crate) fn saved(
        name: &str,
        path: &Path,
        saved: SavedPlan,
        choice: Choice<'_>,
    ) -> Result<Self, Unusable> {
        let subject = Subject::of_plan(name, path, saved, choice)?;
        match subject.builder().check() {
            Ok(()) => Ok(subject),
            Err(why) => Err(Unusable(format!("the saved plan `{name}`: {why}"))),
        }
    }

    fn of_plan(
        name: &str,
        path: &Path,
        saved: SavedPlan,
        choice: Choice<'_>,
    ) -> Result<Self, Unusable> {
        let again = replay_again(name);
        let what = format!("the saved plan `{name}`");
        if saved.world == SavedPlan::STANDARD {
            choice.must_be_empty(&what)?;
            return Ok(Subject {
                world: World::Standard,
                plan: saved.plan,
                again,
            });
        }
        choice.seed_must_be_open(&what)?;
        let wanted = saved.transport.map(LinkKind::name);
        if let (Some(wanted), Some(other)) = (wanted, choice.transport)
            && wanted != other
        {
            return Err(Unusable(format!(
                "{what} is for `{wanted}`; take `transport` out of the file to have `{other}`"
            )));
        }
        let file = find_world(path, &saved)?;
        let Script::Scenario(scenario) = script(&file)? else {
            return Err(Unusable(format!(
                "the world of {what} must be a scenario, and `{}` is a saved plan, too",
                saved.world
            )));
        };
        let transport = transports(&scenario, wanted.or(choice.transport))?[0];
        let again = match (wanted, choice.transport) {
            (None, Some(_)) => format!("{again} --transport {}", transport.name()),
            _ => again,
        };
        Ok(Subject {
            world: World::Scenario {
                scenario,
                file,
                transport,
                is_own: false,
            },
            plan: saved.plan,
            again,
        })
    }

    /// Its name in titles.
    pub(crate) fn title(&self) -> String {
        match &self.world {
            World::Standard => format!("standard world, seed {}", self.plan.seed),
            World::Scenario {
                scenario,
                transport,
                ..
            } => format!(
                "{} over {} with seed {}",
                scenario.name,
                transport.name(),
                self.plan.seed
            ),
        }
    }

    /// Runs it.
    pub(crate) fn run(&self) -> Ran {
        match &self.world {
            World::Standard => {
                // Twice, as a sweep runs some seeds: what it finds must be found again.
                let report = self.builder().trace(true).run_twice();
                let problems = report.failures.iter().map(ToString::to_string).collect();
                Ran { problems, report }
            }
            World::Scenario {
                scenario,
                transport,
                is_own,
                ..
            } => {
                let services = Services::standard();
                let verdict = if *is_own {
                    scenario.run_plan(*transport, &self.plan, &services)
                } else {
                    scenario.run_saved(*transport, &self.plan, &services)
                };
                Ran {
                    problems: verdict.problems,
                    report: verdict.report,
                }
            }
        }
    }

    /// What is wrong, and how to see it again; `None` when nothing is.
    pub(crate) fn complaint(&self, ran: &Ran) -> Option<String> {
        if ran.problems.is_empty() {
            return None;
        }
        let mut text = format!("{} fails:", self.title());
        for problem in &ran.problems {
            let _ = write!(text, "\n  - {problem}");
        }
        let _ = write!(text, "\nsee it again: {}", self.again);
        Some(text)
    }

    /// The world, for shrinking.
    pub(crate) fn builder(&self) -> WorldBuilder {
        match &self.world {
            World::Standard => standard::with_plan(self.plan.clone()),
            World::Scenario {
                scenario,
                transport,
                ..
            } => scenario
                .builder(*transport, &Services::standard())
                .plan(self.plan.clone()),
        }
    }
}
