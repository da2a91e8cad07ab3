//! Crashes at every single event of a scenario, at every store into shared memory, and within what is
//! written to a stream.

use std::collections::{BTreeMap, BTreeSet};

use rapace_core::frame::DESCRIPTOR_LEN;

use super::model::{HOST, Scenario};
use super::run::Verdict;
use super::services::Services;
use crate::fault::{Fault, What, When};
use crate::link::LinkKind;
use crate::plan::Plan;
use crate::report::Report;
use crate::shm::explore::{Look, explore_moment};
use crate::trace::{Happening, ProcessChange};

/// A process with more events, stores or bytes than this is not explored further: the scenario is too
/// long.
const MOMENTS_MAX: u64 = 5_000;
/// A life that writes no more bytes than this to its streams is killed after each of them.
const BYTES_EACH_MAX: u64 = 1_000;
/// After so many failures nothing new is to be learnt.
const FAILURES_MAX: usize = 8;

/// What came of [`Scenario::crash_everywhere`].
#[derive(Clone, Debug, Default)]
pub struct Exploration {
    /// How many runs it took: one for each crash point, and over shared memory one for each loss
    /// that the survivors can notice.
    pub runs: u64,
    /// At how many moments a process was killed: `events`, `stores` and `bytes` together.
    pub moments: u64,
    /// Of the moments, those right before an event.
    pub events: u64,
    /// Of the moments, those right before a store into shared memory.
    pub stores: u64,
    /// Of the moments, those at a write to a stream, of which only so many bytes got out.
    pub bytes: u64,
    /// The most words of shared memory that a process had stored and not released when it died.
    pub unreleased_max: usize,
    /// Moments at which the survivors looked at so many of those that only some of their subsets
    /// were run: see [`explore_stores`](crate::shm::explore_stores).
    pub thinned: u64,
    /// What went wrong, with the plan that shows it.
    pub failures: Vec<Verdict>,
    /// Processes that had more events, stores or bytes than were explored.
    pub cut_short: Vec<String>,
    /// Faults of the scenario that did not happen, since they change bytes: see
    /// [`Scenario::crash_everywhere`].
    pub left_out: Vec<Fault>,
}

impl Scenario {
    /// Runs the scenario once for every event of every process, the host's too, and kills the
    /// process right before that event; a poll of one of its tasks is an event.
    ///
    /// Over shared memory it is also killed right before every store, and may lose every subset of the
    /// words that it had stored and not released, as [`explore_stores`](crate::shm::explore_stores) does it.
    /// Over a stream only a part of what it writes gets out: every number of bytes, if a life of it
    /// writes at most 1,000 in all; else, of every frame, none, one byte, half of its head, all but one
    /// byte of that, the head alone, half of the payload, and all but one byte.
    ///
    /// A host that dies is not started again: its plugins must exit. The scenario's own expectations
    /// do not hold then; what every run is checked for does, each call must end, and what was read
    /// must be a prefix of what was sent.
    ///
    /// Faults of the scenario that change bytes on their way ([`What::Corrupt`]) are left out. The
    /// protocol has no checksums: at another moment they may hit what makes a call without deadline
    /// wait for ever, and a value wrong, and neither is a fault of the system.
    ///
    /// `progress` hears of every run.
    pub fn crash_everywhere(
        &self,
        transport: LinkKind,
        services: &Services,
        mut progress: impl FnMut(&Exploration),
    ) -> Exploration {
        let mut plan = self.plan(self.seed);
        let spoils = |fault: &Fault| matches!(fault.what, What::Corrupt { .. });
        let left_out = plan.faults.extract_if(.., |fault| spoils(fault)).collect();
        let mut explorer = Explorer {
            scenario: self,
            plan,
            transport,
            services,
            all: Exploration {
                left_out,
                ..Exploration::default()
            },
            progress: &mut progress,
        };
        let plugins = self.plugins.iter().map(|plugin| plugin.name.as_str());
        for name in plugins.chain([HOST]) {
            let lives = explorer.before_events(name);
            match transport {
                LinkKind::Shm => explorer.before_stores(name),
                LinkKind::Stream => explorer.within_writes(name, &lives),
                LinkKind::Mem => {}
            }
            if explorer.all.failures.len() >= FAILURES_MAX {
                break;
            }
        }
        explorer.all
    }
}

struct Explorer<'s> {
    scenario: &'s Scenario,
    /// The scenario's own faults, as far as they happen.
    plan: Plan,
    transport: LinkKind,
    services: &'s Services,
    all: Exploration,
    progress: &'s mut dyn FnMut(&Exploration),
}

