//! Credit (PROTOCOL §7, [credit], [credit.item]) and the queue towards the link.

use std::time::Duration;

use rapace_core::control::Features;
use rapace_core::session::{Config, Role};
use rapace_core::{ChannelId, Descriptor, Flags, MethodId, Payload};

use crate::pair::methods::{COUNT, PIPE, SUM, UNARY};
use crate::pair::{Pair, Raw, Side, call, config, raw};

/// A stream from A to B, and the events so far forgotten.
fn stream(pair: &mut Pair) -> ChannelId {
    let call = pair.call(Side::A, SUM);
    let stream = pair.open_port(Side::A, call, 1);
    pair.run();
    pair.events(Side::B);
    stream
}

fn without_windows(role: Role) -> Config {
    let mut config = config(role);
    config.features = Features(Features::all().0 & !Features::CREDIT_FLOW_CONTROL.0);
    config
}

/// [hello.params]: with a window in both Hellos the first bytes need no grant.
#[test]
fn with_windows_in_both_hellos_a_stream_sends_at_once() {
    let mut pair = Pair::ready();
    let stream = stream(&mut pair);
    assert_eq!(pair.a.session.send_credit(stream), Some(1000));
    pair.send(Side::A, stream, 600).expect("sent");
    pair.send(Side::A, stream, 400).expect("sent");
    assert_eq!(pair.send(Side::A, stream, 1), Err("Credit".to_owned()));
    pair.send(Side::A, stream, 0)
        .expect("empty items cost nothing");
    pair.run();
    assert_eq!(
        pair.events(Side::B),
        ["Data #3 600B", "Data #3 400B", "Data #3 0B"]
    );
}

/// [credit]: the opener starts at 0 and waits for a grant, which comes by itself.
#[test]
fn without_windows_the_opener_waits_for_a_grant() {
    let mut plain = raw::hello(Role::Initiator);
    plain.params.clear();
    let mut raw = Raw::ready(config(Role::Acceptor), &plain);
    raw.request(1, SUM);
    raw.open_stream(3, 1, 1);
    assert_eq!(raw.sent(), ["Grant #3 +1000"]);
    raw.data(3, 1000);
    assert!(raw.session.is_ready());
    raw.request(5, COUNT);
    let down = raw
        .session
        .open_port(raw.now, ChannelId(5), 101)
        .expect("opens");
    assert_eq!(raw.session.send_credit(down), Some(0));
    let item = Payload::copy_from_slice(b"x");
    assert!(raw.session.send_data(down, item, false).is_err());
    raw.events();
    raw.grant(down.0, 10);
    raw.grant(down.0, 20);
    assert_eq!(
        raw.session.send_credit(down),
        Some(30),
        "credit is additive"
    );
    assert_eq!(raw.events(), [format!("Writable {down:?}")]);
}

/// [credit]: initial_credits is what the opener lets the other side send.
#[test]
fn initial_credits_of_a_tunnel_count_for_the_other_side() {
    let mut plain = raw::hello(Role::Initiator);
    plain.params.clear();
    let mut raw = Raw::ready(config(Role::Acceptor), &plain);
    raw.request(1, PIPE);
    raw.open_tunnel(3, 1, 1, 77);
    assert_eq!(raw.session.send_credit(ChannelId(3)), Some(77));
    assert_eq!(raw.sent(), ["Grant #3 +1000"]);

    let mut plain = raw::hello(Role::Acceptor);
    plain.params.clear();
    let mut raw = Raw::ready(config(Role::Initiator), &plain);
    raw.session.open_call(raw.now, call(PIPE)).expect("opens");
    let tunnel = raw
        .session
        .open_port(raw.now, ChannelId(1), 1)
        .expect("opens");
    assert_eq!(raw.sent()[1], "Open #3 Tunnel of #1 port 1 Bidir +1000");
    assert_eq!(raw.session.send_credit(tunnel), Some(0));
    raw.data(tunnel.0, 1000);
    assert!(raw.session.is_ready());
    raw.data(tunnel.0, 1);
    assert!(!raw.session.is_ready());
}

/// [credit]
#[test]
fn sending_beyond_credit_ends_the_connection() {
    let mut raw = Raw::acceptor();
    raw.request(1, SUM);
    raw.open_stream(3, 1, 1);
    raw.data(3, 999);
    raw.events();
    raw.data(3, 2);
    assert_eq!(raw.sent(), ["GoAway ProtocolError last #3: credit overrun"]);
    assert!(raw.session.link_finished());
    let events = raw.events();
    assert_eq!(
        events.last().expect("events"),
        "Closed: the peer broke the protocol: credit overrun"
    );
}

