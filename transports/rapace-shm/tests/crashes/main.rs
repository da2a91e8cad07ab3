//! Every moment at which a process can die, and everything that its partner may then find.
//!
//! One end is the victim. Each store of it, each ring of a bell and each control message is an
//! event; a script is run again for every event, and the victim dies right after it. What it stored
//! up to its last store with release order is there; of what it stored after that, any subset may
//! be: the script is run for every one of these, too. (A killed process leaves all its stores. The
//! compiler may have moved the relaxed ones.) Then the survivor is asked:
//!
//! - what it received is what was sent, in order, and all of it that was published
//! - its link ends with a typed error, which it sees without being asked twice
//! - all its memory is there again when it drops its end; what it still borrows stays readable
//!
//! The same with planted flaws, which must be caught.

#[path = "../ends/mod.rs"]
mod ends;
mod recorded;
mod world;

use recorded::Flaw;
use world::{Step, World};

use Step::{
    Close, DropReceived, Receive, Send, SurvivorDropsReceived, SurvivorReceives, SurvivorSends,
};

/// Runs the script for every event and every subset. Says how many states the survivor was put
/// into, or what was wrong with one of them.
fn enumerate(flaw: Flaw, script: &[Step]) -> Result<u64, String> {
    let mut states = 0;
    for left in 0.. {
        let mut subset = 0;
        let (finished, subsets) = loop {
            let place = |what: String| format!("{what} (event {left}, subset {subset:b})");
            let mut world = World::new(flaw, left);
            world.run(script).map_err(place)?;
            let finished = !world.dead();
            let units = world.process.lock().unwrap().unreleased.len();
            assert!(
                units <= 13,
                "{units} unreleased stores are too many subsets"
            );
            world.process.lock().unwrap().dead = true;
            world.bury(subset);
            world.check().map_err(place)?;
            states += 1;
            subset += 1;
            if subset == 1 << units {
                break (finished, subset);
            }
        };
        assert!(subsets > 0);
        if finished {
            return Ok(states);
        }
    }
    unreachable!("some event is the last one")
}

const SCRIPTS: [(&str, &[Step]); 6] = [
    ("publish", &[Send(8), Send(300), SurvivorReceives, Send(24)]),
    (
        "publish to a sleeper",
        &[SurvivorReceives, Send(8), SurvivorReceives, Send(300)],
    ),
    (
        "consume, give back, fall asleep",
        &[
            SurvivorSends(8),
            SurvivorSends(300),
            Receive,
            Receive,
            Receive,
            DropReceived,
            SurvivorSends(300),
            SurvivorSends(400),
            Receive,
            Receive,
            DropReceived,
            SurvivorSends(300),
            Receive,
        ],
    ),
    ("close", &[Send(8), Send(300), Close]),
    (
        "grow",
        &[
            Send(5_000),
            SurvivorReceives,
            SurvivorDropsReceived,
            Send(6_000),
        ],
    ),
    (
        "both ways, and borrowed bytes are kept",
        &[
            Receive,
            SurvivorSends(300),
            Receive,
            Send(300),
            SurvivorReceives,
            DropReceived,
            SurvivorSends(300),
            SurvivorSends(300),
            Receive,
        ],
    ),
];

#[test]
fn a_survivor_loses_nothing_whenever_its_peer_dies() {
    let mut total = 0;
    for (name, script) in SCRIPTS {
        match enumerate(Flaw::None, script) {
            Ok(states) => {
                println!("{name}: {states} states");
                total += states;
            }
            Err(what) => panic!("{name}: {what}"),
        }
    }
    println!("{total} states");
    assert!(total > 5_000, "only {total} states were seen");
}

fn assert_caught(flaw: Flaw, scripts: &[&[Step]]) {
    let caught = scripts
        .iter()
        .find_map(|script| enumerate(flaw, script).err());
    println!(
        "{flaw:?}: {}",
        caught.expect("a planted flaw went unnoticed")
    );
}

#[test]
fn a_relaxed_publish_is_caught() {
    assert_caught(Flaw::RelaxedPublish, &[&[Send(8)]]);
    assert_caught(Flaw::RelaxedPublish, &[&[Send(300)]]);
}

#[test]
fn a_publish_before_its_payload_is_caught() {
    assert_caught(Flaw::PublishBeforePayload, &[&[Send(300)]]);
}

#[test]
fn an_early_return_is_caught() {
    let script = [
        SurvivorSends(300),
        Receive,
        SurvivorSends(300),
        SurvivorSends(300),
        DropReceived,
    ];
    assert_caught(Flaw::EarlyReturn, &[&script]);
}
