//! What goes into a session and what comes out of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::control::{CancelReason, Direction, Features, GoAwayReason, Role};
use crate::envelope::Envelope;
use crate::frame::Payload;
use crate::id::{ChannelId, MethodId};
use crate::limits::Limits;
use crate::metadata::Metadata;
use crate::time::{DeadlineForm, Time};

/// How a session is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which side this is.
    pub role: Role,
    /// Bounds.
    pub limits: Limits,
    /// How the transport carries deadlines.
    pub deadline_form: DeadlineForm,
    /// `rapace.epoch`: a process that is started again never repeats one.
    pub epoch: u64,
    /// `rapace.peer-name`: the name this side gives itself.
    pub peer_name: Option<String>,
    /// What this side serves.
    pub methods: Arc<MethodTable>,
    /// What this side supports; [`Features::all`] unless a test wants less.
    pub features: Features,
}

/// What one side serves, by method id.
#[derive(Clone, Debug, Default)]
pub struct MethodTable {
    pub(crate) methods: BTreeMap<MethodId, ServedMethod>,
}

impl FromIterator<ServedMethod> for MethodTable {
    fn from_iter<I: IntoIterator<Item = ServedMethod>>(methods: I) -> Self {
        MethodTable {
            methods: methods
                .into_iter()
                .map(|method| (method.id, method))
                .collect(),
        }
    }
}

/// A method that this side serves.
#[derive(Clone, Debug)]
pub struct ServedMethod {
    /// \[id.method\].
    pub id: MethodId,
    /// `Service.method`.
    pub name: String,
    /// \[id.sig\].
    pub sig_hash: [u8; 32],
    /// Its streams and tunnels.
    pub ports: Vec<PortDecl>,
}

/// A stream or tunnel as a method declares it (\[port\]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortDecl {
    /// 1, 2, 3… in the arguments; 101, 102… in the return value.
    pub port: u32,
    /// Stream or tunnel.
    pub kind: PortKind,
    /// Streams follow the side that declares them; tunnels are `Bidir`.
    pub direction: Direction,
    /// Not inside of an `Option`: the call cannot do without it.
    pub required: bool,
}

impl PortDecl {
    /// Declared in the arguments, so that the caller opens its channel.
    pub fn is_request(&self) -> bool {
        self.port < 101
    }
}

/// What a port carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortKind {
    /// Items, one way.
    Stream,
    /// Bytes, both ways.
    Tunnel,
}

/// The peer, as its Hello describes it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The name it gives itself.
    pub name: Option<String>,
    /// Tells its lives apart.
    pub epoch: Option<u64>,
    /// What both sides support.
    pub features: Features,
    /// What it serves.
    pub methods: BTreeMap<MethodId, PeerMethod>,
}

impl Peer {
    /// Whether the peer answers questions about its schemas (\[hello.compat\]).
    pub fn has_schema_text(&self) -> bool {
        self.features.contains(Features::SCHEMA_TEXT)
    }
}

/// A method that the peer serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerMethod {
    /// \[id.sig\].
    pub sig_hash: [u8; 32],
    /// `Service.method`.
    pub name: Option<String>,
}

/// A call to be opened.
#[derive(Debug)]
pub struct OpenCall {
    /// Which method.
    pub method_id: MethodId,
    /// The encoded arguments.
    pub payload: Payload,
    /// For the handler.
    pub metadata: Metadata,
    /// When to give up.
    pub deadline: Option<Time>,
    /// No response is wanted (\[call.oneway\]).
    pub oneway: bool,
    /// The method's ports.
    pub ports: &'static [PortDecl],
}

/// Why a call was not opened. Nothing was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// The handshake is not complete.
    NotReady,
    /// The session is over.
    Closed(CloseReason),
    /// One side is going away.
    Draining,
    /// As many calls are pending as the peer allows.
    TooManyCalls {
        /// The effective limit.
        limit: u32,
    },
    /// As many channels are open as the peer allows, or all ids are used up.
    TooManyChannels {
        /// The effective limit.
        limit: u32,
    },
    /// The request is longer than the peer accepts.
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The effective limit.
        limit: u32,
    },
    /// The deadline has passed already (\[deadline.wire\]).
    DeadlineExpired,
    /// The control message with the metadata would be too long.
    BadMetadata(String),
    /// Ports of a oneway call.
    BadPort,
}

