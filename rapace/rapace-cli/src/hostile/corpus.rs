//! Inputs to start from.

use bytes::Bytes;
use rapace_core::control::{
    Attach, CancelReason, ChannelKind, Direction, Features, GoAwayReason, Hello, HelloLimits,
    HelloMethod, Message, OpenChannel, PROTOCOL_VERSION, Verb,
};
use rapace_core::frame::{DESCRIPTOR_LEN, Descriptor, Flags, Frame, Payload};
use rapace_core::session::Role;
use rapace_core::{ChannelId, Metadata, MethodId};

macro_rules! vectors {
    ($($name:literal)*) => {
        /// Frames as an independent implementation sends them.
        const VECTORS: &[&str] = &[
            $(include_str!(concat!("../../../rapace-core/tests/vectors/", $name, ".hex")),)*
        ];
    };
}

vectors! {
    "01-hello-initiator-default" "02-hello-acceptor-specpeer" "03-hello-acceptor-specpeer-flow"
    "04-hello-with-methods-params" "05-open-call" "06-open-stream-c2s" "07-open-stream-s2c"
    "08-open-tunnel-bidir" "09-close-normal" "10-close-error" "11-cancel-1" "11-cancel-4"
    "12-grant-credits" "13-grant-credits-max" "14-ping" "15-pong" "16-goaway-1" "16-goaway-4"
    "20-call-request" "21-call-request-deadline" "22-call-response-empty" "23-call-response-body"
    "24-call-response-trailers" "25-call-response-error" "26-stream-eos-only"
    "27-data-with-credit-grant" "28-control-unknown-verb" "29-len-varint-boundary-63"
    "29-len-varint-boundary-64"
}

/// The bytes of a vector below the comment line that starts so.
fn section(vector: &str, title: &str) -> Vec<u8> {
    let mut inside = false;
    let mut bytes = Vec::new();
    for line in vector.lines() {
        if line.starts_with('#') {
            inside = line.starts_with(title);
        } else if inside {
            let words = line.split_whitespace();
            bytes.extend(words.filter_map(|word| u8::from_str_radix(word, 16).ok()));
        }
    }
    bytes
}

/// Payloads of control messages and responses.
pub(super) fn messages() -> Vec<Vec<u8>> {
    let vectors = VECTORS.iter().map(|vector| section(vector, "# payload"));
    let plain = plausible_messages()
        .into_iter()
        .map(|message| message.encode());
    vectors.chain(plain).chain([own_hello().encode()]).collect()
}

/// Payloads of Hellos.
pub(super) fn hellos() -> Vec<Vec<u8>> {
    let vectors = VECTORS[..4]
        .iter()
        .map(|vector| section(vector, "# payload"));
    vectors.chain([own_hello().encode()]).collect()
}

/// Streams of frames, after the byte that chooses limits and pieces. Spliced ones have such bytes
/// in between, which is one more way of being wrong.
pub(super) fn streams() -> Vec<Vec<u8>> {
    let mut streams = Vec::new();
    for (at, vector) in VECTORS.iter().enumerate() {
        streams.push(section(vector, "# full stream frame"));
        let mut chosen = vec![(at * 37) as u8];
        chosen.extend(section(vector, "# full stream frame"));
        streams.push(chosen);
    }
    for len in [0_usize, 16, 17, 300, 5000] {
        let mut frame = vec![0x3F];
        let mut rest = DESCRIPTOR_LEN + len;
        while rest >= 0x80 {
            frame.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        frame.push(rest as u8);
        let desc = Descriptor::new(ChannelId(3), MethodId(0), Flags::DATA);
        let whole = Frame::new(desc, Payload::from(Bytes::from(vec![7; len])));
        frame.extend(whole.desc.to_bytes());
        frame.extend(vec![7; len]);
        streams.push(frame);
    }
    streams
}

/// Frames in the form that the fuzz body of a session takes: two bytes of length, the descriptor,
/// the payload. One after the other they make conversations.
pub(super) fn sessions() -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> = plausible_messages()
        .iter()
        .map(|message| control(message.verb(), &message.encode()))
        .collect();
    for channel in [1, 3, 5, 7, 9, 11] {
        frames.push(control(Verb::OPEN_CHANNEL, &open_call(channel).encode()));
        for method in [1, 2, 3, 4, 5, 6, 9] {
            frames.push(data(channel, method, Flags::DATA | Flags::EOS, b"args"));
        }
        let oneway = Flags::DATA | Flags::EOS | Flags::NO_REPLY;
        frames.push(data(channel, 6, oneway, b""));
        for flags in [
            Flags::DATA,
            Flags::EOS,
            Flags::DATA | Flags::EOS,
            Flags::CREDITS,
        ] {
            frames.push(data(channel, 0, flags, &[9; 40]));
        }
        let response = Flags::DATA | Flags::EOS | Flags::RESPONSE;
        frames.push(data(channel, 1, response, &[0, 0, 0, 0, 1, 1, 5]));
        for (call, port, kind) in [
            (1, 1, ChannelKind::Stream),
            (3, 1, ChannelKind::Stream),
            (3, 1, ChannelKind::Tunnel),
            (5, 101, ChannelKind::Stream),
        ] {
            let open = open_port(channel, call, port, kind);
            frames.push(control(Verb::OPEN_CHANNEL, &open.encode()));
        }
    }
    // Whole conversations, so that their middle is reached without luck.
    let mut with_stream = control(Verb::OPEN_CHANNEL, &open_call(1).encode());
    let stream = open_port(3, 1, 1, ChannelKind::Stream);
    with_stream.extend(control(Verb::OPEN_CHANNEL, &stream.encode()));
    with_stream.extend(data(1, 1, Flags::DATA | Flags::EOS, b"args"));
    with_stream.extend(data(3, 0, Flags::DATA, &[1; 100]));
    with_stream.extend(data(3, 0, Flags::EOS, b""));
    frames.push(with_stream);
    let mut with_tunnel = control(Verb::OPEN_CHANNEL, &open_call(5).encode());
    with_tunnel.extend(data(5, 4, Flags::DATA | Flags::EOS, b"args"));
    let tunnel = open_port(7, 5, 1, ChannelKind::Tunnel);
    with_tunnel.extend(control(Verb::OPEN_CHANNEL, &tunnel.encode()));
    with_tunnel.extend(data(7, 0, Flags::DATA, &[2; 200]));
    frames.push(with_tunnel);
    frames
}

