//! Whether a world can run and shows what it is meant to: its names, and the faults that were given by
//! hand.

use super::{Role, WorldBuilder};
use crate::fault::{Fault, What};
use crate::report::{Failure, Oracle, Report};

/// Faults that were given one by one, and so are meant to hit.
#[derive(Clone, Default, Debug)]
pub(super) struct Asked {
    pub(super) faults: Vec<Fault>,
    /// What is said of one that hits nothing.
    pub(super) missing: Missing,
}

/// What becomes of a fault that was asked for and hit nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Missing {
    /// The run fails.
    #[default]
    Fails,
    /// The report says so.
    Counts,
    /// Nothing.
    Fine,
}

impl WorldBuilder {
    /// Whether the world can run and has all that its faults name.
    ///
    /// # Errors
    ///
    /// What is wrong: there is no host, two processes have one name, or a fault names a process or a
    /// link that there is not.
    pub fn check(&self) -> Result<(), String> {
        self.check_processes()?;
        self.check_names(&self.plan.faults)
    }

    pub(super) fn check_processes(&self) -> Result<(), String> {
        if !self.processes.iter().any(|one| one.2 == Role::Host) {
            return Err("this world has no host, so nothing would happen: call `host`".to_owned());
        }
        for (at, (name, ..)) in self.processes.iter().enumerate() {
            if self.processes[..at].iter().any(|other| other.0 == *name) {
                return Err(format!("two processes of this world are called `{name}`"));
            }
        }
        Ok(())
    }

    pub(super) fn check_names(&self, faults: &[Fault]) -> Result<(), String> {
        let processes: Vec<&str> = self.processes.iter().map(|one| &*one.0).collect();
        let links: Vec<&str> = self.links.iter().map(|one| &*one.0).collect();
        for fault in faults {
            let unknown = |kind: &str, name: &str, known: &[&str]| {
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                Err(format!(
                    "`{fault}`: there is no {kind} `{name}`; there is {known}"
                ))
            };
            let named = fault
                .when
                .processes()
                .into_iter()
                .chain(fault.what.process());
            for name in named {
                if !processes.contains(&name) {
                    return unknown("process", name, &processes);
                }
            }
            let Some(name) = fault.what.link() else {
                continue;
            };
            let Some((_, ends, _)) = self.links.iter().find(|one| one.0 == name) else {
                return unknown("link", name, &links);
            };
            if let What::CutHalf { from, .. } | What::Corrupt { from, .. } = &fault.what
                && !ends.contains(from)
            {
                let ends = ends.each_ref().map(|end| &**end);
                return unknown(&format!("end of link `{name}` called"), from, &ends);
            }
        }
        Ok(())
    }

    /// The faults that were asked for and are in the plan, and whether they hit.
    pub(super) fn asked_hit(&self, hit: &[usize]) -> Vec<(String, bool)> {
        if self.asked.missing == Missing::Fine {
            return Vec::new();
        }
        let mut planned: Vec<(usize, &Fault)> = self.plan.faults.iter().enumerate().collect();
        let mut asked = Vec::new();
        for fault in &self.asked.faults {
            // Each place once, as two faults may be the same.
            if let Some(found) = planned.iter().position(|(_, one)| *one == fault) {
                let (at, _) = planned.remove(found);
                asked.push((fault.to_string(), hit.contains(&at)));
            }
        }
        asked
    }

    /// A run without any other failure fails when a fault hit nothing that was meant to.
    pub(super) fn judge_missing(&self, mut report: Report) -> Report {
        if self.asked.missing == Missing::Fails && report.is_ok() {
            let missed = report.asked.iter().filter(|(_, hit)| !hit);
            let failures = missed.map(|(fault, _)| Failure {
                at: report.virtual_time,
                oracle: Oracle::Missed,
                text: format!("`{fault}` found nothing to hit"),
                place: None,
            });
            report.failures = failures.collect();
        }
        report
    }
}
