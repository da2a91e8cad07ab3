//! Control messages other than the Hello.

use bytes::Bytes;

use super::wire::{DecodeFault, Reader, Writer, to_metadata};
use crate::id::{ChannelId, MethodId};
use crate::metadata::Metadata;

/// The verbs, as `method_id` of frames on channel 0.
pub struct Verb;

impl Verb {
    /// \[hello\].
    pub const HELLO: MethodId = MethodId(0);
    /// \[open.check\].
    pub const OPEN_CHANNEL: MethodId = MethodId(1);
    /// On channel 0 the end of the connection; elsewhere a hint.
    pub const CLOSE_CHANNEL: MethodId = MethodId(2);
    /// \[cancel\].
    pub const CANCEL_CHANNEL: MethodId = MethodId(3);
    /// \[credit\].
    pub const GRANT_CREDITS: MethodId = MethodId(4);
    /// \[ping\].
    pub const PING: MethodId = MethodId(5);
    /// \[ping\].
    pub const PONG: MethodId = MethodId(6);
    /// \[goaway\].
    pub const GO_AWAY: MethodId = MethodId(7);
    /// Verbs below are reserved for the protocol (\[ctl.unknown\]).
    pub const FIRST_IGNORED: u32 = 100;
}

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $index:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            fn index(self) -> u32 {
                match self { $($name::$variant => $index,)* }
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeFault> {
                match reader.u32()? {
                    $($index => Ok($name::$variant),)*
                    _ => Err(DecodeFault(concat!("unknown ", stringify!($name)))),
                }
            }
        }
    };
}

wire_enum! {
    /// What a channel carries.
    ChannelKind {
        /// One request and one response.
        Call = 0,
        /// Items, one way.
        Stream = 1,
        /// Bytes, both ways.
        Tunnel = 2,
    }
}

wire_enum! {
    /// Which way a port carries data.
    Direction {
        /// From the caller to the callee.
        ClientToServer = 0,
        /// From the callee to the caller.
        ServerToClient = 1,
        /// Both ways.
        Bidir = 2,
    }
}

wire_enum! {
    /// Why a channel was cancelled.
    CancelReason {
        /// The one who wanted it does not want it any more.
        ClientCancel = 0,
        /// Its time is up.
        DeadlineExceeded = 1,
        /// A limit is reached.
        ResourceExhausted = 2,
        /// The other side broke the protocol on it.
        ProtocolViolation = 3,
        /// Who is asking is not known.
        Unauthenticated = 4,
        /// The other side may not.
        PermissionDenied = 5,
    }
}

wire_enum! {
    /// Why a peer goes away.
    GoAwayReason {
        /// It shuts down.
        Shutdown = 0,
        /// It is being worked on.
        Maintenance = 1,
        /// It has too much to do.
        Overload = 2,
        /// The other side broke the protocol.
        ProtocolError = 3,
    }
}

/// What a stream or tunnel belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attach {
    /// The call.
    pub call: ChannelId,
    /// The port of the call's method (\[port\]).
    pub port: u32,
    /// Which way it carries data.
    pub direction: Direction,
}

/// Opens a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenChannel {
    /// The new channel.
    pub channel: ChannelId,
    /// What it carries.
    pub kind: ChannelKind,
    /// Streams and tunnels: what they belong to.
    pub attach: Option<Attach>,
    /// For the handler of a call. `None` when what was received breaks a limit.
    pub metadata: Option<Metadata>,
    /// What the opener lets the other side send, in bytes (\[credit\]).
    pub initial_credits: u32,
}

/// A control message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Opens a channel.
    Open(OpenChannel),
    /// Ends the connection (channel 0), with the reason if it is an error.
    Close {
        /// 0 for the connection.
        channel: ChannelId,
        /// `None` is normal.
        error: Option<String>,
    },
    /// Ends a channel.
    Cancel {
        /// Which.
        channel: ChannelId,
        /// Why.
        reason: CancelReason,
    },
    /// Lets the other side send more.
    Grant {
        /// Where.
        channel: ChannelId,
        /// How much more, in bytes.
        bytes: u32,
    },
    /// To be answered.
    Ping([u8; 8]),
    /// The answer.
    Pong([u8; 8]),
    /// The sender drains.
    GoAway {
        /// Why.
        reason: GoAwayReason,
        /// The last channel of the receiver that the sender still serves.
        last_channel: ChannelId,
        /// For people.
        message: String,
        /// For programs.
        metadata: Vec<(String, Bytes)>,
    },
}

