//! Streams and tunnels ([port], [stream], [stream.order], [stream.life], [tunnel]).

use super::credit::Credit;
use super::{CancelCause, Direction, Event, PortDecl, PortError, PortKind, SendBlocked, Session};
use crate::control::{Attach, CancelReason, ChannelKind, Features, Message, OpenChannel};
use crate::envelope::Code;
use crate::frame::{Descriptor, Flags, Payload};
use crate::id::{ChannelId, MethodId};
use crate::time::Time;

/// A live stream or tunnel.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) call: ChannelId,
    pub(super) port: u32,
    pub(super) kind: PortKind,
    /// This side may still send.
    sending: bool,
    /// The peer may still send.
    receiving: bool,
    /// A sender was told to wait for credit.
    pub(super) blocked: bool,
    pub(super) credit: Credit,
}

impl Port {
    pub(super) fn is_receiving(&self) -> bool {
        self.receiving
    }
}

/// Streams that ended with EOS lately: data after it is a violation, not a lost race.
#[derive(Debug)]
pub(super) struct EndedRing {
    channels: [ChannelId; 64],
    next: usize,
}

impl Default for EndedRing {
    fn default() -> Self {
        EndedRing {
            channels: [ChannelId::CONTROL; 64],
            next: 0,
        }
    }
}

impl EndedRing {
    pub(super) fn contains(&self, channel: ChannelId) -> bool {
        self.channels.contains(&channel)
    }

    fn remember(&mut self, channel: ChannelId) {
        self.channels[self.next] = channel;
        self.next = (self.next + 1) % self.channels.len();
    }
}

/// What to do about a peer that opens a port.
pub(super) enum Opening {
    Allowed,
    /// Its call has ended.
    Late,
    Wrong,
}

fn channel_kind(kind: PortKind) -> ChannelKind {
    match kind {
        PortKind::Stream => ChannelKind::Stream,
        PortKind::Tunnel => ChannelKind::Tunnel,
    }
}

fn fits(decl: PortDecl, kind: ChannelKind, attach: Attach) -> bool {
    channel_kind(decl.kind) == kind && decl.direction == attach.direction
}

impl Session {
    /// [open.check] for streams and tunnels.
    pub(super) fn check_attach(&self, kind: ChannelKind, attach: Attach) -> Opening {
        let Attach {
            call,
            port,
            direction,
        } = attach;
        if kind == ChannelKind::Stream && direction == Direction::Bidir
            || kind == ChannelKind::Tunnel && direction != Direction::Bidir
        {
            return Opening::Wrong;
        }
        if self.is_own(call) {
            self.check_response_port(kind, attach)
        } else if call.0 > self.highest_peer || call == ChannelId::CONTROL {
            // A call that was never possible.
            Opening::Wrong
        } else if let Some(open) = self.calls_in.get(&call) {
            if direction == Direction::ServerToClient || open.used_ports.contains(&port) {
                return Opening::Wrong;
            }
            let Some(method) = open.method() else {
                // The method is not known yet; `check_early_ports` looks again.
                return Opening::Allowed;
            };
            match self.request_port(method, port) {
                Some(decl) if fits(decl, kind, attach) => Opening::Allowed,
                _ => Opening::Wrong,
            }
        } else {
            Opening::Late
        }
    }

    /// A port of a call of this side, which the peer may open if the return value declares it.
    fn check_response_port(&self, kind: ChannelKind, attach: Attach) -> Opening {
        let Attach {
            call,
            port,
            direction,
        } = attach;
        if direction == Direction::ClientToServer || !self.was_opened_here(call) {
            return Opening::Wrong;
        }
        let Some(open) = self.calls_out.get(&call) else {
            return match self.awaiting_ports.find(call, port) {
                Some(decl) if fits(decl, kind, attach) => Opening::Allowed,
                Some(_) => Opening::Wrong,
                None => Opening::Late,
            };
        };
        let declared = open
            .ports
            .iter()
            .find(|decl| decl.port == port && !decl.is_request());
        match declared {
            Some(decl) if fits(*decl, kind, attach) && !open.used_ports.contains(&port) => {
                Opening::Allowed
            }
            _ => Opening::Wrong,
        }
    }

    fn request_port(&self, method: MethodId, port: u32) -> Option<PortDecl> {
        let ports = &self.config.methods.methods.get(&method)?.ports;
        ports
            .iter()
            .find(|decl| decl.port == port && decl.is_request())
            .copied()
    }

