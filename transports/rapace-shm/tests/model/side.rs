//! One end of the link, and what a model of it says: two queues, and bytes that stay what they are.

use std::collections::VecDeque;
use std::task::Poll;

use bytes::Bytes;
use rapace_core::frame::{Loan, Payload};
use rapace_transport::{LinkError, Room};

use crate::draw::Draw;
use crate::ends::{End, contents, frame};

/// Bytes, and what they must be.
pub(crate) type Checked = (Bytes, Vec<u8>);

/// How often the rare things happened.
#[derive(Default, Debug)]
pub(crate) struct Marks {
    pub(crate) frames: u64,
    pub(crate) waits_to_send: u64,
    pub(crate) waits_for_loan: u64,
    pub(crate) frozen_sent: u64,
    pub(crate) frozen_sent_again: u64,
    pub(crate) received_sent_back: u64,
    pub(crate) outlived: u64,
    pub(crate) grown: u64,
    pub(crate) spurious: u64,
}

/// A task that waits: it is polled again when it was woken and not before.
#[derive(Default)]
struct Waits {
    receive: bool,
    send: bool,
    lend: bool,
}

pub(crate) struct Side {
    pub(crate) end: End,
    waits: Waits,
    /// Frames were handed over that may not be flushed.
    dirty: bool,
    /// Sent, and not yet received by the peer.
    pub(crate) sent: VecDeque<Vec<u8>>,
    next: u64,
    received: u64,
    pub(crate) kept: Vec<Checked>,
    /// Loans with their rooms, not written yet.
    loans: Vec<(Loan, Room)>,
    /// Frozen loans, and how often each was sent.
    frozen: Vec<(Checked, u64)>,
}

impl Side {
    pub(crate) fn new(end: End) -> Self {
        Side {
            end,
            waits: Waits::default(),
            dirty: false,
            sent: VecDeque::new(),
            next: 0,
            received: 0,
            kept: Vec::new(),
            loans: Vec::new(),
            frozen: Vec::new(),
        }
    }

    /// A length of one of the classes: in the descriptor, in the ring, copied, small, large.
    fn len(&self, draw: &mut Draw) -> usize {
        let most = self.end.lender.loan_bytes_max();
        match draw.below(6) {
            0 => draw.below(17),
            1 => 17 + draw.below(240),
            2 => 257 + draw.below(200),
            3 | 4 => draw.below(most.min(3_000)) + 1,
            _ => draw.below(most) + 1,
        }
    }

    /// Hands over a frame, if the link takes one.
    pub(crate) fn feed(&mut self, draw: &mut Draw, marks: &mut Marks) -> Result<(), LinkError> {
        if !self.is_sender_awake() {
            return Ok(());
        }
        if self.end.poll_ready()?.is_pending() {
            self.waits.send = true;
            marks.waits_to_send += 1;
            return Ok(());
        }
        let (payload, bytes) = self.payload(draw, marks);
        self.end.sink.send(frame(self.next, payload));
        self.next += 1;
        self.sent.push_back(bytes);
        self.dirty = true;
        Ok(())
    }

    /// A payload of any kind, and the bytes that the peer must get.
    fn payload(&mut self, draw: &mut Draw, marks: &mut Marks) -> (Payload, Vec<u8>) {
        let len = self.len(draw);
        let bytes = contents(draw.next(), len);
        match draw.below(7) {
            0 if !self.loans.is_empty() => {
                let (mut loan, _) = self.loans.swap_remove(draw.below(self.loans.len()));
                let bytes = contents(draw.next(), loan.0.as_slice().len());
                loan.0.as_mut_slice().copy_from_slice(&bytes);
                (Payload::Loan(loan), bytes)
            }
            1 | 2 if !self.frozen.is_empty() => self.around_frozen(draw, marks),
            3 if !self.kept.is_empty() => {
                marks.received_sent_back += 1;
                let (payload, mut bytes) = self.kept[draw.below(self.kept.len())].clone();
                // The peer's lane may be larger than this one.
                bytes.truncate(self.end.lender.loan_bytes_max());
                (Payload::Bytes(payload.slice(..bytes.len())), bytes)
            }
            4 => {
                let whole = Bytes::from(bytes.clone());
                let (first, second) = (draw.below(len + 1), draw.below(len + 1));
                let (first, second) = (first.min(second), first.max(second));
                let runs = [0..first, first..second, second..len].map(|run| whole.slice(run));
                (Payload::Chain(runs.into()), bytes)
            }
            _ => (Payload::Bytes(Bytes::from(bytes.clone())), bytes),
        }
    }

