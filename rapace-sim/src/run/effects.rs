//! What faults do.

use std::collections::BTreeSet;

use super::Run;
use crate::engine::agenda::Event;
use crate::fault::What;
use crate::link::LinkKind;
use crate::lives;
use crate::time::Nanos;
use crate::trace::ProcessChange;

/// The longest that one event of a slowed process takes.
const EACH_NS_MAX: u64 = 10_000_000;

impl Run {
    /// Lets a fault happen.
    pub(super) fn apply(&mut self, what: &What) {
        if let Some(process) = what.process().and_then(|name| self.stage.process(name)) {
            self.apply_to_process(process, what);
        } else if let Some(link) = what.link().and_then(|name| self.stage.link(name)) {
            self.apply_to_link(link, what);
        }
    }

    fn apply_to_process(&mut self, process: usize, what: &What) {
        let stage = &self.stage;
        let now = stage.engine.now();
        match what {
            What::Kill { .. } => {
                lives::end(stage, process, ProcessChange::Killed);
            }
            What::KillLosing { stores, .. } => {
                stage.engine.processes()[process].life.lose(stores);
                lives::end(stage, process, ProcessChange::Killed);
            }
            What::KillAfterStore { stores, .. } => {
                stage.engine.processes()[process].life.limit_writes(*stores);
            }
            What::Restart { after, .. } => {
                lives::end(stage, process, ProcessChange::Killed);
                let at = now.saturating_add(after.0);
                if stage.is_root(process) {
                    stage.engine.agenda.enter(at, Event::Start(process));
                }
                for link in stage.links.iter().filter(|link| link.ends[1] == process) {
                    link.state().start_at = Some(at);
                    link.restarted.notify_one();
                }
            }
            What::Hang { span, .. } => {
                let life = {
                    let mut processes = stage.engine.processes();
                    let state = &mut processes[process];
                    state.busy_until = state.busy_until.max(now.saturating_add(span.0));
                    state.resume_at = state.busy_until;
                    state.hangs = true;
                    let resume = Event::Resume(process);
                    stage.engine.agenda.enter(state.busy_until, resume);
                    state.life.clone()
                };
                stage.changed(&life, ProcessChange::Hung);
            }
            What::Slow { each, span, .. } => {
                let mut processes = stage.engine.processes();
                let state = &mut processes[process];
                state.each = each.0.min(EACH_NS_MAX);
                state.slowed += 1;
                let ends = Event::EndSlow(process, state.slowed);
                stage.engine.agenda.enter(now.saturating_add(span.0), ends);
            }
            What::ClockSkew { ahead, .. } => {
                for process in self.on_one_clock(process) {
                    let cell = stage.engine.processes()[process].cell.clone();
                    cell.skew(ahead.0);
                    stage.engine.agenda.retime(&cell);
                }
            }
            _ => {}
        }
    }

    /// The processes that read the same clock as this one: those that share memory read deadlines
    /// as times of one clock, as processes of one machine do.
    fn on_one_clock(&self, process: usize) -> BTreeSet<usize> {
        let mut known = BTreeSet::from([process]);
        let mut new = vec![process];
        while let Some(process) = new.pop() {
            for link in &self.stage.links {
                let Some(end) = link.end_of(process) else {
                    continue;
                };
                let shares = link.state().config.kind == LinkKind::Shm;
                if shares && known.insert(link.ends[1 - end]) {
                    new.push(link.ends[1 - end]);
                }
            }
        }
        known
    }

    fn apply_to_link(&mut self, link: usize, what: &What) {
        let agenda = &self.stage.engine.agenda;
        let now = self.stage.engine.now();
        let end = match what {
            What::CutHalf { from, .. } | What::Corrupt { from, .. } => self.end(link, from),
            _ => None,
        };
        let mut state = self.stage.links[link].state();
        let state = &mut *state;
        let Some(live) = &state.live else {
            return;
        };
        match what {
            What::Freeze { span, .. } => {
                live.freeze(true);
                state.freezes += 1;
                state.frozen = Some((now, state.life));
                if *span != Nanos::MAX {
                    agenda.enter(now.saturating_add(span.0), Event::Thaw(link, state.freezes));
                }
            }
            What::Thaw { .. } => {
                live.freeze(false);
                state.frozen = None;
            }
            What::Latency { latency, .. } => {
                state.config.latency = *latency;
                live.set_latency(*latency);
            }
            What::Window { bytes, .. } => {
                state.config.window_bytes = (*bytes).max(1);
                live.configure(|pipe| pipe.window_bytes = (*bytes).max(1) as usize);
            }
            What::ShortIo { bytes, .. } => {
                live.configure(|pipe| pipe.io_bytes_max = (*bytes).max(1) as usize);
            }
            What::Cut { .. } => {
                live.cut();
            }
            What::CutHalf { .. } => {
                end.map(|end| live.cut_half(end));
            }
            What::Corrupt { offset, xor, .. } => {
                end.map(|end| live.corrupt(end, u64::from(*offset), *xor));
            }
            What::Doorbell { effect, span, .. } => {
                live.ring_with(Some(*effect));
                state.doorbells += 1;
                agenda.enter(
                    now.saturating_add(span.0),
                    Event::EndDoorbell(link, state.doorbells),
                );
            }
            What::Exhaust { span, .. } => {
                live.exhaust(true);
                state.exhausts += 1;
                agenda.enter(
                    now.saturating_add(span.0),
                    Event::Relieve(link, state.exhausts),
                );
            }
            _ => {}
        }
    }
}
