//! The numbers that name channels and methods.

use std::fmt;

/// A channel of one connection: a call, a stream or a tunnel (\[id.channel\]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChannelId(pub u32);

impl ChannelId {
    /// Channel 0, which carries control messages.
    pub const CONTROL: ChannelId = ChannelId(0);
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A method, as `Service.method` hashes to it (\[id.method\]); on channel 0, a control verb.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MethodId(pub u32);

impl MethodId {
    /// The method id of stream and tunnel frames.
    pub const NONE: MethodId = MethodId(0);
}

impl fmt::Debug for MethodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}
