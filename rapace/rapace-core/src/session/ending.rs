//! Cancellation, violations, GoAway, and the end of everything (\[cancel\], \[violation\], \[goaway\],
//! \[call.lost\]).

use std::collections::BTreeSet;

use super::shortened;
use super::{
    CallOutcome, CancelCause, CancelReason, CloseReason, Event, GoAwayReason, HandshakeFailure,
    LinkEnd, Phase, Session,
};
use crate::control::Message;
use crate::id::ChannelId;
use crate::time::Time;

/// How much of a reason is sent, in bytes: it is for people, and must fit any peer's limits.
const REASON_BYTES_MAX: usize = 1024;

/// How far a GoAway has come.
#[derive(Debug, Default)]
pub(super) struct Draining {
    /// This side has announced it: channels of the peer beyond are refused.
    here: Option<ChannelId>,
    /// The peer has announced it.
    there: Option<Announced>,
}

#[derive(Debug)]
struct Announced {
    reason: GoAwayReason,
    message: String,
    last_channel: ChannelId,
}

impl Draining {
    pub(super) fn is_announced(&self) -> bool {
        self.here.is_some() || self.there.is_some()
    }

    pub(super) fn refuses(&self, channel: ChannelId) -> bool {
        self.here.is_some_and(|last| channel > last)
    }

    pub(super) fn announced_by_peer(
        &mut self,
        reason: GoAwayReason,
        message: &str,
        last_channel: ChannelId,
    ) {
        self.there = Some(Announced {
            reason,
            message: message.to_owned(),
            last_channel,
        });
    }

    /// How the session ends if the peer's GoAway blames this side.
    pub(super) fn accusation(&self) -> Option<CloseReason> {
        let announced = self.there.as_ref()?;
        (announced.reason == GoAwayReason::ProtocolError).then(|| CloseReason::PeerGoAway {
            reason: announced.reason,
            message: announced.message.clone(),
        })
    }

    /// The peer's words, if it does not look at a call with this channel.
    pub(super) fn refusal(&self, channel: ChannelId) -> Option<String> {
        let announced = self.there.as_ref()?;
        (channel > announced.last_channel).then(|| announced.message.clone())
    }
}

impl Session {
    /// Ends a call or a port, of either side. Idempotent.
    pub fn cancel(&mut self, now: Time, channel: ChannelId, reason: CancelReason) {
        self.now = now;
        if self.calls_out.contains_key(&channel) {
            self.queue_control(&Message::Cancel { channel, reason });
            let Some(call) = self.calls_out.remove(&channel) else {
                return;
            };
            self.release(channel);
            self.timers.disarm(channel, call.deadline);
            self.close_ports_of(channel, &CancelCause::CallEnded);
        } else if self.calls_in.contains_key(&channel) {
            self.queue_control(&Message::Cancel { channel, reason });
            self.drop_call_in(channel, CancelCause::Local);
        } else if self.forget_port(channel).is_some() {
            self.queue_control(&Message::Cancel { channel, reason });
        } else if self.has_streams_of_answered(channel) {
            // [cancel]: the streams of an answered call.
            self.queue_control(&Message::Cancel { channel, reason });
            self.close_ports_of(channel, &CancelCause::CallEnded);
        }
        self.check_drained();
    }

    fn has_streams_of_answered(&self, call: ChannelId) -> bool {
        self.awaiting_ports.knows(call) || self.ports.values().any(|port| port.call == call)
    }

    /// Answers a violation of the peer on `channel` and ends the channel; the last straw ends the
    /// session (\[violation\]).
    pub(super) fn violation(&mut self, channel: ChannelId) {
        if self.phase != Phase::Open {
            return;
        }
        self.violations += 1;
        if self.violations >= self.config.limits.max_violations {
            self.protocol_error("too many protocol violations");
            return;
        }
        if channel == ChannelId::CONTROL {
            return;
        }
        let reason = CancelReason::ProtocolViolation;
        self.queue_control(&Message::Cancel { channel, reason });
        if self.calls_out.contains_key(&channel) {
            let what = "the peer broke the protocol on this call".to_owned();
            self.finish_call_out(channel, CallOutcome::BadResponse(what), true);
        } else if self.calls_in.contains_key(&channel) {
            self.drop_call_in(channel, CancelCause::Local);
        } else if self.ports.contains_key(&channel) {
            self.port_cancelled(channel, CancelCause::Local, reason);
        } else {
            // The peer ends the streams of an answered call when it hears of this ([cancel]).
            self.close_ports_of(channel, &CancelCause::Local);
        }
        self.check_drained();
    }

    /// The peer broke the protocol beyond repair: GoAway, and the end.
    pub(super) fn protocol_error(&mut self, what: &str) {
        self.queue_control(&Message::GoAway {
            reason: GoAwayReason::ProtocolError,
            last_channel: ChannelId(self.highest_peer),
            message: shortened(what, REASON_BYTES_MAX).to_owned(),
            metadata: Vec::new(),
        });
        self.end(CloseReason::ProtocolError(what.into()));
    }

