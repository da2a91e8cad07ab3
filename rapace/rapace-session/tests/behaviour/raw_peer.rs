//! A peer whose frames are made by hand.

use std::future::poll_fn;

use bytes::Bytes;

use rapace_core::control::{
    Features, Hello, HelloLimits, HelloMethod, Message, PROTOCOL_VERSION, Role,
};
use rapace_core::envelope::Envelope;
use rapace_core::{ChannelId, Descriptor, Flags, Frame, MethodId, Payload};
use rapace_mem::MemTransport;
use rapace_transport::{FrameSink, FrameSource, LinkError, Transport};

pub struct RawPeer {
    sink: Box<dyn FrameSink>,
    source: Box<dyn FrameSource>,
}

impl RawPeer {
    pub fn new(transport: MemTransport) -> Self {
        let (sink, mut source) = Box::new(transport).split();
        source.raise_payload_limit(u32::MAX);
        RawPeer { sink, source }
    }

    pub async fn send(&mut self, frame: Frame) {
        poll_fn(|cx| self.sink.poll_ready(cx)).await.expect("ready");
        self.sink.send(frame);
        poll_fn(|cx| self.sink.poll_flush(cx)).await.expect("flush");
    }

    pub async fn control(&mut self, message: &Message) {
        let desc = Descriptor::new(ChannelId::CONTROL, message.verb(), Flags::CONTROL);
        self.send(Frame::new(
            desc,
            Payload::from(Bytes::from(message.encode())),
        ))
        .await;
    }

    pub async fn hello(&mut self, hello: &Hello) {
        let desc = Descriptor::new(ChannelId::CONTROL, MethodId(0), Flags::CONTROL);
        self.send(Frame::new(desc, Payload::from(Bytes::from(hello.encode()))))
            .await;
    }

    /// A request without an OpenChannel ([call.implicit]).
    pub async fn request(&mut self, channel: u32, method: MethodId, payload: Vec<u8>) {
        let desc = Descriptor::new(ChannelId(channel), method, Flags::DATA | Flags::EOS);
        self.send(Frame::new(desc, Payload::from(Bytes::from(payload))))
            .await;
    }

    pub async fn recv(&mut self) -> Result<Frame, LinkError> {
        poll_fn(|cx| self.source.poll_recv(cx)).await
    }

    /// The next frame that is no control frame.
    pub async fn recv_data(&mut self) -> Frame {
        loop {
            let frame = self.recv().await.expect("a frame");
            if !frame.desc.has(Flags::CONTROL) {
                return frame;
            }
        }
    }

    pub async fn response(&mut self) -> Envelope {
        let frame = self.recv_data().await;
        assert!(frame.desc.has(Flags::RESPONSE), "{:?}", frame.desc);
        Envelope::decode(&frame.payload).expect("an envelope")
    }

    /// The next control message, the Hello left out.
    pub async fn message(&mut self) -> Message {
        loop {
            let frame = self.recv().await.expect("a frame");
            if frame.desc.has(Flags::CONTROL) && frame.desc.method_id != MethodId(0) {
                let bytes = frame.payload.into_bytes();
                return Message::decode(frame.desc.method_id, &bytes).expect("a message");
            }
        }
    }
}

/// A Hello that every session accepts.
pub fn hello(role: Role) -> Hello {
    Hello {
        protocol_version: PROTOCOL_VERSION,
        role,
        required: Features::required(),
        supported: Features::all(),
        limits: HelloLimits::default(),
        methods: Vec::new(),
        params: Vec::new(),
    }
}

/// A method whose signature is nobody's.
pub fn strange_method(name: &str) -> HelloMethod {
    let (service, method) = name.split_once('.').expect("Service.method");
    HelloMethod {
        method_id: MethodId(rapace_codec::method_id(service, method)),
        sig_hash: [7; 32],
        name: Some(name.to_owned()),
    }
}
