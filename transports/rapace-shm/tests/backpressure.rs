//! What happens when something is full: backpressure, never an error and never a frame lost, and
//! full speed again afterwards.

mod ends;
mod local;

use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use ends::{End, assert_filled, filled, frame};
use local::Seen;
use rapace_core::frame::Payload;
use rapace_shm::{LaneUse, ShmConfig, Spin};
use rapace_transport::Room;

fn pair(config: ShmConfig) -> (End, End, Seen<true>) {
    let config = ShmConfig {
        spin: Spin::Never,
        ..config
    };
    let (a, b, seen) = local::pair::<true>([config.clone(), config]);
    (End::new(a), End::new(b), seen)
}

/// Sends frames of `len` bytes until the link takes no more; says how many it took.
fn fill(end: &mut End, first: u64, len: usize) -> u64 {
    let mut sent = 0;
    while end
        .try_send(|| filled(first + sent, len))
        .expect("the link lives")
    {
        sent += 1;
        assert!(sent < 10_000, "nothing is ever full");
    }
    sent
}

/// Both ends still do what they did at first.
fn assert_goes_on(a: &mut End, b: &mut End, len: usize) {
    for number in 0..100 {
        a.send(filled(number, len));
        assert_filled(b.receive(), number, len);
        b.send(filled(number, len));
        assert_filled(a.receive(), number, len);
    }
}

#[test]
fn a_full_ring_waits_and_goes_on() {
    let (mut a, mut b, _) = pair(ShmConfig {
        ring_frames: 8,
        ..ShmConfig::default()
    });
    let sent = fill(&mut a, 0, 8);
    assert!((2..=8).contains(&sent), "{sent} frames in a ring of 8");
    assert!(!a.sending.was_woken());
    let mut got = 0;
    while !a.sending.was_woken() {
        assert!(got < sent, "room was made, and nobody was told");
        assert_filled(b.receive(), got, 8);
        got += 1;
    }
    let more = fill(&mut a, sent, 8);
    assert!(more > 0);
    for number in got..sent + more {
        assert_filled(b.receive(), number, 8);
    }
    assert!(b.poll_recv().is_pending());
    assert_goes_on(&mut a, &mut b, 8);
}

#[test]
fn slots_that_are_all_held_wait_and_go_on() {
    let (mut a, mut b, _) = pair(ShmConfig {
        slots_max: 4,
        ..ShmConfig::default()
    });
    // Four in the ring, and one accepted that waits for a slot.
    assert_eq!(fill(&mut a, 0, 300), 5);
    let first = b.receive();
    assert!(b.poll_recv().is_ready());
    drop(first);
    assert!(a.sending.was_woken(), "a slot came back");
    assert!(a.poll_ready().is_ready());
}

#[test]
fn a_payload_area_that_is_full_waits_and_goes_on() {
    let (mut a, mut b, _) = pair(ShmConfig {
        lane_bytes_max: 64 << 10,
        payload_bytes_min: 16 << 10,
        ..ShmConfig::default()
    });
    let sent = fill(&mut a, 0, 8 << 10);
    assert!(
        (4..=9).contains(&sent),
        "{sent} payloads of 8 KiB in 64 KiB"
    );
    for number in 0..sent {
        let got = b.receive();
        drop(assert_filled(got, number, 8 << 10));
        let _ = a.poll_flush();
    }
    assert_goes_on(&mut a, &mut b, 8 << 10);
}

#[test]
fn a_huge_payload_behind_small_ones_gets_its_turn_and_nothing_overtakes_it() {
    let (mut a, mut b, _) = pair(ShmConfig {
        lane_bytes_max: 256 << 10,
        ..ShmConfig::default()
    });
    let small = 1_000;
    for number in 0..100 {
        a.send(filled(number, small));
    }
    a.send(filled(100, 128 << 10));
    let mut sent = 101;
    let mut got = 0;
    while got < 300 {
        // The sender tries all the time: what it sends must not starve the huge one.
        while sent < 300 && a.try_send(|| filled(sent, small)).expect("the link lives") {
            sent += 1;
        }
        let _ = a
            .poll_flush()
            .map(|flushed| flushed.expect("the link lives"));
        let len = if got == 100 { 128 << 10 } else { small };
        assert_filled(b.receive(), got, len);
        got += 1;
    }
}