/// The answer to a call.
#[derive(Debug)]
pub struct Response {
    /// The whole envelope, encoded.
    pub payload: Payload,
    /// Whether its status is an error.
    pub error: bool,
}

/// Why a port was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortError {
    /// Its call has ended.
    CallGone,
    /// The method declares no such port for this side to open.
    NotDeclared,
    /// It is open, or was.
    AlreadyOpen,
    /// As many channels are open as the peer allows.
    TooManyChannels,
}

/// Why data was not taken. The payload is given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendBlocked {
    /// The peer's window is full: wait for [`Event::Writable`].
    Credit,
    /// The send queue is full: wait for [`Event::Uncongested`].
    Congested,
    /// The channel has ended for this side.
    Closed,
    /// The item is longer than the peer accepts in any frame.
    TooLarge,
}

/// What a session reports.
#[derive(Debug)]
pub enum Event {
    /// The handshake is complete.
    Ready,
    /// A request for a method of this side's table.
    Request {
        /// The call.
        channel: ChannelId,
        /// Which method.
        method_id: MethodId,
        /// The encoded arguments.
        payload: Payload,
        /// From the caller.
        metadata: Metadata,
        /// When the session itself answers DEADLINE_EXCEEDED.
        deadline: Option<Time>,
        /// No response is wanted.
        oneway: bool,
    },
    /// The handler of this call is to be stopped.
    RequestCancelled {
        /// The call.
        channel: ChannelId,
        /// Why.
        reason: CancelCause,
    },
    /// A call of this side has ended. Exactly one for each that this side did not cancel.
    CallDone {
        /// The call.
        channel: ChannelId,
        /// How.
        outcome: CallOutcome,
    },
    /// The peer has opened a stream or tunnel. Before any of its data.
    PortOpened {
        /// The new channel.
        channel: ChannelId,
        /// The call that it belongs to.
        call: ChannelId,
        /// Which port of the call.
        port: u32,
        /// What it carries.
        kind: PortKind,
        /// Which way.
        direction: Direction,
    },
    /// Data or the end of a stream or tunnel.
    Data {
        /// Which.
        channel: ChannelId,
        /// An item, or bytes; meaningless without `has_data`.
        payload: Payload,
        /// The peer sends nothing more.
        eos: bool,
        /// Whether there is an item; it can be empty.
        has_data: bool,
    },
    /// A stream or tunnel has ended early. Never follows a clean end of both directions.
    PortClosed {
        /// Which.
        channel: ChannelId,
        /// Why.
        cause: CancelCause,
    },
    /// A sender that was blocked for credit may try again.
    Writable {
        /// Which.
        channel: ChannelId,
    },
    /// The send queue has room again.
    Uncongested,
    /// The peer is going away.
    GoAway {
        /// Why.
        reason: GoAwayReason,
        /// For people.
        message: String,
    },
    /// The peer answered a ping.
    Pong {
        /// What the ping carried.
        bytes: [u8; 8],
    },
    /// The session is over. The last event.
    Closed(CloseReason),
}

/// How a call of this side ended.
#[derive(Debug)]
pub enum CallOutcome {
    /// The peer answered.
    Response(Envelope),
    /// The peer cancelled it.
    Cancelled(CancelReason),
    /// Its deadline passed.
    DeadlineExceeded,
    /// The peer goes away and did not look at it: safe to repeat.
    Refused(String),
    /// The session ended, and its request had been handed to the link: the peer may have seen it.
    Lost(CloseReason),
    /// The session ended before its request left the queue: safe to repeat.
    NeverSent(CloseReason),
    /// The peer's answer is no envelope.
    BadResponse(String),
}

/// Why a handler is stopped, or a port has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CancelCause {
    /// The peer cancelled it.
    Peer(CancelReason),
    /// The call's deadline passed.
    Deadline,
    /// The call that it belongs to has ended.
    CallEnded,
    /// This side ended it, because the peer broke a rule on it.
    Local,
    /// The session ended.
    Lost(CloseReason),
}

/// How the link under the session ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkEnd {
    /// Between two frames.
    Closed,
    /// The peer died.
    Died(Arc<str>),
    /// The peer sent bytes that are no frames.
    Malformed(Arc<str>),
    /// The local system failed.
    Io(Arc<str>),
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkEnd::Closed => f.write_str("connection closed"),
            LinkEnd::Died(how) => write!(f, "peer died: {how}"),
            LinkEnd::Malformed(what) => write!(f, "peer sent malformed bytes: {what}"),
            LinkEnd::Io(what) => write!(f, "link failed: {what}"),
        }
    }
}

