//! What is written down while a world runs.
//!
//! Two things come of it: a hash over everything, always; and the events themselves, if somebody
//! wants to read them. Writing a frame down copies a descriptor; making text of it waits until it is
//! read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rapace_core::control::Verb;
use rapace_core::frame::{DESCRIPTOR_LEN, Descriptor, Frame, Payload};
use rapace_core::{ChannelId, Flags, MethodId};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

use super::{CallEnd, LinkChange, ProcessChange, TraceHash};
use crate::engine::process::{AwaitedStore, ProcessCell};
use crate::fault::{FrameKind, Moment};
use crate::oracle::WireWatch;
use crate::report::Oracle;

/// Payloads longer than this are not kept for reading; their length and hash are.
const KEPT_BYTES_MAX: usize = 16 << 10;

/// Something that happened, with numbers instead of names.
pub(crate) enum Entry {
    Sent(SentFrame),
    Fault {
        fault: usize,
        hit: bool,
    },
    Process {
        process: usize,
        life: u32,
        change: ProcessChange,
    },
    Link {
        link: usize,
        life: u32,
        change: LinkChange,
    },
    Call {
        process: usize,
        call: u64,
        label: String,
        outcome: Option<CallEnd>,
    },
    Mark {
        name: String,
    },
    Note {
        process: usize,
        text: String,
    },
    Failure {
        text: String,
    },
}

pub(crate) struct SentFrame {
    pub(crate) route: Route,
    pub(crate) desc: Descriptor,
    pub(crate) payload_len: u32,
    pub(crate) payload_hash: u64,
    /// `None` when it is too long to keep.
    pub(crate) payload: Option<Bytes>,
    pub(crate) received: Option<u64>,
}

/// One direction of one life of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Route {
    pub(crate) link: usize,
    pub(crate) life: u32,
    /// Which end sends.
    pub(crate) end: usize,
    /// The sending process.
    pub(crate) from: usize,
}

/// A frame of the plan that a fault waits for.
#[derive(Clone)]
pub(crate) struct Awaited {
    pub(crate) process: usize,
    pub(crate) kind: FrameKind,
    pub(crate) n: u64,
    pub(crate) then: Then,
}

/// What comes of a frame that was awaited.
#[derive(Clone)]
pub(crate) enum Then {
    /// A fault is due.
    Fault { fault: usize, moment: Moment },
    /// From now on the stores of a process are counted, of which one is awaited.
    Stores(Arc<ProcessCell>, AwaitedStore),
}

/// Frames on their way in one direction: what must come out is what went in, in order.
struct InTransit {
    route: Route,
    frames: VecDeque<Transit>,
}

/// The protocol of one life of a link, as far as both sides keep to it.
struct Watched {
    link: usize,
    life: u32,
    watch: WireWatch,
    /// Bytes were changed on purpose, or a rule was broken already: what follows says nothing.
    given_up: bool,
}

struct Transit {
    desc: Descriptor,
    payload_hash: u64,
    /// Its place among the entries.
    entry: usize,
}

#[derive(Default)]
pub(crate) struct Recorder {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    hash: u64,
    keep: bool,
    entries: Vec<(u64, Entry)>,
    transits: Vec<InTransit>,
    watched: Vec<Watched>,
    /// By process and kind, over all lives; kind [`FrameKind::Any`] counts all.
    sent: Vec<[u64; FrameKind::ALL.len() + 1]>,
    awaited: Vec<Awaited>,
    due: Vec<usize>,
    frames: u64,
    problems: Vec<(Oracle, String)>,
}

/// What a sender has to know of the frame it is about to send.
pub(crate) struct Verdict {
    /// It does not go out: a fault comes before it.
    pub(crate) swallowed: bool,
}

