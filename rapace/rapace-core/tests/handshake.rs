//! The Hellos (PROTOCOL §4).

use std::time::Duration;

use bytes::Bytes;
use rapace_core::control::{Features, Hello, HelloMethod, Message, PROTOCOL_VERSION, Verb};
use rapace_core::session::{
    CallOutcome, CloseReason, HandshakeFailure, LinkEnd, MethodTable, Role, ServedMethod,
};
use rapace_core::{ChannelId, Descriptor, Flags, MethodId};

use crate::pair::methods::UNARY;
use crate::pair::{Pair, Raw, call, config, raw};

fn own_hello(raw: &mut Raw) -> (Hello, Descriptor) {
    let frame = raw.frames().remove(0);
    let bytes = frame.payload.into_bytes();
    (Hello::decode(&bytes).expect("decodes"), frame.desc)
}

/// [hello], [hello.bits]
#[test]
fn hello_is_the_first_frame_and_says_everything() {
    let mut config = config(Role::Initiator);
    config.peer_name = Some("host".to_owned());
    let mut raw = Raw::new(config);
    let (hello, desc) = own_hello(&mut raw);
    assert_eq!(
        (desc.msg_id, desc.channel_id.0, desc.method_id.0),
        (1, 0, 0)
    );
    assert_eq!(desc.flags, Flags::CONTROL);
    assert_eq!(hello.protocol_version, 0x0001_0000);
    assert_eq!(hello.role, Role::Initiator);
    assert_eq!(hello.required, Features(0b11));
    assert_eq!(hello.supported, Features(0b1111 | 0b111 << 32));
    assert_eq!(hello.limits.max_channels, 16_384);
    assert_eq!(hello.methods.len(), 6);
    assert_eq!(hello.methods[0].name.as_deref(), Some("Test.m11"));
    let params: Vec<_> = hello
        .params
        .iter()
        .map(|(key, value)| (&key[..], &value[..]))
        .collect();
    assert_eq!(
        params,
        [
            ("rapace.epoch", &100_u64.to_le_bytes()[..]),
            ("rapace.peer-name", b"host"),
            ("rapace.window", &1000_u32.to_le_bytes()),
        ]
    );
}

/// [hello.methods]: before the peer's Hello nothing else is sent.
#[test]
fn before_the_peers_hello_nothing_but_hello_is_sent() {
    let mut raw = Raw::new(config(Role::Initiator));
    assert!(raw.session.open_call(raw.now, call(UNARY)).is_err());
    assert!(!raw.session.ping(raw.now, [0; 8]));
    assert_eq!(raw.sent(), ["Hello"]);
    assert!(!raw.session.is_ready());
}

/// [hello.limits]: the smaller of both, zero states none.
#[test]
fn the_smaller_stated_limit_counts() {
    for (theirs, effective) in [(0, 5000), (4000, 4000), (6000, 5000)] {
        let mut ours = config(Role::Acceptor);
        ours.limits.max_payload_size = 5000;
        let mut hello = raw::hello(Role::Initiator);
        hello.limits.max_payload_size = theirs;
        assert_eq!(Raw::ready(ours, &hello).session.payload_limit(), effective);
    }
    let mut ours = config(Role::Acceptor);
    ours.limits.max_payload_size = 0;
    let raw = Raw::ready(ours, &raw::hello(Role::Initiator));
    assert_eq!(raw.session.payload_limit(), u32::MAX);
}

/// Before the Hello: 64 KiB (§1).
#[test]
fn before_the_hello_payloads_are_short() {
    assert_eq!(
        Raw::new(config(Role::Acceptor)).session.payload_limit(),
        64 * 1024
    );
}

fn refused(edit: impl Fn(&mut Hello)) -> HandshakeFailure {
    let mut raw = Raw::new(config(Role::Acceptor));
    let mut hello = raw::hello(Role::Initiator);
    edit(&mut hello);
    raw.hello(&hello);
    failure(&mut raw)
}

/// The handshake has failed: the peer is told, the session is over, later frames are discarded.
#[track_caller]
fn failure(raw: &mut Raw) -> HandshakeFailure {
    let Some(CloseReason::Handshake(failure)) = raw.session.close_reason().cloned() else {
        panic!("{:?}", raw.session.close_reason());
    };
    assert_eq!(raw.sent(), ["Hello", &format!("Close #0 error: {failure}")]);
    assert_eq!(
        raw.events(),
        [format!("Closed: handshake failed: {failure}")]
    );
    assert!(raw.session.link_finished());
    assert_eq!(raw.session.poll_timeout(), None);
    raw.hello(&raw::hello(Role::Initiator));
    raw.request(1, UNARY);
    assert!(raw.sent().is_empty() && raw.events().is_empty());
    failure
}

