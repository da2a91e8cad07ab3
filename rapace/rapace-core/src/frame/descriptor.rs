//! The 64-byte descriptor and its bytes on the wire.

use std::fmt;

use super::payload::Payload;
use crate::id::{ChannelId, MethodId};

/// Length of an encoded descriptor in bytes (\[frame.desc\]).
pub const DESCRIPTOR_LEN: usize = 64;
/// The longest payload that rides inside the descriptor, in bytes (\[frame.inline\]).
pub const INLINE_LEN: usize = 16;
/// `payload_slot` of a payload that rides inside the descriptor.
pub const SLOT_INLINE: u32 = 0xFFFF_FFFF;
/// A `payload_slot` that is never valid.
pub const SLOT_RESERVED: u32 = 0xFFFF_FFFE;
/// `deadline_ns` of a frame without a deadline.
pub const NO_DEADLINE: u64 = u64::MAX;

/// The flag word of a descriptor (\[frame.flags\]).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u32);

impl Flags {
    /// The frame carries data of its channel.
    pub const DATA: Flags = Flags(0x1);
    /// The frame is a control message; set exactly on channel 0.
    pub const CONTROL: Flags = Flags(0x2);
    /// The sender sends nothing more on this channel.
    pub const EOS: Flags = Flags(0x4);
    /// A response whose status is not OK.
    pub const ERROR: Flags = Flags(0x10);
    /// A hint; carried, not acted on.
    pub const HIGH_PRIORITY: Flags = Flags(0x20);
    /// `credit_grant` is valid.
    pub const CREDITS: Flags = Flags(0x40);
    /// A request that wants no response (\[call.oneway\]).
    pub const NO_REPLY: Flags = Flags(0x100);
    /// The frame answers a request.
    pub const RESPONSE: Flags = Flags(0x200);

    /// No flag at all.
    pub const fn empty() -> Flags {
        Flags(0)
    }

    /// Whether every flag of `other` is set here.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;

    fn bitor(self, rhs: Flags) -> Flags {
        self.with(rhs)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Flags, &str); 8] = [
            (Flags::DATA, "DATA"),
            (Flags::CONTROL, "CONTROL"),
            (Flags::EOS, "EOS"),
            (Flags::ERROR, "ERROR"),
            (Flags::HIGH_PRIORITY, "HIGH_PRIORITY"),
            (Flags::CREDITS, "CREDITS"),
            (Flags::NO_REPLY, "NO_REPLY"),
            (Flags::RESPONSE, "RESPONSE"),
        ];
        let mut rest = self.0;
        let mut first = true;
        for (flag, name) in NAMES {
            if self.contains(flag) {
                rest &= !flag.0;
                write!(f, "{}{name}", if first { "" } else { "|" })?;
                first = false;
            }
        }
        if rest != 0 || first {
            write!(f, "{}{rest:#x}", if first { "" } else { "|" })?;
        }
        Ok(())
    }
}

/// The fixed part of a frame (\[frame.desc\]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    /// Per connection and sender, rising from 1; responses and Pongs echo what they answer.
    pub msg_id: u64,
    /// The channel; 0 is control.
    pub channel_id: ChannelId,
    /// Calls: the method. Control: the verb. Streams and tunnels: 0.
    pub method_id: MethodId,
    /// [`SLOT_INLINE`], or a shared-memory slot; 0 on other transports.
    pub payload_slot: u32,
    /// Shared memory only.
    pub payload_generation: u32,
    /// Shared memory only: where the payload starts in its slot, in bytes.
    pub payload_offset: u32,
    /// Length of the payload in bytes.
    pub payload_len: u32,
    /// See [`Flags`].
    pub flags: Flags,
    /// Bytes granted to the receiver of this frame; valid with [`Flags::CREDITS`].
    pub credit_grant: u32,
    /// [`NO_DEADLINE`], or as \[deadline.wire\] says for the transport.
    pub deadline_ns: u64,
    /// The payload when it is inline, zero-padded.
    pub inline_payload: [u8; INLINE_LEN],
}

impl Descriptor {
    /// A descriptor without payload, deadline or credit.
    pub const fn new(channel_id: ChannelId, method_id: MethodId, flags: Flags) -> Self {
        Descriptor {
            msg_id: 0,
            channel_id,
            method_id,
            payload_slot: SLOT_INLINE,
            payload_generation: 0,
            payload_offset: 0,
            payload_len: 0,
            flags,
            credit_grant: 0,
            deadline_ns: NO_DEADLINE,
            inline_payload: [0; INLINE_LEN],
        }
    }

    /// Fills in the payload fields for a payload that is not in shared memory.
    #[inline]
    pub fn describe(&mut self, payload: &Payload) {
        let len = payload.len();
        self.payload_len = u32::try_from(len).unwrap_or(u32::MAX);
        self.payload_generation = 0;
        self.payload_offset = 0;
        self.inline_payload = [0; INLINE_LEN];
        if len <= INLINE_LEN {
            self.payload_slot = SLOT_INLINE;
            payload.copy_to(&mut self.inline_payload[..len]);
        } else {
            self.payload_slot = 0;
        }
    }

    /// Whether all flags of `flags` are set.
    pub const fn has(&self, flags: Flags) -> bool {
        self.flags.contains(flags)
    }

    /// The bytes on the wire, little-endian.
    #[inline]
    pub fn to_bytes(&self) -> [u8; DESCRIPTOR_LEN] {
        let mut out = [0; DESCRIPTOR_LEN];
        out[0..8].copy_from_slice(&self.msg_id.to_le_bytes());
        out[8..12].copy_from_slice(&self.channel_id.0.to_le_bytes());
        out[12..16].copy_from_slice(&self.method_id.0.to_le_bytes());
        out[16..20].copy_from_slice(&self.payload_slot.to_le_bytes());
        out[20..24].copy_from_slice(&self.payload_generation.to_le_bytes());
        out[24..28].copy_from_slice(&self.payload_offset.to_le_bytes());
        out[28..32].copy_from_slice(&self.payload_len.to_le_bytes());
        out[32..36].copy_from_slice(&self.flags.0.to_le_bytes());
        out[36..40].copy_from_slice(&self.credit_grant.to_le_bytes());
        out[40..48].copy_from_slice(&self.deadline_ns.to_le_bytes());
        out[48..64].copy_from_slice(&self.inline_payload);
        out
    }

    /// Reads a descriptor. Every bit pattern is one; whether it makes sense is for the session
    /// to say.
    #[inline]
    pub fn from_bytes(bytes: &[u8; DESCRIPTOR_LEN]) -> Self {
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let mut inline_payload = [0; INLINE_LEN];
        inline_payload.copy_from_slice(&bytes[48..64]);
        Descriptor {
            msg_id: u64_at(0),
            channel_id: ChannelId(u32_at(8)),
            method_id: MethodId(u32_at(12)),
            payload_slot: u32_at(16),
            payload_generation: u32_at(20),
            payload_offset: u32_at(24),
            payload_len: u32_at(28),
            flags: Flags(u32_at(32)),
            credit_grant: u32_at(36),
            deadline_ns: u64_at(40),
            inline_payload,
        }
    }
}
