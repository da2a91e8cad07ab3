//! The standard mixed world of a seed: what the simulator sweeps when nobody says otherwise.
//!
//! A host and two or three plugins on mixed transports with limits that the seed draws. Workers of
//! the host make unary calls, streams both ways, tunnels, nested callbacks, cancellations and calls
//! with deadlines; the seed's faults happen meanwhile. Every answer is checked. Once the faults are
//! over each plugin must answer again.
//!
//! | module | owns |
//! |---|---|
//! | here | the shape of the world |
//! | `service` | what plugins serve beside the testbed, and what is known of it all over the world |
//! | [`fuzz_bodies`] | what the fuzzer does with it |
//! | `work` | what workers do, and what may come of it |

pub mod fuzz_bodies;
mod service;
mod work;

use std::time::Duration;

use rapace_session::Limits;
use rapace_testbed::{Subject, TestbedServer};

use crate::draw::{Draws, Purpose};
use crate::fault::FaultKind;
use crate::link::{LinkConfig, LinkKind};
use crate::plan::{Cast, CastLink, Plan};
use crate::process::Process;
use crate::program::Program;
use crate::shm::ShmShape;
use crate::time::Nanos;
use crate::world::{World, WorldBuilder};
use service::{BouncerServer, Bouncing, Known};
use work::{Orders, Weather};

/// The standard world of a seed with the faults that the seed draws.
pub fn world(seed: u64) -> WorldBuilder {
    drawn(seed, Shape::draw(seed))
}

/// As [`world`], with links of this kind only.
pub fn world_over(seed: u64, kind: LinkKind) -> WorldBuilder {
    let mut shape = Shape::draw(seed);
    for plugin in &mut shape.plugins {
        plugin.link.kind = kind;
    }
    drawn(seed, shape)
}

/// A world of this shape with faults that it can have.
fn drawn(seed: u64, shape: Shape) -> WorldBuilder {
    let plan = Plan::swarm(seed, &shape.cast());
    shaped(shape, plan)
}

/// The standard world of the plan's seed with the plan's faults.
pub fn with_plan(plan: Plan) -> WorldBuilder {
    shaped(Shape::draw(plan.seed), plan)
}

fn shaped(mut shape: Shape, plan: Plan) -> WorldBuilder {
    let drawn = Plan::swarm(plan.seed, &shape.cast());
    let has = |kind: FaultKind| plan.has(kind) || drawn.has(kind);
    if has(FaultKind::CutHalf) || has(FaultKind::Corrupt) {
        // A link that is dead and that nobody hears of is found by pings alone. Elsewhere they are
        // the exception: they would wake who should have been woken by something else.
        shape.limits.ping_interval = Some(PING_INTERVAL);
    }
    let known = Known::default();
    let plugins = shape.plugins.iter().map(|one| one.name.to_owned());
    let orders = Orders {
        plugins: plugins.collect(),
        workers: shape.workers,
        window_bytes: shape.limits.window_bytes,
        weather: Weather::of(&plan, &drawn, shape.retiring),
        plan: plan.clone(),
        known: known.clone(),
    };
    let main = move |host: Process| {
        // The same world may run several times.
        orders.known.forget();
        work::main(host, orders.clone())
    };
    let program = || {
        Program::new()
            .limits(shape.limits.clone())
            .may_panic(work::BOOM)
            .serve(|| TestbedServer::new(Subject))
            .serve_with({
                let known = known.clone();
                move |process| BouncerServer::new(Bouncing::new(process, known.clone()))
            })
    };
    let mut world = World::builder()
        .host("host", program().main(main))
        .horizon(Cast::standard().horizon)
        .deadline(Nanos::from_secs(900));
    for plugin in &shape.plugins {
        world = world.plugin_over(plugin.name, plugin.link.clone(), program());
    }
    world.plan(plan)
}

/// What workers send is shorter than this, with all that stands around it.
const PAYLOAD_BYTES_MAX: u32 = 64 << 10;

const PING_INTERVAL: Duration = Duration::from_secs(2);

struct Shape {
    plugins: Vec<PluginShape>,
    /// Plugins end their sessions in good order now and then.
    retiring: bool,
    limits: Limits,
    workers: u64,
}

struct PluginShape {
    name: &'static str,
    link: LinkConfig,
}

impl Shape {
    /// Whom faults can hit in this world.
    fn cast(&self) -> Cast {
        let links = self.plugins.iter().map(|plugin| CastLink {
            name: plugin.name.to_owned(),
            ends: ["host".to_owned(), plugin.name.to_owned()],
            kind: Some(plugin.link.kind),
        });
        let processes = self.plugins.iter().map(|plugin| plugin.name.to_owned());
        Cast {
            processes: processes.collect(),
            links: links.collect(),
            ..Cast::standard()
        }
    }

    fn draw(seed: u64) -> Self {
        let mut draws = Draws::new(seed, Purpose::World, 0);
        let names = &["a", "b", "c"][..draws.within(2, 3) as usize];
        let plugins = names.iter().map(|name| PluginShape {
            name,
            link: LinkConfig {
                kind: *draws.pick(LinkKind::MIXED),
                latency: Nanos(*draws.pick(&[0, 1_000, 20_000, 300_000])),
                jitter: Nanos(*draws.pick(&[0, 5_000, 100_000])),
                window_bytes: *draws.pick(&[300, 4 << 10, 208 << 10, 208 << 10]),
                short_io: draws.chance(2, 3),
                shm: ShmShape::draw(seed, u64::from(name.as_bytes()[0]), PAYLOAD_BYTES_MAX),
            },
        });
        let plugins = plugins.collect();
        let limits = Limits {
            window_bytes: *draws.pick(&[64, 1 << 10, 16 << 10, 1 << 20]),
            max_pending_calls: *draws.pick(&[3, 4_096, 4_096]),
            send_queue_bytes: *draws.pick(&[1 << 10, 1 << 20]),
            ping_interval: draws.chance(1, 4).then_some(PING_INTERVAL),
            ping_timeout: Duration::from_secs(4),
            ..Limits::default()
        };
        Shape {
            plugins,
            limits,
            workers: draws.within(1, 4),
            retiring: draws.chance(1, 3),
        }
    }
}