#[test]
fn every_size_up_to_the_longest_is_delivered_whatever_the_geometry() {
    for (min, max) in [
        (4 << 10, 8 << 10),
        (16 << 10, 33 << 10),
        (16 << 10, 40_000),
        (64 << 10, 130 << 10),
        (64 << 10, 100 << 10),
        (16 << 10, 100_001),
        (1 << 20, 1 << 10),
    ] {
        let (a, b, _) = local::pair::<true>(std::array::from_fn(|_| ShmConfig {
            payload_bytes_min: min,
            lane_bytes_max: max,
            spin: Spin::Never,
            ..ShmConfig::default()
        }));
        let longest = rapace_transport::Transport::info(&a).payload_bytes_max as usize;
        let (mut a, mut b) = (End::new(a), End::new(b));
        for (number, len) in [300, longest / 3, longest / 2 + 1, longest - 1, longest]
            .into_iter()
            .enumerate()
        {
            a.send(filled(number as u64, len));
            assert!(
                a.poll_flush().is_ready(),
                "{len} of {longest} bytes never fit into a lane of {min} to {max}"
            );
            drop(assert_filled(b.receive(), number as u64, len));
            let loan = a.lender.try_loan(Room::exact(len));
            assert!(
                loan.is_some(),
                "{len} of {longest} bytes are never lent ({min} to {max})"
            );
        }
    }
}

/// Keeps what it receives, as a cache does.
fn assert_keeper_goes_on(config: ShmConfig, len: usize, count: u64) {
    let (mut a, mut b, _) = pair(config);
    let mut kept: Vec<Bytes> = Vec::new();
    for number in 0..count {
        a.send(filled(number, len));
        assert!(
            a.poll_flush().is_ready(),
            "stuck after {number} kept payloads of {len} bytes"
        );
        kept.push(assert_filled(b.receive(), number, len));
    }
    for (number, bytes) in kept.iter().enumerate() {
        assert!(
            *bytes == ends::contents(number as u64, len),
            "kept bytes changed"
        );
    }
}

#[test]
fn who_keeps_large_payloads_does_not_starve_its_link() {
    let config = ShmConfig {
        lane_bytes_max: 4 << 20,
        borrow_bytes_max: 1 << 20,
        ..ShmConfig::default()
    };
    assert_keeper_goes_on(config, 64 << 10, 200);
}

#[test]
fn who_keeps_many_small_payloads_does_not_starve_its_link() {
    assert_keeper_goes_on(ShmConfig::default(), 300, 3_000);
    assert_keeper_goes_on(ShmConfig::smallest(), 300, 100);
}

#[test]
fn who_keeps_more_than_the_peers_lane_has_does_not_starve_its_link() {
    // The bound on borrowing is the default one, far above what the peer may have.
    let config = ShmConfig {
        lane_bytes_max: 1 << 20,
        ..ShmConfig::default()
    };
    assert_keeper_goes_on(config, 64 << 10, 100);
}

#[test]
fn loans_that_the_program_holds_leave_memory_for_frames() {
    for loan in [1, 64, 100, 1_000, 4_000] {
        let (mut a, mut b, _) = pair(ShmConfig {
            payload_bytes_min: 16 << 10,
            lane_bytes_max: 16 << 10,
            ..ShmConfig::default()
        });
        let mut loans = Vec::new();
        while let Some(lent) = a.lender.try_loan(Room::exact(loan)) {
            loans.push(lent);
        }
        assert!(!loans.is_empty());
        for number in 0..10 {
            a.send(filled(number, 4 << 10));
            assert!(
                a.poll_flush().is_ready(),
                "{} loans of {loan} bytes take all",
                loans.len()
            );
            drop(assert_filled(b.receive(), number, 4 << 10));
        }
    }
}

#[test]
fn loans_that_the_program_holds_leave_slots_for_frames() {
    for slots_max in [2, 4, 16] {
        let (mut a, mut b, _) = pair(ShmConfig {
            slots_max,
            ..ShmConfig::default()
        });
        let mut loans = Vec::new();
        while let Some(lent) = a.lender.try_loan(Room::exact(100)) {
            loans.push(lent);
        }
        assert!(!loans.is_empty());
        a.send(filled(1, 300));
        assert!(
            a.poll_flush().is_ready(),
            "{} loans take all of {slots_max}",
            loans.len()
        );
        drop(assert_filled(b.receive(), 1, 300));
    }
}

