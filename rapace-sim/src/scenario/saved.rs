//! Saved plans: failures that were found, shrunk, and are kept so that they never come back.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::document::{Field, Table, inside};
use super::error::{Problem, ScriptError};
use super::sentence;
use crate::link::LinkKind;
use crate::plan::Plan;

/// A seed and faults, with the world that they belong to.
///
/// ```
/// use rapace_sim::scenario::SavedPlan;
///
/// let text = r#"about = "A stream's credit was lost when its plugin died."
/// world = "standard"
/// seed = 4711
/// faults = [
///     "after a sends its data 3: kill a",
/// ]
/// "#;
/// let saved = SavedPlan::parse("credit.toml", text).unwrap();
/// assert_eq!(saved.plan.seed, 4711);
/// assert_eq!(saved.to_string(), text);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedPlan {
    /// What went wrong, for people.
    pub about: String,
    /// The world: [`SavedPlan::STANDARD`], or a scenario's name or path, which
    /// [`SavedPlan::scenario_files`] resolves.
    pub world: String,
    /// The transport, for scenarios.
    pub transport: Option<LinkKind>,
    /// The seed and the faults.
    pub plan: Plan,
}

const KEYS: &[&str] = &["about", "world", "transport", "seed", "faults"];

impl SavedPlan {
    /// The standard mixed world of the seed.
    pub const STANDARD: &str = "standard";

    /// A plan of the standard world.
    pub fn standard(about: impl Into<String>, plan: Plan) -> Self {
        SavedPlan {
            about: about.into(),
            world: SavedPlan::STANDARD.to_owned(),
            transport: None,
            plan,
        }
    }

    /// Reads a file that [`SavedPlan`] prints. Never panics, whatever the text.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be understood, with its place.
    pub fn parse(name: &str, text: &str) -> Result<SavedPlan, ScriptError> {
        read(text).map_err(|problem| problem.at(name, text))
    }

    /// Where its scenario may be, which is in the first of these files that exists: `world` is a path,
    /// seen from the folder of the file `plan`, or a name in the folder `scenarios`. Looks at no file.
    ///
    /// ```
    /// use std::path::Path;
    /// use rapace_sim::scenario::SavedPlan;
    ///
    /// let saved = SavedPlan::parse("plan.toml", "world = '../x.toml'\nseed = 1").unwrap();
    /// let [path, _] = saved.scenario_files(Path::new("found/plan.toml"), Path::new("scenarios"));
    /// assert_eq!(path, Path::new("found/../x.toml"));
    ///
    /// let saved = SavedPlan::parse("plan.toml", "world = 'x'\nseed = 1").unwrap();
    /// let [_, name] = saved.scenario_files(Path::new("found/plan.toml"), Path::new("scenarios"));
    /// assert_eq!(name, Path::new("scenarios/x.toml"));
    /// ```
    pub fn scenario_files(&self, plan: &Path, scenarios: &Path) -> [PathBuf; 2] {
        [
            plan.with_file_name(&self.world),
            scenarios.join(format!("{}.toml", self.world)),
        ]
    }

    /// Whether a file is meant to be a saved plan rather than a scenario: it has a key that only
    /// saved plans have, or a seed, and none that only scenarios have.
    pub fn is_meant(text: &str) -> bool {
        let Ok(document) = DeTable::parse(text) else {
            return false;
        };
        let keys = document.get_ref().iter();
        let keys: Vec<&str> = keys.map(|(key, _)| &**key.get_ref()).collect();
        let has_one = |of: &[&str]| keys.iter().any(|key| of.contains(key));
        has_one(&["world", "transport", "faults", "seed"])
            && !has_one(&["transports", "host", "plugin", "call", "fault", "expect"])
    }
}

/// TOML has no numbers above this one.
const NUMBER_MAX: u64 = i64::MAX as u64;

/// A seed; those that are too large for TOML's numbers are text.
fn seed(field: Field<'_, '_>) -> Result<u64, Problem> {
    match field.text() {
        Ok(text) => text.parse().map_err(|_| {
            let message = format!("`{text}` is no seed, a number from 0 to {}", u64::MAX);
            Problem::new(field.span(), message)
        }),
        Err(_) => field.number(NUMBER_MAX),
    }
}

fn read(text: &str) -> Result<SavedPlan, Problem> {
    let document = DeTable::parse(text).map_err(|error| {
        let end = text.len();
        Problem::new(error.span().unwrap_or(end..end), error.message())
    })?;
    let top = Table::new(document.get_ref(), 0..0, "a saved plan", KEYS)?;
    let seed = seed(top.need("seed", "write seed = 1")?)?;
    let mut faults = Vec::new();
    if let Some(field) = top.get("faults") {
        for item in field.items()? {
            let fault = sentence::fault(item.text()?).map_err(|problem| Problem {
                span: inside(&item, text, problem.span),
                ..problem
            })?;
            faults.push(fault);
        }
    }
    let transport = match top.get("transport") {
        None => None,
        Some(field) => Some(super::parse::transport(field.span(), field.text()?)?),
    };
    Ok(SavedPlan {
        about: top.text("about")?.unwrap_or("").to_owned(),
        world: top.text("world")?.unwrap_or(SavedPlan::STANDARD).to_owned(),
        transport,
        plan: Plan { seed, faults },
    })
}

impl fmt::Display for SavedPlan {
    /// The file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        if !self.about.is_empty() {
            writeln!(f, "about = {}", quoted(&self.about))?;
        }
        writeln!(f, "world = {}", quoted(&self.world))?;
        if let Some(transport) = self.transport {
            writeln!(f, "transport = {}", quoted(transport.name()))?;
        }
        match self.plan.seed {
            seed if seed > NUMBER_MAX => writeln!(f, "seed = \"{seed}\"")?,
            seed => writeln!(f, "seed = {seed}")?,
        }
        if !self.plan.faults.is_empty() {
            writeln!(f, "faults = [")?;
            for fault in &self.plan.faults {
                writeln!(f, "    {},", quoted(&fault.to_string()))?;
            }
            writeln!(f, "]")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_can_be_saved() {
        for seed in [0, NUMBER_MAX, NUMBER_MAX + 1, u64::MAX] {
            let saved = SavedPlan::standard("", Plan::calm(seed));
            let text = saved.to_string();
            let read = SavedPlan::parse("x", &text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(read, saved);
        }
        let error = SavedPlan::parse("x", "seed = \"-1\"").expect_err("it is no seed");
        assert!(error.to_string().contains("no seed"), "{error}");
    }

    #[test]
    fn plans_are_told_from_scenarios_by_their_keys() {
        for plan in [
            "world = 'standard'",
            "about = |||\n[plugin.a]\n|||\nseed = 1",
            "faults = []",
        ] {
            let plan = plan.replace('|', "\"");
            assert!(SavedPlan::is_meant(&plan), "{plan}");
        }
        for other in [
            "about = 'x'",
            "about = 'x'\nseed = 2\nplugin.images = {}",
            "seed = 2\n[plugin.images]",
            "[[call]]\n[plugn.images]",
            "world = ",
        ] {
            assert!(!SavedPlan::is_meant(other), "{other}");
        }
    }
}
