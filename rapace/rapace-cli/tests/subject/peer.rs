//! A peer that is nothing but a TCP socket: its frames are made and read here, by hand.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rapace_core::control::{
    Attach, ChannelKind, Direction, Features, Hello, HelloLimits, Message, OpenChannel,
    PROTOCOL_VERSION, Verb,
};
use rapace_core::envelope::Envelope;
use rapace_core::frame::{DESCRIPTOR_LEN, Descriptor, Flags, Payload};
use rapace_core::session::Role;
use rapace_core::{ChannelId, Metadata, MethodId};

use super::process::{PATIENCE, Subject};

/// How long nothing must come before it counts as nothing.
const QUIET: Duration = Duration::from_millis(150);

/// The flags of a request, and of a good response.
pub(crate) const REQUEST: Flags = Flags::DATA.with(Flags::EOS);
pub(crate) const RESPONSE: Flags = REQUEST.with(Flags::RESPONSE);

/// [id.method], computed here once more.
pub(crate) fn method(name: &str) -> u32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash >> 32) as u32 ^ hash as u32
}

#[test]
fn method_ids_are_those_of_the_vectors() {
    assert_eq!(method("Calculator.add"), 0x193f_a158);
    assert_eq!(method("Adder.add"), 0xafaf_46b1);
}

/// A received frame.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) desc: Descriptor,
    pub(crate) payload: Vec<u8>,
    /// As it came, with its length.
    pub(crate) bytes: Vec<u8>,
}

impl Received {
    pub(crate) fn message(&self) -> Message {
        assert!(self.desc.has(Flags::CONTROL), "{self:?}");
        Message::decode(self.desc.method_id, &self.payload).expect("a control message")
    }

    pub(crate) fn envelope(&self) -> (u32, String, Option<Vec<u8>>) {
        assert!(self.desc.has(RESPONSE), "{self:?}");
        let envelope =
            Envelope::decode(&Payload::copy_from_slice(&self.payload)).expect("an envelope");
        assert_eq!(self.desc.has(Flags::ERROR), envelope.status.code.0 != 0);
        let body = envelope.body.map(|body| body.into_bytes().to_vec());
        (envelope.status.code.0, envelope.status.message, body)
    }
}

pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    next_msg_id: u64,
}

/// Says only what it must: features 0 and 1, a limit of 1 MiB, no methods. The bytes of the golden
/// vectors' acceptor, with the role and what is required of it.
pub(crate) fn minimal_hello(role: Role) -> Hello {
    hello(role, Features::required())
}

/// As an older peer with credit and pings says it: the bytes of the golden vectors' initiator.
pub(crate) fn flow_hello(role: Role) -> Hello {
    hello(role, Features(0xF))
}

fn hello(role: Role, supported: Features) -> Hello {
    Hello {
        protocol_version: PROTOCOL_VERSION,
        role,
        required: Features::required(),
        supported,
        limits: HelloLimits {
            max_payload_size: 1 << 20,
            ..HelloLimits::default()
        },
        methods: Vec::new(),
        params: Vec::new(),
    }
}

impl Peer {
    /// Dials a listening subject, and has said nothing yet.
    pub(crate) fn dial(subject: &Subject) -> Peer {
        let address = subject.address.strip_prefix("tcp:").expect("a TCP address");
        Peer::new(TcpStream::connect(address).expect("the subject listens"))
    }

    /// Dials, and exchanges Hellos of minimal features.
    pub(crate) fn minimal(subject: &Subject) -> Peer {
        Peer::dial(subject).greeted(&minimal_hello(Role::Initiator))
    }

    /// Dials, and exchanges Hellos with credit and pings but without windows.
    pub(crate) fn with_flow(subject: &Subject) -> Peer {
        Peer::dial(subject).greeted(&flow_hello(Role::Initiator))
    }

    fn new(stream: TcpStream) -> Peer {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Peer {
            stream,
            next_msg_id: 1,
        }
    }

