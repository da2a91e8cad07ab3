//! Saved plans: failures that were found, shrunk, and are kept so that they never come back.

use std::fmt;

use toml::de::DeTable;

use super::document::{Table, inside};
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
    /// The world: [`SavedPlan::STANDARD`], or the name of a scenario.
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
}

fn read(text: &str) -> Result<SavedPlan, Problem> {
    let document = DeTable::parse(text).map_err(|error| {
        let end = text.len();
        Problem::new(error.span().unwrap_or(end..end), error.message())
    })?;
    let top = Table::new(document.get_ref(), 0..0, "a saved plan", KEYS)?;
    let seed = top.need("seed", "write seed = 1")?;
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
        plan: Plan {
            seed: seed.number(i64::MAX as u64)?,
            faults,
        },
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
        writeln!(f, "seed = {}", self.plan.seed)?;
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
