//! Processes that hang or are slow.

use rapace_sim::trace::{Happening, ProcessChange};
use rapace_sim::{Nanos, Program, Report, What, When, World};
use rapace_testbed::TestbedClient;

use crate::testbed;

/// A few calls, with this happening before one event of the plugin.
fn calls(n: u64, what: What) -> Report {
    let host = Program::new().main(|host| async move {
        let images: TestbedClient = host.client("images");
        for number in 0..3 {
            assert_eq!(images.add(number, 1).await.expect("add"), number + 1);
        }
    });
    let process = "images".to_owned();
    let world = World::builder()
        .host("site", host)
        .plugin("images", testbed())
        .fault(When::Event { process, n }, what)
        // Who asks for one event after the other comes to the end of them.
        .may_miss();
    let report = world.trace(true).run();
    report.check();
    report
}

#[test]
fn a_process_that_hangs_before_an_event_does_nothing_until_it_goes_on() {
    let span = Nanos::from_millis(10);
    let mut hangs = 0;
    loop {
        let hang = What::Hang {
            process: "images".into(),
            span,
        };
        let report = calls(hangs + 1, hang);
        let trace = report.trace.expect("it was asked for");
        let mut hung = None;
        let mut went_on = false;
        for event in &trace.events {
            match &event.what {
                Happening::Process { change, .. } if *change == ProcessChange::Hung => {
                    hung = Some(event.at);
                }
                Happening::Process { change, .. } if *change == ProcessChange::Resumed => {
                    assert_eq!(event.at, hung.take().expect("it hung") + span);
                    went_on = true;
                }
                Happening::Frame(frame) => {
                    assert!(hung.is_none() || frame.from != "images", "{trace}");
                }
                Happening::Process { process, .. } => {
                    assert!(hung.is_none() || process != "images", "{trace}");
                }
                _ => {}
            }
        }
        if !went_on {
            break;
        }
        hangs += 1;
    }
    assert!(hangs > 5, "only {hangs} events");
}

#[test]
fn a_slowed_process_is_slow_from_the_event_on_that_was_waited_for() {
    let slow = |n| {
        let what = What::Slow {
            process: "images".into(),
            each: Nanos::from_millis(5),
            span: Nanos::from_secs(1),
        };
        calls(n, what).virtual_time
    };
    // Nothing else happens in the first event's time, so that all of it is seen.
    assert_eq!(slow(1), slow(2) + Nanos::from_millis(5));
}
