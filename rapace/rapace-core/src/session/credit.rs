//! How much may be sent on a stream or tunnel, and giving it back (\[credit\], \[credit.item\]).

use std::time::Duration;

use super::{Event, Phase, PortKind, Session};
use crate::control::{Features, Message};
use crate::frame::{Descriptor, Flags};
use crate::id::ChannelId;

/// Consumed bytes below half a window wait this long for company before they are granted back
/// alone. They must go back at some time: the sender may hold an item that needs the whole window.
const GRANT_DELAY: Duration = Duration::from_millis(5);

/// Both directions of one channel. Credit counts payload bytes; it goes below zero only by an
/// item that is larger than the whole window.
#[derive(Debug)]
pub(super) struct Credit {
    /// Credit does not count on this connection.
    unlimited: bool,
    /// What this side may send.
    send: i64,
    /// The most it has ever been.
    send_high: i64,
    /// What the peer may send.
    receive: i64,
    /// The largest amount that was allowed at once. The peer's own highest credit is at least
    /// that, so what is above it may overdraw.
    receive_high: i64,
    /// Received and not yet consumed, in bytes.
    unread: u64,
    /// Consumed and not yet granted back, in bytes.
    consumed: u32,
}

impl Credit {
    /// The peer allows more.
    pub(super) fn arrive(&mut self, bytes: u32) {
        self.send = self.send.saturating_add(i64::from(bytes));
        self.send_high = self.send_high.max(self.send);
    }

    /// This side allows more.
    pub(super) fn allow(&mut self, bytes: u32) {
        self.receive = self.receive.saturating_add(i64::from(bytes));
        self.receive_high = self.receive_high.max(i64::from(bytes));
    }

    /// Whether a frame of `len` bytes may be sent; takes its credit.
    #[inline]
    pub(super) fn spend(&mut self, len: usize, kind: PortKind) -> bool {
        if self.unlimited {
            return true;
        }
        spend(&mut self.send, self.send_high, len, kind)
    }

    /// Whether the peer was allowed to send a frame of `len` bytes; takes its credit.
    #[inline]
    pub(super) fn receive(&mut self, len: usize, kind: PortKind) -> bool {
        self.unread += len as u64;
        spend(&mut self.receive, self.receive_high, len, kind)
    }

    /// Whether a frame fits into the buffer of a channel without credit.
    pub(super) fn buffer(&mut self, len: usize, bytes_max: u32) -> bool {
        self.unread += len as u64;
        self.unread <= u64::from(bytes_max)
    }

    /// What was consumed and is to be granted back now.
    pub(super) fn take_grant(&mut self) -> Option<u32> {
        if self.unlimited || self.consumed == 0 {
            return None;
        }
        let bytes = std::mem::take(&mut self.consumed);
        self.allow_back(bytes);
        Some(bytes)
    }

    fn allow_back(&mut self, bytes: u32) {
        self.receive = self.receive.saturating_add(i64::from(bytes));
    }
}

/// A copy of what may be sent on a channel: lets a sender see whether an item would go out before
/// it encodes it. Only the sender spends credit, so what this allows stays allowed.
#[derive(Clone, Copy, Debug)]
pub struct SendAllowance {
    credit: i64,
    high: i64,
    kind: PortKind,
    unlimited: bool,
}

impl SendAllowance {
    /// Whether a frame of `len` bytes may be sent now, after those that this was asked about
    /// before; takes its credit if so.
    #[inline]
    pub fn spend(&mut self, len: usize) -> bool {
        self.unlimited || spend(&mut self.credit, self.high, len, self.kind)
    }
}

#[inline]
fn spend(credit: &mut i64, high: i64, len: usize, kind: PortKind) -> bool {
    let len = len as i64;
    let covered = len <= *credit || len == 0;
    // [credit.item]: else an item larger than the window could never be sent.
    let overdraft = kind == PortKind::Stream && len > high && *credit > 0;
    if covered || overdraft {
        *credit -= len;
        return true;
    }
    false
}

impl Session {
    /// The credit of a channel that has just been opened.
    pub(super) fn initial_credit(&self) -> Credit {
        let unlimited = !self
            .effective
            .features
            .contains(Features::CREDIT_FLOW_CONTROL);
        let mut credit = Credit {
            unlimited,
            send: 0,
            send_high: 0,
            receive: 0,
            receive_high: 0,
            unread: 0,
            consumed: 0,
        };
        credit.arrive(self.effective.window_there.unwrap_or(0));
        credit.allow(self.effective.window_here.unwrap_or(0));
        credit
    }

