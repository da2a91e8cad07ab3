//! What the state machine alone costs: no I/O, no encoding of arguments, no futures.
//!
//! `cargo run --release -p rapace-core --example core_cost`
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rapace_core::session::{
    Config, Direction, Event, Features, Limits, MethodTable, OpenCall, PortDecl, PortKind,
    Response, Role, ServedMethod, Session,
};
use rapace_core::{ChannelId, DeadlineForm, Frame, Metadata, MethodId, Payload, Time};

const UNARY: MethodId = MethodId(1);
const COUNT: MethodId = MethodId(2);
const ITEMS: PortDecl = PortDecl {
    port: 101,
    kind: PortKind::Stream,
    direction: Direction::ServerToClient,
    required: true,
};

fn session(role: Role) -> Session {
    let served = |id: MethodId, ports| ServedMethod {
        id,
        name: format!("Cost.m{}", id.0),
        sig_hash: [0; 32],
        ports,
    };
    let methods: MethodTable = [served(UNARY, vec![]), served(COUNT, vec![ITEMS])]
        .into_iter()
        .collect();
    let config = Config {
        role,
        limits: Limits::default(),
        deadline_form: DeadlineForm::Remaining,
        epoch: 1,
        peer_name: None,
        methods: Arc::new(methods),
        features: Features::all(),
    };
    Session::new(config, Time::ZERO)
}

fn forward(from: &mut Session, to: &mut Session, now: Time) {
    while let Some(Frame { desc, payload }) = from.poll_transmit(now) {
        to.handle_frame(now, Frame { desc, payload });
    }
}

fn call(method_id: MethodId, ports: &'static [PortDecl]) -> OpenCall {
    OpenCall {
        method_id,
        payload: Payload::copy_from_slice(&[1; 8]),
        metadata: Metadata::default(),
        deadline: None,
        oneway: false,
        ports,
    }
}

fn open(session: &mut Session, now: Time, call: OpenCall) -> ChannelId {
    match session.open_call(now, call) {
        Ok(channel) => channel,
        Err((why, _)) => panic!("{why:?}"),
    }
}

/// Nanoseconds for one of `n`.
fn each(started: Instant, n: u64) -> f64 {
    started.elapsed().as_nanos() as f64 / n as f64
}

fn unary(a: &mut Session, b: &mut Session, in_flight: u64, deadline: bool) -> f64 {
    let body = Bytes::from_static(&[0, 0, 0, 0, 1, 4, 1, 2, 3, 4]);
    let rounds = 3_000_000 / in_flight;
    let started = Instant::now();
    for round in 0..rounds {
        let now = Time::from_nanos(round);
        for _ in 0..in_flight {
            let mut call = call(UNARY, &[]);
            call.deadline = deadline.then(|| Time::from_nanos(round + 1_000_000_000));
            open(a, now, call);
        }
        forward(a, b, now);
        while let Some(event) = b.poll_event() {
            if let Event::Request { channel, .. } = event {
                let payload = Payload::from(body.clone());
                let error = false;
                b.respond(now, channel, Response { payload, error });
            }
        }
        forward(b, a, now);
        let mut done = 0;
        while let Some(event) = a.poll_event() {
            done += u64::from(matches!(event, Event::CallDone { .. }));
        }
        assert_eq!(done, in_flight);
    }
    each(started, rounds * in_flight)
}

fn items(a: &mut Session, b: &mut Session) -> f64 {
    let now = Time::ZERO;
    let call = open(a, now, call(COUNT, const { &[ITEMS] }));
    forward(a, b, now);
    while b.poll_event().is_some() {}
    let Ok(stream) = b.open_port(now, call, 101) else {
        panic!("the port does not open");
    };
    let rounds = 100_000;
    let batch = 64;
    let started = Instant::now();
    for _ in 0..rounds {
        for _ in 0..batch {
            let item = Payload::copy_from_slice(&[7; 8]);
            assert!(b.send_data(stream, item, false).is_ok());
        }
        forward(b, a, now);
        let mut bytes = 0;
        while let Some(event) = a.poll_event() {
            if let Event::Data { payload, .. } = event {
                bytes += payload.len() as u32;
            }
        }
        a.consumed(stream, bytes);
        forward(a, b, now);
    }
    each(started, rounds * batch)
}

fn main() {
    let mut a = session(Role::Initiator);
    let mut b = session(Role::Acceptor);
    forward(&mut a, &mut b, Time::ZERO);
    forward(&mut b, &mut a, Time::ZERO);
    while a.poll_event().is_some() || b.poll_event().is_some() {}

    println!(
        "bytes: Frame {}, Event {}",
        size_of::<Frame>(),
        size_of::<Event>()
    );
    for _ in 0..3 {
        let one = unary(&mut a, &mut b, 1, false);
        let many = unary(&mut a, &mut b, 64, false);
        let timed = unary(&mut a, &mut b, 64, true);
        println!(
            "unary call, both sides: {one:.0} ns alone, {many:.0} ns of 64, {timed:.0} ns of 64 with a deadline"
        );
        println!("stream item, both sides: {:.0} ns", items(&mut a, &mut b));
    }
}
