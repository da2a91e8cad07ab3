//! Calls of the peer (\[call.flow\], \[call.limits\], \[call.once\], \[deadline.wire\]).

use std::time::Duration;

use bytes::Bytes;

use super::ports::UsedPorts;
use super::{CancelCause, Event, PortDecl, Response, Session};
use crate::control::{CancelReason, Features, Message};
use crate::envelope::{Code, Status, encode_error};
use crate::frame::{Descriptor, Flags, NO_DEADLINE, Payload};
use crate::id::{ChannelId, MethodId};
use crate::metadata::Metadata;
use crate::time::{DeadlineForm, Time};

/// Carries a deadline across hops, in milliseconds (u32 LE).
const KEY_DEADLINE: &str = "rapace.deadline_remaining_ms";

/// A call of the peer that has not been answered.
#[derive(Debug)]
pub(super) struct CallIn {
    stage: Stage,
    /// Ports of this call that are open or were, by either side.
    pub(super) used_ports: UsedPorts,
    /// Early ports that were cancelled before the request said whether they are required.
    pub(super) lost_ports: Vec<u32>,
    /// The request ports that the arguments name, once they are decoded.
    pub(super) named_ports: Option<Vec<u32>>,
}

#[derive(Debug)]
enum Stage {
    /// Opened; the request is still to come, after streams that were opened early.
    Opened(Metadata),
    Serving {
        method_id: MethodId,
        msg_id: u64,
        deadline: Option<Time>,
        oneway: bool,
    },
}

impl CallIn {
    pub(super) fn is_serving(&self) -> bool {
        matches!(self.stage, Stage::Serving { .. })
    }

    /// The method, once the request has named it.
    pub(super) fn method(&self) -> Option<MethodId> {
        match self.stage {
            Stage::Serving { method_id, .. } => Some(method_id),
            Stage::Opened(_) => None,
        }
    }

    fn deadline(&self) -> Option<Time> {
        match self.stage {
            Stage::Serving { deadline, .. } => deadline,
            Stage::Opened(_) => None,
        }
    }
}

impl Session {
    /// An admitted OpenChannel(Call).
    pub(super) fn open_call_in(&mut self, channel: ChannelId, metadata: Metadata) {
        if self.draining.refuses(channel) {
            // [goaway].
            let reason = CancelReason::ResourceExhausted;
            self.queue_control(&Message::Cancel { channel, reason });
            self.release(channel);
            return;
        }
        let stage = Stage::Opened(metadata);
        self.calls_in.insert(
            channel,
            CallIn {
                stage,
                used_ports: UsedPorts::default(),
                lost_ports: Vec::new(),
                named_ports: None,
            },
        );
    }

    /// A request that opens its own channel (\[call.implicit\]).
    pub(super) fn receive_implicit_request(&mut self, desc: Descriptor, payload: Payload) {
        let channel = desc.channel_id;
        if !self.effective.features.contains(Features::IMPLICIT_OPEN) {
            // [data.unknown].
            self.violation(channel);
            return;
        }
        self.use_up(channel);
        if !self.admit(channel) {
            return;
        }
        self.open_call_in(channel, Metadata::default());
        if self.calls_in.contains_key(&channel) {
            self.receive_request(desc, payload);
        }
    }

    pub(super) fn receive_request(&mut self, desc: Descriptor, payload: Payload) {
        let channel = desc.channel_id;
        let Some(call) = self.calls_in.get_mut(&channel) else {
            return;
        };
        let Stage::Opened(metadata) = &mut call.stage else {
            return;
        };
        let metadata = std::mem::take(metadata);
        let deadline = earliest(self.deadline_of(&desc), self.deadline_in(&metadata));
        let method_id = desc.method_id;
        let oneway = desc.has(Flags::NO_REPLY);
        let stage = Stage::Serving {
            method_id,
            msg_id: desc.msg_id,
            deadline,
            oneway,
        };
        let Some(call) = self.calls_in.get_mut(&channel) else {
            return;
        };
        call.stage = stage;
        let early_ports = !call.used_ports.is_empty();
        self.serving += 1;
        self.timers.arm(channel, deadline);

        if self.serving > self.effective.pending_calls_max {
            let limit = self.effective.pending_calls_max;
            let why = format!("{limit} calls are pending, which is the limit");
            self.answer_with_error(channel, Code::RESOURCE_EXHAUSTED, why);
            self.check_drained();
        } else if !self.config.methods.methods.contains_key(&method_id) {
            let why = format!("no method with id {method_id:?} is served here");
            self.answer_with_error(channel, Code::UNIMPLEMENTED, why);
            self.check_drained();
        } else if deadline.is_some_and(|deadline| deadline <= self.now) {
            self.answer_expired(channel);
        } else {
            let request = Event::Request {
                channel,
                method_id,
                payload,
                metadata,
                deadline,
                oneway,
            };
            self.events.push_back(request);
            if early_ports {
                self.check_early_ports(channel, method_id);
            }
        }
    }

    fn deadline_of(&self, desc: &Descriptor) -> Option<Time> {
        if desc.deadline_ns == NO_DEADLINE {
            return None;
        }
        Some(match self.config.deadline_form {
            DeadlineForm::Remaining => self.now + Duration::from_nanos(desc.deadline_ns),
            DeadlineForm::Monotonic => Time::from_nanos(desc.deadline_ns),
        })
    }

