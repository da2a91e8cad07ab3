//! A victim and its survivor, what they do, and what is owed to the survivor.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::Poll;

use bytes::Bytes;
use rapace_shm::{Memory, Parts, ShmConfig, ShmTransport, Spin, prepare_lane};
use rapace_transport::LinkError;

use crate::ends::{End, contents, filled, frames_within};
use crate::recorded::{Bell, BellState, Flaw, Lane, Line, Made, Process, Recorded, Socket, Victim};

/// One step of a script. Numbers are lengths of payloads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
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

pub(crate) struct World {
    pub(crate) process: Process,
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
    made: Made,
}

impl World {
    pub(crate) fn new(flaw: Flaw, left: u64) -> Self {
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
        let made: [Made; 2] = Default::default();
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

    pub(crate) fn dead(&self) -> bool {
        self.process.lock().unwrap().dead
    }

    /// Runs until the victim is dead or the script is over.
    pub(crate) fn run(&mut self, script: &[Step]) -> Result<(), String> {
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
    pub(crate) fn bury(&mut self, subset: u64) {
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
    pub(crate) fn check(mut self) -> Result<(), String> {
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
        if self.got.len() < frames_within(&self.sent, published) {
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
}

/// The geometry of the lane, for a flaw that writes where the giver does.
fn early(lane: &Lane) -> rapace_shm::layout::Geometry {
    let ring = lane.load(8, Ordering::Relaxed) as u32;
    let returns = lane.load(16, Ordering::Relaxed) as u32;
    rapace_shm::layout::Geometry::new(ring, returns, 4096)
}
