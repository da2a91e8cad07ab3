//! Hostile bytes for the session, as ordinary functions: cargo-fuzz and `cargo test` call the same.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::control::{Features, Hello, Message};
use crate::envelope::Envelope;
use crate::frame::{DESCRIPTOR_LEN, Descriptor, Frame, Payload};
use crate::id::MethodId;
use crate::session::{
    Config, Direction, Event, Limits, MethodTable, PortDecl, PortKind, Response, Role,
    ServedMethod, Session,
};
use crate::time::{DeadlineForm, Time};

/// Decodes the bytes as a Hello, as every control message and as an envelope.
pub fn messages(bytes: &[u8]) {
    let _ = Hello::decode(bytes);
    for verb in 0..16 {
        let _ = Message::decode(MethodId(verb), bytes);
    }
    let _ = Envelope::decode(&Payload::copy_from_slice(bytes));
}

/// The first frame of a peer.
pub fn hello(bytes: &[u8]) {
    let mut session = subject(Role::Acceptor);
    let desc = Descriptor::new(
        crate::ChannelId::CONTROL,
        MethodId(0),
        crate::Flags::CONTROL,
    );
    let frame = Frame::new(desc, Payload::copy_from_slice(bytes));
    session.handle_frame(Time::ZERO, frame);
    drain(&mut session, Time::ZERO);
}

/// A sequence of frames after a good handshake: per frame two bytes of length (of which 10 bits
/// count), the descriptor, the payload. Descriptors are pulled towards plausible values, so that
/// the interesting states are reached.
pub fn receive(bytes: &[u8]) {
    let mut session = subject(Role::Acceptor);
    let mut peer = subject(Role::Initiator);
    let mut now = Time::ZERO;
    while let Some(frame) = peer.poll_transmit(now) {
        session.handle_frame(now, frame);
    }
    let mut rest = bytes;
    while rest.len() >= DESCRIPTOR_LEN + 2 {
        let len = usize::from(u16::from_le_bytes([rest[0], rest[1]]) & 0x3FF);
        let mut raw = [0; DESCRIPTOR_LEN];
        raw.copy_from_slice(&rest[2..2 + DESCRIPTOR_LEN]);
        rest = &rest[2 + DESCRIPTOR_LEN..];
        let (payload, after) = rest.split_at(len.min(rest.len()));
        rest = after;
        let mut desc = Descriptor::from_bytes(&raw);
        if raw[63] & 1 == 0 {
            desc.channel_id.0 &= 0xF;
            desc.method_id.0 &= 0xF;
            desc.flags.0 &= 0x3FF;
        }
        if raw[63] & 2 == 0 {
            desc.describe(&Payload::copy_from_slice(payload));
        }
        now = now + Duration::from_millis(u64::from(raw[62]));
        session.handle_frame(
            now,
            Frame {
                desc,
                payload: Payload::copy_from_slice(payload),
            },
        );
        session.handle_timeout(now);
        drain(&mut session, now);
    }
    session.handle_link_closed(now, crate::session::LinkEnd::Closed);
    drain(&mut session, now);
    let sizes = session.table_sizes();
    assert_eq!(
        sizes,
        crate::session::TableSizes::default(),
        "state is left after the end"
    );
}

fn subject(role: Role) -> Session {
    let stream = |port, direction| PortDecl {
        port,
        kind: PortKind::Stream,
        direction,
        required: port % 2 == 1,
    };
    let methods: MethodTable = (1..8)
        .map(|id| ServedMethod {
            id: MethodId(id),
            name: format!("Fuzz.m{id}"),
            sig_hash: [id as u8; 32],
            ports: match id {
                1 | 2 => vec![stream(1, Direction::ClientToServer)],
                3 => vec![stream(101, Direction::ServerToClient)],
                4 => vec![PortDecl {
                    port: 1,
                    kind: PortKind::Tunnel,
                    direction: Direction::Bidir,
                    required: true,
                }],
                _ => Vec::new(),
            },
        })
        .collect();
    let limits = Limits {
        max_channels: 32,
        max_pending_calls: 8,
        window_bytes: 256,
        ping_interval: Some(Duration::from_secs(1)),
        ..Limits::default()
    };
    let config = Config {
        role,
        limits,
        deadline_form: DeadlineForm::Remaining,
        epoch: 7,
        peer_name: None,
        methods: Arc::new(methods),
        features: Features::all(),
    };
    Session::new(config, Time::ZERO)
}

/// Does what a driver would: answers requests, reads streams, takes the frames.
fn drain(session: &mut Session, now: Time) {
    while let Some(event) = session.poll_event() {
        match event {
            Event::Request {
                channel, method_id, ..
            } if method_id.0 != 5 => {
                let payload = Payload::from(Bytes::from_static(&[0, 0, 0, 0, 1, 0]));
                let _ = session.open_port(now, channel, 101);
                session.respond(
                    now,
                    channel,
                    Response {
                        payload,
                        error: false,
                    },
                );
            }
            Event::Data {
                channel, payload, ..
            } => {
                session.consumed(channel, payload.len() as u32);
                let _ = session.send_data(channel, payload, false);
            }
            _ => {}
        }
    }
    let mut frames = 0;
    while session.poll_transmit(now).is_some() {
        frames += 1;
        assert!(frames < 10_000, "one frame caused thousands");
    }
    let sizes = session.table_sizes();
    assert!(
        sizes.calls_in <= 64 && sizes.ports <= 64,
        "tables beyond their limits: {sizes:?}"
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_sequence_of_frames_panics_or_leaks(
            bytes in proptest::collection::vec(any::<u8>(), 0..4096)
        ) {
            super::receive(&bytes);
        }

        #[test]
        fn no_bytes_panic_as_a_message(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            super::messages(&bytes);
            super::hello(&bytes);
        }
    }
}