impl Recorder {
    /// A recorder; `keep` also keeps the events for reading.
    pub(crate) fn new(keep: bool, processes: usize, awaited: Vec<Awaited>) -> Self {
        Recorder {
            inner: Mutex::new(Inner {
                keep,
                sent: vec![[0; FrameKind::ALL.len() + 1]; processes],
                awaited,
                ..Inner::default()
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A link has a new life.
    pub(crate) fn open(&self, routes: [Route; 2]) {
        let mut inner = self.lock();
        // What an earlier life still carried is lost.
        inner
            .transits
            .retain(|transit| transit.route.link != routes[0].link);
        inner.watched.retain(|one| one.link != routes[0].link);
        inner.watched.push(Watched {
            link: routes[0].link,
            life: routes[0].life,
            watch: WireWatch::default(),
            given_up: false,
        });
        for route in routes {
            inner.transits.push(InTransit {
                route,
                frames: VecDeque::new(),
            });
        }
    }

    /// A process sends a frame.
    pub(crate) fn sent(&self, at: u64, route: Route, frame: &Frame) -> Verdict {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let kind = kind(&frame.desc);
        let mut swallowed = false;
        let counts = &mut inner.sent[route.from];
        counts[0] += 1;
        counts[kind as usize] += 1;
        if !inner.awaited.is_empty() {
            let counts = *counts;
            inner.awaited.retain(|awaited| {
                let hit = awaited.process == route.from
                    && (awaited.kind == FrameKind::Any || awaited.kind == kind)
                    && counts[awaited.kind as usize] >= awaited.n;
                if hit {
                    match &awaited.then {
                        Then::Fault { fault, moment } => {
                            inner.due.push(*fault);
                            swallowed |= *moment == Moment::Before;
                        }
                        // At once: what the transport stores of this very frame counts.
                        Then::Stores(cell, store) => cell.await_further_store(*store),
                    }
                }
                !hit
            });
        }
        if swallowed {
            return Verdict { swallowed };
        }
        inner.frames += 1;
        if let Some(problem) = inner.breaks_a_rule(route, frame) {
            inner.problems.push((Oracle::Protocol, problem));
        }
        let payload_hash = hash_payload(&frame.payload);
        let desc = plain(&frame.desc);
        inner.mix_frame(1, at, route, &desc, payload_hash);
        let entry = inner.entries.len();
        if inner.keep {
            let len = frame.payload.len();
            let payload = (len <= KEPT_BYTES_MAX).then(|| gathered(&frame.payload));
            let sent = SentFrame {
                route,
                desc,
                payload_len: len as u32,
                payload_hash,
                payload,
                received: None,
            };
            inner.entries.push((at, Entry::Sent(sent)));
        }
        if let Some(transit) = inner.transit(route) {
            transit.frames.push_back(Transit {
                desc,
                payload_hash,
                entry,
            });
        }
        Verdict { swallowed }
    }

    /// A process received a frame of this route. `corrupted` tells that bytes of it may have been
    /// changed on purpose.
    pub(crate) fn received(&self, at: u64, route: Route, frame: &Frame, corrupted: bool) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let payload_hash = hash_payload(&frame.payload);
        let desc = plain(&frame.desc);
        if let Some(watched) = inner.watched(route) {
            watched.given_up |= corrupted;
            watched.watch.taken(1 - route.end, frame);
        }
        inner.mix_frame(2, at, route, &desc, payload_hash);
        let Some(transit) = inner.transit(route) else {
            return;
        };
        match transit.frames.pop_front() {
            Some(sent) => {
                let entry = sent.entry;
                if !corrupted && (sent.desc != desc || sent.payload_hash != payload_hash) {
                    let problem = format!(
                        "the transport changed a frame: {:?} was sent, {:?} arrived",
                        sent.desc, desc
                    );
                    inner.problems.push((Oracle::Delivery, problem));
                }
                if let Some((_, Entry::Sent(frame))) = inner.entries.get_mut(entry) {
                    frame.received = Some(at);
                }
            }
            None if corrupted => {}
            None => {
                let problem = format!("a frame arrived that nobody had sent: {desc:?}");
                inner.problems.push((Oracle::Delivery, problem));
            }
        }
    }

    /// Something else happened.
    pub(crate) fn note(&self, at: u64, entry: Entry) {
        let mut inner = self.lock();
        inner.mix_entry(at, &entry);
        if inner.keep {
            inner.entries.push((at, entry));
        }
    }

    /// Faults that were waited for and are due now.
    pub(crate) fn take_due(&self) -> Vec<usize> {
        let mut inner = self.lock();
        if inner.due.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut inner.due)
    }

    /// No fault waits any more.
    pub(crate) fn forget_awaited(&self) {
        let mut inner = self.lock();
        inner.awaited.clear();
        inner.due.clear();
    }

    /// Something that a transport did wrong.
    pub(crate) fn problem(&self, oracle: Oracle, text: String) {
        self.lock().problems.push((oracle, text));
    }

    /// What the transports and the sessions did wrong.
    pub(crate) fn take_problems(&self) -> Vec<(Oracle, String)> {
        std::mem::take(&mut self.lock().problems)
    }

    /// How many frames were sent.
    pub(crate) fn frames(&self) -> u64 {
        self.lock().frames
    }

    pub(crate) fn hash(&self) -> TraceHash {
        TraceHash(self.lock().hash)
    }

    pub(crate) fn take_entries(&self) -> Vec<(u64, Entry)> {
        std::mem::take(&mut self.lock().entries)
    }
}

impl Inner {
    fn watched(&mut self, route: Route) -> Option<&mut Watched> {
        self.watched
            .iter_mut()
            .find(|one| (one.link, one.life) == (route.link, route.life))
    }

    /// What is wrong with sending this frame, if anything is.
    fn breaks_a_rule(&mut self, route: Route, frame: &Frame) -> Option<String> {
        let watched = self.watched(route)?;
        if watched.given_up {
            return None;
        }
        let problem = watched.watch.sent(route.end, frame).err()?;
        watched.given_up = true;
        Some(problem)
    }

    fn transit(&mut self, route: Route) -> Option<&mut InTransit> {
        self.transits
            .iter_mut()
            .find(|transit| transit.route == route)
    }

    fn mix_frame(&mut self, what: u8, at: u64, route: Route, desc: &Descriptor, payload: u64) {
        let mut bytes = [0_u8; 32 + DESCRIPTOR_LEN];
        bytes[..8].copy_from_slice(&at.to_le_bytes());
        bytes[8..16].copy_from_slice(&payload.to_le_bytes());
        bytes[16..20].copy_from_slice(&route.life.to_le_bytes());
        bytes[20..22].copy_from_slice(&(route.link as u16).to_le_bytes());
        bytes[22] = route.end as u8;
        bytes[23] = what;
        bytes[32..].copy_from_slice(&desc.to_bytes());
        self.hash = xxh3_64_with_seed(&bytes, self.hash);
    }

    fn mix_entry(&mut self, at: u64, entry: &Entry) {
        let text = match entry {
            Entry::Sent(_) => return,
            Entry::Fault { fault, hit } => format!("fault {fault} {hit}"),
            Entry::Process {
                process,
                life,
                change,
            } => format!("process {process} {life} {change:?}"),
            Entry::Link { link, life, change } => format!("link {link} {life} {change:?}"),
            Entry::Call {
                process,
                call,
                label,
                outcome,
            } => format!("call {process} {call} {label} {outcome:?}"),
            Entry::Mark { name } => format!("mark {name}"),
            Entry::Note { process, text } => format!("note {process} {text}"),
            Entry::Failure { text } => format!("failure {text}"),
        };
        self.hash = xxh3_64_with_seed(text.as_bytes(), self.hash ^ at);
    }
}

/// The descriptor without what only says where a payload lies.
fn plain(desc: &Descriptor) -> Descriptor {
    Descriptor {
        payload_slot: 0,
        payload_generation: 0,
        payload_offset: 0,
        inline_payload: [0; 16],
        ..*desc
    }
}

pub(crate) fn hash_payload(payload: &Payload) -> u64 {
    match payload.as_slice() {
        Some(bytes) => xxh3_64(bytes),
        None => {
            let mut hasher = Xxh3::new();
            for chunk in payload.chunks() {
                hasher.update(chunk);
            }
            hasher.digest()
        }
    }
}

/// A copy, so that reading a trace does not keep buffers of a transport from being used again.
fn gathered(payload: &Payload) -> Bytes {
    let mut all = Vec::with_capacity(payload.len());
    for chunk in payload.chunks() {
        all.extend_from_slice(chunk);
    }
    all.into()
}

/// What kind of frame this is.
pub(crate) fn kind(desc: &Descriptor) -> FrameKind {
    if desc.channel_id == ChannelId::CONTROL {
        return match desc.method_id {
            Verb::HELLO => FrameKind::Hello,
            Verb::OPEN_CHANNEL => FrameKind::Open,
            Verb::CLOSE_CHANNEL => FrameKind::Close,
            Verb::CANCEL_CHANNEL => FrameKind::Cancel,
            Verb::GRANT_CREDITS => FrameKind::Grant,
            Verb::PING | Verb::PONG => FrameKind::Ping,
            Verb::GO_AWAY => FrameKind::GoAway,
            _ => FrameKind::Unknown,
        };
    }
    if desc.has(Flags::RESPONSE) {
        FrameKind::Response
    } else if desc.method_id != MethodId::NONE {
        FrameKind::Request
    } else {
        FrameKind::Data
    }
}
