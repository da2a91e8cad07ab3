//! The floor of shared memory: bare rings, both sides spinning, nothing validated.
//!
//! A message there and back is a slot of a ring each way. Payloads go one way in four slots, of
//! which the sender takes the one that came back last, since it is still in a cache. The other side
//! reads every byte where it lies.

use std::cell::RefCell;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::net::UnixListener;

use super::rounds::{Calls, Rounds, spin};
use crate::client::{RoundFuture, Subject, check_echo, check_read};
use crate::handover;
use crate::lane::{Lane, Message, PAYLOADS};
use crate::work::{self, BATCH, CallTimer, ONE_WAY_DEPTH, Sample, Work};

const _: () = assert!(ONE_WAY_DEPTH == PAYLOADS);

/// What the server does in a round, as the byte that the client sends for it.
const ECHO: u8 = 1;
const COUNT: u8 = 2;
const READ: u8 = 3;

/// In a message's first word: the round is over. Other messages have the number of those before.
const STOP: u64 = u64::MAX;

/// One connection; the process ends with its client.
pub(crate) async fn serve(listener: UnixListener) -> Result<()> {
    let mut rounds = Rounds::accept(listener).await?;
    let [file] = handover::receive(rounds.socket())?;
    let mut lane = Lane::attach(file)?;
    while let Some(work) = rounds.next()? {
        rounds.done(match work {
            ECHO => echo(&mut lane)?,
            COUNT => count(&mut lane)?,
            READ => read(&mut lane)?,
            other => bail!("no work is called {other}"),
        })?;
    }
    Ok(())
}

fn echo(lane: &mut Lane) -> Result<u64> {
    loop {
        let message = spin(|| lane.back.pop())?;
        lane.back.release();
        if message[0] == STOP {
            return Ok(0);
        }
        ensure!(lane.out.push(&message), "more than one in flight");
        lane.out.publish();
    }
}

/// The sum of the first words of all messages.
fn count(lane: &mut Lane) -> Result<u64> {
    let mut sum = 0_u64;
    loop {
        let mut message = spin(|| lane.back.pop())?;
        loop {
            if message[0] == STOP {
                lane.back.release();
                return Ok(sum);
            }
            // All eight words, as a real descriptor would be read.
            sum = message
                .iter()
                .fold(sum, |sum, word| sum.wrapping_add(*word));
            match lane.back.pop() {
                Some(next) => message = next,
                None => break,
            }
        }
        lane.back.release();
    }
}

/// The sum of all payloads.
fn read(lane: &mut Lane) -> Result<u64> {
    let mut sum = 0_u64;
    loop {
        let (slot, len) = spin(|| lane.slots_back.pop())?;
        sum = sum.wrapping_add(work::sum(&slot[..len as usize]));
        lane.slots_out.push(slot, 0);
        if len == 0 {
            return Ok(sum);
        }
    }
}

/// The client side.
pub(crate) struct Ring {
    lane: RefCell<Lane>,
    server: Calls,
}

pub(crate) fn connect(socket: &Path) -> Result<Ring> {
    let server = Calls::connect(socket)?;
    let (lane, file) = Lane::create()?;
    handover::send(server.socket(), &[file.as_fd()])?;
    Ok(Ring {
        lane: RefCell::new(lane),
        server,
    })
}

impl Subject for Ring {
    fn can(&self, work: Work) -> bool {
        work.is_of_link() && work != Work::Wake64
    }

    fn polls(&self) -> bool {
        true
    }

    fn round(&self, work: Work, budget: Duration) -> RoundFuture {
        // Not a future's work: it spins all the way.
        Box::pin(std::future::ready(self.measure(work, budget)))
    }
}

impl Ring {
    fn measure(&self, work: Work, budget: Duration) -> Result<Sample> {
        let lane = &mut *self.lane.borrow_mut();
        match work {
            Work::Frame16 | Work::Frame64 => {
                self.server.begin(ECHO)?;
                let sample = ping(lane, budget)?;
                self.server.end()?;
                Ok(sample)
            }
            Work::Batch16 => {
                self.server.begin(COUNT)?;
                let start = Instant::now();
                let (messages, sum) = flood(lane, start, budget)?;
                check_read(sum, self.server.end()?)?;
                Ok(work::sample(messages, start.elapsed(), None))
            }
            _ => {
                self.server.begin(READ)?;
                let start = Instant::now();
                let (payloads, sum) = send(lane, work, start, budget)?;
                let elapsed = start.elapsed();
                check_read(sum, self.server.end()?)?;
                Ok(work::sample(payloads, elapsed, None))
            }
        }
    }
}

fn ping(lane: &mut Lane, budget: Duration) -> Result<Sample> {
    let mut timer = CallTimer::start()?;
    let mut message: Message = [0, 1, 2, 3, 4, 5, 6, 7];
    while timer.elapsed() < budget {
        ensure!(lane.out.push(&message), "more than one in flight");
        lane.out.publish();
        let reply = spin(|| lane.back.pop())?;
        lane.back.release();
        check_echo(
            bytes_of(&message).as_flattened(),
            bytes_of(&reply).as_flattened(),
        )?;
        timer.answered();
        message[0] += 1;
    }
    stop(lane)?;
    Ok(timer.sample())
}

fn bytes_of(message: &Message) -> [[u8; 8]; 8] {
    message.map(u64::to_le_bytes)
}

/// As many messages as go, 16 published at a time; their number, and the sum of their words.
fn flood(lane: &mut Lane, start: Instant, budget: Duration) -> Result<(u64, u64)> {
    // The clock is read once in this many batches.
    const BATCHES: u64 = 256;
    let (mut sent, mut sum) = (0, 0_u64);
    while start.elapsed() < budget {
        for _ in 0..BATCHES {
            for _ in 0..BATCH {
                let message: Message = [sent; 8];
                spin(|| lane.out.push(&message).then_some(()))?;
                sum = sum.wrapping_add(sent.wrapping_mul(8));
                sent += 1;
            }
            lane.out.publish();
        }
    }
    stop(lane)?;
    Ok((sent, sum))
}

fn stop(lane: &mut Lane) -> Result<()> {
    spin(|| lane.out.push(&[STOP; 8]).then_some(()))?;
    lane.out.publish();
    Ok(())
}

/// Payloads one way until the budget is spent and all have come back; their number and sum.
fn send(lane: &mut Lane, work: Work, start: Instant, budget: Duration) -> Result<(u64, u64)> {
    let len = work.payload_len();
    let own = work::payload(if work.is_copied_in() { len } else { 0 });
    let own_sum = work::sum(&own);
    let (mut sent, mut sum) = (0, 0_u64);
    while start.elapsed() < budget {
        while let Some((slot, _)) = lane.slots_back.pop() {
            lane.free.push(slot);
        }
        let Some(mut slot) = lane.free.pop() else {
            std::hint::spin_loop();
            continue;
        };
        sum = sum.wrapping_add(if work.is_copied_in() {
            slot[..len].copy_from_slice(&own);
            own_sum
        } else {
            work::fill(&mut slot[..len], sent)
        });
        sent += 1;
        lane.slots_out.push(slot, len as u64);
    }
    if lane.free.is_empty() {
        lane.free.push(spin(|| lane.slots_back.pop())?.0);
    }
    let last = lane.free.pop().context("a slot was just put there")?;
    lane.slots_out.push(last, 0);
    while lane.free.len() < PAYLOADS {
        lane.free.push(spin(|| lane.slots_back.pop())?.0);
    }
    Ok((sent, sum))
}