impl Explorer<'_> {
    /// One run with this crash.
    fn run(&mut self, crash: Fault) -> Report {
        let mut plan = self.plan.clone();
        plan.faults.push(crash);
        let verdict = self
            .scenario
            .run_saved(self.transport, &plan, self.services);
        self.all.runs += 1;
        let report = verdict.report.clone();
        if !verdict.is_ok() {
            self.all.failures.push(verdict);
        }
        (self.progress)(&self.all);
        report
    }

    fn is_enough(&self) -> bool {
        self.all.failures.len() >= FAILURES_MAX
    }

    /// The first event of each life of the process comes back.
    fn before_events(&mut self, process: &str) -> BTreeMap<u32, u64> {
        let mut lives = BTreeMap::new();
        for n in 1..=MOMENTS_MAX {
            let crash = Fault {
                when: When::Event {
                    process: process.to_owned(),
                    n,
                },
                what: What::Kill {
                    process: process.to_owned(),
                },
            };
            let life = life_hit(&self.run(crash.clone()), process, &crash);
            if life.is_none() || self.is_enough() {
                return lives;
            }
            lives.entry(life.unwrap_or_default()).or_insert(n);
            self.all.events += 1;
            self.all.moments += 1;
        }
        self.all.cut_short.push(process.to_owned());
        lives
    }

    fn within_writes(&mut self, process: &str, lives: &BTreeMap<u32, u64>) {
        let whole = self
            .scenario
            .run_saved(self.transport, &self.plan, self.services);
        for (life, first) in lives {
            let points = byte_points(&frames_of(&whole.report, process, *life));
            if points.len() as u64 > MOMENTS_MAX {
                self.all.cut_short.push(process.to_owned());
            }
            for bytes in points.into_iter().take(MOMENTS_MAX as usize) {
                // Counted from the begin of the life; it dies when it wants to write one more.
                let crash = Fault {
                    when: When::Event {
                        process: process.to_owned(),
                        n: *first,
                    },
                    what: What::KillAfterStore {
                        process: process.to_owned(),
                        stores: bytes,
                    },
                };
                let died = was_killed(&self.run(crash), process, *life);
                if self.is_enough() {
                    return;
                }
                self.all.bytes += u64::from(died);
                self.all.moments += u64::from(died);
            }
        }
    }

    fn before_stores(&mut self, process: &str) {
        for n in 1..=MOMENTS_MAX {
            let moment = explore_moment(process, n, self.scenario.seed, |crash| {
                let look = Look::of(&self.run(crash));
                look.filter(|_| !self.is_enough())
            });
            self.all.unreleased_max = self.all.unreleased_max.max(moment.unreleased);
            self.all.thinned += u64::from(moment.thinned);
            if moment.runs == 0 || self.is_enough() {
                return;
            }
            self.all.stores += 1;
            self.all.moments += 1;
        }
        self.all.cut_short.push(process.to_owned());
    }
}

/// In which of its lives a process was when this fault happened; `None` when it did not.
fn life_hit(report: &Report, process: &str, wanted: &Fault) -> Option<u32> {
    let mut current = 0;
    for event in &report.trace.as_ref()?.events {
        match &event.what {
            Happening::Process {
                process: name,
                life,
                change: ProcessChange::Spawned,
            } if name == process => current = *life,
            Happening::Fault { fault, .. } if fault == wanted => return Some(current),
            _ => {}
        }
    }
    None
}

fn was_killed(report: &Report, process: &str, wanted: u32) -> bool {
    let events = report.trace.iter().flat_map(|trace| &trace.events);
    let mut changes = events.filter_map(|event| match &event.what {
        Happening::Process {
            process,
            life,
            change,
        } => Some((process, *life, change)),
        _ => None,
    });
    changes.any(|(name, life, change)| {
        name == process && life == wanted && *change == ProcessChange::Killed
    })
}

/// What the frames that a life of a process sends take on a stream, in bytes, in their order.
fn frames_of(report: &Report, process: &str, wanted: u32) -> Vec<u64> {
    let mut frames = Vec::new();
    let mut current = 0;
    for event in report.trace.iter().flat_map(|trace| &trace.events) {
        match &event.what {
            Happening::Process {
                process: name,
                life,
                change: ProcessChange::Spawned,
            } if name == process => current = *life,
            Happening::Frame(frame) if frame.from == process && current == wanted => {
                frames.push(u64::from(frame.payload_bytes));
            }
            _ => {}
        }
    }
    frames
}

/// After how many bytes a life that sends frames with such payloads is killed.
fn byte_points(payloads: &[u64]) -> BTreeSet<u64> {
    // PROTOCOL.md \[stream.frame\]: the length as a varint, the descriptor, the payload.
    let head = |payload: u64| {
        let length = DESCRIPTOR_LEN as u64 + payload;
        let bits = u64::from(u64::BITS - length.leading_zeros());
        bits.div_ceil(7) + DESCRIPTOR_LEN as u64
    };
    let all: u64 = payloads
        .iter()
        .map(|payload| head(*payload) + payload)
        .sum();
    if all <= BYTES_EACH_MAX {
        return (0..all).collect();
    }
    let mut points = BTreeSet::new();
    let mut begin = 0;
    for payload in payloads {
        let head = head(*payload);
        let end = begin + head + payload;
        let within = [0, 1, head / 2, head - 1, head, head + payload / 2];
        points.extend(within.map(|at| begin + at));
        points.insert(end - 1);
        begin = end;
    }
    // What begins at the end of the last frame is never written.
    points.remove(&begin);
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lives_are_killed_after_every_byte_and_long_ones_at_the_edges_of_frames() {
        // 1 byte of length, 64 of descriptor; payloads from 64 bytes on take 2 bytes of length.
        assert_eq!(byte_points(&[]), BTreeSet::new());
        assert_eq!(byte_points(&[0, 63]), (0..65 + 128).collect());
        let points: Vec<u64> = byte_points(&[0, 10_000]).into_iter().collect();
        let second = [65, 66, 98, 130, 131, 5131, 10_130];
        assert_eq!(points[..4], [0, 1, 32, 64]);
        assert_eq!(points[4..], second);
    }
}
