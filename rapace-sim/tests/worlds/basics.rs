//! A host and a plugin, with and without crashes.

use std::time::Duration;

use bytes::Bytes;
use rapace_session::Durations as _;
use rapace_sim::{Nanos, Program, What, When, World, WorldBuilder};
use rapace_testbed::TestbedClient;

use crate::testbed;

fn greeting() -> WorldBuilder {
    let host = Program::new().main(|host| async move {
        let images: TestbedClient = host.client("images");
        let sum = host.watch("add", images.add(1, 2)).await;
        assert_eq!(sum.expect("add"), 3);
        let data = Bytes::from(vec![7; 100]);
        let echoed = host.watch("echo", images.echo(data.clone())).await;
        assert_eq!(echoed.expect("echo"), data);
        let counted = images.count(5).await.expect("count");
        let items: Vec<u32> = futures_util::TryStreamExt::try_collect(counted)
            .await
            .expect("items");
        assert_eq!(items, [0, 1, 2, 3, 4]);
        let napped = host.watch("nap", images.nap(30)).await;
        assert_eq!(napped.expect("nap"), 30);
    });
    World::builder()
        .host("site", host)
        .plugin("images", testbed())
}

#[test]
fn a_calm_world_is_fine_and_its_trace_can_be_read() {
    let report = greeting().seed(1).trace(true).run();
    report.check();
    let trace = report.trace.as_ref().expect("it was asked for");
    println!(
        "{trace}{report:?}",
        report = (report.hash, report.steps, report.frames)
    );
    assert!(trace.to_string().contains("Testbed.add(1, 2)"));
}

#[test]
fn a_killed_plugin_comes_back() {
    let host = Program::new().main(|host| async move {
        let images: TestbedClient = host.client("images");
        let nap = host.watch("nap", images.nap(50)).await;
        assert!(nap.is_err(), "{nap:?}");
        let sum = host.watch("add", images.add(1, 2).deadline(1.secs())).await;
        assert_eq!(sum.expect("add"), 3);
        tokio::time::sleep(Duration::from_millis(5)).await;
    });
    let report = World::builder()
        .host("site", host)
        .plugin("images", testbed())
        .fault(
            When::At(Nanos::from_millis(20)),
            What::Kill {
                process: "images".into(),
            },
        )
        .trace(true)
        .run();
    report.check();
    println!("{}", report.trace.expect("asked for"));
}
