//! Plans: all the faults of one run.

use std::fmt;

use arbitrary::{Arbitrary, Unstructured};
use serde::{Deserialize, Serialize};

use crate::draw::{Draws, Purpose};
use crate::fault::{DoorbellEffect, Fault, FrameKind, Moment, Since, What, When};
use crate::link::LinkKind;
use crate::time::Nanos;

/// A seed and the faults of a run: together with the world they decide everything that happens.
///
/// A plan comes from a seed ([`Plan::swarm`]), from a file (serde: TOML, JSON), from any bytes
/// ([`Plan::from_bytes`], [`Arbitrary`]), or is written by hand.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Decides the order of tasks, latencies, and whatever else is random.
    pub seed: u64,
    /// What goes wrong, in no particular order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// Whom and what a plan can hit: the processes and links of a world, and how long it lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cast {
    /// Processes that may be killed, restarted, hung and slowed.
    pub processes: Vec<String>,
    /// Links and the names of their two ends.
    pub links: Vec<CastLink>,
    /// Faults happen before this time.
    pub horizon: Nanos,
}

/// A link as plans see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CastLink {
    /// Its name.
    pub name: String,
    /// The processes at its ends.
    pub ends: [String; 2],
    /// Its transport, which cannot have every fault; `None` when that is not known.
    pub kind: Option<LinkKind>,
}

impl CastLink {
    fn can_have(&self, fault: &str) -> bool {
        self.kind.is_none_or(|kind| kind.can_have(fault))
    }
}

/// The most faults that a plan from a seed or from bytes has.
const FAULTS_MAX: usize = 24;

impl Plan {
    /// No faults.
    pub fn calm(seed: u64) -> Self {
        Plan {
            seed,
            faults: Vec::new(),
        }
    }

    /// The faults of a seed.
    ///
    /// Each seed leaves out whole kinds of faults ("swarm testing"): a uniform mix of all of them
    /// would end nearly every run in a crash before anything rarer could happen.
    pub fn swarm(seed: u64, cast: &Cast) -> Self {
        let mut draws = Draws::new(seed, Purpose::Plan, 0);
        let swarm = Swarm::draw(&mut draws, cast);
        let count = match draws.below(8) {
            0 => 0,
            1..=4 => draws.within(1, 4),
            5 | 6 => draws.within(3, 10),
            _ => draws.within(8, FAULTS_MAX as u64),
        };
        let fault = |n| {
            // Each fault from numbers of its own, so that another kind in one place does not
            // change those behind it.
            let mut draws = Draws::new(seed, Purpose::Plan, n + 1);
            swarm.fault(&mut draws, cast)
        };
        Plan {
            seed,
            faults: (0..count).filter_map(fault).collect(),
        }
    }

    /// A plan from any bytes, for fuzzers: equal bytes give equal plans, and small changes of the
    /// bytes small changes of the plan.
    pub fn from_bytes(bytes: &[u8], cast: &Cast) -> Self {
        // Bytes that run out give zeros, so that every input is a plan.
        Self::take(&mut Unstructured::new(bytes), cast).unwrap_or_default()
    }

    fn take(u: &mut Unstructured<'_>, cast: &Cast) -> arbitrary::Result<Self> {
        let seed = u64::from(u.arbitrary::<u32>()?);
        let mut faults = Vec::new();
        while !u.is_empty() && faults.len() < FAULTS_MAX {
            // The number itself is what the fuzzer mutates.
            let mut draws = Draws::new(u.arbitrary()?, Purpose::Plan, 0);
            let kind = u.choose_index(KINDS.len())?;
            faults.extend(fault(&mut draws, cast, KINDS[kind]));
        }
        Ok(Plan { seed, faults })
    }
}

impl<'a> Arbitrary<'a> for Plan {
    /// A plan for the standard world; see [`Plan::from_bytes`] for others.
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Self::take(u, &Cast::standard())
    }
}

