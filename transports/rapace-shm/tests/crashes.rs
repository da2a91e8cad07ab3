//! Every moment at which a process can die, and everything that its partner may then find.
//!
//! One end is the victim. Each store of it, each ring of a bell and each control message is an
//! event; a script is run again for every event, and the victim dies right after it. What it stored
//! up to its last store with release order is there; of what it stored after that, any subset may
//! be: the script is run for every one of these, too. (A killed process leaves all its stores. The
//! compiler may have moved the relaxed ones.) Then the survivor is asked:
//!
//! - what it received is what was sent, in order, and all of it that was published
//! - its link ends with a typed error, which it sees without being asked twice
//! - all its memory is there again when it drops its end; what it still borrows stays readable
//!
//! The same with planted flaws, which must be caught.

mod ends;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use ends::{End, contents, filled};
use rapace_shm::layout::HEAD;
use rapace_shm::{
    Alarm, Control, Doorbell, Incoming, Memory, Outgoing, Parts, Platform, ShmConfig, ShmTransport,
    Spin, prepare_lane,
};
use rapace_transport::LinkError;

/// What is wrong with the victim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    None,
    /// The head is stored without release order.
    RelaxedPublish,
    /// Payloads are written after the head was stored.
    PublishBeforePayload,
    /// A slot is returned when its payload is received, not when it is dropped.
    EarlyReturn,
}

/// What the victim does, and when it dies.
struct Victim {
    flaw: Flaw,
    /// Events that are still to happen.
    left: u64,
    events: u64,
    /// Stores after the last release, with what was there before: (lane, word, old value).
    unreleased: Vec<(Arc<Vec<AtomicU64>>, Unit)>,
    /// Payloads that a flaw holds back.
    late: Vec<(Arc<Vec<AtomicU64>>, usize, Vec<u8>)>,
    published: u64,
    closed: bool,
    dead: bool,
}

/// Words that are stored together, with their old values.
type Unit = Vec<(usize, u64)>;

type Process = Arc<Mutex<Victim>>;

impl Victim {
    /// One more event; says whether it still happens.
    fn event(&mut self) -> bool {
        if self.dead {
            return false;
        }
        self.events += 1;
        if self.left == 0 {
            self.dead = true;
            return false;
        }
        self.left -= 1;
        true
    }
}

/// A lane in the hands of one process.
#[derive(Clone)]
struct Lane {
    words: Arc<Vec<AtomicU64>>,
    /// The victim, if it is the victim's.
    owner: Option<Process>,
}

impl Lane {
    fn new(bytes: usize, owner: Option<Process>) -> Self {
        let words = (0..bytes / 8).map(|_| AtomicU64::new(0)).collect();
        Lane {
            words: Arc::new(words),
            owner,
        }
    }

    fn bytes_at(words: &[AtomicU64], at: usize, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            let (word, shift) = ((at + index) / 8, (at + index) % 8 * 8);
            let old = words[word].load(Ordering::SeqCst);
            let new = old & !(0xFF << shift) | u64::from(*byte) << shift;
            words[word].store(new, Ordering::SeqCst);
        }
    }

    fn old(&self, from: usize, to: usize) -> Unit {
        let words = from / 8..to.div_ceil(8);
        words
            .map(|word| (word, self.words[word].load(Ordering::SeqCst)))
            .collect()
    }
}

impl Memory for Lane {
    fn len_bytes(&self) -> usize {
        self.words.len() * 8
    }

    fn load(&self, at: usize, _: Ordering) -> u64 {
        self.words[at / 8].load(Ordering::SeqCst)
    }

    fn store(&self, at: usize, value: u64, order: Ordering) {
        if let Some(owner) = &self.owner {
            let mut victim = owner.lock().unwrap();
            if !victim.event() {
                return;
            }
            let relaxed = victim.flaw == Flaw::RelaxedPublish && at == HEAD;
            if order == Ordering::Release && !relaxed {
                victim.unreleased.clear();
                if at == rapace_shm::layout::CLOSED {
                    victim.closed = true;
                }
            } else {
                let unit = self.old(at, at + 8);
                victim.unreleased.push((self.words.clone(), unit));
            }
            if at == HEAD {
                if !relaxed {
                    victim.published = value;
                }
                self.words[at / 8].store(value, Ordering::SeqCst);
                for (words, at, bytes) in std::mem::take(&mut victim.late) {
                    if victim.event() {
                        Lane::bytes_at(&words, at, &bytes);
                    }
                }
            }
        }
        self.words[at / 8].store(value, Ordering::SeqCst);
    }

