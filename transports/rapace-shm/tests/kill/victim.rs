//! The process that is killed: it does what its partner orders, one step at a time.

use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;
use rapace_core::frame::Payload;
use rapace_shm::os::SetUp;
use rapace_shm::{ShmConfig, Spin};
use rapace_transport::conformance::traffic::{recv, send};
use rapace_transport::{FrameSink, FrameSource, Lender, Room, Transport as _};
use rustix::process::Signal;

use crate::ends::{contents, filled, frame};
use crate::failpoint::{FAILPOINT, link};

/// What says that an order was carried out. The test harness prints on the same socket, and never
/// this.
pub(crate) const DONE: u8 = 6;

/// Small enough that short scripts fill it, grow it and give it back.
pub(crate) fn config() -> ShmConfig {
    ShmConfig {
        ring_frames: 8,
        lane_bytes_max: 64 << 10,
        idle: std::time::Duration::from_millis(2),
        spin: Spin::Never,
        ..ShmConfig::smallest()
    }
}

/// One order. Numbers are lengths of payloads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    Send(u32),
    /// The same, filled in place.
    SendLoan(u32),
    /// Waits for a frame and keeps its payload.
    Receive,
    DropReceived,
    Close,
    /// Sends this many frames of many lengths, and receives as many.
    Exchange(u32),
}

impl Order {
    pub(crate) fn to_bytes(self) -> [u8; 5] {
        let (kind, number) = match self {
            Order::Send(len) => (0, len),
            Order::SendLoan(len) => (1, len),
            Order::Receive => (2, 0),
            Order::DropReceived => (3, 0),
            Order::Close => (4, 0),
            Order::Exchange(frames) => (5, frames),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [kind, a, b, c, d]
    }

    fn from_bytes([kind, a, b, c, d]: [u8; 5]) -> Self {
        let number = u32::from_le_bytes([a, b, c, d]);
        match kind {
            0 => Order::Send(number),
            1 => Order::SendLoan(number),
            2 => Order::Receive,
            3 => Order::DropReceived,
            4 => Order::Close,
            5 => Order::Exchange(number),
            _ => panic!("an unknown order"),
        }
    }
}

/// Lengths of every class: inline, in the ring, copied, borrowed, in a segment of its own.
pub(crate) fn exchanged_len(number: u64) -> usize {
    [8, 16, 17, 200, 300, 1_500, 5_000][(number % 7) as usize]
}

/// When the process dies or stops, as its partner tells it in the environment.
pub(crate) struct Fate {
    pub(crate) left: u64,
    pub(crate) signal: Signal,
    pub(crate) late_payloads: bool,
}

const FATE: &str = "RAPACE_TEST_FATE";

impl Fate {
    pub(crate) fn to_env(&self) -> (&'static str, String) {
        let stops = self.signal == Signal::STOP;
        (
            FATE,
            format!("{} {stops} {}", self.left, self.late_payloads),
        )
    }

    fn from_env() -> Option<Self> {
        let text = std::env::var(FATE).ok()?;
        let mut words = text.split(' ');
        let left = words.next()?.parse().ok()?;
        let stops: bool = words.next()?.parse().ok()?;
        let late_payloads = words.next()?.parse().ok()?;
        let signal = if stops { Signal::STOP } else { Signal::KILL };
        Some(Fate {
            left,
            signal,
            late_payloads,
        })
    }
}

struct Victim {
    sink: Box<dyn FrameSink>,
    source: Box<dyn FrameSource>,
    lender: Arc<dyn Lender>,
    sent: u64,
    received: u64,
    kept: Vec<(u64, Bytes)>,
}

impl Victim {
    async fn obey(&mut self, order: Order) {
        match order {
            Order::Send(len) => {
                let frame = filled(self.sent, len as usize);
                self.sent += 1;
                send(&mut *self.sink, frame).await.expect("sent");
            }
            Order::SendLoan(len) => {
                let bytes = contents(self.sent, len as usize);
                let room = Room::exact(bytes.len());
                let mut loan = poll_fn(|cx| self.lender.poll_loan(cx, room))
                    .await
                    .expect("a loan");
                let (first, second) = loan.0.as_mut_slice().split_at_mut(bytes.len() / 2);
                first.copy_from_slice(&bytes[..first.len()]);
                FAILPOINT.event();
                second.copy_from_slice(&bytes[first.len()..]);
                let frame = frame(self.sent, Payload::Loan(loan));
                self.sent += 1;
                send(&mut *self.sink, frame).await.expect("sent");
            }
            Order::Receive => {
                let (number, bytes) = self.receive().await;
                self.kept.push((number, bytes));
            }
            Order::DropReceived => {
                for (number, bytes) in self.kept.drain(..) {
                    assert!(
                        bytes == contents(number, bytes.len()),
                        "{number} is damaged"
                    );
                }
            }
            Order::Close => poll_fn(|cx| self.sink.poll_close(cx))
                .await
                .expect("closed"),
            Order::Exchange(frames) => {
                for _ in 0..frames {
                    self.send_exchanged().await;
                    self.receive().await;
                }
            }
        }
    }

    async fn send_exchanged(&mut self) {
        let frame = filled(self.sent, exchanged_len(self.sent));
        self.sent += 1;
        send(&mut *self.sink, frame).await.expect("sent");
    }

    async fn receive(&mut self) -> (u64, Bytes) {
        let frame = recv(&mut *self.source).await.expect("a frame");
        let number = self.received;
        self.received += 1;
        assert_eq!(frame.desc.msg_id, number, "frames out of order");
        let bytes = frame.payload.into_bytes();
        assert!(
            bytes == contents(number, bytes.len()),
            "{number} is damaged"
        );
        (number, bytes)
    }
}

#[tokio::test]
#[ignore = "the process that the tests of this file kill"]
async fn role_victim() {
    // The control socket of the link is its input, and orders come on its output.
    let socket = io::stdin().as_fd().try_clone_to_owned().expect("a socket");
    let orders = io::stdout().as_fd().try_clone_to_owned().expect("a socket");
    let mut orders = UnixStream::from(orders);
    let set_up = SetUp::begin(socket, config()).expect("a lane");
    let parts = set_up.exchange().await.expect("a peer");
    let (link, _, _) = link(parts, config());
    let lender = link.lender().expect("shared memory lends");
    let (sink, mut source) = Box::new(link).split();
    source.raise_payload_limit(u32::MAX);
    let mut victim = Victim {
        sink,
        source,
        lender,
        sent: 0,
        received: 0,
        kept: Vec::new(),
    };
    let fate = Fate::from_env().expect("run by another test");
    FAILPOINT.arm(fate.left, fate.signal, fate.late_payloads);
    let mut order = [0; 5];
    while orders.read_exact(&mut order).is_ok() {
        victim.obey(Order::from_bytes(order)).await;
        orders.write_all(&[DONE]).expect("a partner");
    }
}
