//! iceoryx2, polling: what a shared-memory middleware with neither serialisation nor wake-ups takes.
//!
//! Its request-response does the echo of 64 bytes. A frame there and back is a sample of one
//! publish-subscribe service and one of another. Payloads one way are samples that the publisher
//! loans and the subscriber reads where they are; three wait and one is borrowed, so four are in
//! flight, and the publisher retries while that many are.

use std::fmt::Debug;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use ::iceoryx2::node::Node;
use ::iceoryx2::port::backpressure_strategy::BackpressureStrategy;
use ::iceoryx2::port::client::Client as Requester;
use ::iceoryx2::port::publisher::Publisher;
use ::iceoryx2::port::server::Server;
use ::iceoryx2::port::subscriber::Subscriber;
use ::iceoryx2::prelude::{LogLevel, NodeBuilder, ServiceName, SignalHandlingMode, set_log_level};
use ::iceoryx2::service::ipc::Service;
use ::iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::net::UnixListener;

use super::rounds::{Calls, Rounds, spin};
use crate::client::{RoundFuture, Subject, check_echo, check_read};
use crate::work::{self, CallTimer, ONE_WAY_DEPTH, Sample, Work};

/// What the server does in a round, as the byte that the client sends for it.
const ECHO: u8 = 1;
const CALL: u8 = 2;
const READ: u8 = 3;

type Message = [u8; 64];
/// The first byte of the message that ends a round.
const STOP: u8 = 0xff;

const WORD: usize = size_of::<u64>();
const MOST_WORDS: usize = crate::lane::PAYLOAD_LEN / WORD;

/// The services between the two processes; both sides name them by the socket's path.
struct Services {
    node: Node<Service>,
    name: String,
}

impl Services {
    fn new(socket: &Path) -> Result<Self> {
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new()
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<Service>()?;
        Ok(Self {
            node,
            name: socket.display().to_string(),
        })
    }

    fn name(&self, part: &str) -> Result<ServiceName> {
        Ok(format!("{}/{part}", self.name).as_str().try_into()?)
    }

    fn publisher(&self, part: &str) -> Result<Publisher<Service, Message, ()>> {
        let service = self.node.service_builder(&self.name(part)?);
        let service = service.publish_subscribe::<Message>().open_or_create()?;
        Ok(service.publisher_builder().create()?)
    }

    fn subscriber(&self, part: &str) -> Result<Subscriber<Service, Message, ()>> {
        let service = self.node.service_builder(&self.name(part)?);
        let service = service.publish_subscribe::<Message>().open_or_create()?;
        Ok(service.subscriber_builder().create()?)
    }

    fn requester(&self) -> Result<Requester<Service, Message, (), Message, ()>> {
        let service = self.node.service_builder(&self.name("call")?);
        let service = service.request_response::<Message, Message>();
        Ok(service.open_or_create()?.client_builder().create()?)
    }

    fn server(&self) -> Result<Server<Service, Message, (), Message, ()>> {
        let service = self.node.service_builder(&self.name("call")?);
        let service = service.request_response::<Message, Message>();
        Ok(service.open_or_create()?.server_builder().create()?)
    }

    fn payload_publisher(&self) -> Result<Publisher<Service, [u64], ()>> {
        Ok(self
            .payloads()?
            .publisher_builder()
            .initial_max_slice_len(MOST_WORDS)
            .max_loaned_samples(1)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?)
    }

    fn payload_subscriber(&self) -> Result<Subscriber<Service, [u64], ()>> {
        Ok(self.payloads()?.subscriber_builder().create()?)
    }

    fn payloads(&self) -> Result<PortFactory<Service, [u64], ()>> {
        let service = self.node.service_builder(&self.name("payloads")?);
        Ok(service
            .publish_subscribe::<[u64]>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(ONE_WAY_DEPTH - 1)
            .subscriber_max_borrowed_samples(1)
            .max_publishers(1)
            .max_subscribers(1)
            .open_or_create()?)
    }
}

/// An error of iceoryx2, which keeps its own `Display` terse.
fn failed(error: impl Debug) -> anyhow::Error {
    anyhow!("iceoryx2: {error:?}")
}

/// One connection; the process ends with its client.
pub(crate) async fn serve(listener: UnixListener) -> Result<()> {
    let path = listener.local_addr()?;
    let path = path.as_pathname().context("the socket has a path")?;
    let services = Services::new(path)?;
    let there = services.subscriber("there")?;
    let back = services.publisher("back")?;
    let calls = services.server()?;
    let payloads = services.payload_subscriber()?;
    let mut rounds = Rounds::accept(listener).await?;
    while let Some(work) = rounds.next()? {
        rounds.done(match work {
            ECHO => echo(&there, &back)?,
            CALL => answer(&calls)?,
            READ => read(&payloads)?,
            other => bail!("no work is called {other}"),
        })?;
    }
    // The client waits for the socket to close: until then the services are not removed.
    drop((there, back, calls, payloads, services));
    drop(rounds);
    Ok(())
}

fn echo(
    there: &Subscriber<Service, Message, ()>,
    back: &Publisher<Service, Message, ()>,
) -> Result<u64> {
    loop {
        let sample = spin(|| there.receive().transpose())?.map_err(failed)?;
        if sample[0] == STOP {
            return Ok(0);
        }
        let reply = back.loan_uninit().map_err(failed)?;
        reply.write_payload(*sample).send().map_err(failed)?;
    }
}