/// [hello.fail], row 3 of the field's failures.
#[test]
fn row_03_a_handshake_that_cannot_succeed_fails_with_its_reason_on_both_sides() {
    assert_eq!(
        refused(|hello| hello.protocol_version = 0x0002_0000),
        HandshakeFailure::Version {
            theirs: 0x0002_0000
        }
    );
    assert_eq!(
        refused(|hello| hello.role = Role::Acceptor),
        HandshakeFailure::SameRole(Role::Acceptor)
    );
    assert_eq!(
        refused(|hello| hello.supported = Features(1)),
        HandshakeFailure::PeerLacks(Features(2))
    );
    assert_eq!(
        refused(|hello| hello.required = Features(3 | 1 << 60)),
        HandshakeFailure::WeLack(Features(1 << 60))
    );
    let method = |id| HelloMethod {
        method_id: MethodId(id),
        sig_hash: [0; 32],
        name: None,
    };
    for methods in [vec![method(0)], vec![method(5), method(6), method(5)]] {
        let failure = refused(|hello| hello.methods.clone_from(&methods));
        assert!(
            matches!(failure, HandshakeFailure::BadMethods(_)),
            "{failure:?}"
        );
    }
    for bad in [("UPPER", 1), ("key", 16 * 1024 + 1)] {
        let failure = refused(|hello| hello.params.push((bad.0.to_owned(), vec![0; bad.1].into())));
        assert!(
            matches!(failure, HandshakeFailure::BadParams(_)),
            "{failure:?}"
        );
    }
}

/// [hello.fail]: and the side that is refused says so too.
#[test]
fn a_refused_side_hears_the_reason() {
    let mut pair = Pair::new(config(Role::Initiator), config(Role::Initiator));
    pair.run();
    for side in [&pair.a, &pair.b] {
        let reason = side.session.close_reason().expect("over").to_string();
        assert_eq!(reason, "handshake failed: both sides are Initiator");
    }
    let mut raw = Raw::new(config(Role::Initiator));
    raw.control(&Message::Close {
        channel: ChannelId::CONTROL,
        error: Some("no room".to_owned()),
    });
    assert_eq!(
        raw.events(),
        ["Closed: handshake failed: the peer refused: no room"]
    );
}

/// [hello.fail]: a first frame that is not Hello.
#[test]
fn a_first_frame_that_is_no_hello_fails() {
    type Send = fn(&mut Raw);
    let first: [Send; 5] = [
        |raw| raw.request(1, UNARY),
        |raw| raw.verb(5, vec![0; 8]),
        |raw| {
            let desc = Descriptor::new(ChannelId::CONTROL, Verb::HELLO, Flags::empty());
            raw.frame(desc, raw::hello(Role::Initiator).encode());
        },
        |raw| {
            let desc = Descriptor::new(ChannelId(1), Verb::HELLO, Flags::CONTROL);
            raw.frame(desc, raw::hello(Role::Initiator).encode());
        },
        |raw| {
            let channel = ChannelId(7);
            raw.control(&Message::Close {
                channel,
                error: None,
            });
        },
    ];
    for send in first {
        let mut raw = Raw::new(config(Role::Acceptor));
        send(&mut raw);
        assert_eq!(failure(&mut raw), HandshakeFailure::NotHello);
    }
}

/// [hello.fail], [enc.strict]
#[test]
fn a_hello_that_does_not_decode_fails() {
    let whole = raw::hello(Role::Initiator).encode();
    let mut trailing = whole.clone();
    trailing.push(0);
    let too_long = vec![0; 64 * 1024 + 1];
    for bytes in [&whole[..whole.len() - 1], &trailing, &[], &too_long] {
        let mut raw = Raw::new(config(Role::Acceptor));
        raw.verb(0, bytes.to_vec());
        let failure = failure(&mut raw);
        assert!(
            matches!(failure, HandshakeFailure::Undecodable(_)),
            "{failure:?}"
        );
    }
}

/// [hello.fail]: 10 s by default, never more than 30 s.
#[test]
fn a_silent_peer_is_given_up() {
    for (configured, effective) in [(None, 10), (Some(60), 30), (Some(3), 3)] {
        let mut config = config(Role::Acceptor);
        if let Some(seconds) = configured {
            config.limits.handshake_timeout = Duration::from_secs(seconds);
        }
        let mut raw = Raw::new(config);
        let due = raw.session.poll_timeout().expect("an alarm");
        assert_eq!(due.since(raw.now), Duration::from_secs(effective));
        raw.now = due;
        raw.session.handle_timeout(due);
        assert_eq!(failure(&mut raw), HandshakeFailure::Timeout);
    }
}

#[test]
fn a_link_that_ends_during_the_handshake_fails_it() {
    let mut raw = Raw::new(config(Role::Acceptor));
    raw.session
        .handle_link_closed(raw.now, LinkEnd::Died("exit 1".into()));
    assert_eq!(
        raw.events(),
        ["Closed: handshake failed: peer died: exit 1"]
    );
    assert!(raw.sent().is_empty());
}

