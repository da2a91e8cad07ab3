//! What travels on streams and tunnels (\[stream\], \[tunnel\], \[credit\]).

use super::{CallOutcome, CancelCause, Event, Phase, PortKind, SendBlocked, Session};
use crate::control::{CancelReason, Features, Message};
use crate::envelope::Code;
use crate::frame::{Descriptor, Flags, Payload};
use crate::id::{ChannelId, MethodId};
use crate::time::Time;

impl Session {
    /// Sends an item of a stream, or bytes of a tunnel; `eos` ends the sending direction with it.
    ///
    /// # Errors
    ///
    /// The payload is given back with what to wait for.
    pub fn send_data(
        &mut self,
        channel: ChannelId,
        payload: Payload,
        eos: bool,
    ) -> Result<(), (SendBlocked, Payload)> {
        let len = payload.len();
        if len > self.effective.payload_bytes_max as usize {
            return Err((SendBlocked::TooLarge, payload));
        }
        let Some(port) = self.ports.get_mut(&channel).filter(|port| port.sending) else {
            return Err((SendBlocked::Closed, payload));
        };
        if self.transmit.bytes() > self.config.limits.send_queue_bytes {
            self.transmit.tell_congested();
            return Err((SendBlocked::Congested, payload));
        }
        if !port.credit.spend(len, port.kind) {
            port.blocked = true;
            return Err((SendBlocked::Credit, payload));
        }
        let mut flags = Flags::DATA;
        if eos {
            flags = flags | Flags::EOS;
        }
        let mut desc = Descriptor::new(channel, MethodId::NONE, flags);
        if port.kind == PortKind::Tunnel
            && let Some(grant) = port.credit.take_grant()
        {
            desc.flags = desc.flags | Flags::CREDITS;
            desc.credit_grant = grant;
        }
        self.queue(desc, payload, None);
        if eos {
            self.sending_ended(channel);
        }
        Ok(())
    }

    /// Ends the sending direction. False when it has ended before.
    pub fn send_eos(&mut self, channel: ChannelId) -> bool {
        if !self.ports.get(&channel).is_some_and(|port| port.sending) {
            return false;
        }
        self.queue(
            Descriptor::new(channel, MethodId::NONE, Flags::EOS),
            Payload::EMPTY,
            None,
        );
        self.sending_ended(channel);
        true
    }

    fn sending_ended(&mut self, channel: ChannelId) {
        let Some(port) = self.ports.get_mut(&channel) else {
            return;
        };
        port.sending = false;
        if !port.receiving {
            if port.kind == PortKind::Tunnel {
                self.ended.remember(channel);
            }
            self.forget_port(channel);
            self.check_drained();
        }
    }

    pub(super) fn receive_data(&mut self, desc: Descriptor, payload: Payload) {
        let channel = desc.channel_id;
        self.receive_credit_flag(&desc);
        let has_data = desc.has(Flags::DATA);
        let eos = desc.has(Flags::EOS);
        let Some(port) = self.ports.get_mut(&channel) else {
            return;
        };
        if has_data {
            let with_credit = self
                .effective
                .features
                .contains(Features::CREDIT_FLOW_CONTROL);
            let buffer_max = self.config.limits.channel_buffer_bytes;
            if with_credit && !port.credit.receive(payload.len(), port.kind) {
                self.protocol_error("credit overrun");
                return;
            }
            if !with_credit && !port.credit.buffer(payload.len(), buffer_max) {
                let reason = CancelReason::ResourceExhausted;
                self.queue_control(&Message::Cancel { channel, reason });
                self.port_cancelled(channel, CancelCause::Local, reason);
                self.check_drained();
                return;
            }
        }
        let Some(port) = self.ports.get_mut(&channel) else {
            return;
        };
        if eos {
            port.receiving = false;
            if !port.sending {
                self.forget_port(channel);
                self.ended.remember(channel);
            }
        }
        self.events.push_back(Event::Data {
            channel,
            payload,
            eos,
            has_data,
        });
        if eos {
            self.check_drained();
        }
    }

    /// An item does not decode: its stream ends, and its call fails unless it has ended
    /// (\[stream\]). The stream itself may have ended with EOS already.
    pub fn reject_item(&mut self, now: Time, channel: ChannelId, why: &str) {
        self.now = now;
        if self.phase != Phase::Open {
            return;
        }
        let reason = CancelReason::ProtocolViolation;
        let call = match self.forget_port(channel) {
            Some(port) => Some(port.call),
            None => self.call_of_ended_port(channel),
        };
        let Some(call) = call else {
            return;
        };
        self.queue_control(&Message::Cancel { channel, reason });
        let message = format!("an item of a stream does not decode: {why}");
        if let Some(open) = self.calls_in.get(&call) {
            if open.is_serving() {
                self.stop_call_in(call, Code::INVALID_ARGUMENT, message, CancelCause::Local);
            }
        } else if self.calls_out.contains_key(&call) {
            let channel = call;
            self.queue_control(&Message::Cancel { channel, reason });
            self.finish_call_out(call, CallOutcome::BadResponse(message), true);
        }
        self.check_drained();
    }

    /// The live call that a stream belonged to. Slow, for what should never happen.
    fn call_of_ended_port(&self, channel: ChannelId) -> Option<ChannelId> {
        let incoming = self
            .calls_in
            .iter()
            .map(|(id, call)| (id, &call.used_ports));
        let outgoing = self
            .calls_out
            .iter()
            .map(|(id, call)| (id, &call.used_ports));
        incoming
            .chain(outgoing)
            .find(|(_, used)| used.has_channel(channel))
            .map(|(id, _)| *id)
    }
}
