//! The table of streams and tunnels, and how they end (\[stream.life\], \[cancel\]).

use super::credit::Credit;
use super::{CallOutcome, CancelCause, Event, PortDecl, PortKind, Session};
use crate::control::{CancelReason, Message};
use crate::envelope::Code;
use crate::id::{ChannelId, MethodId};

/// A live stream or tunnel.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) call: ChannelId,
    pub(super) number: u32,
    pub(super) kind: PortKind,
    /// This side may still send.
    pub(super) sending: bool,
    /// The peer may still send.
    pub(super) receiving: bool,
    /// A sender was told to wait for credit.
    pub(super) blocked: bool,
    pub(super) credit: Credit,
}

impl Port {
    pub(super) fn is_receiving(&self) -> bool {
        self.receiving
    }
}

/// The ports of one call that are open or were, by either side. Bounded by the method's
/// declaration, or by the highest number of a request port while the method is not known.
#[derive(Debug, Default)]
pub(super) struct UsedPorts(Vec<(u32, ChannelId)>);

impl UsedPorts {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, port: u32) -> bool {
        self.0.iter().any(|(used, _)| *used == port)
    }

    pub(super) fn push(&mut self, port: u32, channel: ChannelId) {
        self.0.push((port, channel));
    }

    pub(super) fn has_channel(&self, channel: ChannelId) -> bool {
        self.0.iter().any(|(_, used)| *used == channel)
    }
}

/// Streams and tunnels that the peer ended with EOS lately: data after it is a violation, not a
/// lost race.
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

    pub(super) fn remember(&mut self, channel: ChannelId) {
        self.channels[self.next] = channel;
        self.next = (self.next + 1) % self.channels.len();
    }
}

impl Session {
    /// The ports of a method that this side serves.
    pub(super) fn served_ports(&self, method: MethodId) -> &[PortDecl] {
        let method = self.config.methods.methods.get(&method);
        method.map_or(&[], |method| &method.ports)
    }

    /// Stops a handler and answers for it.
    pub(super) fn stop_call_in(
        &mut self,
        call: ChannelId,
        code: Code,
        message: String,
        cause: CancelCause,
    ) {
        self.events.push_back(Event::RequestCancelled {
            channel: call,
            reason: cause,
        });
        self.answer_with_error(call, code, message);
    }

    /// A port has ended early, by the peer or because of it; `reason` is what it was cancelled
    /// with. Its call fails if it cannot do without (\[stream.life\]).
    pub(super) fn port_cancelled(
        &mut self,
        channel: ChannelId,
        cause: CancelCause,
        reason: CancelReason,
    ) {
        let Some(port) = self.forget_port(channel) else {
            return;
        };
        self.events.push_back(Event::PortClosed {
            channel,
            cause: cause.clone(),
        });
        if !port.receiving {
            // The peer does not want what this side sends: its affair.
            return;
        }
        let required = |decl: &PortDecl| decl.port == port.number && decl.required;
        if let Some(call) = self.calls_in.get_mut(&port.call) {
            let Some(method) = call.method() else {
                // Whether it was required is known when the request names the method.
                call.lost_ports.push(port.number);
                return;
            };
            let lost = self.served_ports(method).iter();
            if lost.filter(|decl| decl.is_request()).any(required) {
                self.required_port_lost(port.call, port.number, cause);
            }
        } else if let Some(call) = self.calls_out.get(&port.call) {
            let mut response_ports = call.ports.iter().filter(|decl| !decl.is_request());
            if response_ports.any(required) {
                let ours = CancelReason::ClientCancel;
                self.queue_control(&Message::Cancel {
                    channel: port.call,
                    reason: ours,
                });
                self.finish_call_out(port.call, CallOutcome::Cancelled(reason), true);
            }
        }
    }

    /// Fails a call of the peer that has lost what it cannot do without.
    pub(super) fn required_port_lost(&mut self, call: ChannelId, port: u32, cause: CancelCause) {
        let message = format!("required port {port} was lost");
        self.stop_call_in(call, Code::CANCELLED, message, cause);
    }

    /// The arguments or the return value of a call, decoded by now, name these streams and tunnels:
    /// declared ones that are not among them will never be opened, and nothing waits for them.
    ///
    /// Without this a call whose optional stream is absent is remembered until it has been pushed
    /// out by later ones.
    pub fn ports_named(&mut self, call: ChannelId, named: &[u32]) {
        if let Some(open) = self.calls_in.get_mut(&call) {
            open.named_ports = Some(named.to_vec());
        }
        self.awaiting_ports
            .retain(call, |port| named.contains(&port));
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

    pub(super) fn ports_of(&self, call: ChannelId) -> Vec<ChannelId> {
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
