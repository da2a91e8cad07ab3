//! Random interleavings of two honest sessions: commands, frames, time, a link that narrows and
//! breaks. A model that knows only what the user of each session knows is the oracle.

mod model;

use std::time::Duration;

use proptest::prelude::*;
use rapace_core::control::Features;
use rapace_core::session::{Config, GoAwayReason, LinkEnd, Role};

use crate::pair::methods::METHODS;
use crate::pair::{Side, config};
use model::World;

/// One step of a run. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    /// Method, deadline in ms (0 none), with metadata, oneway.
    Call(Side, usize, u64, bool, bool),
    OpenPort(Side, usize),
    /// Which, length, with EOS.
    Send(Side, usize, usize, bool),
    Eos(Side, usize),
    /// Which call, with an error.
    Respond(Side, usize, bool),
    CancelCall(Side, usize),
    CancelPort(Side, usize),
    /// Reads what has come in on one port.
    Consume(Side, usize),
    Reject(Side, usize),
    Transmit(Side, usize),
    Deliver(Side, usize),
    Capacity(Side, usize),
    Ping(Side),
    Time(u64),
    GoAway(Side),
    Close(Side),
    Cut(bool),
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::A), Just(Side::B)]
}

fn step(ending: bool) -> impl Strategy<Value = Step> {
    let which = 0..64_usize;
    let len = prop_oneof![
        Just(0_usize),
        1..40_usize,
        Just(999),
        Just(1000),
        Just(1001),
        Just(3000)
    ];
    let deadline = prop_oneof![3 => Just(0_u64), 1 => 1..50_u64];
    // A run that is not to end pings instead.
    let rare = move |step: Step| if ending { step } else { Step::Ping(Side::A) };
    prop_oneof![
        12 => (side(), 0..METHODS.len(), deadline, prop::bool::weighted(0.2), prop::bool::weighted(0.1))
            .prop_map(|(s, m, d, md, o)| Step::Call(s, m, d, md, o)),
        10 => (side(), which.clone()).prop_map(|(s, n)| Step::OpenPort(s, n)),
        20 => (side(), which.clone(), len, prop::bool::weighted(0.1))
            .prop_map(|(s, n, l, e)| Step::Send(s, n, l, e)),
        4 => (side(), which.clone()).prop_map(|(s, n)| Step::Eos(s, n)),
        10 => (side(), which.clone(), prop::bool::weighted(0.2))
            .prop_map(|(s, n, e)| Step::Respond(s, n, e)),
        3 => (side(), which.clone()).prop_map(|(s, n)| Step::CancelCall(s, n)),
        3 => (side(), which.clone()).prop_map(|(s, n)| Step::CancelPort(s, n)),
        10 => (side(), which.clone()).prop_map(|(s, n)| Step::Consume(s, n)),
        1 => (side(), which).prop_map(|(s, n)| Step::Reject(s, n)),
        20 => (side(), 1..20_usize).prop_map(|(s, n)| Step::Transmit(s, n)),
        20 => (side(), 1..20_usize).prop_map(|(s, n)| Step::Deliver(s, n)),
        2 => (side(), 0..30_usize).prop_map(|(s, n)| Step::Capacity(s, n)),
        1 => side().prop_map(Step::Ping),
        5 => (0..30_u64).prop_map(Step::Time),
        1 => side().prop_map(move |s| rare(Step::GoAway(s))),
        1 => side().prop_map(move |s| rare(Step::Close(s))),
        1 => any::<bool>().prop_map(move |died| rare(Step::Cut(died))),
    ]
}

impl World {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Call(side, method, deadline, metadata, oneway) => {
                let method = METHODS[method];
                let deadline = (deadline > 0).then(|| Duration::from_millis(deadline));
                self.call(side, method, deadline, metadata, oneway);
            }
            Step::OpenPort(side, n) => self.open_port(side, n),
            Step::Send(side, n, len, eos) => self.send(side, n, len, eos),
            Step::Eos(side, n) => self.eos(side, n),
            Step::Respond(side, n, error) => self.respond(side, n, error),
            Step::CancelCall(side, n) => self.cancel_call(side, n),
            Step::CancelPort(side, n) => self.cancel_port(side, n),
            Step::Consume(side, n) => self.consume(side, n),
            Step::Reject(side, n) => self.reject(side, n),
            Step::Transmit(side, n) => {
                self.pair.transmit(side, n);
            }
            Step::Deliver(side, n) => {
                self.pair.deliver(side, n);
            }
            Step::Capacity(side, n) => self.pair.end(side).capacity = n,
            Step::Ping(side) => {
                let now = self.pair.now;
                self.pair.session(side).ping(now, [1; 8]);
            }
            Step::Time(millis) => {
                self.pair.now = self.pair.now + Duration::from_millis(millis);
                self.pair.fire();
            }
            Step::GoAway(side) => {
                let now = self.pair.now;
                let session = self.pair.session(side);
                session.go_away(now, GoAwayReason::Shutdown, "random");
                self.ending = true;
            }
            Step::Close(side) => {
                let now = self.pair.now;
                self.pair.session(side).close(now, "");
                self.ending = true;
            }
            Step::Cut(died) => {
                let end = if died {
                    LinkEnd::Died("killed".into())
                } else {
                    LinkEnd::Closed
                };
                self.pair.cut(&end);
                self.ending = true;
            }
        }
        self.look();
    }
}

/// What a side lacks.
fn features() -> impl Strategy<Value = u64> {
    let without = |bits: Features| Features::all().0 & !bits.0;
    prop_oneof![
        4 => Just(Features::all().0),
        1 => Just(without(Features::IMPLICIT_OPEN)),
        1 => Just(without(Features::CREDIT_FLOW_CONTROL)),
        1 => Just(without(Features::RAPACE_PING)),
        1 => Just(Features::required().0),
    ]
}

/// What differs between the runs of one side.
#[derive(Clone, Debug)]
struct Setup {
    features: u64,
    window: u32,
    channels: u32,
    calls: u32,
}

fn setup() -> impl Strategy<Value = Setup> {
    let window = prop_oneof![Just(1_u32), Just(50), Just(1000), Just(1 << 20)];
    let channels = prop_oneof![Just(3_u32), Just(10), Just(1000)];
    let calls = prop_oneof![Just(1_u32), Just(4), Just(1000)];
    (features(), window, channels, calls).prop_map(|(features, window, channels, calls)| Setup {
        features,
        window,
        channels,
        calls,
    })
}

fn build(role: Role, setup: &Setup) -> Config {
    let mut config = config(role);
    config.features = Features(setup.features);
    config.limits.window_bytes = setup.window;
    config.limits.max_channels = setup.channels;
    config.limits.max_pending_calls = setup.calls;
    config.limits.send_queue_bytes = 5000;
    config
}

fn run(a: &Setup, b: &Setup, grants: bool, rejecting: bool, steps: &[Step]) {
    let a = build(Role::Initiator, a);
    let b = build(Role::Acceptor, b);
    let mut world = World::new(a, b, grants, rejecting);
    for step in steps {
        world.step(step);
    }
    world.quiet();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn honest_sessions_never_accuse_each_other(
        a in setup(),
        b in setup(),
        grants in any::<bool>(),
        rejecting in prop::bool::weighted(0.2),
        steps in prop::collection::vec(step(false), 1..300),
    ) {
        run(&a, &b, grants, rejecting, &steps);
    }

    #[test]
    fn however_it_ends_every_call_ends_once(
        a in setup(),
        b in setup(),
        steps in prop::collection::vec(step(true), 1..200),
    ) {
        run(&a, &b, false, false, &steps);
    }
}
