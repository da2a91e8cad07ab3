//! rapace's shared memory without a session: whole frames over two links.
//!
//! On one both sides poll without a pause. On the other both are tokio tasks that never spin, so that
//! each message finds its receiver asleep. Payloads one way are answered by empty frames, so that
//! four are in flight as with the other peers.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context as Poller, Poll, Waker};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rapace_core::frame::{Descriptor, Flags, Frame, Payload};
use rapace_core::{ChannelId, MethodId};
use rapace_shm::os::{Listener, connect as connect_link};
use rapace_shm::{ShmConfig, Spin};
use rapace_transport::{FrameSink, FrameSource, Lender, LinkError, Room, Transport};
use tokio::net::UnixListener;
use tokio::sync::Mutex;

use super::rounds::{Calls, Rounds, spin};
use crate::client::{RoundFuture, Subject, check_echo, check_read};
use crate::work::{self, CallTimer, ONE_WAY_DEPTH, Sample, Work};

/// What the server does in a round, as the byte that the client sends for it.
const ECHO: u8 = 1;
const WAKE: u8 = 2;
const READ: u8 = 3;

/// The method of the frame that ends a round; others have another.
const STOP: MethodId = MethodId(u32::MAX);
const MESSAGE: MethodId = MethodId(1);

/// Where the server listens for links of a kind, beside the socket that the harness made.
pub(super) fn address(socket: &Path, kind: &str) -> PathBuf {
    socket.with_extension(kind)
}

/// One end of a link.
struct End {
    sink: Box<dyn FrameSink>,
    source: Box<dyn FrameSource>,
    lender: Arc<dyn Lender>,
}

fn config(spin: Spin) -> ShmConfig {
    ShmConfig {
        spin,
        ..ShmConfig::default()
    }
}

/// Looks again until something is there, which is what both sides do that poll.
const POLLING: Spin = Spin::Fixed(Duration::from_hours(1));

impl End {
    fn over(transport: impl Transport) -> Result<Self> {
        let lender = transport.lender().context("shared memory lends")?;
        let (sink, mut source) = Box::new(transport).split();
        source.raise_payload_limit(u32::MAX);
        Ok(Self {
            sink,
            source,
            lender,
        })
    }

    /// Sends the frame, once.
    fn poll_send(
        &mut self,
        poller: &mut Poller<'_>,
        frame: &mut Option<Frame>,
    ) -> Poll<Result<(), LinkError>> {
        if frame.is_some() {
            std::task::ready!(self.sink.poll_ready(poller))?;
            self.sink.send(frame.take().expect("just looked at"));
        }
        self.sink.poll_flush(poller)
    }

    fn send_polling(&mut self, frame: Frame) -> Result<()> {
        let mut frame = Some(frame);
        Ok(poll(|poller| self.poll_send(poller, &mut frame))??)
    }

    fn receive_polling(&mut self) -> Result<Frame> {
        Ok(poll(|poller| self.source.poll_recv(poller))??)
    }

    async fn send(&mut self, frame: Frame) -> Result<()> {
        let mut frame = Some(frame);
        Ok(std::future::poll_fn(|poller| self.poll_send(poller, &mut frame)).await?)
    }

    async fn receive(&mut self) -> Result<Frame> {
        Ok(std::future::poll_fn(|poller| self.source.poll_recv(poller)).await?)
    }
}

/// Polls until ready, without a pause and without anybody to be woken.
fn poll<T>(mut poll: impl FnMut(&mut Poller<'_>) -> Poll<T>) -> Result<T> {
    let mut poller = Poller::from_waker(Waker::noop());
    spin(|| match poll(&mut poller) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    })
}

fn frame(method: MethodId, payload: Payload) -> Frame {
    Frame::new(Descriptor::new(ChannelId(1), method, Flags::DATA), payload)
}

/// One connection; the process ends with its client.
pub(crate) async fn serve(listener: UnixListener) -> Result<()> {
    let path = listener.local_addr()?;
    let path = path.as_pathname().context("the socket has a path")?;
    let mut polling = Listener::bind(address(path, "polling"), config(POLLING))?;
    let mut parking = Listener::bind(address(path, "parking"), config(Spin::Never))?;
    let mut rounds = Rounds::accept(listener).await?;
    // The client connects to the others from now on.
    rounds.done(0)?;
    let mut polling = End::over(polling.accept().await?)?;
    let mut parking = End::over(parking.accept().await?)?;
    while let Some(work) = rounds.next()? {
        rounds.done(match work {
            ECHO => echo(&mut polling)?,
            WAKE => echo_asleep(&mut parking).await?,
            READ => read(&mut polling)?,
            other => bail!("no work is called {other}"),
        })?;
    }
    Ok(())
}

fn echo(end: &mut End) -> Result<u64> {
    loop {
        let Frame { desc, payload } = end.receive_polling()?;
        if desc.method_id == STOP {
            return Ok(0);
        }
        end.send_polling(frame(desc.method_id, payload))?;
    }
}

async fn echo_asleep(end: &mut End) -> Result<u64> {
    loop {
        let Frame { desc, payload } = end.receive().await?;
        if desc.method_id == STOP {
            return Ok(0);
        }
        end.send(frame(desc.method_id, payload)).await?;
    }
}

