//! Processes that are really killed, and really stopped, over real shared memory.
//!
//! The crash enumeration (`crashes`) asks its oracle in one process, where it can take stores
//! back. Here a child of this program has the other end of a link that the operating system made,
//! does what it is ordered to, and sends itself a signal after its k-th store, ring or control
//! message, for every k there is. Then the survivor is asked:
//!
//! - what it received is what was published: all of it, in order, intact
//! - its link ends with a typed error, promptly, in both directions
//! - all memory is unmapped and every descriptor closed; what it still borrows stays readable
//!
//! A process that is stopped is not dead: nothing ends, and nothing is lost when it goes on.
#![allow(clippy::disallowed_methods, reason = "real processes die in real time")]
#![cfg(target_os = "linux")]

#[path = "../ends/mod.rs"]
mod ends;
mod failpoint;
mod survivor;
mod victim;

use std::sync::{Mutex, PoisonError};

use rustix::process::Signal;
use survivor::{End, Step, Survivor, resources};
use victim::{Fate, Order};

use Order::{Close, DropReceived, Receive, Send, SendLoan};
use Step::{Begins, DropsReceived, FallsAsleep, Finishes, Receives, SeesShrinking, Sends, Victim};

const SCRIPTS: [(&str, &[Step]); 6] = [
    (
        "publish: in the descriptor, in the ring, in slots, lent",
        &[
            Victim(Send(8)),
            Victim(Send(200)),
            Receives,
            Victim(Send(300)),
            Victim(SendLoan(600)),
            Receives,
            DropsReceived,
            Victim(Send(24)),
        ],
    ),
    (
        "wake a sleeper",
        &[
            FallsAsleep,
            Victim(Send(8)),
            Receives,
            FallsAsleep,
            Victim(SendLoan(300)),
        ],
    ),
    (
        "sleep, receive, give back to a peer that waits for it",
        &[
            Begins(Receive),
            Sends(8),
            Finishes,
            // The third one has to wait for a slot.
            Sends(300),
            Sends(400),
            Sends(500),
            Victim(Receive),
            Victim(Receive),
            Sends(24),
            Victim(Receive),
            Victim(Receive),
            Victim(DropReceived),
            Begins(Receive),
            Sends(300),
            Finishes,
            Victim(DropReceived),
        ],
    ),
    (
        "wait for room in the ring",
        &[
            Victim(Send(8)),
            Victim(Send(8)),
            Victim(Send(8)),
            Victim(Send(8)),
            Begins(Send(8)),
            Receives,
            Finishes,
            Victim(Send(300)),
        ],
    ),
    (
        "grow, give back to the system, grow again",
        &[
            Victim(Send(5_000)),
            Receives,
            DropsReceived,
            Begins(Receive),
            SeesShrinking,
            Sends(8),
            Finishes,
            Victim(SendLoan(6_000)),
            Victim(DropReceived),
        ],
    ),
    (
        "close",
        &[Victim(Send(8)), Victim(Send(300)), Victim(Close)],
    ),
];

/// Runs a script whose victim meets its fate after `left` events. Says how it ended, and how often
/// it was stopped in between.
async fn run(fate: &Fate, script: &[Step]) -> Result<(End, usize), String> {
    let before = resources();
    let mut survivor = Survivor::new(fate).await;
    survivor.run(script).await?;
    let ended = survivor.check().await?;
    // Nothing but the link was opened and closed.
    if resources() != before {
        return Err(format!("{before:?} became {:?}", resources()));
    }
    Ok(ended)
}

/// Kills the victim after its first event, its second, and so on until it comes to its end. Says
/// how many kills that were.
async fn kill_everywhere(script: &[Step], late_payloads: bool) -> Result<u64, String> {
    for left in 0.. {
        let fate = Fate {
            left,
            signal: Signal::KILL,
            late_payloads,
        };
        let ran = run(&fate, script).await;
        let (end, _) = ran.map_err(|what| format!("{what} (killed after {} events)", left + 1))?;
        if end == End::Finished {
            return Ok(left);
        }
    }
    unreachable!("some event is the last one")
}

/// Runs a test alone in this process, because it counts what the process has open, its runtime
/// included.
fn alone(test: impl Future<Output = ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(test);
}

#[test]
fn a_survivor_loses_nothing_wherever_its_peer_is_killed() {
    alone(async {
        let mut total = 0;
        for (name, script) in SCRIPTS {
            let kills = kill_everywhere(script, false).await;
            let kills = kills.unwrap_or_else(|what| panic!("{name}: {what}"));
            println!("{name}: {kills} kills");
            total += kills;
        }
        println!("{total} kills");
        assert!(total > 150, "only {total} kills");
    });
}

#[test]
fn a_survivor_loses_nothing_when_its_peer_is_killed_in_full_traffic() {
    const FRAMES: u32 = 1_000;
    alone(async {
        // A step that shares no factor with what a frame takes: kills anywhere within frames.
        for left in (0..5_000).step_by(97) {
            let fate = Fate {
                left,
                signal: Signal::KILL,
                late_payloads: false,
            };
            let before = resources();
            let mut survivor = Survivor::new(&fate).await;
            survivor.order(Order::Exchange(FRAMES));
            survivor.trade(FRAMES).await;
            let ended = survivor.check().await;
            assert_eq!(ended, Ok((End::Killed, 0)), "killed after {left}");
            assert_eq!(resources(), before, "killed after {left}");
        }
    });
}

#[test]
fn a_payload_written_after_its_publication_is_caught() {
    alone(async {
        let caught = kill_everywhere(&[Victim(Send(300))], true).await.err();
        println!("{}", caught.expect("a planted flaw went unnoticed"));
    });
}

#[test]
fn a_process_that_is_stopped_anywhere_goes_on_and_loses_nothing() {
    alone(async {
        let mut total = 0;
        for (name, script) in SCRIPTS {
            for left in 0.. {
                let fate = Fate {
                    left,
                    signal: Signal::STOP,
                    late_payloads: false,
                };
                let ran = run(&fate, script).await;
                let (end, stops) =
                    ran.unwrap_or_else(|what| panic!("{name}, stopped after {left}: {what}"));
                assert_eq!(end, End::Finished, "{name}, stopped after {left}");
                if stops == 0 {
                    break;
                }
                total += stops;
            }
        }
        println!("{total} stops");
        assert!(total > 150, "only {total} stops");
    });
}

/// Frames in each direction of the traffic below.
const EXCHANGED: u32 = 5_000;

#[test]
fn traffic_stalls_while_a_process_is_stopped_and_is_complete_afterwards() {
    alone(async {
        let fate = Fate {
            left: u64::MAX,
            signal: Signal::STOP,
            late_payloads: false,
        };
        let mut survivor = Survivor::new(&fate).await;
        survivor.order(Order::Exchange(EXCHANGED));
        let stalls = survivor.exchange(EXCHANGED).await;
        println!("{stalls} stalls");
        assert!(stalls >= 5, "only {stalls} stalls");
    });
}
