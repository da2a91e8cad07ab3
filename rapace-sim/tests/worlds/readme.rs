//! The example of the README: it holds with a plugin that is right, and fails with one that is not.

use rapace_session::Durations as _;
use rapace_sim::{LinkConfig, Oracle, Program, Report, World, WorldBuilder};

#[rapace_macros::service(crate = "rapace_session")]
trait Sums {
    async fn add(&self, a: i32, b: i32) -> i32;
}

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
    let host = Program::new().main(|host| async move {
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
    });
    // Otherwise the world fails for the panic, whatever the example looks at.
    let plugin = Program::new()
        .serve(move || SumsServer::new(plugin))
        .may_panic("as always");
    world.host("host", host).plugin_over("sums", link, plugin)
}

#[test]
fn the_readme_shows_this_host() {
    let flush_left = |text: &str| -> String { text.lines().map(str::trim_start).collect() };
    let readme = include_str!("../../../README.md");
    let from = readme.find("let host = Program::new()");
    let shown = from.and_then(|from| readme[from..].split("world\n").next());
    let shown = flush_left(shown.expect("there is an example"));
    let this = flush_left(include_str!("readme.rs"));
    assert!(this.matches(&*shown).count() == 1, "{shown}");
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