#[test]
fn sending_a_loan_makes_room_for_another_at_once() {
    let (mut a, _b, _) = pair(ShmConfig {
        lane_bytes_max: 64 << 10,
        ..ShmConfig::default()
    });
    let first = a.lend(Room::exact(32 << 10));
    assert!(a.poll_loan(Room::exact(16 << 10)).is_pending());
    a.send(frame(1, Payload::Loan(first)));
    assert!(
        a.lending.was_woken(),
        "the loan was sent, and counts no more"
    );
    assert!(a.poll_loan(Room::exact(16 << 10)).is_ready());
}

#[test]
fn a_loan_that_waits_is_woken_when_another_is_dropped() {
    let (mut a, _b, _) = pair(ShmConfig {
        lane_bytes_max: 64 << 10,
        ..ShmConfig::default()
    });
    let first = a.lend(Room::exact(32 << 10));
    assert!(a.poll_loan(Room::exact(16 << 10)).is_pending());
    drop(first);
    assert!(a.lending.was_woken());
    assert!(a.poll_loan(Room::exact(16 << 10)).is_ready());
}

#[test]
fn a_frame_does_not_wait_for_memory_that_it_holds_itself() {
    // A loan as long as a payload may be, and no room for a second allocation of that length.
    let (mut a, mut b, _) = pair(ShmConfig {
        payload_bytes_min: 16 << 10,
        lane_bytes_max: 64 << 10,
        ..ShmConfig::default()
    });
    let len = a.lender.loan_bytes_max();
    let mut loan = a.lend(Room::exact(len));
    loan.0.as_mut_slice().fill(7);
    // All but its first byte: what stands before that has no room in the lane, so all is copied.
    let runs = vec![Bytes::from_static(&[1]), loan.freeze().slice(1..)];
    a.send(frame(0, Payload::Chain(runs)));
    let got = b.receive().payload.into_bytes();
    assert_eq!((got.len(), got[0]), (len, 1));
    assert!(got[1..].iter().all(|byte| *byte == 7));
}

#[test]
fn memory_is_made_when_needed_and_given_back_when_idle() {
    let (mut a, mut b, seen) = pair(ShmConfig::default());
    let made = || seen.made[0].load(Ordering::SeqCst);
    assert!(a.poll_recv().is_pending());
    a.send(filled(1, 8 << 20));
    assert!(made() >= 8 << 20);
    drop(assert_filled(b.receive(), 1, 8 << 20));
    // The sender's source slept when memory was made, and nothing was ever sent to it.
    assert!(a.receiving.was_woken(), "nobody sets the alarm");
    assert!(a.poll_recv().is_pending());
    // One period in which it was used still, and one in which it was not.
    for _ in 0..2 {
        local::pass(Duration::from_secs(1));
        assert!(a.receiving.was_woken(), "the alarm wakes nobody");
        assert!(a.poll_recv().is_pending());
        assert!(b.poll_recv().is_pending());
    }
    assert_eq!(made(), 0, "memory stays");
    assert_goes_on(&mut a, &mut b, 1 << 20);
}

#[test]
fn memory_in_use_is_not_given_back() {
    let (mut a, mut b, seen) = pair(ShmConfig::default());
    a.send(filled(1, 8 << 20));
    let kept = assert_filled(b.receive(), 1, 8 << 20);
    for _ in 0..5 {
        assert!(a.poll_recv().is_pending());
        local::pass(Duration::from_secs(1));
    }
    assert!(a.poll_recv().is_pending());
    assert!(seen.made[0].load(Ordering::SeqCst) >= 8 << 20);
    assert!(kept == ends::contents(1, 8 << 20));
}

