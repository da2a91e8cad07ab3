//! Calls of this side (\[call.flow\], \[call.implicit\], \[call.limits\]).

use std::collections::VecDeque;

use super::ports::UsedPorts;
use super::{CallOutcome, CancelCause, Event, OpenCall, OpenError, Phase, PortDecl, Session};
use crate::control::{
    CONTROL_BYTES_MAX, CancelReason, ChannelKind, Features, Message, OpenChannel,
};
use crate::envelope::{Code, Envelope};
use crate::frame::{Descriptor, Flags, Payload};
use crate::id::ChannelId;
use crate::time::Time;

/// A call of this side that waits for its response.
#[derive(Debug)]
pub(super) struct CallOut {
    pub(super) deadline: Option<Time>,
    pub(super) ports: &'static [PortDecl],
    /// Ports of this call that are open or were, by either side.
    pub(super) used_ports: UsedPorts,
}

/// Answered calls, of either side, with streams that the peer may still open: its frames cross the
/// response, and a stream may outlive it (\[stream.order\], \[stream.life\]). Bounded; the oldest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct AwaitingPorts {
    calls: VecDeque<(ChannelId, Vec<PortDecl>)>,
}

/// How many answered calls are remembered for late streams.
const AWAITING_MAX: usize = 256;

impl AwaitingPorts {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn clear(&mut self) {
        self.calls.clear();
    }

    pub(super) fn knows(&self, call: ChannelId) -> bool {
        self.calls.iter().any(|(known, _)| *known == call)
    }

    pub(super) fn remember(&mut self, call: ChannelId, ports: Vec<PortDecl>) {
        if self.calls.len() == AWAITING_MAX {
            self.calls.pop_front();
        }
        self.calls.push_back((call, ports));
    }

    /// The declaration of a port that may still be opened.
    pub(super) fn find(&self, call: ChannelId, port: u32) -> Option<PortDecl> {
        let (_, ports) = self.calls.iter().find(|(known, _)| *known == call)?;
        ports.iter().find(|decl| decl.port == port).copied()
    }

    pub(super) fn take(&mut self, call: ChannelId, port: u32) {
        self.retain(call, |other| other != port);
    }

    /// Only these ports of a call may still be opened.
    pub(super) fn retain(&mut self, call: ChannelId, keeps: impl Fn(u32) -> bool) {
        let Some(at) = self.calls.iter().position(|(known, _)| *known == call) else {
            return;
        };
        self.calls[at].1.retain(|decl| keeps(decl.port));
        if self.calls[at].1.is_empty() {
            self.calls.remove(at);
        }
    }

    pub(super) fn forget(&mut self, call: ChannelId) {
        self.calls.retain(|(known, _)| *known != call);
    }
}

