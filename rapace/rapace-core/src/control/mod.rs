//! Control messages: what travels on channel 0 (\[hello\], PROTOCOL §5).

mod hello;
mod message;
pub(crate) mod wire;

pub use hello::{Features, Hello, HelloLimits, HelloMethod, PROTOCOL_VERSION, Role};
pub use message::{
    Attach, CancelReason, ChannelKind, Direction, GoAwayReason, Message, MessageFault, OpenChannel,
    Verb,
};
pub use wire::DecodeFault;

/// A control payload is at most this long, in bytes (\[ctl.small\]).
pub const CONTROL_BYTES_MAX: usize = 64 * 1024;