/// [credit]: consumed bytes are granted back at half a window, or a little later.
#[test]
fn consumed_bytes_are_granted_back() {
    let mut pair = Pair::ready();
    let stream = stream(&mut pair);
    pair.send(Side::A, stream, 700).expect("sent");
    pair.run();
    pair.b.session.consumed(stream, 499);
    assert!(!pair.b.session.has_transmit());
    pair.b.session.consumed(stream, 1);
    pair.run();
    assert_eq!(pair.a.session.send_credit(stream), Some(800));
    pair.b.session.consumed(stream, 200);
    pair.run();
    assert_eq!(pair.a.session.send_credit(stream), Some(800));
    pair.advance(Duration::from_millis(5));
    assert_eq!(pair.a.session.send_credit(stream), Some(1000));
    assert_eq!(pair.b.session.poll_timeout(), None);
}

/// A reader that claims more than it got grants nothing for it.
#[test]
fn only_what_was_received_is_granted_back() {
    let mut pair = Pair::ready();
    let stream = stream(&mut pair);
    pair.send(Side::A, stream, 100).expect("sent");
    pair.run();
    pair.b.session.consumed(stream, 5000);
    pair.advance(Duration::from_millis(5));
    assert_eq!(pair.a.session.send_credit(stream), Some(1000));
}

/// [credit]: a blocked sender is told once.
#[test]
fn a_blocked_sender_is_told_when_credit_comes() {
    let mut pair = Pair::ready();
    let stream = stream(&mut pair);
    pair.send(Side::A, stream, 1000).expect("sent");
    pair.send(Side::A, stream, 1).expect_err("no credit");
    pair.run();
    assert!(pair.events(Side::A).is_empty());
    pair.b.session.consumed(stream, 1000);
    pair.run();
    assert_eq!(pair.events(Side::A), ["Writable #3"]);
    pair.send(Side::A, stream, 1).expect("sent");
}

/// [credit.item]: an item larger than the window goes whenever there is any credit; the balance
/// goes negative and comes back.
#[test]
fn an_item_larger_than_the_window_does_not_deadlock() {
    let mut pair = Pair::ready();
    let stream = stream(&mut pair);
    pair.send(Side::A, stream, 900).expect("sent");
    assert!(
        pair.send(Side::A, stream, 1000).is_err(),
        "fits the window: waits"
    );
    pair.send(Side::A, stream, 5000)
        .expect("larger than the window");
    assert_eq!(pair.a.session.send_credit(stream), Some(-4900));
    assert!(
        pair.send(Side::A, stream, 5000).is_err(),
        "not while the balance is negative"
    );
    pair.run();
    assert_eq!(pair.events(Side::B), ["Data #3 900B", "Data #3 5000B"]);
    pair.b.session.consumed(stream, 900);
    pair.run();
    assert_eq!(pair.a.session.send_credit(stream), Some(-4000));
    pair.b.session.consumed(stream, 4000);
    pair.run();
    assert_eq!(pair.a.session.send_credit(stream), Some(0));
    pair.b.session.consumed(stream, 1000);
    pair.run();
    assert_eq!(pair.a.session.send_credit(stream), Some(1000));
}

/// [credit.item]: seen by the receiver.
#[test]
fn the_receiver_allows_overdraft_only_for_items_larger_than_the_window() {
    let mut raw = Raw::acceptor();
    raw.request(1, SUM);
    raw.open_stream(3, 1, 1);
    raw.data(3, 999);
    raw.data(3, 1001);
    assert!(raw.session.is_ready());
    raw.data(3, 1001);
    assert!(!raw.session.is_ready(), "no credit is left");
    // A tunnel has no items.
    let mut raw = Raw::acceptor();
    raw.request(1, PIPE);
    raw.open_tunnel(3, 1, 1, 0);
    raw.data(3, 1001);
    assert!(!raw.session.is_ready());
}

/// [tunnel], [frame.flags]: grants ride on frames of the other direction.
#[test]
fn credit_rides_on_data_of_a_tunnel() {
    let mut pair = Pair::ready();
    let call = pair.call(Side::A, PIPE);
    let tunnel = pair.open_port(Side::A, call, 1);
    pair.send(Side::A, tunnel, 300).expect("sent");
    pair.run();
    pair.b.session.consumed(tunnel, 300);
    pair.send(Side::B, tunnel, 5).expect("sent");
    pair.transmit(Side::B, usize::MAX);
    let lines: Vec<String> = pair.b.wire.iter().map(crate::pair::text::frame).collect();
    assert_eq!(lines, ["Data #3 5B +300"]);
    pair.run();
    assert_eq!(pair.a.session.send_credit(tunnel), Some(1000));
    assert_eq!(pair.send(Side::A, tunnel, 1001), Err("Credit".to_owned()));
}