    /// A frozen loan or a part of it, alone or with something before and behind it.
    fn around_frozen(&mut self, draw: &mut Draw, marks: &mut Marks) -> (Payload, Vec<u8>) {
        let at = draw.below(self.frozen.len());
        let ((lent, _), times) = &mut self.frozen[at];
        marks.frozen_sent += 1;
        marks.frozen_sent_again += u64::from(*times > 0);
        *times += 1;
        let whole = draw.below(4) > 0;
        let from = if whole { 0 } else { draw.below(lent.len() + 1) };
        let lent = lent.slice(from..);
        let around = [0, 1].map(|_| {
            let len = if draw.below(2) == 0 {
                0
            } else {
                draw.below(40)
            };
            Bytes::from(contents(draw.next(), len))
        });
        let [before, behind] = around;
        let most = self.end.lender.loan_bytes_max();
        let runs = if before.len() + lent.len() + behind.len() > most {
            vec![lent]
        } else {
            vec![before, lent, behind]
        };
        if draw.below(4) == 0 {
            self.frozen.swap_remove(at);
        }
        let bytes = runs.concat();
        (Payload::Chain(runs), bytes)
    }

    fn is_sender_awake(&mut self) -> bool {
        if self.waits.send && self.end.sending.was_woken() {
            self.waits.send = false;
        }
        !self.waits.send
    }

    /// Flushes what was handed over. Says whether something was done.
    pub(crate) fn flush(&mut self) -> Result<bool, LinkError> {
        if !self.dirty || !self.is_sender_awake() {
            return Ok(false);
        }
        if self.end.poll_flush()?.is_ready() {
            self.dirty = false;
        } else {
            self.waits.send = true;
        }
        Ok(true)
    }

    /// Receives a frame that `peer` has sent, and keeps it. `None`: it would have to be woken first.
    pub(crate) fn receive(
        &mut self,
        peer: &mut Side,
        marks: &mut Marks,
    ) -> Option<Result<(), LinkError>> {
        if self.waits.receive && !self.end.receiving.was_woken() {
            return None;
        }
        self.waits.receive = false;
        match self.end.poll_recv() {
            Poll::Pending => self.waits.receive = true,
            Poll::Ready(Err(error)) => return Some(Err(error)),
            Poll::Ready(Ok(frame)) => {
                assert_eq!(frame.desc.msg_id, self.received, "frames out of order");
                self.received += 1;
                marks.frames += 1;
                let expected = peer.sent.pop_front().expect("a frame that was sent");
                let bytes = frame.payload.into_bytes();
                assert!(
                    bytes == expected,
                    "a frame of {} bytes is damaged",
                    expected.len()
                );
                self.kept.push((bytes, expected));
            }
        }
        Some(Ok(()))
    }

    /// Asks for a loan.
    pub(crate) fn lend(&mut self, draw: &mut Draw, marks: &mut Marks) -> Result<(), LinkError> {
        if self.waits.lend && !self.end.lending.was_woken() {
            return Ok(());
        }
        let around = [0, 1].map(|_| draw.below(2) * 48);
        let [head, tail] = around;
        let len = self
            .len(draw)
            .min(self.end.lender.loan_bytes_max() - head - tail);
        let room = Room { head, len, tail };
        let lent = self.end.poll_loan(room)?;
        self.waits.lend = lent.is_pending();
        match lent {
            Poll::Ready(loan) => self.loans.push((loan, room)),
            Poll::Pending => marks.waits_for_loan += 1,
        }
        Ok(())
    }

    pub(crate) fn freeze(&mut self, draw: &mut Draw) {
        if let Some((mut loan, room)) = self.loans.pop() {
            let bytes = contents(draw.next(), room.len);
            loan.0.as_mut_slice().copy_from_slice(&bytes);
            self.frozen.push(((loan.freeze(), bytes), 0));
        }
    }

    /// Drops something that it holds, after a look at it.
    pub(crate) fn let_go(&mut self, draw: &mut Draw) {
        self.check();
        match draw.below(4) {
            0 => drop(self.loans.pop()),
            1 if !self.frozen.is_empty() => {
                self.frozen.swap_remove(draw.below(self.frozen.len()));
            }
            _ if !self.kept.is_empty() => {
                self.kept.swap_remove(draw.below(self.kept.len()));
            }
            _ => {}
        }
    }

    /// Says whether it held anything.
    pub(crate) fn let_all_go(&mut self) -> bool {
        self.check();
        let held = self.loans.len() + self.frozen.len() + self.kept.len();
        self.loans.clear();
        self.frozen.clear();
        self.kept.clear();
        held > 0
    }

    /// Nothing that it holds has changed.
    fn check(&self) {
        let frozen = self.frozen.iter().map(|(checked, _)| checked);
        for (bytes, expected) in self.kept.iter().chain(frozen) {
            assert!(bytes == expected, "{} bytes changed under way", bytes.len());
        }
    }

    /// Polls everything once though nobody asked for it, as a task does that waits for more than
    /// one thing.
    pub(crate) fn wake(&mut self, marks: &mut Marks) {
        self.waits = Waits::default();
        marks.spurious += 1;
    }

    /// Whether nothing is left to be flushed.
    pub(crate) fn is_clean(&self) -> bool {
        !self.dirty
    }
}
