//! The floor of waking a process: one eventfd write and one sleep per message.
//!
//! The message itself is a slot of a bare ring. Either both sides block in `read` of the eventfd
//! (peer eventfd), or both are tokio tasks that wait with `AsyncFd` and leave the counter as it is,
//! which an edge-triggered eventfd allows (peer eventfd-tokio).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::event::{EventfdFlags, eventfd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixListener;
use tokio::sync::Mutex;

use super::rounds::{Calls, Rounds};
use crate::client::{RoundFuture, Subject};
use crate::handover;
use crate::lane::{Lane, Message};
use crate::work::{CallTimer, Sample, Work};

/// How both sides sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    Blocking,
    Tokio,
}

/// A bell that one side rings and the other sleeps at.
enum Bell {
    Blocking(OwnedFd),
    Tokio(AsyncFd<OwnedFd>),
}

impl Bell {
    fn over(bell: OwnedFd, sleep: Sleep) -> Result<Self> {
        Ok(match sleep {
            Sleep::Blocking => Self::Blocking(bell),
            Sleep::Tokio => Self::Tokio(registered(bell)?),
        })
    }

    fn ring(&self) -> Result<()> {
        let bell = match self {
            Self::Blocking(bell) => bell,
            Self::Tokio(bell) => bell.get_ref(),
        };
        rustix::io::write(bell, &1_u64.to_ne_bytes()).context("ring the bell")?;
        Ok(())
    }

    /// Sleeps until rung.
    async fn wait(&self) -> Result<()> {
        match self {
            Self::Blocking(bell) => {
                rustix::io::read(bell, &mut [0; 8]).context("wait for the bell")?;
            }
            Self::Tokio(bell) => bell.readable().await?.clear_ready(),
        }
        Ok(())
    }
}

#[allow(unsafe_code)]
fn registered(bell: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` has the same open descriptor until it is dropped, which `AsyncFd` does
    // after it has deregistered it.
    Ok(unsafe { AsyncFd::register_with_interest(bell, Interest::READABLE) }?)
}

/// One side of the link.
struct End {
    lane: Lane,
    theirs: Bell,
    ours: Bell,
}

impl End {
    fn send(&mut self, message: &Message) -> Result<()> {
        ensure!(self.lane.out.push(message), "more than one in flight");
        self.lane.out.publish();
        self.theirs.ring()
    }

    /// The next message; always asleep before it.
    async fn receive(&mut self) -> Result<Message> {
        loop {
            self.ours.wait().await?;
            // A bell may be heard twice, or be the one of a message that is taken already.
            if let Some(message) = self.lane.back.pop() {
                self.lane.back.release();
                return Ok(message);
            }
        }
    }
}

/// One connection; the process ends with its client.
pub(crate) async fn serve(listener: UnixListener, sleep: Sleep) -> Result<()> {
    let client = Rounds::accept(listener).await?;
    let [file, theirs, ours] = handover::receive(client.socket())?;
    let mut end = End {
        lane: Lane::attach(file)?,
        theirs: Bell::over(theirs, sleep)?,
        ours: Bell::over(ours, sleep)?,
    };
    loop {
        let message = end.receive().await?;
        end.send(&message)?;
    }
}

/// The client side.
pub(crate) struct Eventfd {
    end: Arc<Mutex<End>>,
    _server: Calls,
}

/// Needs a tokio runtime around it.
pub(crate) fn connect(socket: &Path, sleep: Sleep) -> Result<Eventfd> {
    let server = Calls::connect(socket)?;
    let (lane, file) = Lane::create()?;
    let flags = match sleep {
        Sleep::Blocking => EventfdFlags::CLOEXEC,
        Sleep::Tokio => EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
    };
    let (theirs, ours) = (eventfd(0, flags)?, eventfd(0, flags)?);
    handover::send(
        server.socket(),
        &[file.as_fd(), ours.as_fd(), theirs.as_fd()],
    )?;
    let end = End {
        lane,
        theirs: Bell::over(theirs, sleep)?,
        ours: Bell::over(ours, sleep)?,
    };
    Ok(Eventfd {
        end: Arc::new(Mutex::new(end)),
        _server: server,
    })
}

impl Subject for Eventfd {
    fn can(&self, work: Work) -> bool {
        work == Work::Wake64
    }

    fn round(&self, _: Work, budget: Duration) -> RoundFuture {
        let end = Arc::clone(&self.end);
        // In a task of its own, as the other peers' rounds are.
        Box::pin(async move {
            tokio::spawn(async move { ping(&mut *end.lock().await, budget).await })
                .await
                .context("the measuring task panicked")?
        })
    }
}

async fn ping(end: &mut End, budget: Duration) -> Result<Sample> {
    let mut timer = CallTimer::start()?;
    let mut message: Message = [0, 1, 2, 3, 4, 5, 6, 7];
    while timer.elapsed() < budget {
        end.send(&message)?;
        ensure!(end.receive().await? == message, "another message came back");
        timer.answered();
        message[0] += 1;
    }
    Ok(timer.sample())
}