    /// An admitted and checked OpenChannel(Stream | Tunnel).
    pub(super) fn open_port_in(
        &mut self,
        channel: ChannelId,
        kind: ChannelKind,
        attach: Attach,
        initial_credits: u32,
    ) {
        let kind = match kind {
            ChannelKind::Tunnel => PortKind::Tunnel,
            ChannelKind::Stream | ChannelKind::Call => PortKind::Stream,
        };
        let Attach {
            call,
            port,
            direction,
        } = attach;
        if let Some(open) = self.calls_out.get_mut(&call) {
            open.used_ports.push(port);
        } else if let Some(open) = self.calls_in.get_mut(&call) {
            open.used_ports.push(port);
        } else {
            self.awaiting_ports.take(call, port);
        }
        let sending = kind == PortKind::Tunnel;
        let mut credit = self.initial_credit();
        credit.arrive(initial_credits);
        let entry = Port {
            call,
            port,
            kind,
            sending,
            receiving: true,
            blocked: false,
            credit,
        };
        self.ports.insert(channel, entry);
        self.events.push_back(Event::PortOpened {
            channel,
            call,
            port,
            kind,
            direction,
        });
        self.grant_first_window(channel);
    }

    /// Streams that were opened before the request named the method.
    pub(super) fn check_early_ports(&mut self, call: ChannelId, method: MethodId) {
        let mut wrong: Vec<ChannelId> = Vec::new();
        for (channel, port) in &self.ports {
            if port.call == call {
                let declared = self.request_port(method, port.port);
                if declared.is_none_or(|decl| decl.kind != port.kind) {
                    wrong.push(*channel);
                }
            }
        }
        wrong.sort_unstable();
        for channel in wrong {
            self.violation(channel);
        }
    }

