//! The host of the README holds with a plugin that is right, and fails with one that is not.

use rapace_sim::{LinkConfig, Oracle, Program, Report, World, WorldBuilder};

use super::{Sums, SumsServer, adds};

#[derive(Clone, Copy)]
enum Plugin {
    Right,
    AddsWrongly,
    Panics,
    NeverAnswers,
}

impl Sums for Plugin {
    async fn add(&self, a: i32, b: i32) -> i32 {
        match self {
            Plugin::Right => a + b,
            Plugin::AddsWrongly => a + b + 1,
            Plugin::Panics => panic!("as always"),
            Plugin::NeverAnswers => std::future::pending().await,
        }
    }
}

fn world(world: WorldBuilder, link: LinkConfig, plugin: Plugin) -> WorldBuilder {
    // Otherwise the world fails for the panic, whatever the example looks at.
    let plugin = Program::new()
        .serve(move || SumsServer::new(plugin))
        .may_panic("as always");
    world
        .host("host", Program::new().main(adds))
        .plugin_over("sums", link, plugin)
}

#[test]
fn the_readme_shows_this_example() {
    let readme = include_str!("../../../../README.md");
    let blocks = readme.split("```rust").skip(1);
    let blocks = blocks.filter_map(|block| block.split_once('\n')?.1.split("```").next());
    let shown: Vec<&str> = blocks
        .filter(|block| block.contains("rapace_sim::"))
        .collect();
    let [shown] = shown[..] else {
        panic!("one example of the simulator was expected: {shown:?}");
    };
    assert!(include_str!("../readme.rs").contains(shown), "{shown}");
}

// More seeds than a reader would try.

#[rapace_sim::test(seeds = 1_000)]
fn sums_are_right_in_the_end_over_a_socket(builder: WorldBuilder) -> WorldBuilder {
    world(builder, LinkConfig::stream(), Plugin::Right)
}

#[rapace_sim::test(seeds = 1_000)]
fn sums_are_right_in_the_end_over_shared_memory(builder: WorldBuilder) -> WorldBuilder {
    world(builder, LinkConfig::shm(), Plugin::Right)
}

#[rapace_sim::test(seeds = 1_000)]
fn sums_are_right_in_the_end_within_a_process(builder: WorldBuilder) -> WorldBuilder {
    world(builder, LinkConfig::mem(), Plugin::Right)
}

/// Without any fault, so that there is nothing else to find.
fn found(plugin: Plugin) -> Report {
    let report = world(World::builder(), LinkConfig::stream(), plugin).run();
    assert!(!report.is_ok(), "nothing was found");
    report
}

#[test]
fn a_wrong_sum_is_found() {
    let report = found(Plugin::AddsWrongly);
    assert_eq!(report.failures[0].oracle, Oracle::Assertion, "{report}");
}

#[test]
fn a_plugin_that_never_answers_is_found() {
    let report = found(Plugin::NeverAnswers);
    assert_eq!(report.failures[0].oracle, Oracle::Progress, "{report}");
}

#[test]
fn a_plugin_that_always_panics_is_found() {
    let report = found(Plugin::Panics);
    assert_eq!(report.failures[0].oracle, Oracle::Progress, "{report}");
}
