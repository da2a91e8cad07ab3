//! The floor of shared memory: bare rings, both sides spinning, nothing validated.
//!
//! A message there and back is a slot of a ring each way. Payloads go one way in four slots, of
//! which the sender takes the one that came back last, since it is still in a cache. The other side
//! reads every byte where it lies.
//!
//! The server blocks on the socket between rounds, so that it does not take a core from others.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::net::UnixListener;

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

/// Longer than any message takes: the other side is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Spins until `look` finds something.
pub(super) fn spin<T>(mut look: impl FnMut() -> Option<T>) -> Result<T> {
    const LOOKS: u32 = 1 << 20;
    let mut since = None;
    loop {
        for _ in 0..LOOKS {
            if let Some(found) = look() {
                return Ok(found);
            }
            std::hint::spin_loop();
        }
        let since = since.get_or_insert_with(Instant::now);
        ensure!(since.elapsed() < PATIENCE, "the other process is silent");
    }
}

/// One connection; the process ends with its client.
pub(crate) async fn serve(listener: UnixListener) -> Result<()> {
    let mut socket = accept(listener).await?;
    let [file] = handover::receive(&socket)?;
    let mut lane = Lane::attach(file)?;
    let mut work = [0];
    while socket.read(&mut work)? > 0 {
        let result = match work[0] {
            ECHO => echo(&mut lane)?,
            COUNT => count(&mut lane)?,
            READ => read(&mut lane)?,
            other => bail!("no work is called {other}"),
        };
        socket.write_all(&result.to_le_bytes())?;
    }
    Ok(())
}

/// The first connection, as a blocking socket: nothing else runs in such a server.
pub(super) async fn accept(listener: UnixListener) -> Result<UnixStream> {
    let (socket, _) = listener.accept().await?;
    let socket = socket.into_std()?;
    socket.set_nonblocking(false)?;
    Ok(socket)
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
    lane: std::cell::RefCell<Lane>,
    socket: UnixStream,
}

pub(crate) fn connect(socket: &Path) -> Result<Ring> {
    let socket = UnixStream::connect(socket)?;
    let (lane, file) = Lane::create()?;
    handover::send(&socket, &[file.as_fd()])?;
    Ok(Ring {
        lane: std::cell::RefCell::new(lane),
        socket,
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
                self.begin(ECHO)?;
                let sample = ping(lane, budget)?;
                self.end()?;
                Ok(sample)
            }
            Work::Batch16 => {
                self.begin(COUNT)?;
                let start = Instant::now();
                let (messages, sum) = flood(lane, start, budget)?;
                check_read(sum, self.end()?)?;
                Ok(work::sample(messages, start.elapsed(), None))
            }
            _ => {
                self.begin(READ)?;
                let start = Instant::now();
                let (payloads, sum) = send(lane, work, start, budget)?;
                let elapsed = start.elapsed();
                check_read(sum, self.end()?)?;
                Ok(work::sample(payloads, elapsed, None))
            }
        }
    }

    fn begin(&self, work: u8) -> Result<()> {
        (&self.socket)
            .write_all(&[work])
            .context("the server process has ended")
    }

    /// What the server has to say of a round.
    fn end(&self) -> Result<u64> {
        let mut result = [0; 8];
        (&self.socket).read_exact(&mut result)?;
        Ok(u64::from_le_bytes(result))
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
