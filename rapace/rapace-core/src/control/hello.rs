//! The Hello (\[hello\], \[hello.bits\]).

use bytes::Bytes;

use super::wire::{DecodeFault, Reader, Writer};
use crate::id::MethodId;

/// Version 1.0: major in the high half.
pub const PROTOCOL_VERSION: u32 = 0x0001_0000;

/// Which side of the link this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Dialled, or hosts the plugin; opens odd channels.
    Initiator,
    /// Listened, or is the plugin; opens even channels.
    Acceptor,
}

/// A set of feature bits (\[hello.bits\]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features(pub u64);

impl Features {
    /// Streams and tunnels are attached to calls.
    pub const ATTACHED_STREAMS: Features = Features(1 << 0);
    /// Responses are envelopes.
    pub const CALL_ENVELOPE: Features = Features(1 << 1);
    /// Credit counts.
    pub const CREDIT_FLOW_CONTROL: Features = Features(1 << 2);
    /// Pings are answered.
    pub const RAPACE_PING: Features = Features(1 << 3);
    /// A request opens its channel (\[call.implicit\]).
    pub const IMPLICIT_OPEN: Features = Features(1 << 32);
    /// `rapace.epoch` is sent.
    pub const EPOCH: Features = Features(1 << 33);
    /// `Rapace.schema` is served (\[hello.compat\]).
    pub const SCHEMA_TEXT: Features = Features(1 << 34);

    /// What a peer must support.
    pub const fn required() -> Features {
        Features(Self::ATTACHED_STREAMS.0 | Self::CALL_ENVELOPE.0)
    }

    /// Everything that this implementation knows.
    pub const fn all() -> Features {
        Features(
            Self::required().0
                | Self::CREDIT_FLOW_CONTROL.0
                | Self::RAPACE_PING.0
                | Self::IMPLICIT_OPEN.0
                | Self::EPOCH.0
                | Self::SCHEMA_TEXT.0,
        )
    }

    /// Whether every bit of `other` is set.
    pub const fn contains(self, other: Features) -> bool {
        self.0 & other.0 == other.0
    }

    /// What both sets have.
    #[must_use]
    pub const fn and(self, other: Features) -> Features {
        Features(self.0 & other.0)
    }
}

/// Limits as a Hello states them; 0 states none (\[hello.limits\]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HelloLimits {
    /// Bytes.
    pub max_payload_size: u32,
    /// Channels.
    pub max_channels: u32,
    /// Calls.
    pub max_pending_calls: u32,
}

/// A served method as a Hello states it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HelloMethod {
    /// \[id.method\].
    pub method_id: MethodId,
    /// \[id.sig\].
    pub sig_hash: [u8; 32],
    /// `Service.method`.
    pub name: Option<String>,
}

/// The first message of each side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Major version in the high 16 bits, minor in the low.
    pub protocol_version: u32,
    /// The sender's role.
    pub role: Role,
    /// What the receiver must support.
    pub required: Features,
    /// What the sender supports.
    pub supported: Features,
    /// The sender's limits.
    pub limits: HelloLimits,
    /// What the sender serves.
    pub methods: Vec<HelloMethod>,
    /// Further parameters; not yet checked against the limits of metadata.
    pub params: Vec<(String, Bytes)>,
}

impl Hello {
    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.methods.len() * 64);
        let mut writer = Writer::new(&mut out);
        writer
            .u32(self.protocol_version)
            .u8(match self.role {
                Role::Initiator => 0,
                Role::Acceptor => 1,
            })
            .u64(self.required.0)
            .u64(self.supported.0)
            .u32(self.limits.max_payload_size)
            .u32(self.limits.max_channels)
            .u32(self.limits.max_pending_calls)
            .u64(self.methods.len() as u64);
        for method in &self.methods {
            writer.u32(method.method_id.0).raw(&method.sig_hash);
            match &method.name {
                Some(name) => writer.u8(1).bytes(name.as_bytes()),
                None => writer.u8(0),
            };
        }
        writer.u64(self.params.len() as u64);
        for (key, value) in &self.params {
            writer.bytes(key.as_bytes()).bytes(value);
        }
        out
    }

    /// Reads a payload.
    pub fn decode(bytes: &[u8]) -> Result<Hello, DecodeFault> {
        let mut reader = Reader::new(bytes);
        let protocol_version = reader.u32()?;
        let role = match reader.u32()? {
            0 => Role::Initiator,
            1 => Role::Acceptor,
            _ => return Err(DecodeFault("unknown role")),
        };
        let required = Features(reader.u64()?);
        let supported = Features(reader.u64()?);
        let limits = HelloLimits {
            max_payload_size: reader.u32()?,
            max_channels: reader.u32()?,
            max_pending_calls: reader.u32()?,
        };
        // An id of at least one byte, the hash, and the option's tag.
        let count = reader.count(34)?;
        let mut methods = Vec::with_capacity(count);
        for _ in 0..count {
            let method_id = MethodId(reader.u32()?);
            let sig_hash = reader.array()?;
            let name = if reader.option()? {
                Some(reader.string()?)
            } else {
                None
            };
            methods.push(HelloMethod {
                method_id,
                sig_hash,
                name,
            });
        }
        let params = reader.pairs()?;
        reader.finish()?;
        Ok(Hello {
            protocol_version,
            role,
            required,
            supported,
            limits,
            methods,
            params,
        })
    }
}