    /// Takes the subject's connection.
    pub(crate) fn accept(listener: &TcpListener) -> Peer {
        listener.set_nonblocking(true).expect("non-blocking");
        let by = Instant::now() + PATIENCE;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("blocking");
                    return Peer::new(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(Instant::now() < by, "nobody connects");
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sends a Hello and takes the subject's.
    pub(crate) fn greeted(mut self, hello: &Hello) -> Peer {
        self.hello(hello);
        self.take_hello();
        self
    }

    pub(crate) fn hello(&mut self, hello: &Hello) {
        self.verb(Verb::HELLO, &hello.encode());
    }

    pub(crate) fn take_hello(&mut self) -> Hello {
        let frame = self.recv();
        assert_eq!(
            (frame.desc.channel_id, frame.desc.method_id),
            (ChannelId(0), Verb::HELLO)
        );
        assert_eq!((frame.desc.msg_id, frame.desc.flags), (1, Flags::CONTROL));
        Hello::decode(&frame.payload).expect("a Hello")
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the subject reads");
    }

    /// Sends a frame; says its msg_id.
    pub(crate) fn frame(&mut self, mut desc: Descriptor, payload: &[u8]) -> u64 {
        if desc.msg_id == 0 {
            desc.msg_id = self.next_msg_id;
            self.next_msg_id += 1;
        }
        desc.describe(&Payload::copy_from_slice(payload));
        let mut bytes = varint(DESCRIPTOR_LEN + payload.len());
        bytes.extend(desc.to_bytes());
        bytes.extend(payload);
        self.bytes(&bytes);
        desc.msg_id
    }

    pub(crate) fn verb(&mut self, verb: MethodId, payload: &[u8]) -> u64 {
        let desc = Descriptor::new(ChannelId::CONTROL, verb, Flags::CONTROL);
        self.frame(desc, payload)
    }

    pub(crate) fn control(&mut self, message: &Message) -> u64 {
        self.verb(message.verb(), &message.encode())
    }

    pub(crate) fn open_call(&mut self, channel: u32, metadata: &[(&str, &[u8])]) {
        let mut entries = Metadata::default();
        for (key, value) in metadata {
            let value = Bytes::copy_from_slice(value);
            entries
                .insert((*key).to_owned(), value)
                .expect("good metadata");
        }
        self.control(&Message::Open(OpenChannel {
            channel: ChannelId(channel),
            kind: ChannelKind::Call,
            attach: None,
            metadata: Some(entries),
            initial_credits: 0,
        }));
    }

    pub(crate) fn open_port(
        &mut self,
        channel: u32,
        call: u32,
        port: u32,
        kind: ChannelKind,
        credits: u32,
    ) {
        let direction = match (kind, port) {
            (ChannelKind::Tunnel, _) => Direction::Bidir,
            (_, 101..) => Direction::ServerToClient,
            _ => Direction::ClientToServer,
        };
        self.control(&Message::Open(OpenChannel {
            channel: ChannelId(channel),
            kind,
            attach: Some(Attach {
                call: ChannelId(call),
                port,
                direction,
            }),
            metadata: Some(Metadata::default()),
            initial_credits: credits,
        }));
    }

    pub(crate) fn request(&mut self, channel: u32, name: &str, args: &[u8]) -> u64 {
        self.data(channel, method(name), REQUEST, args)
    }

    /// Opens a channel and asks.
    pub(crate) fn call(&mut self, channel: u32, name: &str, args: &[u8]) -> u64 {
        self.open_call(channel, &[]);
        self.request(channel, name, args)
    }

    pub(crate) fn data(&mut self, channel: u32, method: u32, flags: Flags, payload: &[u8]) -> u64 {
        let desc = Descriptor::new(ChannelId(channel), MethodId(method), flags);
        self.frame(desc, payload)
    }

    /// Data of a stream or tunnel.
    pub(crate) fn item(&mut self, channel: u32, payload: &[u8]) {
        self.data(channel, 0, Flags::DATA, payload);
    }

    pub(crate) fn eos(&mut self, channel: u32) {
        self.data(channel, 0, Flags::EOS, &[]);
    }

    pub(crate) fn grant(&mut self, channel: u32, bytes: u32) {
        let channel = ChannelId(channel);
        self.control(&Message::Grant { channel, bytes });
    }

    /// A good answer to `request`.
    pub(crate) fn answer(&mut self, request: &Received, body: &[u8]) {
        let mut payload = vec![0, 0, 0, 0, 1];
        payload.extend(varint(body.len()));
        payload.extend(body);
        self.answer_with(request, RESPONSE, &payload);
    }

    pub(crate) fn answer_with(&mut self, request: &Received, flags: Flags, payload: &[u8]) {
        let mut desc = Descriptor::new(request.desc.channel_id, request.desc.method_id, flags);
        desc.msg_id = request.desc.msg_id;
        self.frame(desc, payload);
    }

    /// The next frame.
    pub(crate) fn recv(&mut self) -> Received {
        self.try_recv()
            .unwrap_or_else(|| panic!("the subject hung up"))
    }

    /// The next frame that matches; others are dropped.
    pub(crate) fn recv_until(&mut self, wanted: impl Fn(&Received) -> bool) -> Received {
        loop {
            let frame = self.recv();
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// The response to the call on `channel`; what comes before is dropped.
    pub(crate) fn response(&mut self, channel: u32) -> Received {
        self.recv_until(|frame| {
            frame.desc.channel_id.0 == channel && frame.desc.has(Flags::RESPONSE)
        })
    }

    fn try_recv(&mut self) -> Option<Received> {
        let mut bytes = Vec::new();
        let mut len = 0_usize;
        loop {
            let mut byte = [0];
            match self.stream.read(&mut byte) {
                Ok(0) if bytes.is_empty() => return None,
                Ok(0) => panic!("the subject hung up inside a frame"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no frame: {error}"),
            }
            len |= usize::from(byte[0] & 0x7F) << (7 * bytes.len());
            bytes.push(byte[0]);
            if byte[0] < 0x80 {
                break;
            }
        }
        let mut frame = vec![0; len];
        self.stream.read_exact(&mut frame).expect("a whole frame");
        bytes.extend(&frame);
        let mut raw = [0; DESCRIPTOR_LEN];
        raw.copy_from_slice(&frame[..DESCRIPTOR_LEN]);
        let desc = Descriptor::from_bytes(&raw);
        let payload = frame[DESCRIPTOR_LEN..].to_vec();
        assert_eq!(desc.payload_len as usize, payload.len(), "[frame.desc]");
        if payload.len() <= 16 {
            assert_eq!(
                desc.inline_payload[..payload.len()],
                payload,
                "[frame.inline]"
            );
            assert_eq!(desc.payload_slot, u32::MAX, "[frame.inline]");
        }
        Some(Received {
            desc,
            payload,
            bytes,
        })
    }

    /// The subject hangs up, and says nothing more.
    pub(crate) fn expect_hangup(&mut self) {
        if let Some(frame) = self.try_recv() {
            panic!("a frame instead of the end: {frame:?}");
        }
    }

    /// The subject says nothing for a while.
    pub(crate) fn expect_quiet(&mut self) {
        self.stream
            .set_read_timeout(Some(QUIET))
            .expect("a timeout");
        let mut byte = [0];
        match self.stream.peek(&mut byte) {
            Ok(0) => panic!("the subject hung up"),
            Ok(_) => panic!("a frame instead of silence: {:?}", self.recv()),
            Err(error) => {
                let quiet = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(quiet, "{error}");
            }
        }
        self.stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout");
    }

    /// Ends in good order.
    pub(crate) fn close(mut self) {
        self.control(&Message::Close {
            channel: ChannelId::CONTROL,
            error: None,
        });
    }

    /// What shows that the connection still works.
    pub(crate) fn still_answers(&mut self, channel: u32) {
        self.call(channel, "Testbed.add", &zigzags(&[20, 22]));
        let (code, _, body) = self.response(channel).envelope();
        assert_eq!((code, body), (0, Some(zigzags(&[42]))));
    }
}

/// Unsigned LEB128.
pub(crate) fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Signed integers as postcard writes them, one after the other.
pub(crate) fn zigzags(numbers: &[i64]) -> Vec<u8> {
    let zigzag = |number: &i64| ((number << 1) ^ (number >> 63)) as usize;
    numbers.iter().map(zigzag).flat_map(varint).collect()
}

/// A string as postcard writes it.
pub(crate) fn string(text: &str) -> Vec<u8> {
    [varint(text.len()), text.as_bytes().to_vec()].concat()
}