fn control(verb: MethodId, payload: &[u8]) -> Vec<u8> {
    frame(
        Descriptor::new(ChannelId::CONTROL, verb, Flags::CONTROL),
        payload,
    )
}

fn data(channel: u32, method: u32, flags: Flags, payload: &[u8]) -> Vec<u8> {
    frame(
        Descriptor::new(ChannelId(channel), MethodId(method), flags),
        payload,
    )
}

fn frame(desc: Descriptor, payload: &[u8]) -> Vec<u8> {
    let whole = Frame::new(desc, Payload::copy_from_slice(payload));
    let mut raw = whole.desc.to_bytes();
    // The body takes the clock's step and whether to bend the descriptor from the last two bytes,
    // which are inline payload: no step, and taken as it is.
    raw[62] = 0;
    raw[63] = 1;
    let mut bytes = (payload.len() as u16).to_le_bytes().to_vec();
    bytes.extend(raw);
    bytes.extend(payload);
    bytes
}

fn plausible_messages() -> Vec<Message> {
    let mut messages = vec![
        open_call(1),
        open_port(3, 1, 1, ChannelKind::Stream),
        open_port(5, 1, 1, ChannelKind::Tunnel),
        Message::Close {
            channel: ChannelId(3),
            error: Some("why".to_owned()),
        },
        Message::Ping([1; 8]),
        Message::Pong([2; 8]),
        Message::GoAway {
            reason: GoAwayReason::Shutdown,
            last_channel: ChannelId(4),
            message: "bye".to_owned(),
            metadata: vec![("key".to_owned(), Bytes::from_static(b"value"))],
        },
    ];
    for channel in [1, 3, 5, 7].map(ChannelId) {
        messages.push(Message::Cancel {
            channel,
            reason: CancelReason::ClientCancel,
        });
        messages.push(Message::Grant {
            channel,
            bytes: 100,
        });
        messages.push(Message::Grant {
            channel,
            bytes: u32::MAX,
        });
    }
    messages
}

fn open_call(channel: u32) -> Message {
    let mut metadata = Metadata::default();
    let remaining = Bytes::copy_from_slice(&50_u32.to_le_bytes());
    // The key is within the limits.
    let _ = metadata.insert("rapace.deadline_remaining_ms".to_owned(), remaining);
    Message::Open(OpenChannel {
        channel: ChannelId(channel),
        kind: ChannelKind::Call,
        attach: None,
        metadata: Some(metadata),
        initial_credits: 0,
    })
}

fn open_port(channel: u32, call: u32, port: u32, kind: ChannelKind) -> Message {
    let direction = match (kind, port) {
        (ChannelKind::Tunnel, _) => Direction::Bidir,
        (_, 101..) => Direction::ServerToClient,
        _ => Direction::ClientToServer,
    };
    Message::Open(OpenChannel {
        channel: ChannelId(channel),
        kind,
        attach: Some(Attach {
            call: ChannelId(call),
            port,
            direction,
        }),
        metadata: Some(Metadata::default()),
        initial_credits: 1000,
    })
}

fn own_hello() -> Hello {
    Hello {
        protocol_version: PROTOCOL_VERSION,
        role: Role::Initiator,
        required: Features::required(),
        supported: Features::all(),
        limits: HelloLimits {
            max_payload_size: 1 << 20,
            max_channels: 8,
            max_pending_calls: 4,
        },
        methods: (1..4)
            .map(|id| HelloMethod {
                method_id: MethodId(id),
                sig_hash: [7; 32],
                name: Some(format!("Fuzz.m{id}")),
            })
            .collect(),
        params: vec![
            ("rapace.epoch".to_owned(), Bytes::from_static(&[1; 8])),
            (
                "rapace.window".to_owned(),
                Bytes::from_static(&[0, 1, 0, 0]),
            ),
            ("rapace.peer-name".to_owned(), Bytes::from_static(b"peer")),
        ],
    }
}