/// [frame.flags]: CREDITS may stand on any frame, with data and alone.
#[test]
fn credit_on_any_frame_counts() {
    let mut raw = Raw::acceptor();
    raw.request(1, PIPE);
    raw.open_tunnel(3, 1, 1, 0);
    for (flags, len) in [(Flags::DATA, 2), (Flags::empty(), 0), (Flags::EOS, 0)] {
        let mut desc = Descriptor::new(ChannelId(3), MethodId::NONE, flags | Flags::CREDITS);
        desc.credit_grant = 10;
        raw.frame(desc, vec![7; len]);
    }
    assert_eq!(raw.session.send_credit(ChannelId(3)), Some(1030));
}

/// [credit]: grants of a hostile peer overflow nothing.
#[test]
fn endless_grants_overflow_nothing() {
    let mut raw = Raw::initiator();
    raw.session.open_call(raw.now, call(SUM)).expect("opens");
    let stream = raw
        .session
        .open_port(raw.now, ChannelId(1), 1)
        .expect("opens");
    for _ in 0..100 {
        raw.grant(stream.0, u32::MAX);
    }
    assert_eq!(
        raw.session.send_credit(stream),
        Some(1000 + 100 * i64::from(u32::MAX))
    );
}

/// [credit]: without the feature it is unlimited, and a full buffer costs the channel.
#[test]
fn without_flow_control_a_full_buffer_cancels_the_channel() {
    let mut small = without_windows(Role::Acceptor);
    small.limits.channel_buffer_bytes = 1000;
    let mut raw = Raw::ready(small, &raw::hello(Role::Initiator));
    raw.request(1, SUM);
    raw.open_stream(3, 1, 1);
    raw.events();
    raw.data(3, 600);
    raw.data(3, 400);
    raw.session.consumed(ChannelId(3), 500);
    raw.data(3, 500);
    assert!(raw.sent().is_empty());
    raw.data(3, 1);
    assert_eq!(
        raw.sent(),
        ["Cancel #3 ResourceExhausted", "Response #1 CANCELLED error"]
    );
    assert_eq!(
        raw.events()[3..],
        ["PortClosed #3 Local", "RequestCancelled #1 Local"]
    );
    assert!(raw.session.is_ready());
}

/// [credit]: the sender without flow control is held back by the link alone.
#[test]
fn without_flow_control_the_sender_never_waits_for_credit() {
    let mut pair = Pair::with(config(Role::Initiator), without_windows(Role::Acceptor));
    let stream = stream(&mut pair);
    for _ in 0..100 {
        pair.send(Side::A, stream, 1000).expect("sent");
    }
    pair.run();
    assert_eq!(pair.events(Side::B).len(), 100);
    pair.b.session.consumed(stream, 100_000);
    pair.run();
    assert_eq!(pair.b.session.poll_timeout(), None);
}

/// Row 4 of the field's failures.
#[test]
fn row_04_one_unread_stream_does_not_block_others() {
    let mut pair = Pair::ready();
    let unread = stream(&mut pair);
    let read = stream(&mut pair);
    while pair.send(Side::A, unread, 100).is_ok() {}
    pair.run();
    for _ in 0..1000 {
        pair.send(Side::A, read, 100).expect("has its own credit");
        let call = pair.call(Side::A, UNARY);
        pair.run();
        pair.b.session.consumed(read, 100);
        assert!(pair.respond(Side::B, call, b""));
        pair.run();
    }
    let done = pair.events(Side::A);
    assert_eq!(
        done.iter().filter(|line| line.ends_with(" OK")).count(),
        1000
    );
    assert_eq!(pair.send(Side::A, unread, 100), Err("Credit".to_owned()));
}

/// Row 10 of the field's failures, the part of the session: a full link is backpressure.
#[test]
fn row_10_a_full_link_holds_senders_back_and_lets_them_go_again() {
    let mut narrow = config(Role::Initiator);
    narrow.limits.send_queue_bytes = 10_000;
    narrow.limits.window_bytes = 1 << 20;
    let mut wide = config(Role::Acceptor);
    wide.limits.window_bytes = 1 << 20;
    let mut pair = Pair::with(narrow, wide);
    let stream = stream(&mut pair);
    pair.a.capacity = 0;
    let mut queued = 0;
    while pair.send(Side::A, stream, 1000).is_ok() {
        queued += 1;
    }
    assert_eq!(queued, 10);
    assert!(pair.a.session.is_congested());
    pair.run();
    assert!(pair.events(Side::A).is_empty());
    pair.a.capacity = usize::MAX;
    pair.run();
    assert_eq!(pair.events(Side::A), ["Uncongested"]);
    assert!(!pair.a.session.is_congested());
    assert_eq!(pair.events(Side::B).len(), 10);
}
