//! The envelope that every response travels in (\[call.envelope\], \[call.codes\]).

use std::fmt;

use bytes::Bytes;

use crate::control::wire::{DecodeFault, Reader, Writer};
use crate::frame::Payload;
use crate::metadata::Metadata;

/// A status code (\[call.codes\]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Code(pub u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Code = Code($number);)*

            /// The code's name, such as `INVALID_ARGUMENT`; `None` for numbers without one.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// The code of that name.
            pub fn from_name(name: &str) -> Option<Code> {
                match name {
                    $(stringify!($name) => Some(Code::$name),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// Success.
    OK = 0;
    /// The caller cancelled.
    CANCELLED = 1;
    /// Nothing better is known.
    UNKNOWN = 2;
    /// The arguments are wrong, or do not decode.
    INVALID_ARGUMENT = 3;
    /// The deadline passed.
    DEADLINE_EXCEEDED = 4;
    /// What was asked for does not exist.
    NOT_FOUND = 5;
    /// What was to be made exists.
    ALREADY_EXISTS = 6;
    /// The caller may not.
    PERMISSION_DENIED = 7;
    /// A limit is reached.
    RESOURCE_EXHAUSTED = 8;
    /// The state does not allow it.
    FAILED_PRECONDITION = 9;
    /// Given up, mostly for a conflict.
    ABORTED = 10;
    /// Out of the valid range.
    OUT_OF_RANGE = 11;
    /// No such method here.
    UNIMPLEMENTED = 12;
    /// The handler failed; also a panic.
    INTERNAL = 13;
    /// Not there now.
    UNAVAILABLE = 14;
    /// Data is lost.
    DATA_LOSS = 15;
    /// Who is asking is not known.
    UNAUTHENTICATED = 16;
    /// Both sides know the method with different types.
    INCOMPATIBLE_SCHEMA = 17;
    /// The peer broke the protocol.
    PROTOCOL_ERROR = 50;
    /// A frame is malformed.
    INVALID_FRAME = 51;
    /// A channel is wrong.
    INVALID_CHANNEL = 52;
    /// Never sent: UNIMPLEMENTED is.
    INVALID_METHOD = 53;
    /// A result does not decode.
    DECODE_ERROR = 54;
    /// A result does not encode.
    ENCODE_ERROR = 55;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "CODE_{}", self.0),
        }
    }
}

/// How a call ended at the callee.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// [`Code::OK`] or an error.
    pub code: Code,
    /// For people; empty when OK.
    pub message: String,
    /// For programs; what it means is between caller and callee.
    pub details: Bytes,
}

/// A decoded response.
#[derive(Debug)]
pub struct Envelope {
    /// How the call ended.
    pub status: Status,
    /// Metadata of the response.
    pub trailers: Metadata,
    /// The encoded return value; present exactly when the code is OK.
    pub body: Option<Payload>,
}

/// What stands before the body of an OK response without trailers: the bytes, of which the first
/// `n` count.
#[inline]
pub fn ok_header(body_len: usize) -> ([u8; 10], usize) {
    // Code 0, empty message, empty details, no trailers, a body.
    let mut out = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
    let mut at = 5;
    let mut rest = body_len as u32;
    loop {
        let low = (rest & 0x7F) as u8;
        rest >>= 7;
        if rest == 0 {
            out[at] = low;
            return (out, at + 1);
        }
        out[at] = low | 0x80;
        at += 1;
    }
}

/// Appends what stands before the body of an OK response with trailers.
pub fn encode_ok_header(body_len: usize, trailers: &Metadata, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer
        .u32(0)
        .bytes(&[])
        .bytes(&[])
        .metadata(trailers)
        .u8(1)
        .u64(body_len as u64);
}

/// A whole response with an error status.
pub fn encode_error(status: &Status, trailers: &Metadata) -> Payload {
    let mut out = Vec::with_capacity(16 + status.message.len() + status.details.len());
    let mut writer = Writer::new(&mut out);
    writer
        .u32(status.code.0)
        .bytes(status.message.as_bytes())
        .bytes(&status.details)
        .metadata(trailers)
        .u8(0);
    Payload::from(Bytes::from(out))
}

impl Envelope {
    /// Reads a response. The body shares the payload's memory.
    ///
    /// # Errors
    ///
    /// When the bytes are no envelope, or a body stands beside an error or is missing beside OK.
    pub fn decode(payload: &Payload) -> Result<Envelope, DecodeFault> {
        let Some(bytes) = payload.as_slice() else {
            return Err(DecodeFault("a chained payload"));
        };
        let mut reader = Reader::new(bytes);
        let (status, trailers) = if bytes.starts_with(&[0, 0, 0, 0]) {
            reader.skip(4)?;
            let status = Status {
                code: Code::OK,
                message: String::new(),
                details: Bytes::new(),
            };
            (status, Metadata::default())
        } else {
            let code = Code(reader.u32()?);
            let message = reader.string()?;
            let details = Bytes::copy_from_slice(reader.bytes()?);
            (
                Status {
                    code,
                    message,
                    details,
                },
                reader.metadata()?,
            )
        };
        let body = if reader.option()? {
            let len = reader.bytes()?.len();
            let end = reader.position();
            Some(slice(payload, end - len, end))
        } else {
            None
        };
        reader.finish()?;
        if body.is_some() != (status.code == Code::OK) {
            return Err(DecodeFault("a body stands exactly beside code 0"));
        }
        Ok(Envelope {
            status,
            trailers,
            body,
        })
    }
}

fn slice(payload: &Payload, start: usize, end: usize) -> Payload {
    match payload {
        Payload::Bytes(bytes) if end - start > crate::frame::INLINE_LEN => {
            Payload::Bytes(bytes.slice(start..end))
        }
        other => Payload::copy_from_slice(other.as_slice().map_or(&[], |all| &all[start..end])),
    }
}