/// Why a session is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// The sides could not agree.
    Handshake(HandshakeFailure),
    /// This side closed it.
    LocalClose,
    /// The peer closed it, with its reason if it is an error.
    PeerClosed(Option<String>),
    /// It drained after a GoAway.
    Drained,
    /// The peer broke the protocol.
    ProtocolError(Arc<str>),
    /// The peer says that this side broke the protocol.
    PeerGoAway {
        /// Why.
        reason: GoAwayReason,
        /// For people.
        message: String,
    },
    /// The peer did not answer a ping.
    PingTimeout,
    /// The link ended.
    Link(LinkEnd),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Handshake(failure) => write!(f, "handshake failed: {failure}"),
            CloseReason::LocalClose => f.write_str("closed by this side"),
            CloseReason::PeerClosed(None) => f.write_str("closed by the peer"),
            CloseReason::PeerClosed(Some(why)) => write!(f, "closed by the peer: {why}"),
            CloseReason::Drained => f.write_str("drained"),
            CloseReason::ProtocolError(what) => write!(f, "the peer broke the protocol: {what}"),
            CloseReason::PeerGoAway { reason, message } => {
                write!(f, "the peer went away ({reason:?}): {message}")
            }
            CloseReason::PingTimeout => f.write_str("the peer did not answer a ping"),
            CloseReason::Link(end) => write!(f, "{end}"),
        }
    }
}

/// Why the handshake failed (\[hello.fail\]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HandshakeFailure {
    /// Other major versions do not talk.
    Version {
        /// What the peer speaks, major in the high half.
        theirs: u32,
    },
    /// Both dialled, or both listened.
    SameRole(Role),
    /// The peer lacks these feature bits.
    PeerLacks(Features),
    /// This side lacks these feature bits, which the peer requires.
    WeLack(Features),
    /// The peer lists a method with id 0, or one twice.
    BadMethods(String),
    /// The peer's parameters break a limit.
    BadParams(String),
    /// The first frame is no Hello.
    NotHello,
    /// The Hello does not decode.
    Undecodable(Cow<'static, str>),
    /// No Hello in time.
    Timeout,
    /// The peer refuses, with its reason.
    Refused(String),
    /// The link ended first.
    Link(LinkEnd),
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeFailure::Version { theirs } => write!(
                f,
                "the peer speaks protocol version {}.{}, this side 1.0",
                theirs >> 16,
                theirs & 0xFFFF
            ),
            HandshakeFailure::SameRole(role) => write!(f, "both sides are {role:?}"),
            HandshakeFailure::PeerLacks(bits) => {
                write!(f, "the peer lacks required features {:#x}", bits.0)
            }
            HandshakeFailure::WeLack(bits) => {
                write!(
                    f,
                    "the peer requires features {:#x} that this side lacks",
                    bits.0
                )
            }
            HandshakeFailure::BadMethods(what) => write!(f, "bad method list: {what}"),
            HandshakeFailure::BadParams(what) => write!(f, "bad parameters: {what}"),
            HandshakeFailure::NotHello => f.write_str("the first frame is no Hello"),
            HandshakeFailure::Undecodable(what) => write!(f, "the Hello does not decode: {what}"),
            HandshakeFailure::Timeout => f.write_str("no Hello in time"),
            HandshakeFailure::Refused(why) => write!(f, "the peer refused: {why}"),
            HandshakeFailure::Link(end) => write!(f, "{end}"),
        }
    }
}

/// How much a session holds: all zero after quiet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableSizes {
    /// Calls of this side.
    pub calls_out: usize,
    /// Calls of the peer.
    pub calls_in: usize,
    /// Streams and tunnels.
    pub ports: usize,
    /// Channels that count as open, of either side: those of all the calls, streams and tunnels.
    pub channels: usize,
    /// Armed deadlines.
    pub deadlines: usize,
    /// Answered calls whose streams may still be opened.
    pub awaiting_ports: usize,
    /// Frames not yet transmitted.
    pub queued_frames: usize,
    /// Events not yet polled.
    pub queued_events: usize,
}