fn answer(calls: &Server<Service, Message, (), Message, ()>) -> Result<u64> {
    loop {
        let request = spin(|| calls.receive().transpose())?.map_err(failed)?;
        let reply = request.loan_uninit().map_err(failed)?;
        reply.write_payload(*request).send().map_err(failed)?;
        if request[0] == STOP {
            return Ok(0);
        }
    }
}

/// The sum of all payloads.
fn read(payloads: &Subscriber<Service, [u64], ()>) -> Result<u64> {
    let mut sum = 0_u64;
    loop {
        let sample = spin(|| payloads.receive().transpose())?.map_err(failed)?;
        // A payload of one word says that it was the last.
        if sample.len() == 1 {
            return Ok(sum);
        }
        sum = sum.wrapping_add(work::sum_words(&sample));
    }
}

/// The client side.
pub(crate) struct Iceoryx2 {
    there: Publisher<Service, Message, ()>,
    back: Subscriber<Service, Message, ()>,
    calls: Requester<Service, Message, (), Message, ()>,
    payloads: Publisher<Service, [u64], ()>,
    _services: Services,
    server: Calls,
}

pub(crate) fn connect(socket: &Path) -> Result<Iceoryx2> {
    let services = Services::new(socket)?;
    Ok(Iceoryx2 {
        there: services.publisher("there")?,
        back: services.subscriber("back")?,
        calls: services.requester()?,
        payloads: services.payload_publisher()?,
        _services: services,
        server: Calls::connect(socket)?,
    })
}

impl Drop for Iceoryx2 {
    fn drop(&mut self) {
        // Lets the server remove its files in /dev/shm before it is killed. One that is gone has
        // closed the socket.
        let mut socket = self.server.socket();
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = socket.read(&mut [0]);
    }
}

impl Subject for Iceoryx2 {
    fn can(&self, work: Work) -> bool {
        matches!(work, Work::Echo64 | Work::Frame64) || work.is_one_way()
    }

    fn polls(&self) -> bool {
        true
    }

    fn round(&self, work: Work, budget: Duration) -> RoundFuture {
        // Not a future's work: it spins all the way.
        Box::pin(std::future::ready(self.measure(work, budget)))
    }
}

impl Iceoryx2 {
    fn measure(&self, work: Work, budget: Duration) -> Result<Sample> {
        match work {
            Work::Echo64 => {
                self.server.begin(CALL)?;
                let sample = ping(budget, |message| self.call(message))?;
                self.call(&[STOP; 64])?;
                self.server.end()?;
                Ok(sample)
            }
            Work::Frame64 => {
                self.server.begin(ECHO)?;
                let sample = ping(budget, |message| {
                    self.publish(message)?;
                    let reply = spin(|| self.back.receive().transpose())?.map_err(failed)?;
                    Ok(*reply)
                })?;
                self.publish(&[STOP; 64])?;
                self.server.end()?;
                Ok(sample)
            }
            _ => {
                self.server.begin(READ)?;
                let start = Instant::now();
                let (payloads, sum) = self.send(work, start, budget)?;
                check_read(sum, self.server.end()?)?;
                Ok(work::sample(payloads, start.elapsed(), None))
            }
        }
    }

    fn publish(&self, message: &Message) -> Result<()> {
        let sample = self.there.loan_uninit().map_err(failed)?;
        let receivers = sample.write_payload(*message).send().map_err(failed)?;
        ensure!(receivers == 1, "the server does not subscribe");
        Ok(())
    }

    fn call(&self, message: &Message) -> Result<Message> {
        let request = self.calls.loan_uninit().map_err(failed)?;
        let pending = request.write_payload(*message).send().map_err(failed)?;
        let reply = spin(|| pending.receive().transpose())?.map_err(failed)?;
        Ok(*reply)
    }

    /// Payloads until the budget is spent; their number and sum.
    fn send(&self, work: Work, start: Instant, budget: Duration) -> Result<(u64, u64)> {
        let words = work.payload_len() / WORD;
        let own = vec![0x5a5a_a5a5_0f0f_f0f1_u64; if work.is_copied_in() { words } else { 0 }];
        let own_sum = work::sum_words(&own);
        let (mut sent, mut sum) = (0, 0_u64);
        while start.elapsed() < budget {
            let sample = self.payloads.loan_slice_uninit(words).map_err(failed)?;
            let (sample, its_sum) = if work.is_copied_in() {
                (sample.write_from_slice(&own), own_sum)
            } else {
                let its_sum = sent * words as u64;
                (sample.write_from_fn(|_| sent), its_sum)
            };
            sample.send().map_err(failed)?;
            sum = sum.wrapping_add(its_sum);
            sent += 1;
        }
        let last = self.payloads.loan_slice_uninit(1).map_err(failed)?;
        last.write_from_fn(|_| 0).send().map_err(failed)?;
        Ok((sent, sum))
    }
}

/// Messages there and back, one after another.
fn ping(budget: Duration, mut echo: impl FnMut(&Message) -> Result<Message>) -> Result<Sample> {
    let mut timer = CallTimer::start()?;
    let mut message: Message = [7; 64];
    while timer.elapsed() < budget {
        check_echo(&message, &echo(&message)?)?;
        timer.answered();
        message[0] = (message[0] + 1) % STOP;
    }
    Ok(timer.sample())
}
