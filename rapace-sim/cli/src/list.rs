//! What there is to run.

use rapace_sim::LinkKind;
use rapace_sim::scenario::{SavedPlan, Scenario};

use crate::Done;
use crate::names::{saved_plans, scenarios};
use crate::subject::read;

/// The most of a description that stands in one line, in characters.
const ABOUT_CHARS: usize = 90;

/// Prints the scenarios and the saved plans, each with its transports and what it is about. False
/// when one of them cannot be understood.
pub(crate) fn list() -> Done {
    let mut all_fine = true;
    let scenarios = scenarios()?;
    let stem = |path: &std::path::Path| {
        let stem = path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    };
    let width = scenarios.iter().map(|path| stem(path).len()).max();
    let width = width.unwrap_or(0);
    for path in &scenarios {
        let text = read(path)?;
        match Scenario::parse(&path.display().to_string(), &text) {
            Ok(scenario) => {
                let transports: Vec<&str> = scenario
                    .transports
                    .iter()
                    .copied()
                    .map(LinkKind::name)
                    .collect();
                let about = brief(&scenario.about);
                say!(
                    "{:<width$}  {:<15}  {about}",
                    scenario.name,
                    transports.join(" ")
                );
            }
            Err(error) => {
                all_fine = false;
                complain!("{error}");
            }
        }
    }
    let saved = saved_plans()?;
    if !saved.is_empty() {
        say!("\nsaved plans:");
    }
    for path in &saved {
        let text = read(path)?;
        match SavedPlan::parse(&path.display().to_string(), &text) {
            Ok(plan) => say!(
                "{:<width$}  {:<15}  {}",
                stem(path),
                plan.world,
                brief(&plan.about)
            ),
            Err(error) => {
                all_fine = false;
                complain!("{error}");
            }
        }
    }
    Ok(all_fine)
}

/// The first sentence, or as much of it as fits.
fn brief(about: &str) -> String {
    let line = about.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = line.split_inclusive(". ").next().unwrap_or("").trim_end();
    if sentence.chars().count() <= ABOUT_CHARS {
        return sentence.to_owned();
    }
    let head: String = sentence.chars().take(ABOUT_CHARS - 1).collect();
    format!("{}…", head.trim_end())
}