impl fmt::Display for Plan {
    /// The seed, then one fault in a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}", self.seed)?;
        for fault in &self.faults {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl Cast {
    /// The processes that a fault of this kind could hit.
    fn processes_for(&self, fault: &str) -> Vec<&String> {
        // Who writes no bytes and stores none does not die of the next ones.
        let needs_bytes = fault == "kill_after_store";
        let processes = self.processes.iter();
        processes
            .filter(|name| !needs_bytes || self.has_link(name, |kind| kind != LinkKind::Mem))
            .collect()
    }

    /// The processes that store into shared memory.
    fn storing(&self) -> Vec<&String> {
        let processes = self.processes.iter();
        processes
            .filter(|name| self.has_link(name, |kind| kind == LinkKind::Shm))
            .collect()
    }

    /// Whether one of the links of a process is, or may be, such a one.
    fn has_link(&self, process: &str, such: impl Fn(LinkKind) -> bool) -> bool {
        let mut links = self.links.iter();
        links.any(|link| link.ends.iter().any(|end| end == process) && link.kind.is_none_or(&such))
    }

    /// The links that can have a fault of this kind.
    fn links_for(&self, fault: &str) -> Vec<&CastLink> {
        let links = self.links.iter();
        links.filter(|link| link.can_have(fault)).collect()
    }

    /// Whether anything here can have a fault of this kind.
    fn can_have(&self, fault: &str) -> bool {
        if concerns_process(fault) {
            !self.processes_for(fault).is_empty()
        } else {
            !self.links_for(fault).is_empty()
        }
    }

    /// That of the standard world, whatever its seed: `host` and the plugins `a`, `b` and `c`, each
    /// on a link of its own name.
    pub fn standard() -> Self {
        let plugins = ["a", "b", "c"];
        let link = |name: &str| CastLink {
            name: name.to_owned(),
            ends: ["host".to_owned(), name.to_owned()],
            kind: None,
        };
        Cast {
            processes: plugins.map(str::to_owned).to_vec(),
            links: plugins.map(link).to_vec(),
            horizon: Nanos::from_secs(5),
        }
    }
}

/// The kinds of faults that plans are made of. More frequent ones stand several times.
const KINDS: [&str; 18] = [
    "kill",
    "kill",
    "restart",
    "kill_after_store",
    "hang",
    "slow",
    "clock_skew",
    "freeze",
    "freeze",
    "latency",
    "window",
    "short_io",
    "cut",
    "cut_half",
    "corrupt",
    "doorbell",
    "exhaust",
    "thaw",
];

/// Which kinds of faults a seed knows, and whom it spares.
struct Swarm {
    kinds: Vec<&'static str>,
}

impl Swarm {
    fn draw(draws: &mut Draws, cast: &Cast) -> Self {
        let possible: Vec<&'static str> = KINDS
            .iter()
            .filter(|kind| cast.can_have(kind))
            .copied()
            .collect();
        let mut kinds: Vec<&'static str> = possible
            .iter()
            .filter(|_| draws.chance(1, 3))
            .copied()
            .collect();
        if kinds.is_empty() && !possible.is_empty() {
            kinds.push(*draws.pick(&possible));
        }
        Swarm { kinds }
    }

    fn fault(&self, draws: &mut Draws, cast: &Cast) -> Option<Fault> {
        let at = index(draws, self.kinds.len())?;
        fault(draws, cast, self.kinds[at])
    }
}

fn concerns_process(kind: &str) -> bool {
    matches!(
        kind,
        "kill" | "restart" | "kill_after_store" | "hang" | "slow" | "clock_skew"
    )
}

/// A fault of this kind; `None` when the cast has nobody whom it could hit.
fn fault(draws: &mut Draws, cast: &Cast, kind: &str) -> Option<Fault> {
    let when = when(draws, cast)?;
    Some(Fault {
        when,
        what: what(draws, cast, kind)?,
    })
}

fn when(draws: &mut Draws, cast: &Cast) -> Option<When> {
    let at = |draws: &mut Draws| When::At(Nanos(early(draws, cast.horizon.0.max(1))));
    Some(match draws.below(10) {
        0..=3 => at(draws),
        4..=5 => When::Event {
            process: one(draws, &cast.processes)?.clone(),
            n: early(draws, 400),
        },
        6 => {
            let storing = cast.storing();
            let Some(process) = one(draws, &storing) else {
                return Some(at(draws));
            };
            let process = (*process).clone();
            if draws.chance(1, 3) {
                let n = early(draws, 4_000);
                return Some(When::Store { process, n });
            }
            // Around a frame, where all is decided.
            let (from, kind, n) = frame(draws, cast)?;
            When::StoreAfter {
                process,
                n: early(draws, 60),
                since: Since::Frame { from, kind, n },
            }
        }
        _ => {
            let (from, kind, n) = frame(draws, cast)?;
            When::Frame {
                from,
                kind,
                n,
                moment: if draws.chance(1, 3) {
                    Moment::Before
                } else {
                    Moment::After
                },
            }
        }
    })
}

/// Some frame that somebody will send.
fn frame(draws: &mut Draws, cast: &Cast) -> Option<(String, FrameKind, u64)> {
    let ends = cast.links.iter().flat_map(|link| link.ends.iter());
    let mut all: Vec<&String> = cast.processes.iter().chain(ends).collect();
    all.sort();
    all.dedup();
    let from = (*one(draws, &all)?).clone();
    let kind = *draws.pick(&[
        FrameKind::Any,
        FrameKind::Hello,
        FrameKind::Open,
        FrameKind::Request,
        FrameKind::Response,
        FrameKind::Data,
        FrameKind::Cancel,
        FrameKind::Grant,
    ]);
    let last = match kind {
        FrameKind::Hello => 2,
        FrameKind::Any | FrameKind::Data => 200,
        _ => 40,
    };
    Some((from, kind, early(draws, last)))
}

fn what(draws: &mut Draws, cast: &Cast, kind: &str) -> Option<What> {
    if concerns_process(kind) {
        let process = (*one(draws, &cast.processes_for(kind))?).clone();
        return Some(match kind {
            "kill" => What::Kill { process },
            "kill_after_store" => What::KillAfterStore {
                process,
                stores: early(draws, 300),
            },
            "restart" => What::Restart {
                process,
                after: span(draws, 17, 28),
            },
            "hang" => What::Hang {
                process,
                span: span(draws, 17, 30),
            },
            "slow" => What::Slow {
                process,
                each: span(draws, 10, 21),
                span: span(draws, 20, 30),
            },
            _ => What::ClockSkew {
                process,
                ahead: span(draws, 20, 34),
            },
        });
    }
    let links = cast.links_for(kind);
    let at = *one(draws, &links)?;
    let from = at.ends[draws.below(2) as usize].clone();
    let link = at.name.clone();
    Some(match kind {
        "freeze" => What::Freeze {
            link,
            // Now and then for longer than pings wait, so that it must be noticed.
            span: if draws.chance(1, 6) {
                span(draws, 33, 36)
            } else {
                span(draws, 17, 30)
            },
        },
        "thaw" => What::Thaw { link },
        "latency" => What::Latency {
            link,
            latency: span(draws, 10, 26),
        },
        "window" => What::Window {
            link,
            bytes: 1 << draws.within(8, 17),
        },
        "short_io" => What::ShortIo {
            link,
            bytes: 1 << draws.within(4, 12),
        },
        "cut" => What::Cut { link },
        "cut_half" => What::CutHalf { link, from },
        "corrupt" => What::Corrupt {
            link,
            from,
            offset: early(draws, 600) as u32,
            xor: 1 << draws.below(8),
        },
        "doorbell" => What::Doorbell {
            link,
            effect: match draws.below(3) {
                0 => DoorbellEffect::Delay(span(draws, 10, 24)),
                1 => DoorbellEffect::Coalesce,
                _ => DoorbellEffect::Duplicate,
            },
            span: span(draws, 20, 30),
        },
        _ => What::Exhaust {
            link,
            span: span(draws, 17, 30),
        },
    })
}

/// One of them, if there are any.
fn one<'a, T>(draws: &mut Draws, all: &'a [T]) -> Option<&'a T> {
    all.get(index(draws, all.len())?)
}

