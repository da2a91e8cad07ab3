//! The partner of a process that dies or stops: gives the orders, and says what it is owed.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rapace_core::frame::Frame;
use rapace_shm::Memory as _;
use rapace_shm::layout::{CLOSED, HEAD, NAP_DATA, NAP_ROOM};
use rapace_shm::os::{SetUp, socket_pair};
use rapace_transport::conformance::traffic::{recv, send};
use rapace_transport::{FrameSink, FrameSource, LinkError, Transport as _};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::ends::{assert_filled, contents, filled, frames_within};
use crate::failpoint::{Counted, Mapped, link};
use crate::victim::{DONE, Fate, Order, config, exchanged_len};

/// How soon the end of a peer must be seen. It takes a fraction of a millisecond; a machine that
/// runs other tests as well takes its time.
const PROMPT: Duration = Duration::from_secs(2);

/// How long a script may wait for anything else.
const PATIENCE: Duration = Duration::from_secs(10);

/// One step of a script. Numbers are lengths of payloads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The victim does something, and is waited for.
    Victim(Order),
    /// The victim begins something that it falls asleep over.
    Begins(Order),
    /// It has finished that.
    Finishes,
    Sends(usize),
    /// Everything that was published.
    Receives,
    /// Asleep, so that it has to be woken.
    FallsAsleep,
    DropsReceived,
    /// The victim gives its grown memory back.
    SeesShrinking,
}

/// The other process. It does not outlive the test, however that ends.
struct Victim(Child);

impl Victim {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a process");
    }

    /// Whether it has stopped since this was asked last.
    fn has_stopped(&self) -> bool {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let stopped = waitid(WaitId::Pid(self.pid()), options);
        // A child that is gone has not stopped.
        matches!(stopped, Ok(Some(_)))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Of one that was reaped there is nothing left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Survivor {
    child: Victim,
    orders: UnixStream,
    sink: Box<dyn FrameSink>,
    source: Box<dyn FrameSource>,
    /// The victim's lane, to look at.
    lane: Arc<Counted>,
    mapped: Mapped,
    /// What the victim was told to send.
    sent: Vec<usize>,
    got: Vec<Bytes>,
    back_sent: u64,
    /// Orders that were carried out, and how many were given.
    done: usize,
    given: usize,
    alive: bool,
    /// How often the victim was found stopped.
    stops: usize,
}

/// How the victim ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Killed,
    /// It came to its end before its failpoint.
    Finished,
}

/// Descriptors of this process, and mappings of lanes: what every link must give back.
pub(crate) fn resources() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("a list").count();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("a list");
    let lanes = maps.lines().filter(|line| line.contains("rapace-lane"));
    (descriptors, lanes.count())
}

