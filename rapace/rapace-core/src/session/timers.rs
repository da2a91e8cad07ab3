//! What happens when time passes.

use std::collections::BTreeSet;

use super::{CallOutcome, CancelReason, CloseReason, HandshakeFailure, Phase, Session};
use crate::control::{Features, Message};
use crate::id::ChannelId;
use crate::time::Time;

/// Alarms. Only calls with a deadline touch the set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    deadlines: BTreeSet<(Time, ChannelId)>,
    pub(super) handshake: Option<Time>,
    pub(super) grace: Option<Time>,
    pub(super) ping: Option<Time>,
    /// When credit that was kept back for company goes out alone.
    pub(super) credit: Option<Time>,
}

impl Timers {
    pub(super) fn deadlines(&self) -> usize {
        self.deadlines.len()
    }

    pub(super) fn arm(&mut self, channel: ChannelId, deadline: Option<Time>) {
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, channel));
        }
    }

    pub(super) fn disarm(&mut self, channel: ChannelId, deadline: Option<Time>) {
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, channel));
        }
    }

    #[inline]
    fn are_off(&self) -> bool {
        self.deadlines.is_empty()
            && self.handshake.is_none()
            && self.grace.is_none()
            && self.ping.is_none()
            && self.credit.is_none()
    }

    pub(super) fn clear(&mut self) {
        *self = Timers::default();
    }
}

impl Session {
    /// When [`Session::handle_timeout`] is due.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Time> {
        let timers = &self.timers;
        // Asked several times for each call, most of which have no deadline.
        if timers.are_off() {
            return None;
        }
        let deadline = timers.deadlines.first().map(|(at, _)| *at);
        [
            deadline,
            timers.handshake,
            timers.grace,
            timers.ping,
            timers.credit,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes note that time has passed. Early calls do no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        let due = |at: &mut Option<Time>| at.take_if(|at| *at <= now).is_some();
        if due(&mut self.timers.handshake) {
            self.fail_handshake(HandshakeFailure::Timeout);
            return;
        }
        if due(&mut self.timers.credit) {
            self.return_all_credit();
        }
        while let Some(&(at, channel)) = self.timers.deadlines.first() {
            if at > now {
                break;
            }
            self.timers.deadlines.pop_first();
            self.deadline_passed(channel);
        }
        if due(&mut self.timers.grace) {
            // [goaway]: what is not finished by now is lost.
            self.queue_control(&Message::Close {
                channel: ChannelId::CONTROL,
                error: None,
            });
            self.end(CloseReason::Drained);
            return;
        }
        if due(&mut self.timers.ping) {
            self.ping_due();
        }
    }

    fn deadline_passed(&mut self, channel: ChannelId) {
        if self.calls_out.contains_key(&channel) {
            let reason = CancelReason::DeadlineExceeded;
            self.queue_control(&Message::Cancel { channel, reason });
            self.finish_call_out(channel, CallOutcome::DeadlineExceeded, true);
            self.check_drained();
        } else if self.calls_in.contains_key(&channel) {
            self.expire_call_in(channel);
        }
    }

    /// Sends a ping. False when the peer does not answer any (\[ping\]).
    pub fn ping(&mut self, now: Time, bytes: [u8; 8]) -> bool {
        self.now = now;
        if self.phase != Phase::Open || !self.effective.features.contains(Features::RAPACE_PING) {
            return false;
        }
        self.queue_control(&Message::Ping(bytes));
        true
    }

    /// Sets the alarm for the first ping, if pings are wanted and answered.
    pub(super) fn start_pinging(&mut self) {
        if let Some(interval) = self.config.limits.ping_interval
            && self.effective.features.contains(Features::RAPACE_PING)
        {
            self.timers.ping = Some(self.now + interval);
        }
    }

    fn ping_due(&mut self) {
        let Some(interval) = self.config.limits.ping_interval else {
            return;
        };
        if self.pinged {
            self.end(CloseReason::PingTimeout);
            self.transmit.clear();
            return;
        }
        let quiet_until = self.last_heard + interval;
        if quiet_until > self.now {
            self.timers.ping = Some(quiet_until);
            return;
        }
        self.pinged = true;
        self.queue_control(&Message::Ping(self.now.as_nanos().to_le_bytes()));
        self.timers.ping = Some(self.now + self.config.limits.ping_timeout);
    }
}