fn index(draws: &mut Draws, len: usize) -> Option<usize> {
    (len > 0).then(|| draws.below(len as u64) as usize)
}

/// A number from 1 to about `last`, small ones more likely: most of what can break breaks early.
fn early(draws: &mut Draws, last: u64) -> u64 {
    let end = draws.within(1, last);
    draws.within(1, end)
}

/// A span between `2^from` and `2^to` nanoseconds, each order of magnitude as likely.
fn span(draws: &mut Draws, from: u64, to: u64) -> Nanos {
    let bits = draws.within(from, to - 1);
    let fine = draws.below(1 << bits);
    // Round to three digits, for those who read plans.
    let ns = (1_u64 << bits) + fine;
    let step = 10_u64.pow(ns.ilog10().saturating_sub(2));
    Nanos(ns / step * step)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_plan_survives_json_and_toml() {
        for seed in 0..200 {
            let plan = Plan::swarm(seed, &Cast::standard());
            let json = serde_json::to_string(&plan).expect("to JSON");
            assert_eq!(serde_json::from_str::<Plan>(&json).expect(&json), plan);
            let toml = toml::to_string(&plan).expect("to TOML");
            assert_eq!(toml::from_str::<Plan>(&toml).expect(&toml), plan);
        }
    }

    #[test]
    fn swarms_leave_out_kinds_and_reach_all_of_them_together() {
        let mut all = BTreeSet::new();
        for seed in 0..300 {
            let plan = Plan::swarm(seed, &Cast::standard());
            assert_eq!(plan, Plan::swarm(seed, &Cast::standard()));
            let kinds: BTreeSet<_> = plan.faults.iter().map(|fault| fault.what.kind()).collect();
            assert!(kinds.len() < 14, "seed {seed} uses {kinds:?}");
            all.extend(kinds);
        }
        // What is lost with a killed process is drawn where it dies; explorations say it exactly.
        let drawn = What::KINDS
            .into_iter()
            .filter(|kind| *kind != "kill_losing");
        assert_eq!(all, drawn.collect());
    }

    /// A fault that cannot hit anything tests nothing.
    #[test]
    fn links_get_only_faults_that_they_can_have() {
        let cast = |kind| {
            let mut cast = Cast::standard();
            for link in &mut cast.links {
                link.kind = Some(kind);
            }
            cast
        };
        for kind in [LinkKind::Stream, LinkKind::Mem, LinkKind::Shm] {
            let (mut hit, mut store) = (BTreeSet::new(), 0);
            for fault in (0..2_000).flat_map(|seed| Plan::swarm(seed, &cast(kind)).faults) {
                let of_store = matches!(fault.when, When::Store { .. } | When::StoreAfter { .. });
                store += usize::from(of_store);
                hit.insert(fault.what.kind());
            }
            let all: BTreeSet<_> = KINDS
                .into_iter()
                .filter(|fault| kind.can_have(fault))
                .collect();
            let all: BTreeSet<_> = match kind {
                LinkKind::Mem => &all - &BTreeSet::from(["kill_after_store"]),
                _ => all,
            };
            assert_eq!(hit, all, "{kind:?}");
            assert_eq!(store > 0, kind == LinkKind::Shm, "{kind:?}");
        }
    }

    #[test]
    fn any_bytes_are_a_plan() {
        let cast = Cast::standard();
        assert_eq!(Plan::from_bytes(&[], &cast), Plan::default());
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..bytes.len() {
            let plan = Plan::from_bytes(&bytes[..len], &cast);
            assert_eq!(plan, Plan::from_bytes(&bytes[..len], &cast));
        }
        assert!(!Plan::from_bytes(&bytes, &cast).faults.is_empty());
    }
}