impl Survivor {
    pub(crate) async fn new(fate: &Fate) -> Self {
        let (ours, theirs) = socket_pair().expect("sockets");
        let (orders, their_orders) = UnixStream::pair().expect("sockets");
        orders.set_nonblocking(true).expect("a socket");
        let (name, value) = fate.to_env();
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "--nocapture", "victim::role_victim"])
            .env(name, value)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::from(OwnedFd::from(their_orders)))
            .spawn()
            .expect("a process");
        let begun = SetUp::begin(ours, config());
        let parts = tokio::time::timeout(PATIENCE, begun.expect("a lane").exchange());
        let parts = parts.await.expect("in time").expect("a peer");
        let (link, lane, mapped) = link(parts, config());
        let (sink, mut source) = Box::new(link).split();
        source.raise_payload_limit(u32::MAX);
        Survivor {
            child: Victim(child),
            orders,
            sink,
            source,
            lane,
            mapped,
            sent: Vec::new(),
            got: Vec::new(),
            back_sent: 0,
            done: 0,
            given: 0,
            alive: true,
            stops: 0,
        }
    }

    /// Runs the script until the victim is dead or the script is over.
    pub(crate) async fn run(&mut self, script: &[Step]) -> Result<(), String> {
        for step in script {
            let done = tokio::time::timeout(PATIENCE, self.step(*step)).await;
            done.map_err(|_| format!("{step:?} takes for ever"))??;
            if !self.alive {
                break;
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Victim(order) => {
                self.order(order);
                self.finished().await?;
            }
            Step::Begins(order) => {
                let naps = self.naps();
                self.order(order);
                let begin = Instant::now();
                // A nap that it is still announcing from an earlier wait cannot be told apart.
                while self.unfinished() && begin.elapsed() < Duration::from_millis(20) {
                    let now = self.naps();
                    if (0..2).any(|nap| now[nap] % 2 == 1 && now[nap] != naps[nap]) {
                        break;
                    }
                    self.pause().await?;
                }
            }
            Step::Finishes => self.finished().await?,
            Step::Sends(len) => self.send(len).await?,
            Step::Receives => {
                while self.got.len() < self.published() {
                    let frame = recv(&mut *self.source).await;
                    self.take(frame.map_err(|error| format!("an honest peer: {error}"))?)?;
                }
            }
            Step::FallsAsleep => match self.poll_recv().await {
                Poll::Ready(Ok(frame)) => self.take(frame)?,
                Poll::Ready(Err(error)) => return Err(format!("an honest peer: {error}")),
                Poll::Pending => {}
            },
            Step::DropsReceived => {
                for bytes in &mut self.got {
                    *bytes = Bytes::copy_from_slice(bytes);
                }
            }
            Step::SeesShrinking => {
                while self.unfinished() && self.mappings() > 2 {
                    self.poll_recv().await.is_pending();
                    self.pause().await?;
                }
            }
        }
        Ok(())
    }

    async fn send(&mut self, len: usize) -> Result<(), String> {
        let Poll::Ready(ready) = poll_fn(|cx| Poll::Ready(self.sink.poll_ready(cx))).await else {
            return Ok(());
        };
        let sent = match ready {
            Ok(()) => {
                self.sink.send(filled(self.back_sent, len));
                self.back_sent += 1;
                let flushed = poll_fn(|cx| Poll::Ready(self.sink.poll_flush(cx))).await;
                if let Poll::Ready(Err(error)) = flushed {
                    Err(error)
                } else {
                    Ok(())
                }
            }
            Err(error) => Err(error),
        };
        match sent {
            // It died over what it was waiting for; that is seen with the next order.
            Ok(()) | Err(LinkError::PeerDied(_)) => Ok(()),
            Err(error) => Err(format!("the survivor cannot send: {error}")),
        }
    }

    async fn poll_recv(&mut self) -> Poll<Result<Frame, LinkError>> {
        poll_fn(|cx| Poll::Ready(self.source.poll_recv(cx))).await
    }

    fn naps(&self) -> [u64; 2] {
        [NAP_DATA, NAP_ROOM].map(|at| self.lane.load(at, Ordering::Relaxed))
    }

    fn mappings(&self) -> usize {
        let mapped = self.mapped.lock().unwrap();
        mapped.iter().filter(|it| it.strong_count() > 0).count()
    }

    /// How many frames the victim has published.
    fn published(&self) -> usize {
        frames_within(&self.sent, self.lane.load(HEAD, Ordering::Acquire))
    }

    pub(crate) fn order(&mut self, order: Order) {
        if let Order::Send(len) | Order::SendLoan(len) = order {
            // Counted before: the frame may be out before the victim dies.
            self.sent.push(len as usize);
        }
        if let Order::Exchange(frames) = order {
            self.sent.extend((0..u64::from(frames)).map(exchanged_len));
        }
        self.given += 1;
        // A victim that is dead already is found out when its answer is awaited.
        let _ = self.orders.write_all(&order.to_bytes());
    }

    /// Whether the victim lives and still has an order to carry out.
    fn unfinished(&mut self) -> bool {
        let mut heard = [0; 256];
        match self.orders.read(&mut heard) {
            Ok(0) => self.alive = false,
            Ok(len) => self.done += heard[..len].split(|byte| *byte == DONE).count() - 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.alive = false,
        }
        self.alive && self.done < self.given
    }

    async fn finished(&mut self) -> Result<(), String> {
        while self.unfinished() {
            self.pause().await?;
        }
        Ok(())
    }

    /// Lets the runtime and the victim run. A victim that has stopped is gone on with, after a look
    /// at the link.
    async fn pause(&mut self) -> Result<(), String> {
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_micros(50));
        if self.child.has_stopped() {
            self.stops += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
            let looked = self.look_at_stopped().await;
            self.child.signal(Signal::CONT);
            looked?;
        }
        Ok(())
    }

    /// What it had published comes, and then nothing. Neither half sees an end, unless the victim
    /// has closed its own already.
    async fn look_at_stopped(&mut self) -> Result<(), String> {
        let closed = self.lane.load(CLOSED, Ordering::Acquire) != 0;
        let stopped = |error| match error {
            LinkError::Closed if closed => Ok(()),
            error => Err(format!("stopped, not dead: {error}")),
        };
        loop {
            match poll_fn(|cx| Poll::Ready(self.source.poll_recv(cx))).await {
                Poll::Ready(Ok(frame)) => self.take(frame)?,
                Poll::Ready(Err(error)) => return stopped(error),
                Poll::Pending => break,
            }
        }
        match poll_fn(|cx| Poll::Ready(self.sink.poll_ready(cx))).await {
            Poll::Ready(Err(error)) => stopped(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn take(&mut self, frame: Frame) -> Result<(), String> {
        let number = self.got.len();
        let Some(len) = self.sent.get(number) else {
            return Err(format!("frame {number} was never sent"));
        };
        let bytes = frame.payload.into_bytes();
        if bytes != contents(number as u64, *len) {
            return Err(format!("frame {number} of {len} bytes is damaged"));
        }
        self.got.push(bytes);
        Ok(())
    }

    /// Sends and receives at once, until the link ends or `frames` frames have come.
    pub(crate) async fn trade(&mut self, frames: u32) {
        let Survivor {
            sink, source, got, ..
        } = self;
        let send = async {
            for number in 0..u64::from(frames) {
                let frame = filled(number, exchanged_len(number));
                if send(&mut **sink, frame).await.is_err() {
                    break;
                }
            }
        };
        let receive = async {
            for number in 0..u64::from(frames) {
                let Ok(frame) = recv(&mut **source).await else {
                    break;
                };
                got.push(assert_filled(frame, number, exchanged_len(number)));
            }
        };
        let both = async { tokio::join!(send, receive) };
        tokio::time::timeout(PATIENCE, both).await.expect("in time");
    }

    /// Sends and receives `frames` frames, both at once, and stops the victim for a while again and
    /// again. Says how often the traffic was seen to stall for as long as that.
    pub(crate) async fn exchange(self, frames: u32) -> u32 {
        let Survivor {
            child,
            mut sink,
            mut source,
            ..
        } = self;
        let received = Cell::new(0);
        let send = async {
            for number in 0..u64::from(frames) {
                let frame = filled(number, exchanged_len(number));
                send(&mut *sink, frame).await.expect("stopped is not dead");
            }
        };
        let receive = async {
            for number in 0..u64::from(frames) {
                let frame = recv(&mut *source).await.expect("stopped is not dead");
                assert_filled(frame, number, exchanged_len(number));
                received.set(number + 1);
            }
        };
        let stop = async {
            let mut stalls = 0;
            loop {
                tokio::time::sleep(Duration::from_millis(15)).await;
                child.signal(Signal::STOP);
                while !child.has_stopped() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                // What it had published by then comes.
                tokio::time::sleep(Duration::from_millis(10)).await;
                let before = received.get();
                tokio::time::sleep(Duration::from_millis(20)).await;
                if received.get() == u64::from(frames) {
                    child.signal(Signal::CONT);
                    return stalls;
                }
                assert_eq!(received.get(), before, "a stopped process sends");
                child.signal(Signal::CONT);
                stalls += 1;
            }
        };
        let all = async { tokio::join!(send, receive, stop).2 };
        tokio::time::timeout(6 * PATIENCE, all)
            .await
            .expect("in time")
    }

    /// No more orders: the victim drops its end, if it comes to that, and its process ends.
    async fn reaped(&mut self) -> Result<ExitStatus, String> {
        // A dead one has hung up already.
        let _ = self.orders.shutdown(Shutdown::Write);
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.0.try_wait().map_err(|error| error.to_string())? {
                return Ok(status);
            }
            self.pause().await?;
        }
        Err("the victim neither ends nor dies".into())
    }

    /// What is owed to the survivor. Says how the victim ended and how often it had been stopped.
    pub(crate) async fn check(mut self) -> Result<(End, usize), String> {
        let status = self.reaped().await?;
        let how = match (status.signal(), status.success()) {
            (Some(9), _) => End::Killed,
            (None, true) => End::Finished,
            _ => return Err(format!("the victim's own checks failed: {status}")),
        };
        let closed = self.lane.load(CLOSED, Ordering::Acquire) != 0;
        let died = Instant::now();
        let end = loop {
            match tokio::time::timeout(PROMPT, recv(&mut *self.source)).await {
                Ok(Ok(frame)) => self.take(frame)?,
                Ok(Err(error)) => break error,
                Err(_) => return Err("the survivor sleeps for ever".into()),
            }
        };
        match end {
            LinkError::Closed if closed => {}
            LinkError::PeerDied(_) if !closed => {}
            other => return Err(format!("the link ended with: {other}")),
        }
        if self.got.len() != self.published() {
            let published = self.published();
            return Err(format!(
                "{published} published, {} received",
                self.got.len()
            ));
        }
        // Sending ends as well; nothing waits for ever.
        for round in 0.. {
            match tokio::time::timeout(PROMPT, poll_fn(|cx| self.sink.poll_ready(cx))).await {
                Ok(Ok(())) if round < 100 => self.sink.send(filled(0, 300)),
                Ok(Ok(())) => return Err("the survivor sends for ever".into()),
                Ok(Err(_)) => break,
                Err(_) => return Err("the survivor waits for ever".into()),
            }
        }
        if died.elapsed() > PROMPT {
            return Err(format!("the end was seen after {:?}", died.elapsed()));
        }
        let stops = self.stops;
        self.bury()?;
        Ok((how, stops))
    }

    /// All memory is there again, and what is borrowed was readable until then.
    fn bury(self) -> Result<(), String> {
        let Survivor {
            sink,
            source,
            lane,
            mapped,
            got,
            ..
        } = self;
        drop((sink, source, lane));
        let intact = got
            .iter()
            .enumerate()
            .all(|(number, bytes)| *bytes == contents(number as u64, bytes.len()));
        if !intact {
            return Err("borrowed bytes did not outlive the peer".into());
        }
        drop(got);
        let behind = mapped
            .lock()
            .unwrap()
            .iter()
            .any(|it| it.strong_count() > 0);
        if behind {
            return Err("memory stays behind".into());
        }
        Ok(())
    }
}
