//! The ring of descriptors of rapace's shared memory, alone: what a link's throughput of messages is
//! bound by.
//!
//! Descriptors are eight words; the consumer reads them all, and gives its slots back when it has
//! caught up or a quarter of the ring is read, as the transport does.

use std::cell::RefCell;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use rapace_shm::layout::Geometry;
use rapace_shm::ring::{Consumer, Producer, Words as Message};
use tokio::net::UnixListener;

use super::rounds::{Calls, Rounds, spin};
use crate::client::{RoundFuture, Subject, check_read};
use crate::handover;
use crate::lane::Words;
use crate::work::{self, BATCH, Sample, Work};

/// The only work.
const COUNT: u8 = 1;
/// In a descriptor's first word: the round is over. Others have the number of those before.
const STOP: u64 = u64::MAX;
/// As a link has by default.
const RING: u32 = 256;

fn geometry() -> Geometry {
    Geometry::new(RING, RING, 0)
}

/// One connection; the process ends with its client.
pub(crate) async fn serve(listener: UnixListener) -> Result<()> {
    let mut rounds = Rounds::accept(listener).await?;
    let [theirs, ours] = handover::receive(rounds.socket())?;
    let len = geometry().len_bytes();
    let (theirs, ours) = (Words::attach(theirs, len)?, Words::attach(ours, len)?);
    let mut consumer = Consumer::new(geometry());
    while let Some(work) = rounds.next()? {
        if work != COUNT {
            bail!("no work is called {work}");
        }
        rounds.done(count(&mut consumer, &ours, &theirs)?)?;
    }
    Ok(())
}

/// The sum of all words.
fn count(consumer: &mut Consumer, ours: &Words, theirs: &Words) -> Result<u64> {
    let mut sum = 0_u64;
    loop {
        let next = consumer.next(theirs).map_err(corrupt)?;
        let Some(message) = next else {
            consumer.publish(ours);
            spin(|| consumer.look(theirs).unwrap_or(true).then_some(()))?;
            continue;
        };
        if message[0] == STOP {
            consumer.publish(ours);
            return Ok(sum);
        }
        sum = message
            .iter()
            .fold(sum, |sum, word| sum.wrapping_add(*word));
        if consumer.unpublished() * 4 >= consumer.capacity() {
            consumer.publish(ours);
        }
    }
}

fn corrupt(what: &str) -> anyhow::Error {
    anyhow!("the ring is corrupt: {what}")
}

/// The client side.
pub(crate) struct Descriptors {
    state: RefCell<(Producer, Words, Words)>,
    server: Calls,
}

pub(crate) fn connect(socket: &Path) -> Result<Descriptors> {
    let server = Calls::connect(socket)?;
    let len = geometry().len_bytes();
    let ((ours, file), (theirs, their_file)) = (Words::create(len)?, Words::create(len)?);
    handover::send(server.socket(), &[file.as_fd(), their_file.as_fd()])?;
    Ok(Descriptors {
        state: RefCell::new((Producer::new(geometry()), ours, theirs)),
        server,
    })
}

impl Subject for Descriptors {
    fn can(&self, work: Work) -> bool {
        work == Work::Batch16
    }

    fn round(&self, _: Work, budget: Duration) -> RoundFuture {
        // Not a future's work: it spins all the way.
        Box::pin(std::future::ready(self.measure(budget)))
    }
}

impl Descriptors {
    fn measure(&self, budget: Duration) -> Result<Sample> {
        // The clock is read once in this many batches.
        const BATCHES: u64 = 256;
        let (producer, ours, theirs) = &mut *self.state.borrow_mut();
        let mut push = |message: &Message| {
            spin(|| match producer.has_room(theirs) {
                Ok(room) => room.then_some(Ok(())),
                Err(what) => Some(Err(corrupt(what))),
            })??;
            producer.write(ours, message);
            // 16 at a time, and the one that ends the round.
            if producer.unpublished() == BATCH || message[0] == STOP {
                producer.publish(ours);
            }
            Ok::<(), anyhow::Error>(())
        };
        self.server.begin(COUNT)?;
        let start = Instant::now();
        let (mut sent, mut sum) = (0, 0_u64);
        while start.elapsed() < budget {
            for _ in 0..BATCHES * BATCH {
                push(&[sent; 8])?;
                sum = sum.wrapping_add(sent.wrapping_mul(8));
                sent += 1;
            }
        }
        push(&[STOP; 8])?;
        check_read(sum, self.server.end()?)?;
        Ok(work::sample(sent, start.elapsed(), None))
    }
}
