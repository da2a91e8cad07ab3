//! Processes that hang or are slow.

use std::time::Duration;

use rapace_sim::trace::{Happening, ProcessChange};
use rapace_sim::{DoorbellEffect, LinkConfig, LinkKind, Nanos, Program, Report, What, When, World};
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

/// A plan that was written by hand may say any number.
#[test]
fn a_fault_may_last_for_ever() {
    let ever = Nanos(u64::MAX);
    let (process, link) = (|| "images".to_owned(), || "images".to_owned());
    for config in [LinkConfig::stream(), LinkConfig::shm()] {
        let mut faults = vec![
            What::Hang {
                process: process(),
                span: ever,
            },
            What::Slow {
                process: process(),
                each: ever,
                span: ever,
            },
            What::Restart {
                process: process(),
                after: ever,
            },
            What::ClockSkew {
                process: process(),
                ahead: ever,
            },
            What::Freeze {
                link: link(),
                span: ever,
            },
            What::Latency {
                link: link(),
                latency: ever,
            },
            What::Exhaust {
                link: link(),
                span: ever,
            },
        ];
        if config.kind == LinkKind::Shm {
            let effects = [DoorbellEffect::Coalesce, DoorbellEffect::Delay(ever)];
            faults.extend(effects.map(|effect| What::Doorbell {
                link: link(),
                effect,
                span: ever,
            }));
        }
        for what in faults {
            let host = Program::new().main(|host| async move {
                let images: TestbedClient = host.client("images");
                tokio::time::sleep(Duration::from_millis(2)).await;
                let call = images.add(1, 1).deadline(Duration::from_millis(50));
                // Whether there is an answer depends on the fault; that there is an end does not.
                let _ = call.await;
            });
            let world = World::builder()
                .host("site", host)
                .plugin_over("images", config.clone(), testbed())
                .fault(When::At(Nanos::from_millis(1)), what.clone())
                .fault(When::At(Nanos::from_millis(1)), what);
            let report = world.run();
            assert!(!report.hit.is_empty(), "{report}");
        }
    }
}
