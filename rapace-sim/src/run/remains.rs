//! What is left: calls that have not ended; memory, credit and tasks that nobody has given back;
//! sessions that a silence should have ended.

use std::time::Duration;

use rapace_session::TableSizes;

use super::Run;
use crate::link::LiveLink;
use crate::stage::LinkState;
use crate::time::Nanos;

/// A session whose pings are not answered may take so long to let go of its link.
const NOTICE_SLACK: Duration = Duration::from_secs(6);

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
        leaks.extend(self.task_leaks());
        leaks
    }

    /// Tasks that sessions have left behind: handlers that nobody stopped, streams that nobody told
    /// of the end.
    fn task_leaks(&self) -> Vec<String> {
        let mut drivers = vec![0; self.stage.names.len()];
        for link in &self.stage.links {
            let state = link.state();
            if state.live.as_ref().is_some_and(LiveLink::is_corrupted) {
                // Who was told something else may be waiting for it.
                return Vec::new();
            }
            for (end, _) in state.open.iter().filter(|(_, one)| one.end().is_none()) {
                drivers[link.ends[*end]] += 1;
            }
        }
        let tasks = self.stage.engine.session_tasks();
        let left = tasks.into_iter().zip(drivers).zip(&self.stage.names);
        left.filter(|((tasks, drivers), _)| tasks > drivers)
            .map(|((tasks, drivers), name)| {
                let left = tasks - drivers;
                format!("{left} tasks of {name}, of handlers or streams that are over")
            })
            .collect()
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

    /// Who has heard nothing for longer than its pings wait while the link was frozen, and goes on
    /// as if the other side were there.
    pub(super) fn unnoticed_silence(&self, link: usize, state: &mut LinkState) -> Vec<String> {
        let mut unnoticed = Vec::new();
        let Some((since, life)) = state.frozen.take() else {
            return unnoticed;
        };
        if life != state.life {
            return unnoticed;
        }
        let silent = self.stage.engine.now() - since;
        for (end, session) in &state.open {
            let process = self.stage.links[link].ends[*end];
            let limits = &self.stage.programs[process].limits;
            let Some(interval) = limits.ping_interval else {
                continue;
            };
            let noticed = Nanos::from(interval + limits.ping_timeout + NOTICE_SLACK);
            let is_ready = session.peer_epoch().is_some();
            // Who is stopped or slow notices nothing.
            let is_awake = {
                let processes = self.stage.engine.processes();
                processes[process].busy_until <= since
            };
            if session.end().is_none() && is_ready && is_awake && silent > noticed.0 {
                unnoticed.push(format!(
                    "{} pings every {interval:?}, hears nothing on link {} for {}, and goes on",
                    self.stage.names[process],
                    self.stage.links[link].name,
                    Nanos(silent),
                ));
            }
        }
        unnoticed
    }
}
