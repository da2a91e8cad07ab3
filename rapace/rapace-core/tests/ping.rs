//! Pings (PROTOCOL §8, [ping]).

use std::time::Duration;

use rapace_core::control::Features;
use rapace_core::session::Role;

use crate::pair::{Pair, Raw, Side, config, raw};

/// [ping], [frame.desc]: the same eight bytes come back under the same message id.
#[test]
fn a_ping_is_answered_with_its_bytes_and_message_id() {
    let mut raw = Raw::acceptor();
    raw.verb(5, vec![1, 2, 3, 4, 5, 6, 7, 8]);
    let frames = raw.frames();
    assert_eq!(frames.len(), 1);
    assert_eq!(
        crate::pair::text::frame(&frames[0]),
        "Pong [1, 2, 3, 4, 5, 6, 7, 8]"
    );
    // The Hello was 1, the Ping 2.
    assert_eq!(frames[0].desc.msg_id, 2);
}

#[test]
fn a_pong_is_reported() {
    let mut pair = Pair::ready();
    assert!(pair.a.session.ping(pair.now, [9; 8]));
    pair.run();
    assert_eq!(pair.events(Side::A), ["Pong [9, 9, 9, 9, 9, 9, 9, 9]"]);
}

/// [ping]: only when both sides support it.
#[test]
fn without_the_feature_pings_are_neither_answered_nor_sent() {
    let mut plain = raw::hello(Role::Initiator);
    plain.supported = Features::required();
    let mut impatient = config(Role::Acceptor);
    impatient.limits.ping_interval = Some(Duration::from_secs(1));
    let mut raw = Raw::ready(impatient, &plain);
    raw.verb(5, vec![0; 8]);
    raw.verb(6, vec![0; 8]);
    assert!(!raw.session.ping(raw.now, [0; 8]));
    raw.advance(Duration::from_secs(100));
    assert!(raw.sent().is_empty() && raw.events().is_empty());
    assert!(raw.session.is_ready());
}

fn pinging() -> Raw {
    let mut config = config(Role::Acceptor);
    config.limits.ping_interval = Some(Duration::from_secs(5));
    config.limits.ping_timeout = Duration::from_secs(2);
    Raw::ready(config, &raw::hello(Role::Initiator))
}

/// [ping]: a peer that answers nothing for the configured time is dead.
#[test]
fn a_silent_peer_is_pinged_and_then_dead() {
    let mut raw = pinging();
    raw.advance(Duration::from_millis(4999));
    assert!(raw.sent().is_empty());
    raw.advance(Duration::from_millis(1));
    assert!(raw.sent()[0].starts_with("Ping"));
    raw.advance(Duration::from_millis(1999));
    assert!(raw.session.is_ready());
    raw.advance(Duration::from_millis(1));
    assert_eq!(raw.events(), ["Closed: the peer did not answer a ping"]);
    assert!(raw.session.link_finished());
}

/// [ping]: any frame is a sign of life.
#[test]
fn a_peer_that_speaks_is_not_pinged_and_one_that_answers_lives() {
    let mut raw = pinging();
    for _ in 0..10 {
        raw.advance(Duration::from_secs(4));
        raw.verb(200, Vec::new());
        assert!(raw.sent().is_empty());
    }
    raw.advance(Duration::from_secs(5));
    assert_eq!(raw.sent().len(), 1);
    raw.advance(Duration::from_secs(1));
    raw.verb(6, vec![0; 8]);
    raw.advance(Duration::from_secs(4));
    assert!(raw.session.is_ready());
}
