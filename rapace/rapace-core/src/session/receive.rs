//! Sorting received frames by the transition table.

use super::Session;
use crate::frame::{Flags, Frame, INLINE_LEN, SLOT_INLINE};
use crate::id::{ChannelId, MethodId};
use crate::table::{Action, ChannelEvent, ChannelState, action};

impl Session {
    /// A frame after the handshake.
    #[inline]
    pub(super) fn receive(&mut self, frame: Frame) {
        let Frame { desc, payload } = frame;
        let channel = desc.channel_id;
        let is_control = channel == ChannelId::CONTROL;
        // [frame.flags]: CONTROL stands exactly on channel 0, inline means at most 16 bytes.
        let inline_too_long = desc.payload_slot == SLOT_INLINE && payload.len() > INLINE_LEN;
        if desc.has(Flags::CONTROL) != is_control || inline_too_long {
            self.violation(channel);
            return;
        }
        if is_control {
            self.receive_control(desc, payload);
            return;
        }
        let state = self.channel_state(channel);
        let event = if desc.has(Flags::RESPONSE) {
            ChannelEvent::Response
        } else if desc.method_id != MethodId::NONE {
            if desc.has(Flags::DATA | Flags::EOS) {
                ChannelEvent::Request
            } else {
                ChannelEvent::BrokenRequest
            }
        } else if desc.has(Flags::DATA) {
            ChannelEvent::Data
        } else if desc.has(Flags::EOS) {
            ChannelEvent::Eos
        } else {
            ChannelEvent::Bare
        };
        match action(state, event) {
            Action::Deliver => self.receive_data(desc, payload),
            Action::Complete => self.receive_response(desc, payload),
            Action::OpenImplicitly => self.receive_implicit_request(desc, payload),
            Action::Serve => self.receive_request(desc, payload),
            Action::Credit => self.receive_credit_flag(&desc),
            Action::Violation => self.violation(channel),
            Action::Ignore | Action::Open | Action::End => {}
        }
    }

    /// Where a channel stands.
    #[inline]
    pub(super) fn channel_state(&self, channel: ChannelId) -> ChannelState {
        if let Some(port) = self.ports.get(&channel) {
            return if port.is_receiving() {
                ChannelState::Receiving
            } else {
                ChannelState::Deaf
            };
        }
        if self.is_own(channel) {
            if self.calls_out.contains_key(&channel) {
                ChannelState::Asking
            } else if self.ended.contains(channel) {
                // A tunnel of this side.
                ChannelState::Ended
            } else if self.was_opened_here(channel) {
                ChannelState::Finished
            } else {
                ChannelState::Foreign
            }
        } else if channel.0 > self.highest_peer {
            ChannelState::Unopened
        } else if let Some(call) = self.calls_in.get(&channel) {
            if call.is_serving() {
                ChannelState::Serving
            } else {
                ChannelState::Opened
            }
        } else if self.skipped.contains(channel) {
            ChannelState::Foreign
        } else if self.ended.contains(channel) {
            ChannelState::Ended
        } else {
            ChannelState::Finished
        }
    }
}