#[test]
fn slots_that_run_out_do_not_throw_away_memory() {
    let (mut a, mut b, seen) = pair(ShmConfig {
        slots_max: 2,
        ..ShmConfig::default()
    });
    a.send(filled(1, 1 << 20));
    drop(assert_filled(b.receive(), 1, 1 << 20));
    let made = seen.made[0].load(Ordering::SeqCst);
    assert_eq!(fill(&mut a, 2, 300), 3);
    assert_eq!(
        seen.made[0].load(Ordering::SeqCst),
        made,
        "memory was not what lacked"
    );
}

#[test]
fn a_system_without_memory_is_backpressure_where_waiting_helps() {
    let (mut a, mut b, seen) = pair(ShmConfig::default());
    seen.may_make[0].store(0, Ordering::SeqCst);
    let sent = fill(&mut a, 0, 4_000);
    for number in 0..sent {
        drop(assert_filled(b.receive(), number, 4_000));
        let _ = a
            .poll_flush()
            .map(|flushed| flushed.expect("the link lives"));
    }
    assert_goes_on(&mut a, &mut b, 4_000);
}

/// Segments come and go while the peer looks after nothing but its own sending.
#[test]
fn announcements_that_nobody_reads_yet_are_not_a_broken_peer() {
    let (mut a, mut b, _) = pair(ShmConfig {
        ring_frames: 8,
        lane_bytes_max: 1 << 20,
        ..ShmConfig::default()
    });
    fill(&mut b, 0, 8);
    for round in 0..400 {
        let len = if round % 2 == 0 { 500 << 10 } else { 300 << 10 };
        drop(a.lend(Room::exact(len)));
        drop(a.lend(Room::exact(100)));
        assert!(
            !matches!(b.poll_ready(), Poll::Ready(Err(_))),
            "round {round}"
        );
    }
    a.send(filled(1, 400 << 10));
    drop(assert_filled(b.receive(), 1, 400 << 10));
}

/// The ring, the slots and the area run out again and again; afterwards everything is as at first.
#[test]
fn full_speed_again_after_every_kind_of_exhaustion() {
    let (mut a, mut b, seen) = pair(ShmConfig {
        ring_frames: 8,
        slots_max: 4,
        lane_bytes_max: 64 << 10,
        ..ShmConfig::default()
    });
    let mut number = 0;
    for len in [8, 200, 300, 8_000, 30_000, 300, 8].repeat(20) {
        let sent = fill(&mut a, number, len);
        for _ in 0..sent {
            drop(assert_filled(b.receive(), number, len));
            let _ = a
                .poll_flush()
                .map(|flushed| flushed.expect("the link lives"));
            number += 1;
        }
        assert!(b.poll_recv().is_pending());
    }
    assert!(a.poll_recv().is_pending());
    assert_goes_on(&mut a, &mut b, 8_000);
    let rings = seen.data[1].rings();
    for number in 0..4 {
        a.send(filled(number, 8));
    }
    // Once for the nap, if there was one; nobody rings for each frame.
    assert!(seen.data[1].rings() <= rings + 1);
}

#[test]
fn a_gauge_tells_what_is_out_and_keeps_nothing() {
    let config = ShmConfig {
        spin: Spin::Never,
        ..ShmConfig::default()
    };
    let (a, b, _) = local::pair::<true>([config.clone(), config]);
    let gauges = [a.gauge(), b.gauge()];
    let read = || {
        gauges
            .each_ref()
            .map(|gauge| gauge.read().expect("the end lives"))
    };
    let (mut a, mut b) = (End::new(a), End::new(b));
    a.send(filled(0, 300));
    let out = LaneUse {
        unread: 1,
        in_flight: 1,
        ..LaneUse::default()
    };
    assert_eq!(read(), [out, LaneUse::default()]);
    let payload = assert_filled(b.receive(), 0, 300);
    assert!(b.poll_recv().is_pending());
    let borrowed = LaneUse {
        borrowed: 1,
        borrowed_bytes: 300,
        ..LaneUse::default()
    };
    assert_eq!(read(), [LaneUse { unread: 0, ..out }, borrowed]);
    drop(payload);
    assert_eq!(read(), [LaneUse::default(); 2]);
    let loan = a.lend(Room::exact(300));
    assert_eq!(read()[0].held, 1);
    drop(loan);
    assert_eq!(read(), [LaneUse::default(); 2]);
    drop((a, b));
    assert!(gauges.iter().all(|gauge| gauge.read().is_none()));
}