/// The sum of all payloads, each of which is answered by an empty frame.
fn read(end: &mut End) -> Result<u64> {
    let mut sum = 0_u64;
    loop {
        let Frame { desc, payload } = end.receive_polling()?;
        if desc.method_id == STOP {
            return Ok(sum);
        }
        let bytes = payload.as_slice().context("what is received is one run")?;
        sum = sum.wrapping_add(work::sum(bytes));
        drop(payload);
        end.send_polling(frame(desc.method_id, Payload::EMPTY))?;
    }
}

/// The client side of rapace-link.
pub(crate) struct Link {
    polling: RefCell<End>,
    parking: Arc<Mutex<End>>,
    server: Arc<Calls>,
}

pub(crate) async fn connect(socket: &Path) -> Result<Link> {
    let server = Calls::connect(socket)?;
    server.end()?;
    let polling = connect_link(address(socket, "polling"), config(POLLING)).await?;
    let parking = connect_link(address(socket, "parking"), config(Spin::Never)).await?;
    Ok(Link {
        polling: RefCell::new(End::over(polling)?),
        parking: Arc::new(Mutex::new(End::over(parking)?)),
        server: Arc::new(server),
    })
}

impl Subject for Link {
    fn can(&self, work: Work) -> bool {
        work.is_of_link() && work != Work::Batch16
    }

    fn round(&self, work: Work, budget: Duration) -> RoundFuture {
        if work != Work::Wake64 {
            // Not a future's work: it spins all the way.
            return Box::pin(std::future::ready(self.measure(work, budget)));
        }
        let (end, server) = (Arc::clone(&self.parking), Arc::clone(&self.server));
        Box::pin(async move {
            server.begin(WAKE)?;
            // In a task of its own, as the other peers' rounds are.
            let round =
                tokio::spawn(async move { ping_asleep(&mut *end.lock().await, budget).await });
            let sample = round.await.context("the measuring task panicked")??;
            server.end()?;
            Ok(sample)
        })
    }
}

impl Link {
    fn measure(&self, work: Work, budget: Duration) -> Result<Sample> {
        let end = &mut *self.polling.borrow_mut();
        if !work.is_one_way() {
            self.server.begin(ECHO)?;
            let sample = ping(end, work, budget)?;
            self.server.end()?;
            return Ok(sample);
        }
        self.server.begin(READ)?;
        let start = Instant::now();
        let (payloads, sum) = send(end, work, start, budget)?;
        let elapsed = start.elapsed();
        check_read(sum, self.server.end()?)?;
        Ok(work::sample(payloads, elapsed, None))
    }
}

fn ping(end: &mut End, work: Work, budget: Duration) -> Result<Sample> {
    let bytes = work::payload(work.payload_len());
    let mut timer = CallTimer::start()?;
    while timer.elapsed() < budget {
        end.send_polling(frame(MESSAGE, Payload::copy_from_slice(&bytes)))?;
        check(&bytes, &end.receive_polling()?)?;
        timer.answered();
    }
    end.send_polling(frame(STOP, Payload::EMPTY))?;
    Ok(timer.sample())
}

async fn ping_asleep(end: &mut End, budget: Duration) -> Result<Sample> {
    let bytes = work::payload(Work::Wake64.payload_len());
    let mut timer = CallTimer::start()?;
    while timer.elapsed() < budget {
        end.send(frame(MESSAGE, Payload::copy_from_slice(&bytes)))
            .await?;
        check(&bytes, &end.receive().await?)?;
        timer.answered();
    }
    end.send(frame(STOP, Payload::EMPTY)).await?;
    Ok(timer.sample())
}

fn check(sent: &[u8], reply: &Frame) -> Result<()> {
    let reply = reply.payload.as_slice();
    check_echo(sent, reply.context("what is received is one run")?)
}

/// Payloads one way until the budget is spent and all are answered; their number and sum.
fn send(end: &mut End, work: Work, start: Instant, budget: Duration) -> Result<(u64, u64)> {
    let len = work.payload_len();
    let own = work::payload(if work.is_copied_in() { len } else { 0 });
    let own_sum = work::sum(&own);
    let (mut sent, mut sum) = (0, 0_u64);
    let mut in_flight = 0;
    while start.elapsed() < budget {
        if in_flight == ONE_WAY_DEPTH {
            end.receive_polling()?;
            in_flight -= 1;
        }
        let payload = if work.is_copied_in() {
            sum = sum.wrapping_add(own_sum);
            Payload::Bytes(own.clone())
        } else {
            let mut loan = poll(|poller| end.lender.poll_loan(poller, Room::exact(len)))??;
            sum = sum.wrapping_add(work::fill(loan.0.as_mut_slice(), sent));
            Payload::Loan(loan)
        };
        end.send_polling(frame(MESSAGE, payload))?;
        in_flight += 1;
        sent += 1;
    }
    for _ in 0..in_flight {
        end.receive_polling()?;
    }
    end.send_polling(frame(STOP, Payload::EMPTY))?;
    Ok((sent, sum))
}