    /// Opens the channel of a port that this side declared: a request port of a call of this
    /// side, or a response port of a call of the peer.
    pub fn open_port(
        &mut self,
        now: Time,
        call: ChannelId,
        port: u32,
    ) -> Result<ChannelId, PortError> {
        self.now = now;
        let decl = if let Some(open) = self.calls_out.get(&call) {
            if open.used_ports.contains(&port) {
                return Err(PortError::AlreadyOpen);
            }
            open.ports
                .iter()
                .find(|decl| decl.port == port && decl.is_request())
                .copied()
        } else if let Some(open) = self.calls_in.get(&call) {
            if open.used_ports.contains(&port) {
                return Err(PortError::AlreadyOpen);
            }
            let method = open.method().ok_or(PortError::CallGone)?;
            let ports = self
                .config
                .methods
                .methods
                .get(&method)
                .map(|method| &method.ports[..]);
            let ports = ports.unwrap_or_default();
            ports
                .iter()
                .find(|decl| decl.port == port && !decl.is_request())
                .copied()
        } else {
            return Err(PortError::CallGone);
        };
        let PortDecl {
            kind, direction, ..
        } = decl.ok_or(PortError::NotDeclared)?;
        let channel = self.take_channel().ok_or(PortError::TooManyChannels)?;
        if let Some(open) = self.calls_out.get_mut(&call) {
            open.used_ports.push(port);
        } else if let Some(open) = self.calls_in.get_mut(&call) {
            open.used_ports.push(port);
        }
        let receiving = kind == PortKind::Tunnel;
        let credit = self.initial_credit();
        // [credit]: what the opener lets the other side send. With windows in both Hellos that is
        // agreed already.
        let with_credit = self
            .effective
            .features
            .contains(Features::CREDIT_FLOW_CONTROL);
        let initial_credits = match self.effective.window_here {
            None if receiving && with_credit => self.config.limits.window_bytes,
            _ => 0,
        };
        let mut entry = Port {
            call,
            port,
            kind,
            sending: true,
            receiving,
            blocked: false,
            credit,
        };
        entry.credit.allow(initial_credits);
        self.ports.insert(channel, entry);
        self.queue_control(&Message::Open(OpenChannel {
            channel,
            kind: channel_kind(kind),
            attach: Some(Attach {
                call,
                port,
                direction,
            }),
            metadata: None,
            initial_credits,
        }));
        Ok(channel)
    }

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
                self.port_cancelled(channel, CancelCause::Local);
                return;
            }
        }
        let Some(port) = self.ports.get_mut(&channel) else {
            return;
        };
        if eos {
            port.receiving = false;
            if !port.sending {
                let stream = port.kind == PortKind::Stream;
                self.forget_port(channel);
                if stream {
                    self.ended.remember(channel);
                }
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

    /// An item does not decode: the stream ends, and its call fails ([stream]).
    pub fn reject_item(&mut self, now: Time, channel: ChannelId, why: &str) {
        self.now = now;
        let Some(port) = self.ports.get(&channel) else {
            return;
        };
        let call = port.call;
        let reason = CancelReason::ProtocolViolation;
        self.queue_control(&Message::Cancel { channel, reason });
        self.forget_port(channel);
        if self
            .calls_in
            .get(&call)
            .is_some_and(super::calls_in::CallIn::is_serving)
        {
            let message = format!("an item of a stream does not decode: {why}");
            self.stop_call_in(call, Code::INVALID_ARGUMENT, message, CancelCause::Local);
        }
        self.check_drained();
    }

    /// Stops a handler and answers for it.
    fn stop_call_in(&mut self, call: ChannelId, code: Code, message: String, cause: CancelCause) {
        self.events.push_back(Event::RequestCancelled {
            channel: call,
            reason: cause,
        });
        self.answer_with_error(call, code, message);
    }

    /// A port has ended early, by the peer or because of it. Its call fails if it cannot do
    /// without ([stream.life]).
    pub(super) fn port_cancelled(&mut self, channel: ChannelId, cause: CancelCause) {
        let Some(port) = self.forget_port(channel) else {
            return;
        };
        self.events.push_back(Event::PortClosed {
            channel,
            cause: cause.clone(),
        });
        let required = |decl: &PortDecl| decl.port == port.port && decl.required;
        if !port.receiving {
            // The peer does not want what this side sends: its affair.
            return;
        }
        if let Some(call) = self.calls_in.get(&port.call) {
            let Some(method) = call.method() else { return };
            let ports = self
                .config
                .methods
                .methods
                .get(&method)
                .map(|method| &method.ports[..]);
            let lost = ports
                .unwrap_or_default()
                .iter()
                .any(|decl| decl.is_request() && required(decl));
            if lost {
                let message = format!("required port {} was lost", port.port);
                self.stop_call_in(port.call, Code::CANCELLED, message, cause);
            }
        } else if let Some(call) = self.calls_out.get(&port.call) {
            let lost = call
                .ports
                .iter()
                .any(|decl| !decl.is_request() && required(decl));
            if lost {
                let reason = match cause {
                    CancelCause::Peer(reason) => reason,
                    _ => CancelReason::ResourceExhausted,
                };
                let ours = CancelReason::ClientCancel;
                self.queue_control(&Message::Cancel {
                    channel: port.call,
                    reason: ours,
                });
                let outcome = super::CallOutcome::Cancelled(reason);
                self.finish_call_out(port.call, outcome, true);
            }
        }
    }

    /// Ends the ports of a call whose cancellation the peer knows of.
    pub(super) fn close_ports_of(&mut self, call: ChannelId, cause: &CancelCause) {
        self.awaiting_ports.forget(call);
        for channel in self.ports_of(call) {
            self.forget_port(channel);
            self.events.push_back(Event::PortClosed {
                channel,
                cause: cause.clone(),
            });
        }
    }

    /// Ends the ports of a call and tells the peer about each.
    pub(super) fn cancel_ports_of(
        &mut self,
        call: ChannelId,
        reason: CancelReason,
        cause: &CancelCause,
    ) {
        for channel in self.ports_of(call) {
            self.queue_control(&Message::Cancel { channel, reason });
        }
        self.close_ports_of(call, cause);
    }

    fn ports_of(&self, call: ChannelId) -> Vec<ChannelId> {
        if self.ports.is_empty() {
            return Vec::new();
        }
        let of_call = self.ports.iter().filter(|(_, port)| port.call == call);
        let mut channels: Vec<ChannelId> = of_call.map(|(channel, _)| *channel).collect();
        channels.sort_unstable();
        channels
    }

    pub(super) fn forget_port(&mut self, channel: ChannelId) -> Option<Port> {
        let port = self.ports.remove(&channel)?;
        self.release(channel);
        Some(port)
    }
}
