//! The queue of frames to transmit.

use std::collections::{BTreeSet, VecDeque};

use super::{Event, Phase, Session};
use crate::control::Message;
use crate::frame::{DESCRIPTOR_LEN, Descriptor, Flags, Frame, NO_DEADLINE, Payload};
use crate::id::ChannelId;
use crate::time::{DeadlineForm, Time};

/// Frames in the order in which they will leave.
#[derive(Debug, Default)]
pub(super) struct TransmitQueue {
    frames: VecDeque<Queued>,
    bytes: usize,
    /// Somebody was told to wait.
    congested: bool,
    /// A frame of the peer is being handled: what is queued now answers it.
    pub(super) provoked: bool,
    /// Queued frames that answer frames of the peer, responses included.
    replies: u32,
}

#[derive(Debug)]
struct Queued {
    desc: Descriptor,
    payload: Payload,
    /// Becomes the descriptor's deadline when the frame leaves: the time left counts from then.
    deadline: Option<Time>,
    reply: bool,
}

impl TransmitQueue {
    pub(super) fn replies(&self) -> u32 {
        self.replies
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
        self.replies = 0;
    }

    pub(super) fn tell_congested(&mut self) {
        self.congested = true;
    }
}

impl Session {
    /// The next frame for the link. `now` decides how much time its deadline has left.
    #[inline]
    pub fn poll_transmit(&mut self, now: Time) -> Option<Frame> {
        let Queued {
            mut desc,
            payload,
            deadline,
            reply,
        } = self.transmit.frames.pop_front()?;
        self.transmit.replies -= u32::from(reply);
        self.transmit.bytes -= DESCRIPTOR_LEN + payload.len();
        if let Some(deadline) = deadline {
            desc.deadline_ns = match self.config.deadline_form {
                DeadlineForm::Monotonic => deadline.as_nanos(),
                DeadlineForm::Remaining => deadline.since(now).as_nanos() as u64,
            };
        }
        if self.transmit.congested && self.transmit.bytes <= self.config.limits.send_queue_bytes / 2
        {
            self.transmit.congested = false;
            if self.phase == Phase::Open {
                self.events.push_back(Event::Uncongested);
            }
        }
        Some(Frame::new(desc, payload))
    }

    /// Whether [`Session::poll_transmit`] has something.
    #[inline]
    pub fn has_transmit(&self) -> bool {
        !self.transmit.frames.is_empty()
    }

    /// How many frames [`Session::poll_transmit`] has.
    #[inline]
    pub fn queued_frames(&self) -> usize {
        self.transmit.frames.len()
    }

    /// Whether the session is over and its last frame has been handed out: the link can be closed.
    pub fn link_finished(&self) -> bool {
        matches!(self.phase, Phase::Closed(_)) && self.transmit.frames.is_empty()
    }

    /// Whether so much waits for the link that calls and streams should wait too.
    /// [`Event::Uncongested`] follows.
    #[inline]
    pub fn is_congested(&mut self) -> bool {
        let congested = self.transmit.bytes > self.config.limits.send_queue_bytes;
        self.transmit.congested |= congested;
        congested
    }

    /// Queues a frame with a message id of its own.
    #[inline]
    pub(super) fn queue(&mut self, mut desc: Descriptor, payload: Payload, deadline: Option<Time>) {
        desc.msg_id = self.next_msg_id;
        self.next_msg_id += 1;
        self.queue_as_is(desc, payload, deadline);
    }

    /// Queues a frame that echoes a message id.
    #[inline]
    pub(super) fn queue_as_is(
        &mut self,
        desc: Descriptor,
        payload: Payload,
        deadline: Option<Time>,
    ) {
        debug_assert_eq!(desc.deadline_ns, NO_DEADLINE);
        self.transmit.bytes += DESCRIPTOR_LEN + payload.len();
        let reply = self.transmit.provoked;
        self.transmit.replies += u32::from(reply);
        self.transmit.frames.push_back(Queued {
            desc,
            payload,
            deadline,
            reply,
        });
    }

    /// Takes the requests of calls that wait for their response back out of the queue; which calls
    /// those are.
    pub(super) fn withdraw_requests(&mut self) -> BTreeSet<ChannelId> {
        let mut withdrawn = BTreeSet::new();
        let Session {
            transmit,
            calls_out,
            ..
        } = self;
        let TransmitQueue {
            frames,
            bytes,
            replies,
            ..
        } = transmit;
        frames.retain(|queued| {
            // All other frames of a call of this side travel on channel 0.
            let channel = queued.desc.channel_id;
            if !calls_out.contains_key(&channel) {
                return true;
            }
            *bytes -= DESCRIPTOR_LEN + queued.payload.len();
            *replies -= u32::from(queued.reply);
            withdrawn.insert(channel);
            false
        });
        withdrawn
    }

    /// Queues a control message.
    pub(super) fn queue_control(&mut self, message: &Message) {
        let desc = Descriptor::new(ChannelId::CONTROL, message.verb(), Flags::CONTROL);
        self.queue(
            desc,
            Payload::from(bytes::Bytes::from(message.encode())),
            None,
        );
    }
}
