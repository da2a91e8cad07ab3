//! Random traffic in both directions against a model.
//!
//! Two ends of a link do what a seed draws: send payloads of every class and kind, in one run and
//! in several, lend, freeze, send frozen loans once and again with other bytes around them, keep
//! what they received, send it back, let go of it, let time pass. Rings, slots and memory are small,
//! so that everything runs out all the time. A model of the link is two queues. Checked:
//!
//! - every frame arrives once, in order, with the bytes that it was sent with
//! - bytes that somebody holds, received or frozen, never change
//! - nobody is polled who was not woken, and everything gets done all the same
//! - when all is let go of, all memory is there again
#![allow(
    clippy::disallowed_methods,
    reason = "the environment says how many cases"
)]

mod draw;
#[path = "../ends/mod.rs"]
mod ends;
#[path = "../local/mod.rs"]
mod local;
mod side;

use std::sync::atomic::Ordering;
use std::time::Duration;

use draw::Draw;
use ends::End;
use rapace_shm::layout::PAGE;
use rapace_shm::{ShmConfig, Spin};
use rapace_transport::{LinkError, Room, Transport as _};
use side::{Marks, Side};

/// Seeds of one test run; `RAPACE_SHM_SEEDS` has it run another number.
const SEEDS: u64 = 500;
const STEPS: usize = 400;

fn config(draw: &mut Draw) -> ShmConfig {
    let pages = [1, 2, 8, 40][draw.below(4)];
    ShmConfig {
        ring_frames: 8 << draw.below(3),
        slots_max: 2 << draw.below(4),
        payload_bytes_min: PAGE * pages.min(4),
        lane_bytes_max: 2 * PAGE * pages,
        idle: Duration::from_secs(1),
        memory_timeout: ShmConfig::default().memory_timeout,
        borrow_bytes_max: [0, PAGE, 1 << 20][draw.below(3)],
        copy_payloads: draw.below(5) == 0,
        spin: Spin::Never,
    }
}

/// One run. An error of the link is a failure: nobody does anything wrong here.
fn run<const IN_PLACE: bool>(seed: u64, marks: &mut Marks) -> Result<(), LinkError> {
    let mut draw = Draw::new(seed);
    let configs = [0, 1].map(|_| config(&mut draw));
    let (a, b, seen) = local::pair::<IN_PLACE>(configs);
    assert!(a.info().payload_bytes_max > 0);
    let mut sides = [a, b].map(|transport| Side::new(End::new(transport)));
    // Each seed leaves some things out, so that others happen more often.
    let weights = [0; 8].map(|_| draw.below(4));
    let polls_for_nothing = draw.below(2) == 0;
    for _ in 0..STEPS {
        let this = draw.below(2);
        let [side, peer] = pick(&mut sides, this);
        if polls_for_nothing && draw.below(8) == 0 {
            side.wake(marks);
        }
        match draw.below(8) {
            step if draw.below(4) > weights[step] => {}
            0 | 1 => side.feed(&mut draw, marks)?,
            2 => {
                side.flush()?;
            }
            3 => {
                for _ in 0..draw.below(8) {
                    side.receive(peer, marks).unwrap_or(Ok(()))?;
                }
            }
            4 => side.lend(&mut draw, marks)?,
            5 => side.freeze(&mut draw),
            6 => side.let_go(&mut draw),
            _ => {
                local::pass(Duration::from_millis(draw.next() % 1_500));
                side.flush()?;
            }
        }
    }
    marks.grown += u64::from(seen.made.iter().any(|made| made.load(Ordering::SeqCst) > 0));
    drain(&mut sides, marks)?;
    // Memory that was grown is given back after a while.
    for _ in 0..4 {
        local::pass(Duration::from_secs(3));
        drain(&mut sides, marks)?;
    }
    let made = seen.made.each_ref().map(|made| made.load(Ordering::SeqCst));
    assert_eq!(made, [0, 0], "memory that is not given back");
    for side in &sides {
        let most = side.end.lender.loan_bytes_max();
        let lent = side.end.lender.try_loan(Room::exact(most));
        assert!(
            lent.is_some(),
            "memory was lost: {most} bytes are not to be had"
        );
    }
    close(&mut sides, &mut draw, marks)
}

fn pick(sides: &mut [Side; 2], this: usize) -> [&mut Side; 2] {
    let [a, b] = sides;
    if this == 0 { [a, b] } else { [b, a] }
}

/// Goes on until everything that was sent has arrived, holding nothing.
fn drain(sides: &mut [Side; 2], marks: &mut Marks) -> Result<(), LinkError> {
    loop {
        let mut busy = false;
        for this in 0..2 {
            let [side, peer] = pick(sides, this);
            busy |= side.let_all_go();
            busy |= side.flush()?;
            if let Some(received) = side.receive(peer, marks) {
                received?;
                busy = true;
            }
        }
        if !busy {
            break;
        }
    }
    for side in sides {
        assert!(side.is_clean(), "the sender sleeps, and nobody wakes it");
        assert!(
            side.sent.is_empty(),
            "the receiver sleeps, and nobody wakes it"
        );
    }
    Ok(())
}

/// One end closes behind frames that the other one has not read.
fn close(sides: &mut [Side; 2], draw: &mut Draw, marks: &mut Marks) -> Result<(), LinkError> {
    let [side, peer] = pick(sides, draw.below(2));
    side.feed(draw, marks)?;
    let mut closed = false;
    let end = loop {
        // Closing waits for room; the peer's reading makes it.
        closed = closed || side.end.poll_close().is_ready();
        match peer.receive(side, marks) {
            Some(Ok(())) => {}
            Some(Err(error)) => break error,
            None => assert!(!closed, "the receiver sleeps through the end"),
        }
        peer.let_all_go();
    };
    assert_eq!(end, LinkError::Closed);
    assert!(side.sent.is_empty(), "the end overtook frames");
    marks.outlived += 1;
    Ok(())
}

fn sweep<const IN_PLACE: bool>() {
    let number = |name| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let replayed = number("RAPACE_SHM_SEED");
    let seeds = number("RAPACE_SHM_SEEDS").unwrap_or(SEEDS);
    let mut marks = Marks::default();
    for seed in replayed.map_or(0..seeds, |seed| seed..seed + 1) {
        let one = std::panic::AssertUnwindSafe(|| run::<IN_PLACE>(seed, &mut marks));
        // A panic has said already what is wrong.
        let ran = std::panic::catch_unwind(one);
        let ran = ran.unwrap_or_else(|_| panic!("seed {seed}: replay with RAPACE_SHM_SEED={seed}"));
        if let Err(error) = ran {
            panic!("seed {seed}: {error}; replay with RAPACE_SHM_SEED={seed}");
        }
    }
    println!("seeds 0 to {seeds}: {marks:?}");
    let rare = [
        marks.waits_to_send,
        marks.waits_for_loan,
        marks.frozen_sent,
        marks.frozen_sent_again,
        marks.received_sent_back,
        marks.outlived,
        marks.grown,
        marks.spurious,
    ];
    assert!(
        replayed.is_some() || seeds < SEEDS || rare.iter().all(|times| *times > 20),
        "something hardly ever happens: {marks:?}"
    );
}

#[test]
fn random_traffic_agrees_with_two_queues_in_memory_that_is_used_in_place() {
    sweep::<true>();
}

#[test]
fn random_traffic_agrees_with_two_queues_in_memory_that_is_copied() {
    sweep::<false>();
}