    /// Without windows in both Hellos, the opener of a channel waits for a grant.
    pub(super) fn grant_first_window(&mut self, channel: ChannelId) {
        if self.effective.window_here.is_some()
            || !self
                .effective
                .features
                .contains(Features::CREDIT_FLOW_CONTROL)
        {
            return;
        }
        let bytes = self.config.limits.window_bytes;
        if let Some(port) = self.ports.get_mut(&channel) {
            port.credit.allow(bytes);
            self.queue_control(&Message::Grant { channel, bytes });
        }
    }

    /// What may be sent on `channel` now, in bytes; `None` when it is not open. Tunnels split by
    /// it.
    pub fn send_credit(&self, channel: ChannelId) -> Option<i64> {
        let credit = &self.ports.get(&channel)?.credit;
        Some(if credit.unlimited {
            i64::from(u32::MAX)
        } else {
            credit.send
        })
    }

    /// What [`Session::send_data`] allows on `channel` now; `None` when it is not open.
    pub fn send_allowance(&self, channel: ChannelId) -> Option<SendAllowance> {
        let port = self.ports.get(&channel).filter(|port| port.sending)?;
        Some(SendAllowance {
            credit: port.credit.send,
            high: port.credit.send_high,
            kind: port.kind,
            unlimited: port.credit.unlimited,
        })
    }

    /// Asks for [`Event::Writable`] when credit for `channel` arrives, as
    /// [`Session::send_data`] does when it finds too little.
    pub fn await_credit(&mut self, channel: ChannelId) {
        if let Some(port) = self.ports.get_mut(&channel) {
            port.blocked = true;
        }
    }

    /// [frame.flags]: CREDITS may stand on any frame of a stream or tunnel.
    #[inline]
    pub(super) fn receive_credit_flag(&mut self, desc: &Descriptor) {
        if desc.has(Flags::CREDITS) {
            self.credit_arrived(desc.channel_id, desc.credit_grant);
        }
    }

    pub(super) fn credit_arrived(&mut self, channel: ChannelId, bytes: u32) {
        let Some(port) = self.ports.get_mut(&channel) else {
            return;
        };
        port.credit.arrive(bytes);
        if port.blocked && port.credit.send > 0 {
            port.blocked = false;
            self.events.push_back(Event::Writable { channel });
        }
    }

    /// The user has taken `bytes` bytes of payload from `channel`. They are granted back when
    /// half a window has come together, or a little later.
    pub fn consumed(&mut self, channel: ChannelId, bytes: u32) {
        if self.phase != Phase::Open {
            return;
        }
        let window = self.config.limits.window_bytes;
        let Some(port) = self.ports.get_mut(&channel) else {
            return;
        };
        let credit = &mut port.credit;
        // Granting more than was received would let the peer send beyond its window.
        let bytes = u64::from(bytes).min(credit.unread) as u32;
        credit.unread -= u64::from(bytes);
        if credit.unlimited || !port.is_receiving() {
            return;
        }
        let credit = &mut port.credit;
        credit.consumed = credit.consumed.saturating_add(bytes);
        if credit.consumed == 0 {
            return;
        }
        if credit.consumed >= window / 2 || credit.receive <= 0 {
            if let Some(bytes) = credit.take_grant() {
                self.queue_control(&Message::Grant { channel, bytes });
            }
        } else if self.timers.credit.is_none() {
            self.timers.credit = Some(self.now + GRANT_DELAY);
        }
    }

    /// Grants everything back that was consumed.
    pub(super) fn return_all_credit(&mut self) {
        let with_consumed = self
            .ports
            .iter()
            .filter(|(_, port)| port.credit.consumed > 0);
        let mut channels: Vec<ChannelId> = with_consumed.map(|(channel, _)| *channel).collect();
        channels.sort_unstable();
        for channel in channels {
            let Some(port) = self.ports.get_mut(&channel) else {
                continue;
            };
            if !port.is_receiving() {
                continue;
            }
            if let Some(bytes) = port.credit.take_grant() {
                self.queue_control(&Message::Grant { channel, bytes });
            }
        }
    }
}
