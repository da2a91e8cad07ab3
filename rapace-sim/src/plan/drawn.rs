//! One random fault, of whatever kind is asked for.

use super::Cast;
use crate::draw::Draws;
use crate::fault::{DoorbellEffect, Fault, FaultKind, FrameKind, Moment, Since, What, When};
use crate::time::Nanos;

/// The kinds of faults that plans are made of. More frequent ones stand several times.
pub(super) const KINDS: [FaultKind; 18] = [
    FaultKind::Kill,
    FaultKind::Kill,
    FaultKind::Restart,
    FaultKind::KillAfterStore,
    FaultKind::Hang,
    FaultKind::Slow,
    FaultKind::ClockSkew,
    FaultKind::Freeze,
    FaultKind::Freeze,
    FaultKind::Latency,
    FaultKind::Window,
    FaultKind::ShortIo,
    FaultKind::Cut,
    FaultKind::CutHalf,
    FaultKind::Corrupt,
    FaultKind::Doorbell,
    FaultKind::Exhaust,
    FaultKind::Thaw,
];

/// A fault of this kind; `None` when the cast has nobody whom it could hit.
pub(super) fn fault(draws: &mut Draws, cast: &Cast, kind: FaultKind) -> Option<Fault> {
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

fn what(draws: &mut Draws, cast: &Cast, kind: FaultKind) -> Option<What> {
    if kind.is_of_process() {
        let process = (*one(draws, &cast.processes_for(kind))?).clone();
        of_process(draws, process, kind)
    } else {
        let links = cast.links_for(kind);
        let at = *one(draws, &links)?;
        let from = at.ends[draws.below(2) as usize].clone();
        of_link(draws, at.name.clone(), from, kind)
    }
}

fn of_process(draws: &mut Draws, process: String, kind: FaultKind) -> Option<What> {
    Some(match kind {
        FaultKind::Kill => What::Kill { process },
        FaultKind::KillAfterStore => What::KillAfterStore {
            process,
            stores: early(draws, 300),
        },
        FaultKind::Restart => What::Restart {
            process,
            after: span(draws, 17, 28),
        },
        FaultKind::Hang => What::Hang {
            process,
            span: span(draws, 17, 30),
        },
        FaultKind::Slow => What::Slow {
            process,
            each: span(draws, 10, 21),
            span: span(draws, 20, 30),
        },
        FaultKind::ClockSkew => What::ClockSkew {
            process,
            ahead: span(draws, 20, 34),
        },
        // What is lost with a killed process is drawn where it dies; explorations say it exactly.
        FaultKind::KillLosing => return None,
        FaultKind::Freeze
        | FaultKind::Thaw
        | FaultKind::Latency
        | FaultKind::Window
        | FaultKind::ShortIo
        | FaultKind::Cut
        | FaultKind::CutHalf
        | FaultKind::Corrupt
        | FaultKind::Doorbell
        | FaultKind::Exhaust => return None,
    })
}

fn of_link(draws: &mut Draws, link: String, from: String, kind: FaultKind) -> Option<What> {
    Some(match kind {
        FaultKind::Freeze => What::Freeze {
            link,
            // Now and then for longer than pings wait, so that it must be noticed.
            span: if draws.chance(1, 6) {
                span(draws, 33, 36)
            } else {
                span(draws, 17, 30)
            },
        },
        FaultKind::Thaw => What::Thaw { link },
        FaultKind::Latency => What::Latency {
            link,
            latency: span(draws, 10, 26),
        },
        FaultKind::Window => What::Window {
            link,
            bytes: 1 << draws.within(8, 17),
        },
        FaultKind::ShortIo => What::ShortIo {
            link,
            bytes: 1 << draws.within(4, 12),
        },
        FaultKind::Cut => What::Cut { link },
        FaultKind::CutHalf => What::CutHalf { link, from },
        FaultKind::Corrupt => What::Corrupt {
            link,
            from,
            offset: early(draws, 600) as u32,
            xor: 1 << draws.below(8),
        },
        FaultKind::Doorbell => What::Doorbell {
            link,
            effect: match draws.below(3) {
                0 => DoorbellEffect::Delay(span(draws, 10, 24)),
                1 => DoorbellEffect::Coalesce,
                _ => DoorbellEffect::Duplicate,
            },
            span: span(draws, 20, 30),
        },
        FaultKind::Exhaust => What::Exhaust {
            link,
            span: span(draws, 17, 30),
        },
        FaultKind::Kill
        | FaultKind::KillLosing
        | FaultKind::KillAfterStore
        | FaultKind::Restart
        | FaultKind::Hang
        | FaultKind::Slow
        | FaultKind::ClockSkew => return None,
    })
}

/// One of them, if there are any.
fn one<'a, T>(draws: &mut Draws, all: &'a [T]) -> Option<&'a T> {
    all.get(index(draws, all.len())?)
}

pub(super) fn index(draws: &mut Draws, len: usize) -> Option<usize> {
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