    fn deadline_in(&self, metadata: &Metadata) -> Option<Time> {
        let millis = metadata.get(KEY_DEADLINE)?;
        let millis = u32::from_le_bytes(millis[..].try_into().ok()?);
        Some(self.now + Duration::from_millis(u64::from(millis)))
    }

    /// Answers a call. False when it is gone: it was cancelled, or its deadline has passed.
    pub fn respond(&mut self, now: Time, channel: ChannelId, response: Response) -> bool {
        self.now = now;
        if !self.calls_in.get(&channel).is_some_and(CallIn::is_serving) {
            return false;
        }
        let limit = self.effective.payload_bytes_max;
        let bytes = response.payload.len();
        if bytes > limit as usize {
            // [call.limits].
            let why = format!("the response has {bytes} bytes; at most {limit} are accepted");
            self.answer_with_error(channel, Code::RESOURCE_EXHAUSTED, why);
        } else {
            let reason = CancelReason::ClientCancel;
            self.answer(channel, response, reason, &CancelCause::CallEnded);
        }
        self.check_drained();
        true
    }

    /// Answers. An error ends the call's ports too, with `reason` at the peer and `cause` here.
    fn answer(
        &mut self,
        channel: ChannelId,
        response: Response,
        reason: CancelReason,
        cause: &CancelCause,
    ) {
        let Some(call) = self.calls_in.remove(&channel) else {
            return;
        };
        self.release(channel);
        let Stage::Serving {
            method_id,
            msg_id,
            deadline,
            oneway,
        } = call.stage
        else {
            return;
        };
        self.serving -= 1;
        self.timers.disarm(channel, deadline);
        let ports_end = response.error && !call.used_ports.is_empty();
        let failed = response.error;
        if !oneway {
            self.queue_response(channel, method_id, msg_id, response);
        }
        // After the response: the status says why the call failed, a lost port would only say
        // that it did.
        if ports_end {
            self.cancel_ports_of(channel, reason, cause);
        }
        if !failed {
            self.await_late_ports(channel, method_id, &call);
        }
    }

    /// The caller's streams may still be on their way when a handler answers at once.
    fn await_late_ports(&mut self, channel: ChannelId, method: MethodId, call: &CallIn) {
        let Some(method) = self.config.methods.methods.get(&method) else {
            return;
        };
        let named = |port| {
            let named = call.named_ports.as_ref();
            named.is_none_or(|named| named.contains(&port))
        };
        let late = |decl: &&PortDecl| {
            decl.is_request() && named(decl.port) && !call.used_ports.contains(decl.port)
        };
        if method.ports.iter().any(|decl| late(&decl)) {
            let ports = method.ports.iter().filter(late).copied().collect();
            self.awaiting_ports.remember(channel, ports);
        }
    }

    #[inline]
    fn queue_response(
        &mut self,
        channel: ChannelId,
        method_id: MethodId,
        msg_id: u64,
        response: Response,
    ) {
        let mut flags = Flags::DATA | Flags::EOS | Flags::RESPONSE;
        if response.error {
            flags = flags | Flags::ERROR;
        }
        let mut desc = Descriptor::new(channel, method_id, flags);
        desc.msg_id = msg_id;
        let provoked = std::mem::replace(&mut self.transmit.provoked, true);
        self.queue_as_is(desc, response.payload, None);
        self.transmit.provoked = provoked;
    }

    /// Whether a call, of either side, has been neither answered nor cancelled.
    pub fn is_call_live(&self, call: ChannelId) -> bool {
        self.calls_out.contains_key(&call) || self.calls_in.contains_key(&call)
    }

    /// Answers a call without its handler.
    pub(super) fn answer_with_error(&mut self, channel: ChannelId, code: Code, message: String) {
        let response = self.error_response(code, message);
        let reason = CancelReason::ClientCancel;
        self.answer(channel, response, reason, &CancelCause::CallEnded);
    }

    fn error_response(&self, code: Code, message: String) -> Response {
        let mut status = Status {
            code,
            message,
            details: Bytes::new(),
        };
        let mut payload = encode_error(&status, &Metadata::default());
        if payload.len() > self.effective.payload_bytes_max as usize {
            status.message.clear();
            payload = encode_error(&status, &Metadata::default());
        }
        Response {
            payload,
            error: true,
        }
    }

    /// The deadline has passed: stop the handler, say so, give up the streams
    /// (\[deadline.wire\]).
    pub(super) fn expire_call_in(&mut self, channel: ChannelId) {
        self.events.push_back(Event::RequestCancelled {
            channel,
            reason: CancelCause::Deadline,
        });
        self.answer_expired(channel);
    }

    fn answer_expired(&mut self, channel: ChannelId) {
        let why = "the deadline passed before the handler was done".to_owned();
        let response = self.error_response(Code::DEADLINE_EXCEEDED, why);
        let reason = CancelReason::DeadlineExceeded;
        self.answer(channel, response, reason, &CancelCause::Deadline);
        self.check_drained();
    }

    /// Ends a call of the peer without an answer.
    pub(super) fn drop_call_in(&mut self, channel: ChannelId, cause: CancelCause) {
        let Some(call) = self.calls_in.remove(&channel) else {
            return;
        };
        self.release(channel);
        self.timers.disarm(channel, call.deadline());
        if !call.used_ports.is_empty() {
            self.close_ports_of(channel, &CancelCause::CallEnded);
        }
        if call.is_serving() {
            self.serving -= 1;
            self.events.push_back(Event::RequestCancelled {
                channel,
                reason: cause,
            });
        }
    }
}

fn earliest(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
