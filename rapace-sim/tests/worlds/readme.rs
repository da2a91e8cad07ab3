//! The example of the README, as it stands there, and what it holds and does not hold with.

use rapace::prelude::*;
use rapace_sim::{Process, Program, WorldBuilder};

#[rapace::service]
trait Sums {
    async fn add(&self, a: i32, b: i32) -> i32;
}

struct Adder;

impl Sums for Adder {
    async fn add(&self, a: i32, b: i32) -> i32 {
        a + b
    }
}

async fn adds(host: Process) {
    let plugin: SumsClient = host.client("sums"); // supervised, as in production
    for n in 0..20 {
        // A fault may cost a call, but not for ever, and never makes a wrong sum.
        let sum = loop {
            match plugin.add(n, 2).deadline(1.secs()).await {
                Ok(sum) => break sum,
                Err(_) => host.sleep(100.ms()).await,
            }
        };
        assert_eq!(sum, n + 2);
        host.sleep(100.ms()).await;
    }
}

#[rapace_sim::test(seeds = 200)]
fn sums_are_right_in_the_end(world: WorldBuilder) -> WorldBuilder {
    world
        .host("host", Program::new().main(adds))
        .plugin("sums", Program::new().serve(|| SumsServer::new(Adder)))
}

mod plugins;