    fn fence(&self) {}

    fn read(&self, at: usize, out: &mut [u8]) {
        for (index, byte) in out.iter_mut().enumerate() {
            let word = self.words[(at + index) / 8].load(Ordering::SeqCst);
            *byte = (word >> ((at + index) % 8 * 8)) as u8;
        }
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        let Some(owner) = &self.owner else {
            return Lane::bytes_at(&self.words, at, bytes);
        };
        // Two events: a payload may be there by half.
        let half = bytes.len().div_ceil(16) * 8;
        for (index, line) in bytes.chunks(half.max(8)).enumerate() {
            let at = at + index * half;
            let mut victim = owner.lock().unwrap();
            if victim.flaw == Flaw::PublishBeforePayload && at >= 4096 {
                victim.late.push((self.words.clone(), at, line.to_vec()));
                continue;
            }
            if !victim.event() {
                return;
            }
            let unit = self.old(at, at + line.len());
            victim.unreleased.push((self.words.clone(), unit));
            Lane::bytes_at(&self.words, at, line);
        }
    }
}

#[derive(Default)]
struct BellState {
    rung: bool,
    waker: Option<Waker>,
}

/// A bell, in the hands of who may be the victim.
#[derive(Clone)]
struct Bell(Arc<Mutex<BellState>>, Option<Process>);

