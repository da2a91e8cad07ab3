//! What is left: calls that have not ended, memory and credit that nobody has given back.

use rapace_session::TableSizes;

use super::Run;
use crate::link::LiveLink;

/// Calls that have not ended and are named when a run is given up.
const OPEN_CALLS_SHOWN: usize = 6;

impl Run {
    /// Whether nothing is under way any more.
    pub(super) fn is_quiet(&self) -> bool {
        !self.stage.engine.agenda.has_traffic() && self.leaks().is_empty()
    }

    /// What has not been given back.
    pub(super) fn leaks(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        for link in &self.stage.links {
            let state = link.state();
            // Who was told something else than what was sent cannot be expected to agree on what is
            // over.
            if state.live.as_ref().is_some_and(LiveLink::is_corrupted) {
                continue;
            }
            for (end, session) in &state.open {
                let sizes = session.table_sizes();
                if sizes != TableSizes::default() {
                    let at = &self.stage.names[link.ends[*end]];
                    leaks.push(format!("session of {at} on link {}: {sizes:?}", link.name));
                }
            }
            let held = state.live.as_ref().map_or(0, LiveLink::held_bytes);
            let is_up = state
                .open
                .iter()
                .all(|(_, session)| session.end().is_none());
            if held > 0 && is_up {
                leaks.push(format!("link {} holds {held} unread bytes", link.name));
            }
            let lanes = match &state.live {
                Some(live) if is_up => live.lane_leaks(),
                _ => Vec::new(),
            };
            for (end, lane) in lanes {
                let at = &self.stage.names[link.ends[end]];
                leaks.push(format!("memory of {at} on link {}: {lane}", link.name));
            }
        }
        leaks
    }

    pub(super) fn unfinished(&self) -> String {
        let mut tasks: Vec<String> = self
            .stage
            .engine
            .unfinished()
            .into_iter()
            .map(|(process, name)| format!("{name} of {}", self.stage.names[process]))
            .collect();
        tasks.sort();
        tasks.dedup();
        let calls = self.stage.open_calls();
        tasks.extend(calls.iter().take(OPEN_CALLS_SHOWN).cloned());
        if calls.len() > OPEN_CALLS_SHOWN {
            tasks.push(format!("{} calls in all", calls.len()));
        }
        tasks.join(", ")
    }
}
