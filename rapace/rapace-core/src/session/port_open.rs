//! Opening streams and tunnels (\[port\], \[open.check\], \[stream.order\]).

use super::ports::Port;
use super::{CancelCause, Direction, Event, PortDecl, PortError, PortKind, Session};
use crate::control::{Attach, ChannelKind, Features, Message, OpenChannel};
use crate::id::{ChannelId, MethodId};
use crate::time::Time;

/// The numbers of request ports (\[port\]): response ports start at 101.
const REQUEST_PORTS: std::ops::RangeInclusive<u32> = 1..=100;

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
    /// \[open.check\] for streams and tunnels. `highest_before` is the highest channel that the peer
    /// had opened before this one.
    pub(super) fn check_attach(
        &self,
        kind: ChannelKind,
        attach: Attach,
        highest_before: u32,
    ) -> Opening {
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
        } else if call == ChannelId::CONTROL
            || call.0 > highest_before
            || self.skipped.contains(call)
            || self.ports.contains_key(&call)
        {
            // A call that was never possible.
            Opening::Wrong
        } else if let Some(open) = self.calls_in.get(&call) {
            if direction == Direction::ServerToClient || open.used_ports.contains(port) {
                return Opening::Wrong;
            }
            let Some(method) = open.method() else {
                // Which ports there are is not known yet; `check_early_ports` looks again.
                return if REQUEST_PORTS.contains(&port) {
                    Opening::Allowed
                } else {
                    Opening::Wrong
                };
            };
            match self.request_port(method, port) {
                Some(decl) if fits(decl, kind, attach) => Opening::Allowed,
                _ => Opening::Wrong,
            }
        } else {
            self.check_late_port(kind, attach)
        }
    }

    /// A port of an answered call.
    fn check_late_port(&self, kind: ChannelKind, attach: Attach) -> Opening {
        match self.awaiting_ports.find(attach.call, attach.port) {
            Some(decl) if fits(decl, kind, attach) => Opening::Allowed,
            Some(_) => Opening::Wrong,
            None => Opening::Late,
        }
    }

    /// A port of a call of this side, which the peer may open if the return value declares it.
    fn check_response_port(&self, kind: ChannelKind, attach: Attach) -> Opening {
        let Attach {
            call,
            port,
            direction,
        } = attach;
        if direction == Direction::ClientToServer
            || !self.was_opened_here(call)
            || self.ports.contains_key(&call)
        {
            return Opening::Wrong;
        }
        let Some(open) = self.calls_out.get(&call) else {
            return self.check_late_port(kind, attach);
        };
        let declared = open
            .ports
            .iter()
            .find(|decl| decl.port == port && !decl.is_request());
        match declared {
            Some(decl) if fits(*decl, kind, attach) && !open.used_ports.contains(port) => {
                Opening::Allowed
            }
            _ => Opening::Wrong,
        }
    }

    fn request_port(&self, method: MethodId, port: u32) -> Option<PortDecl> {
        self.served_ports(method)
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
            open.used_ports.push(port, channel);
        } else if let Some(open) = self.calls_in.get_mut(&call) {
            open.used_ports.push(port, channel);
        } else {
            self.awaiting_ports.take(call, port);
        }
        let sending = kind == PortKind::Tunnel;
        let mut credit = self.initial_credit();
        credit.arrive(initial_credits);
        let entry = Port {
            call,
            number: port,
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

    /// Streams that were opened before the request named the method (\[stream.order\]).
    pub(super) fn check_early_ports(&mut self, call: ChannelId, method: MethodId) {
        let mut wrong: Vec<ChannelId> = Vec::new();
        for (channel, port) in &self.ports {
            // The declaration itself says that a stream goes to the server and a tunnel both ways.
            if port.call == call {
                let declared = self.request_port(method, port.number);
                if declared.is_none_or(|decl| decl.kind != port.kind) {
                    wrong.push(*channel);
                }
            }
        }
        wrong.sort_unstable();
        for channel in wrong {
            self.violation(channel);
        }
        let Some(open) = self.calls_in.get(&call) else {
            return;
        };
        let lost = open.lost_ports.iter().copied().find(|port| {
            self.request_port(method, *port)
                .is_some_and(|decl| decl.required)
        });
        if let Some(port) = lost {
            self.required_port_lost(call, port, CancelCause::CallEnded);
            self.check_drained();
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
            if open.used_ports.contains(port) {
                return Err(PortError::AlreadyOpen);
            }
            open.ports
                .iter()
                .find(|decl| decl.port == port && decl.is_request())
                .copied()
        } else if let Some(open) = self.calls_in.get(&call) {
            if open.used_ports.contains(port) {
                return Err(PortError::AlreadyOpen);
            }
            let method = open.method().ok_or(PortError::CallGone)?;
            self.served_ports(method)
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
            open.used_ports.push(port, channel);
        } else if let Some(open) = self.calls_in.get_mut(&call) {
            open.used_ports.push(port, channel);
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
            number: port,
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
}