impl Doorbell for Bell {
    fn ring(&self) {
        if self
            .1
            .as_ref()
            .is_some_and(|owner| !owner.lock().unwrap().event())
        {
            return;
        }
        let waker = {
            let mut bell = self.0.lock().unwrap();
            bell.rung = true;
            bell.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bell = self.0.lock().unwrap();
        if std::mem::take(&mut bell.rung) {
            return Poll::Ready(Ok(()));
        }
        bell.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Default)]
struct Line {
    messages: VecDeque<Result<(u32, Lane), u32>>,
    gone: bool,
    waker: Option<Waker>,
}

impl Line {
    fn hang_up(line: &Mutex<Line>) {
        let waker = {
            let mut line = line.lock().unwrap();
            line.gone = true;
            line.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Socket {
    incoming: Arc<Mutex<Line>>,
    outgoing: Arc<Mutex<Line>>,
    owner: Option<Process>,
    made: Arc<Mutex<Vec<Weak<Vec<AtomicU64>>>>>,
}

impl Control for Socket {
    type Memory = Lane;

    fn create(&self, bytes: usize) -> io::Result<Lane> {
        let lane = Lane::new(bytes, self.owner.clone());
        self.made.lock().unwrap().push(Arc::downgrade(&lane.words));
        Ok(lane)
    }

    fn poll_send(&self, _: &mut Context<'_>, message: &Outgoing<'_, Lane>) -> Poll<io::Result<()>> {
        if self
            .owner
            .as_ref()
            .is_some_and(|owner| !owner.lock().unwrap().event())
        {
            return Poll::Ready(Ok(()));
        }
        let waker = {
            let mut line = self.outgoing.lock().unwrap();
            line.messages.push_back(match message {
                Outgoing::Segment { serial, memory } => {
                    let words = memory.words.clone();
                    Ok((*serial, Lane { words, owner: None }))
                }
                Outgoing::Drop { serial } => Err(*serial),
            });
            line.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Lane>>> {
        let mut line = self.incoming.lock().unwrap();
        Poll::Ready(Ok(match line.messages.pop_front() {
            Some(Ok((serial, memory))) => Incoming::Segment { serial, memory },
            Some(Err(serial)) => Incoming::Drop { serial },
            None if line.gone => Incoming::HungUp,
            None => {
                line.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }))
    }
}

#[derive(Debug)]
struct Recorded;

impl Platform for Recorded {
    type Memory = Lane;
    type Doorbell = Bell;
    type Control = Socket;

    fn now_ns() -> u64 {
        0
    }

    fn processor() -> Option<u64> {
        None
    }

    fn alarm() -> Box<dyn Alarm> {
        Box::new(Never)
    }
}

struct Never;

impl Alarm for Never {
    fn set(&mut self, _: Option<Duration>) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// One step of a script. Numbers are lengths of payloads.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    /// Polls for a frame, and keeps it; parks if there is none.
    Receive,
    DropReceived,
    Close,
    SurvivorSends(usize),
    SurvivorReceives,
    SurvivorDropsReceived,
}

use Step::{
    Close, DropReceived, Receive, Send, SurvivorDropsReceived, SurvivorReceives, SurvivorSends,
};

struct World {
    process: Process,
    victim: End,
    survivor: End,
    sent: Vec<usize>,
    got: Vec<Bytes>,
    back_sent: Vec<usize>,
    /// Number, place in the survivor's lane, bytes.
    back_got: Vec<(u64, usize, Bytes)>,
    back_received: u64,
    lanes: [Weak<Vec<AtomicU64>>; 2],
    victims_lane: Lane,
    survivors_lane: Lane,
    line: Arc<Mutex<Line>>,
    made: Arc<Mutex<Vec<Weak<Vec<AtomicU64>>>>>,
}

impl World {
    fn new(flaw: Flaw, left: u64) -> Self {
        let process = Arc::new(Mutex::new(Victim {
            flaw,
            left: u64::MAX,
            events: 0,
            unreleased: Vec::new(),
            late: Vec::new(),
            published: 0,
            closed: false,
            dead: false,
        }));
        let config = ShmConfig {
            ring_frames: 8,
            lane_bytes_max: 64 << 10,
            spin: Spin::Never,
            ..ShmConfig::smallest()
        };
        let owners = [Some(process.clone()), None];
        let lanes = owners.each_ref().map(|owner| {
            let lane = Lane::new(config.lane_len_bytes(), owner.clone());
            prepare_lane(&lane, &config);
            lane
        });
        let data: [Arc<Mutex<BellState>>; 2] = Default::default();
        let room: [Arc<Mutex<BellState>>; 2] = Default::default();
        let lines: [Arc<Mutex<Line>>; 2] = Default::default();
        let made: [Arc<Mutex<Vec<Weak<Vec<AtomicU64>>>>>; 2] = Default::default();
        let [victim, survivor] = [0, 1].map(|this| {
            let peer = 1 - this;
            let owner = owners[this].clone();
            let parts: Parts<Recorded> = Parts {
                own: lanes[this].clone(),
                peer: Lane {
                    words: lanes[peer].words.clone(),
                    owner: None,
                },
                own_data: Bell(data[this].clone(), owner.clone()),
                own_room: Bell(room[this].clone(), owner.clone()),
                peer_data: Bell(data[peer].clone(), owner.clone()),
                peer_room: Bell(room[peer].clone(), owner.clone()),
                control: Socket {
                    incoming: lines[this].clone(),
                    outgoing: lines[peer].clone(),
                    owner,
                    made: made[this].clone(),
                },
            };
            End::new(ShmTransport::new(parts, config.clone()).expect("a link"))
        });
        {
            let mut state = process.lock().unwrap();
            state.left = left;
            state.events = 0;
            state.unreleased.clear();
        }
        World {
            process,
            victim,
            survivor,
            sent: Vec::new(),
            got: Vec::new(),
            back_sent: Vec::new(),
            back_got: Vec::new(),
            back_received: 0,
            lanes: [
                Arc::downgrade(&lanes[0].words),
                Arc::downgrade(&lanes[1].words),
            ],
            victims_lane: lanes[0].clone(),
            survivors_lane: lanes[1].clone(),
            line: lines[1].clone(),
            made: made[1].clone(),
        }
    }

    fn dead(&self) -> bool {
        self.process.lock().unwrap().dead
    }

    /// Runs until the victim is dead or the script is over.
    fn run(&mut self, script: &[Step]) -> Result<(), String> {
        for step in script {
            self.step(*step)?;
            if self.dead() {
                break;
            }
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Send(len) => {
                let number = self.sent.len() as u64;
                // Counted before: the frame may be out before the victim dies.
                self.sent.push(len);
                let _ = self.victim.try_send(|| filled(number, len));
            }
            Receive => {
                if let Poll::Ready(Ok(frame)) = self.victim.poll_recv() {
                    let number = self.back_received;
                    self.back_received += 1;
                    let slot = frame.desc.payload_slot;
                    let at = frame.desc.payload_offset as usize;
                    if self.process.lock().unwrap().flaw == Flaw::EarlyReturn {
                        let mut giver = rapace_shm::returns::Giver::new(early(&self.victims_lane));
                        giver.give(&self.victims_lane, slot);
                    }
                    self.back_got.push((number, at, frame.payload.into_bytes()));
                }
            }
            DropReceived => {
                self.check_back()?;
                self.back_got.clear();
            }
            Close => {
                let _ = self.victim.poll_close();
            }
            SurvivorSends(len) => {
                let number = self.back_sent.len() as u64;
                let sent = self.survivor.try_send(|| filled(number, len));
                if sent.map_err(|error| format!("the survivor cannot send: {error}"))? {
                    self.back_sent.push(len);
                }
            }
            SurvivorReceives => {
                while let Poll::Ready(received) = self.survivor.poll_recv() {
                    match received {
                        Ok(frame) => self.survivor_got(frame.payload.into_bytes())?,
                        Err(LinkError::Closed) => break,
                        Err(error) => return Err(format!("an honest peer: {error}")),
                    }
                }
            }
            SurvivorDropsReceived => {
                for bytes in &mut self.got {
                    *bytes = Bytes::copy_from_slice(bytes);
                }
            }
        }
        Ok(())
    }

    fn survivor_got(&mut self, bytes: Bytes) -> Result<(), String> {
        let number = self.got.len();
        let Some(len) = self.sent.get(number) else {
            return Err(format!("frame {number} was never sent"));
        };
        if bytes != contents(number as u64, *len) {
            return Err(format!("frame {number} of {len} bytes is damaged"));
        }
        self.got.push(bytes);
        Ok(())
    }

    /// What the victim holds is what was sent to it.
    fn check_back(&self) -> Result<(), String> {
        for (number, at, bytes) in &self.back_got {
            let len = self.back_sent.get(*number as usize).copied();
            // A program that reads in place sees what is there now.
            let mut now = vec![0; bytes.len()];
            let bytes = if self.process.lock().unwrap().flaw == Flaw::EarlyReturn {
                self.survivors_lane.read(*at, &mut now);
                &now
            } else {
                &bytes[..]
            };
            if len.is_none_or(|len| bytes != contents(*number, len)) {
                return Err(format!("the victim's frame {number} is damaged"));
            }
        }
        Ok(())
    }

    /// The victim is dead; what is there of its last stores is chosen by `subset`.
    fn bury(&mut self, subset: u64) {
        let mut victim = self.process.lock().unwrap();
        victim.late.clear();
        let unreleased = std::mem::take(&mut victim.unreleased);
        drop(victim);
        // Backwards, so that of two stores to one word the first one's old value stays.
        for (index, (words, unit)) in unreleased.iter().enumerate().rev() {
            if subset >> index & 1 == 0 {
                for (word, old) in unit {
                    words[*word].store(*old, Ordering::SeqCst);
                }
            }
        }
        Line::hang_up(&self.line);
    }

    /// What is owed to the survivor.
    fn check(mut self) -> Result<(), String> {
        let (published, closed) = {
            let victim = self.process.lock().unwrap();
            (victim.published, victim.closed)
        };
        let end = loop {
            match self.survivor.poll_recv() {
                Poll::Ready(Ok(frame)) => self.survivor_got(frame.payload.into_bytes())?,
                Poll::Ready(Err(error)) => break error,
                Poll::Pending => {
                    if !self.survivor.receiving.was_woken() {
                        return Err("the survivor sleeps for ever".into());
                    }
                }
            }
        };
        match end {
            LinkError::Closed if closed => {}
            LinkError::PeerDied(_) if !closed => {}
            other => return Err(format!("the link ended with: {other}")),
        }
        if !self.lengths_published(published) {
            return Err(format!(
                "{published} entries were published, {} received",
                self.got.len()
            ));
        }
        self.check_back()?;
        // Sending ends as well; nothing waits for ever.
        let mut rounds = 0;
        while self.survivor.try_send(|| filled(0, 300)) == Ok(true) {
            rounds += 1;
            if rounds > 100 {
                return Err("the survivor sends for ever".into());
            }
        }
        if self.survivor.poll_ready().is_pending() {
            return Err("the survivor waits for ever".into());
        }
        let World {
            victim,
            survivor,
            got,
            back_got,
            lanes,
            made,
            victims_lane,
            survivors_lane,
            ..
        } = self;
        drop((victim, survivor, back_got, victims_lane, survivors_lane));
        let intact = got
            .iter()
            .enumerate()
            .all(|(number, bytes)| *bytes == contents(number as u64, bytes.len()));
        if !intact {
            return Err("borrowed bytes did not outlive the peer".into());
        }
        drop(got);
        let mut lanes = lanes
            .iter()
            .chain(&*made.lock().unwrap())
            .cloned()
            .collect::<Vec<_>>();
        lanes.retain(|lane| lane.upgrade().is_some());
        if !lanes.is_empty() {
            return Err("memory stays behind".into());
        }
        Ok(())
    }

    /// Whether everything that these entries of the ring hold was received.
    fn lengths_published(&self, entries: u64) -> bool {
        // A frame takes one entry, or more if its payload stands in the ring too.
        let mut used = 0;
        let mut frames = 0;
        for len in &self.sent {
            let behind = if *len > 16 && *len <= rapace_shm::ring::RUN_BYTES_MAX {
                len.div_ceil(64)
            } else {
                0
            };
            used += 1 + behind as u64;
            if used > entries {
                break;
            }
            frames += 1;
        }
        self.got.len() >= frames
    }
}

/// The geometry of the lane, for a flaw that writes where the giver does.
fn early(lane: &Lane) -> rapace_shm::layout::Geometry {
    let ring = lane.load(8, Ordering::Relaxed) as u32;
    let returns = lane.load(16, Ordering::Relaxed) as u32;
    rapace_shm::layout::Geometry::new(ring, returns, 4096)
}

/// Runs the script for every event and every subset. Says how many states the survivor was put
/// into, or what was wrong with one of them.
fn enumerate(flaw: Flaw, script: &[Step]) -> Result<u64, String> {
    let mut states = 0;
    for left in 0.. {
        let mut subset = 0;
        let (finished, subsets) = loop {
            let place = |what: String| format!("{what} (event {left}, subset {subset:b})");
            let mut world = World::new(flaw, left);
            world.run(script).map_err(place)?;
            let finished = !world.dead();
            let units = world.process.lock().unwrap().unreleased.len();
            assert!(
                units <= 13,
                "{units} unreleased stores are too many subsets"
            );
            world.process.lock().unwrap().dead = true;
            world.bury(subset);
            world.check().map_err(place)?;
            states += 1;
            subset += 1;
            if subset == 1 << units {
                break (finished, subset);
            }
        };
        assert!(subsets > 0);
        if finished {
            return Ok(states);
        }
    }
    unreachable!("some event is the last one")
}

const SCRIPTS: [(&str, &[Step]); 6] = [
    ("publish", &[Send(8), Send(300), SurvivorReceives, Send(24)]),
    (
        "publish to a sleeper",
        &[SurvivorReceives, Send(8), SurvivorReceives, Send(300)],
    ),
    (
        "consume, give back, fall asleep",
        &[
            SurvivorSends(8),
            SurvivorSends(300),
            Receive,
            Receive,
            Receive,
            DropReceived,
            SurvivorSends(300),
            SurvivorSends(400),
            Receive,
            Receive,
            DropReceived,
            SurvivorSends(300),
            Receive,
        ],
    ),
    ("close", &[Send(8), Send(300), Close]),
    (
        "grow",
        &[
            Send(5_000),
            SurvivorReceives,
            SurvivorDropsReceived,
            Send(6_000),
        ],
    ),
    (
        "both ways, and borrowed bytes are kept",
        &[
            Receive,
            SurvivorSends(300),
            Receive,
            Send(300),
            SurvivorReceives,
            DropReceived,
            SurvivorSends(300),
            SurvivorSends(300),
            Receive,
        ],
    ),
];

#[test]
fn a_survivor_loses_nothing_whenever_its_peer_dies() {
    let mut total = 0;
    for (name, script) in SCRIPTS {
        match enumerate(Flaw::None, script) {
            Ok(states) => {
                println!("{name}: {states} states");
                total += states;
            }
            Err(what) => panic!("{name}: {what}"),
        }
    }
    println!("{total} states");
    assert!(total > 5_000, "only {total} states were seen");
}

fn assert_caught(flaw: Flaw, scripts: &[&[Step]]) {
    let caught = scripts
        .iter()
        .find_map(|script| enumerate(flaw, script).err());
    println!(
        "{flaw:?}: {}",
        caught.expect("a planted flaw went unnoticed")
    );
}

#[test]
fn a_relaxed_publish_is_caught() {
    assert_caught(Flaw::RelaxedPublish, &[&[Send(8)]]);
    assert_caught(Flaw::RelaxedPublish, &[&[Send(300)]]);
}

#[test]
fn a_publish_before_its_payload_is_caught() {
    assert_caught(Flaw::PublishBeforePayload, &[&[Send(300)]]);
}

#[test]
fn an_early_return_is_caught() {
    let script = [
        SurvivorSends(300),
        Receive,
        SurvivorSends(300),
        SurvivorSends(300),
        DropReceived,
    ];
    assert_caught(Flaw::EarlyReturn, &[&script]);
}