/// Why a control frame is not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageFault {
    /// The verb is known, the payload is not (\[ctl.bad\]).
    Payload(DecodeFault),
    /// A reserved verb (\[ctl.unknown\]).
    Reserved,
    /// A verb to be ignored (\[ctl.unknown\]).
    Ignored,
}

impl From<DecodeFault> for MessageFault {
    fn from(fault: DecodeFault) -> Self {
        MessageFault::Payload(fault)
    }
}

impl Message {
    /// The message's verb.
    pub fn verb(&self) -> MethodId {
        match self {
            Message::Open(_) => Verb::OPEN_CHANNEL,
            Message::Close { .. } => Verb::CLOSE_CHANNEL,
            Message::Cancel { .. } => Verb::CANCEL_CHANNEL,
            Message::Grant { .. } => Verb::GRANT_CREDITS,
            Message::Ping(_) => Verb::PING,
            Message::Pong(_) => Verb::PONG,
            Message::GoAway { .. } => Verb::GO_AWAY,
        }
    }

    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        let mut writer = Writer::new(&mut out);
        match self {
            Message::Open(open) => {
                writer.u32(open.channel.0).u32(open.kind.index());
                match &open.attach {
                    None => writer.u8(0),
                    Some(attach) => writer
                        .u8(1)
                        .u32(attach.call.0)
                        .u32(attach.port)
                        .u32(attach.direction.index()),
                };
                writer
                    .metadata(open.metadata.as_ref().unwrap_or(&Metadata::default()))
                    .u32(open.initial_credits);
            }
            Message::Close { channel, error } => {
                writer.u32(channel.0);
                match error {
                    None => writer.u8(0),
                    Some(error) => writer.u8(1).bytes(error.as_bytes()),
                };
            }
            Message::Cancel { channel, reason } => {
                writer.u32(channel.0).u32(reason.index());
            }
            Message::Grant { channel, bytes } => {
                writer.u32(channel.0).u32(*bytes);
            }
            Message::Ping(bytes) | Message::Pong(bytes) => {
                writer.raw(bytes);
            }
            Message::GoAway {
                reason,
                last_channel,
                message,
                metadata,
            } => {
                writer
                    .u32(reason.index())
                    .u32(last_channel.0)
                    .bytes(message.as_bytes());
                writer.u64(metadata.len() as u64);
                for (key, value) in metadata {
                    writer.bytes(key.as_bytes()).bytes(value);
                }
            }
        }
        out
    }

    /// Reads the payload of a frame with that verb.
    pub fn decode(verb: MethodId, bytes: &[u8]) -> Result<Message, MessageFault> {
        let mut reader = Reader::new(bytes);
        let message = match verb {
            Verb::OPEN_CHANNEL => {
                let channel = ChannelId(reader.u32()?);
                let kind = ChannelKind::read(&mut reader)?;
                let attach = if reader.option()? {
                    Some(Attach {
                        call: ChannelId(reader.u32()?),
                        port: reader.u32()?,
                        direction: Direction::read(&mut reader)?,
                    })
                } else {
                    None
                };
                let metadata = to_metadata(reader.pairs()?).ok();
                let initial_credits = reader.u32()?;
                Message::Open(OpenChannel {
                    channel,
                    kind,
                    attach,
                    metadata,
                    initial_credits,
                })
            }
            Verb::CLOSE_CHANNEL => {
                let channel = ChannelId(reader.u32()?);
                let error = match reader.u32()? {
                    0 => None,
                    1 => Some(reader.string()?),
                    _ => return Err(DecodeFault("unknown close reason").into()),
                };
                Message::Close { channel, error }
            }
            Verb::CANCEL_CHANNEL => Message::Cancel {
                channel: ChannelId(reader.u32()?),
                reason: CancelReason::read(&mut reader)?,
            },
            Verb::GRANT_CREDITS => Message::Grant {
                channel: ChannelId(reader.u32()?),
                bytes: reader.u32()?,
            },
            Verb::PING => Message::Ping(reader.array()?),
            Verb::PONG => Message::Pong(reader.array()?),
            Verb::GO_AWAY => Message::GoAway {
                reason: GoAwayReason::read(&mut reader)?,
                last_channel: ChannelId(reader.u32()?),
                message: reader.string()?,
                metadata: reader.pairs()?,
            },
            MethodId(verb) if verb >= Verb::FIRST_IGNORED => return Err(MessageFault::Ignored),
            _ => return Err(MessageFault::Reserved),
        };
        reader.finish()?;
        Ok(message)
    }
}