/// [hello.params]: unknown keys are ignored. The minor version may differ.
#[test]
fn unknown_params_and_minor_versions_are_ignored() {
    let mut hello = raw::hello(Role::Initiator);
    hello.protocol_version = PROTOCOL_VERSION + 7;
    hello
        .params
        .push(("x.unknown".to_owned(), Bytes::from_static(b"?")));
    hello.supported = Features(u64::MAX);
    let raw = Raw::ready(config(Role::Acceptor), &hello);
    let features = raw.session.peer().expect("a peer").features;
    assert_eq!(features, Features::all());
}

/// [hello.params], row 24 of the field's failures: lives of a process are told apart.
#[test]
fn row_24_epochs_tell_the_lives_of_a_process_apart() {
    let mut first = Pair::ready();
    assert_eq!(first.a.session.peer().expect("peer").epoch, Some(200));
    assert_eq!(first.b.session.peer().expect("peer").epoch, Some(100));
    first.cut(&LinkEnd::Closed);
    // What was sent in an earlier life means nothing in the next.
    let mut reborn = config(Role::Acceptor);
    reborn.epoch = 201;
    let second = Pair::with(config(Role::Initiator), reborn);
    assert_eq!(second.a.session.peer().expect("peer").epoch, Some(201));
    let mut raw = Raw::acceptor();
    raw.response(2, UNARY);
    raw.data(1, 5);
    assert_eq!(
        raw.sent(),
        ["Cancel #1 ProtocolViolation"],
        "a stale frame is refused"
    );
    assert!(raw.events().is_empty());
}

/// [hello.compat], row 23 of the field's failures: the hashes are there to be compared.
#[test]
fn row_23_each_side_learns_the_signature_hashes_of_the_other() {
    let mut other = config(Role::Acceptor);
    let method = ServedMethod {
        id: MethodId(UNARY),
        name: "Test.m11".to_owned(),
        sig_hash: [0xEE; 32],
        ports: Vec::new(),
    };
    other.methods = std::sync::Arc::new(std::iter::once(method).collect::<MethodTable>());
    let pair = Pair::with(config(Role::Initiator), other);
    let theirs = &pair.a.session.peer().expect("peer").methods[&MethodId(UNARY)];
    assert_eq!(theirs.sig_hash, [0xEE; 32]);
    assert_eq!(theirs.name.as_deref(), Some("Test.m11"));
    let ours = &pair.b.session.peer().expect("peer").methods[&MethodId(UNARY)];
    assert_eq!(ours.sig_hash, [0x11; 32]);
    assert!(pair.a.session.peer().expect("peer").has_schema_text());
}

fn table(methods: u32, name: &str) -> MethodTable {
    let method = |id| ServedMethod {
        id: MethodId(u32::MAX - id),
        name: format!("{name}{id}"),
        sig_hash: [1; 32],
        ports: Vec::new(),
    };
    (0..methods).map(method).collect()
}

/// [ctl.small]: a Hello is at most 64 KiB. Names go first, then methods: those can be called all
/// the same.
#[test]
fn a_hello_with_too_many_methods_is_shortened() {
    let long = "n".repeat(100);
    for (methods, names, listed) in [(400, true, 400), (1000, false, 1000), (3000, false, 1723)] {
        let mut many = config(Role::Initiator);
        many.methods = std::sync::Arc::new(table(methods, &long));
        many.peer_name = Some("ä".repeat(100));
        let mut raw = Raw::new(many.clone());
        let (hello, desc) = own_hello(&mut raw);
        assert!(desc.payload_len <= 64 * 1024);
        assert_eq!(
            hello.methods.iter().all(|method| method.name.is_some()),
            names
        );
        assert!(
            hello.methods.len().abs_diff(listed) < 10,
            "{}",
            hello.methods.len()
        );
        Pair::with(many, config(Role::Acceptor));
    }
}

#[test]
fn an_endless_name_is_cut_at_a_character() {
    let mut long = config(Role::Initiator);
    long.peer_name = Some("ä".repeat(20_000));
    let pair = Pair::with(long, config(Role::Acceptor));
    let name = pair
        .b
        .session
        .peer()
        .expect("peer")
        .name
        .clone()
        .expect("a name");
    assert_eq!(name, "ä".repeat(8192));
}

/// A close during the handshake, and no call outlives it.
#[test]
fn closing_before_the_handshake_says_why() {
    let mut raw = Raw::new(config(Role::Initiator));
    raw.session.close(raw.now, "changed my mind");
    assert_eq!(raw.sent(), ["Hello", "Close #0 error: changed my mind"]);
    assert_eq!(raw.events(), ["Closed: closed by this side"]);
    let mut pair = Pair::ready();
    pair.call(crate::pair::Side::A, UNARY);
    pair.a.session.close(pair.now, "");
    pair.collect();
    let Some(rapace_core::session::Event::CallDone { outcome, .. }) = pair.a.events.pop_front()
    else {
        panic!("the call is not told");
    };
    assert!(matches!(
        outcome,
        CallOutcome::Lost(CloseReason::LocalClose)
    ));
}
