//! One session against a peer whose frames are made by hand.

use std::time::Duration;

use bytes::Bytes;
use rapace_core::control::{
    Attach, CancelReason, ChannelKind, Direction, Features, Hello, HelloLimits, Message,
    OpenChannel, PROTOCOL_VERSION, Verb,
};
use rapace_core::session::{Config, Response, Role, Session};
use rapace_core::{ChannelId, Descriptor, Flags, Frame, Metadata, MethodId, Payload, Time};

use super::{config, text};

/// A session and its hand-made peer.
pub struct Raw {
    pub session: Session,
    pub now: Time,
    next_msg_id: u64,
}

/// A Hello that every session accepts; `role` is the sender's.
pub fn hello(role: Role) -> Hello {
    Hello {
        protocol_version: PROTOCOL_VERSION,
        role,
        required: Features::required(),
        supported: Features::all(),
        limits: HelloLimits::default(),
        methods: Vec::new(),
        params: vec![(
            "rapace.window".to_owned(),
            Bytes::copy_from_slice(&1000_u32.to_le_bytes()),
        )],
    }
}

impl Raw {
    /// An acceptor, so that the peer's channels are odd, after the handshake.
    pub fn acceptor() -> Raw {
        Raw::ready(config(Role::Acceptor), &hello(Role::Initiator))
    }

    /// An initiator, whose own channels are odd, after the handshake.
    pub fn initiator() -> Raw {
        Raw::ready(config(Role::Initiator), &hello(Role::Acceptor))
    }

    /// After the handshake of `config` with a peer that says `hello`.
    pub fn ready(config: Config, hello: &Hello) -> Raw {
        let mut raw = Raw::new(config);
        raw.hello(hello);
        assert_eq!(raw.sent(), ["Hello"]);
        assert_eq!(raw.events(), ["Ready"]);
        raw
    }

    /// Before the handshake.
    pub fn new(config: Config) -> Raw {
        let now = Time::from_nanos(1_000_000_000);
        Raw {
            session: Session::new(config, now),
            now,
            next_msg_id: 1,
        }
    }

    /// Puts a frame before the session.
    pub fn frame(&mut self, mut desc: Descriptor, payload: impl Into<Bytes>) {
        if desc.msg_id == 0 {
            desc.msg_id = self.next_msg_id;
            self.next_msg_id += 1;
        }
        let frame = Frame::new(desc, Payload::from(payload.into()));
        self.session.handle_frame(self.now, frame);
    }

    pub fn hello(&mut self, hello: &Hello) {
        let desc = Descriptor::new(ChannelId::CONTROL, Verb::HELLO, Flags::CONTROL);
        self.frame(desc, hello.encode());
    }

    pub fn control(&mut self, message: &Message) {
        self.verb(message.verb().0, message.encode());
    }

    pub fn verb(&mut self, verb: u32, payload: impl Into<Bytes>) {
        let desc = Descriptor::new(ChannelId::CONTROL, MethodId(verb), Flags::CONTROL);
        self.frame(desc, payload);
    }

    pub fn open_call(&mut self, channel: u32) {
        self.open(channel, ChannelKind::Call, None, 0);
    }

    /// Opens a stream of `call`: to the server below 101, to the client from there.
    pub fn open_stream(&mut self, channel: u32, call: u32, port: u32) {
        let direction = match port {
            ..101 => Direction::ClientToServer,
            _ => Direction::ServerToClient,
        };
        self.open(
            channel,
            ChannelKind::Stream,
            attach(call, port, direction),
            0,
        );
    }

    pub fn open_tunnel(&mut self, channel: u32, call: u32, port: u32, credits: u32) {
        let attach = attach(call, port, Direction::Bidir);
        self.open(channel, ChannelKind::Tunnel, attach, credits);
    }

    pub fn open(&mut self, channel: u32, kind: ChannelKind, attach: Option<Attach>, credits: u32) {
        self.control(&Message::Open(OpenChannel {
            channel: ChannelId(channel),
            kind,
            attach,
            metadata: Some(Metadata::default()),
            initial_credits: credits,
        }));
    }

    pub fn cancel(&mut self, channel: u32) {
        self.control(&Message::Cancel {
            channel: ChannelId(channel),
            reason: CancelReason::ClientCancel,
        });
    }

    pub fn grant(&mut self, channel: u32, bytes: u32) {
        let channel = ChannelId(channel);
        self.control(&Message::Grant { channel, bytes });
    }

    pub fn request(&mut self, channel: u32, method: u32) {
        self.request_with(channel, method, |_| {});
    }

    pub fn request_with(&mut self, channel: u32, method: u32, edit: impl Fn(&mut Descriptor)) {
        let flags = Flags::DATA | Flags::EOS;
        let mut desc = Descriptor::new(ChannelId(channel), MethodId(method), flags);
        edit(&mut desc);
        self.frame(desc, Bytes::from_static(b"args"));
    }

    /// An OK response.
    pub fn response(&mut self, channel: u32, method: u32) {
        let payload = super::ok(b"result").payload.into_bytes();
        self.response_with(channel, method, Flags::empty(), payload);
    }

    pub fn response_with(&mut self, channel: u32, method: u32, flags: Flags, payload: Bytes) {
        let flags = Flags::DATA | Flags::EOS | Flags::RESPONSE | flags;
        let desc = Descriptor::new(ChannelId(channel), MethodId(method), flags);
        self.frame(desc, payload);
    }

    pub fn data(&mut self, channel: u32, bytes: usize) {
        self.stream_frame(channel, Flags::DATA, bytes);
    }

    pub fn eos(&mut self, channel: u32) {
        self.stream_frame(channel, Flags::EOS, 0);
    }

    pub fn stream_frame(&mut self, channel: u32, flags: Flags, bytes: usize) {
        let desc = Descriptor::new(ChannelId(channel), MethodId::NONE, flags);
        self.frame(desc, vec![7; bytes]);
    }

    pub fn respond(&mut self, call: u32, response: Response) -> bool {
        self.session.respond(self.now, ChannelId(call), response)
    }

    /// Time passes, and every alarm goes off when it is due.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
        }
        self.now = end;
    }

    /// What the session has sent since the last look.
    pub fn sent(&mut self) -> Vec<String> {
        self.frames().iter().map(text::frame).collect()
    }

    pub fn frames(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.session.poll_transmit(self.now)).collect()
    }

    /// What the session has reported since the last look.
    pub fn events(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(event) = self.session.poll_event() {
            lines.push(text::event(&event));
        }
        lines
    }
}

pub fn attach(call: u32, port: u32, direction: Direction) -> Option<Attach> {
    Some(Attach {
        call: ChannelId(call),
        port,
        direction,
    })
}