impl Session {
    /// Opens a call and queues its request.
    ///
    /// [`Event::CallDone`] follows exactly once, unless the call is oneway or this side cancels
    /// it.
    ///
    /// # Errors
    ///
    /// Nothing was queued; the call is given back. Boxed, because it is large and rare.
    #[expect(
        clippy::result_large_err,
        reason = "the payload is given back by value"
    )]
    pub fn open_call(
        &mut self,
        now: Time,
        call: OpenCall,
    ) -> Result<ChannelId, (OpenError, OpenCall)> {
        self.now = now;
        match self.check_open(now, &call) {
            Ok(()) => {}
            Err(error) => return Err((error, call)),
        }
        let implicit =
            call.metadata.is_empty() && self.effective.features.contains(Features::IMPLICIT_OPEN);
        let mut open = OpenChannel {
            channel: ChannelId(0),
            kind: ChannelKind::Call,
            attach: None,
            metadata: None,
            initial_credits: 0,
        };
        if !implicit {
            open.metadata = Some(call.metadata.clone());
            let len = Message::Open(open.clone()).encode().len() + 5;
            let limit = CONTROL_BYTES_MAX.min(self.effective.payload_bytes_max as usize);
            if len > limit {
                let why = format!("{len} bytes of metadata; at most {limit} travel");
                return Err((OpenError::BadMetadata(why), call));
            }
        }
        let Some(channel) = self.take_channel() else {
            let limit = self.effective.channels_max;
            return Err((OpenError::TooManyChannels { limit }, call));
        };
        if !implicit {
            open.channel = channel;
            self.queue_control(&Message::Open(open));
        }
        let mut flags = Flags::DATA | Flags::EOS;
        if call.oneway {
            flags = flags | Flags::NO_REPLY;
        }
        let desc = Descriptor::new(channel, call.method_id, flags);
        self.queue(desc, call.payload, call.deadline);
        if call.oneway {
            // Done as soon as it is queued: nothing will come back.
            self.release(channel);
            return Ok(channel);
        }
        self.timers.arm(channel, call.deadline);
        let used_ports = UsedPorts::default();
        let entry = CallOut {
            deadline: call.deadline,
            ports: call.ports,
            used_ports,
        };
        self.calls_out.insert(channel, entry);
        Ok(channel)
    }

    #[inline]
    fn check_open(&self, now: Time, call: &OpenCall) -> Result<(), OpenError> {
        match &self.phase {
            Phase::Hello => return Err(OpenError::NotReady),
            Phase::Closed(reason) => return Err(OpenError::Closed(reason.clone())),
            Phase::Open => {}
        }
        if self.draining.is_announced() {
            return Err(OpenError::Draining);
        }
        let limit = self.effective.payload_bytes_max;
        let bytes = call.payload.len();
        if bytes > limit as usize {
            return Err(OpenError::TooLarge { bytes, limit });
        }
        let limit = self.effective.pending_calls_max;
        if self.calls_out.len() >= limit as usize {
            return Err(OpenError::TooManyCalls { limit });
        }
        if call.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(OpenError::DeadlineExpired);
        }
        if call.oneway && !call.ports.is_empty() {
            return Err(OpenError::BadPort);
        }
        Ok(())
    }

    pub(super) fn receive_response(&mut self, desc: Descriptor, payload: Payload) {
        let channel = desc.channel_id;
        let outcome = match Envelope::decode(&payload) {
            Ok(envelope) if (envelope.status.code == Code::OK) == desc.has(Flags::ERROR) => {
                let code = envelope.status.code;
                CallOutcome::BadResponse(format!("the ERROR flag contradicts status {code}"))
            }
            Ok(envelope) => CallOutcome::Response(envelope),
            Err(fault) => CallOutcome::BadResponse(format!("no response envelope: {fault}")),
        };
        // Streams may outlive an answer, but not a failure.
        let failed = match &outcome {
            CallOutcome::Response(envelope) => envelope.status.code != Code::OK,
            _ => true,
        };
        if failed && !self.ports_of(channel).is_empty() {
            // A peer that takes the call for answered would keep them open.
            self.cancel_ports_of(channel, CancelReason::ClientCancel, &CancelCause::CallEnded);
        }
        self.finish_call_out(channel, outcome, failed);
        self.check_drained();
    }

    /// Reports the end of a call, which must exist, and forgets it.
    pub(super) fn finish_call_out(
        &mut self,
        channel: ChannelId,
        outcome: CallOutcome,
        close_ports: bool,
    ) {
        let Some(call) = self.calls_out.remove(&channel) else {
            return;
        };
        self.release(channel);
        self.timers.disarm(channel, call.deadline);
        if close_ports {
            if !call.ports.is_empty() {
                self.close_ports_of(channel, &CancelCause::CallEnded);
            }
        } else if !call.ports.is_empty() {
            let late: Vec<PortDecl> = call
                .ports
                .iter()
                .filter(|decl| !decl.is_request() && !call.used_ports.contains(decl.port))
                .copied()
                .collect();
            if !late.is_empty() {
                self.awaiting_ports.remember(channel, late);
            }
        }
        self.events.push_back(Event::CallDone { channel, outcome });
    }

    /// The peer has cancelled a call of this side.
    pub(super) fn call_out_cancelled(&mut self, channel: ChannelId, reason: CancelReason) {
        let outcome = match self.draining.refusal(channel) {
            Some(message) if reason == CancelReason::ResourceExhausted => {
                CallOutcome::Refused(message)
            }
            _ => CallOutcome::Cancelled(reason),
        };
        self.finish_call_out(channel, outcome, true);
    }

    /// The peer has announced that it does not look at channels beyond `last`.
    pub(super) fn refuse_calls_beyond(&mut self, last: ChannelId) {
        let mut refused: Vec<ChannelId> = self
            .calls_out
            .keys()
            .copied()
            .filter(|channel| *channel > last)
            .collect();
        refused.sort_unstable();
        for channel in refused {
            let message = self.draining.refusal(channel).unwrap_or_default();
            self.finish_call_out(channel, CallOutcome::Refused(message), true);
        }
    }
}
