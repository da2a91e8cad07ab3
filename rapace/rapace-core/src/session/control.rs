//! Control messages after the handshake (PROTOCOL §5).

use super::port_open::Opening;
use super::{CancelCause, CloseReason, Event, GoAwayReason, Session};
use crate::control::{
    CONTROL_BYTES_MAX, CancelReason, ChannelKind, Features, Message, MessageFault, OpenChannel,
    Verb,
};
use crate::frame::{Descriptor, Flags, Payload};
use crate::id::ChannelId;
use crate::table::{Action, ChannelEvent, action};

impl Session {
    pub(super) fn receive_control(&mut self, desc: Descriptor, payload: Payload) {
        let verb = desc.method_id;
        if verb == Verb::HELLO {
            // A second Hello is only counted ([violation]).
            self.violation(ChannelId::CONTROL);
            return;
        }
        let bytes = payload.as_slice().unwrap_or_default();
        if verb.0 < Verb::FIRST_IGNORED && bytes.len() > CONTROL_BYTES_MAX {
            self.protocol_error("control message longer than 64 KiB");
            return;
        }
        match Message::decode(verb, bytes) {
            Ok(Message::Open(open)) => self.receive_open(open),
            Ok(Message::Close { channel, error }) => {
                // On another channel than 0 it is a hint ([ctl.bad]).
                if channel == ChannelId::CONTROL {
                    self.peer_closed(error);
                }
            }
            Ok(Message::Cancel { channel, reason }) => self.receive_cancel(channel, reason),
            Ok(Message::Grant { channel, bytes }) => {
                if action(self.channel_state(channel), ChannelEvent::Grant) == Action::Credit {
                    self.credit_arrived(channel, bytes);
                }
            }
            Ok(Message::Ping(bytes)) => {
                if self.effective.features.contains(Features::RAPACE_PING) {
                    let mut pong = Descriptor::new(ChannelId::CONTROL, Verb::PONG, Flags::CONTROL);
                    pong.msg_id = desc.msg_id;
                    self.queue_as_is(pong, Payload::copy_from_slice(&bytes), None);
                }
            }
            Ok(Message::Pong(bytes)) => {
                if self.effective.features.contains(Features::RAPACE_PING) {
                    self.events.push_back(Event::Pong { bytes });
                }
            }
            Ok(Message::GoAway {
                reason,
                last_channel,
                message,
                ..
            }) => {
                self.receive_go_away(reason, last_channel, message);
            }
            Err(MessageFault::Ignored) => {}
            Err(MessageFault::Reserved) => {
                self.protocol_error(&format!("unknown control verb {}", verb.0));
            }
            Err(MessageFault::Payload(fault)) => {
                self.protocol_error(&format!("control verb {} does not decode: {fault}", verb.0));
            }
        }
    }

    fn receive_open(&mut self, open: OpenChannel) {
        let channel = open.channel;
        if channel == ChannelId::CONTROL
            || action(self.channel_state(channel), ChannelEvent::Open) != Action::Open
        {
            self.violation(channel);
            return;
        }
        // From here on the id is used up, whatever becomes of the channel.
        let highest_before = self.highest_peer;
        self.use_up(channel);
        let Some(metadata) = open.metadata else {
            // [ctl.small].
            self.violation(channel);
            return;
        };
        match (open.kind, open.attach) {
            (ChannelKind::Call, None) => {
                if self.admit(channel) {
                    self.open_call_in(channel, metadata);
                }
            }
            (ChannelKind::Stream | ChannelKind::Tunnel, Some(attach)) => {
                match self.check_attach(open.kind, attach, highest_before) {
                    Opening::Allowed if self.admit(channel) => {
                        self.open_port_in(channel, open.kind, attach, open.initial_credits);
                    }
                    Opening::Allowed => {}
                    Opening::Late => {
                        // Its call has ended or was refused: whoever opened it lost a race.
                        let reason =
                            if !self.is_own(attach.call) && self.draining.refuses(attach.call) {
                                CancelReason::ResourceExhausted
                            } else {
                                CancelReason::ClientCancel
                            };
                        self.queue_control(&Message::Cancel { channel, reason });
                    }
                    Opening::Wrong => self.violation(channel),
                }
            }
            _ => self.violation(channel),
        }
    }

    /// Whether one more channel of the peer may be opened; answers if not (\[open.check\],
    /// \[goaway\]).
    pub(super) fn admit(&mut self, channel: ChannelId) -> bool {
        if self.opened_there >= self.effective.channels_max {
            let reason = CancelReason::ResourceExhausted;
            self.queue_control(&Message::Cancel { channel, reason });
            return false;
        }
        self.opened_there += 1;
        true
    }

    fn receive_cancel(&mut self, channel: ChannelId, reason: CancelReason) {
        if channel == ChannelId::CONTROL {
            self.violation(channel);
            return;
        }
        if action(self.channel_state(channel), ChannelEvent::Cancel) != Action::End {
            return;
        }
        let cause = CancelCause::Peer(reason);
        if self.calls_out.contains_key(&channel) {
            self.call_out_cancelled(channel, reason);
        } else if self.calls_in.contains_key(&channel) {
            self.drop_call_in(channel, cause);
        } else if self.ports.contains_key(&channel) {
            self.port_cancelled(channel, cause, reason);
        } else {
            // An answered call: its streams end with it ([cancel]).
            self.close_ports_of(channel, &cause);
        }
        self.check_drained();
    }

    fn peer_closed(&mut self, error: Option<String>) {
        let reason = match (error, self.draining.accusation()) {
            (_, Some(accused)) => accused,
            (None, None) if self.draining.is_announced() => CloseReason::Drained,
            (error, None) => CloseReason::PeerClosed(error),
        };
        self.end(reason);
        self.transmit.clear();
    }

    fn receive_go_away(&mut self, reason: GoAwayReason, last_channel: ChannelId, message: String) {
        self.draining
            .announced_by_peer(reason, &message, last_channel);
        self.events.push_back(Event::GoAway { reason, message });
        self.refuse_calls_beyond(last_channel);
        if self.timers.grace.is_none() {
            self.timers.grace = Some(self.now + self.config.limits.grace);
        }
        self.check_drained();
    }
}