    /// Announces the end: calls under way are finished, then the session closes (\[goaway\]).
    /// Before the handshake is complete it closes at once.
    pub fn go_away(&mut self, now: Time, reason: GoAwayReason, message: &str) {
        self.now = now;
        match self.phase {
            Phase::Closed(_) => return,
            Phase::Hello => {
                self.close(now, message);
                return;
            }
            Phase::Open => {}
        }
        if self.draining.here.is_some() {
            return;
        }
        let last_channel = ChannelId(self.highest_peer);
        self.draining.here = Some(last_channel);
        self.queue_control(&Message::GoAway {
            reason,
            last_channel,
            message: shortened(message, REASON_BYTES_MAX).to_owned(),
            metadata: Vec::new(),
        });
        self.timers.grace = Some(now + self.config.limits.grace);
        self.check_drained();
    }

    /// Closes when nothing is under way any more.
    pub(super) fn check_drained(&mut self) {
        if self.phase != Phase::Open || !self.draining.is_announced() {
            return;
        }
        // Who only heard of it leaves the end to who announced it, and answers its last calls.
        if self.draining.here.is_none() {
            return;
        }
        if self.calls_out.is_empty() && self.calls_in.is_empty() && self.ports.is_empty() {
            self.queue_control(&Message::Close {
                channel: ChannelId::CONTROL,
                error: None,
            });
            self.end(CloseReason::Drained);
        }
    }

    /// Closes at once; an empty reason is a normal close. Everything under way fails.
    pub fn close(&mut self, now: Time, reason: &str) {
        self.now = now;
        if let Phase::Closed(_) = self.phase {
            return;
        }
        let error = (!reason.is_empty()).then(|| shortened(reason, REASON_BYTES_MAX).to_owned());
        self.queue_control(&Message::Close {
            channel: ChannelId::CONTROL,
            error,
        });
        self.end(CloseReason::LocalClose);
    }

    /// The link has ended: everything under way fails (\[call.lost\]).
    pub fn handle_link_closed(&mut self, now: Time, reason: LinkEnd) {
        self.now = now;
        let idle = self.calls_out.is_empty() && self.calls_in.is_empty() && self.ports.is_empty();
        let reason = match (&self.phase, reason) {
            (Phase::Closed(_), _) => {
                self.transmit.clear();
                return;
            }
            (Phase::Hello, end) => CloseReason::Handshake(HandshakeFailure::Link(end)),
            (Phase::Open, end) => match self.draining.accusation() {
                Some(accused) => accused,
                // Nothing was lost: a peer that just hangs up after its last answer is done.
                None if end == LinkEnd::Closed && idle => {
                    if self.draining.is_announced() {
                        CloseReason::Drained
                    } else {
                        CloseReason::PeerClosed(None)
                    }
                }
                None => CloseReason::Link(end),
            },
        };
        self.end(reason);
        self.transmit.clear();
    }

    /// Fails everything under way, in the order of the channels, and reports the end.
    pub(super) fn end(&mut self, reason: CloseReason) {
        if let Phase::Closed(_) = self.phase {
            return;
        }
        self.phase = Phase::Closed(reason.clone());
        self.timers.clear();
        self.awaiting_ports.clear();
        let unsent = match &reason {
            // What is queued still leaves, before the Close or GoAway that says so.
            CloseReason::LocalClose | CloseReason::ProtocolError(_) => BTreeSet::new(),
            // Nobody reads it any more.
            _ => self.withdraw_requests(),
        };
        let mut calls: Vec<ChannelId> = self.calls_out.keys().copied().collect();
        calls.sort_unstable();
        for channel in calls {
            let outcome = if unsent.contains(&channel) {
                CallOutcome::NeverSent(reason.clone())
            } else {
                CallOutcome::Lost(reason.clone())
            };
            self.events.push_back(Event::CallDone { channel, outcome });
        }
        let serving = self.calls_in.iter().filter(|(_, call)| call.is_serving());
        let mut handlers: Vec<ChannelId> = serving.map(|(channel, _)| *channel).collect();
        handlers.sort_unstable();
        for channel in handlers {
            let reason = CancelCause::Lost(reason.clone());
            self.events
                .push_back(Event::RequestCancelled { channel, reason });
        }
        let mut ports: Vec<ChannelId> = self.ports.keys().copied().collect();
        ports.sort_unstable();
        for channel in ports {
            let cause = CancelCause::Lost(reason.clone());
            self.events.push_back(Event::PortClosed { channel, cause });
        }
        self.calls_out.clear();
        self.calls_in.clear();
        self.ports.clear();
        self.opened_here = 0;
        self.opened_there = 0;
        self.serving = 0;
        self.events.push_back(Event::Closed(reason));
    }
}
