//! What happens when the system refuses memory and nothing at hand could ever hold a payload:
//! backpressure for a while, then an error that says so.
//!
//! Nothing is polled here that was not woken.

mod ends;
mod local;

use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use ends::{End, assert_filled, filled};
use local::Seen;
use rapace_shm::{ShmConfig, Spin};
use rapace_transport::{LinkError, Room};

const HUGE: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);

fn pair() -> (End, End, Seen<true>) {
    let config = ShmConfig {
        spin: Spin::Never,
        ..ShmConfig::default()
    };
    assert_eq!(config.memory_timeout, TIMEOUT);
    let (a, b, seen) = local::pair::<true>([config.clone(), config]);
    (End::new(a), End::new(b), seen)
}

/// Refuses memory to `a` from now on, or gives it again.
fn refuse(seen: &Seen<true>, refuse: bool) {
    let may_make = if refuse { 0 } else { usize::MAX };
    seen.may_make[0].store(may_make, Ordering::SeqCst);
}

/// Lets time pass in steps, in each of which what was woken is polled; ends with `until`, and says how
/// long it took.
fn pass_until<T>(
    a: &mut End,
    most: Duration,
    mut until: impl FnMut(&mut End) -> Option<T>,
) -> (Option<T>, Duration) {
    let step = Duration::from_millis(1);
    let mut passed = Duration::ZERO;
    let mut polls = 0;
    while passed <= most {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            if a.receiving.was_woken() {
                quiet = false;
                let _ = a.poll_recv();
            }
            if a.sending.was_woken() || a.lending.was_woken() {
                quiet = false;
                if let Some(found) = until(a) {
                    return (Some(found), passed);
                }
            }
            polls += 1;
            assert!(polls < 20_000, "it spins while the system refuses");
        }
        local::pass(step);
        passed += step;
    }
    (None, passed)
}

fn flushed(a: &mut End) -> Option<Result<(), LinkError>> {
    match a.poll_flush() {
        Poll::Ready(flushed) => Some(flushed),
        Poll::Pending => None,
    }
}

#[test]
fn a_frame_waits_for_the_system_and_goes_out_when_there_is_memory_again() {
    let (mut a, mut b, seen) = pair();
    assert!(a.poll_recv().is_pending());
    refuse(&seen, true);
    a.send(filled(1, HUGE));
    assert!(a.poll_ready().is_pending(), "nothing overtakes it");
    let (early, _) = pass_until(&mut a, TIMEOUT / 2, flushed);
    assert!(early.is_none(), "sent without memory, or failed: {early:?}");
    // The other direction is not concerned.
    b.send(filled(7, 300));
    drop(assert_filled(a.receive(), 7, 300));
    assert!(a.poll_recv().is_pending());
    refuse(&seen, false);
    let (sent, took) = pass_until(&mut a, TIMEOUT / 2, flushed);
    sent.expect("nobody asks again").expect("the link lives");
    assert!(took <= Duration::from_millis(100), "it took {took:?}");
    drop(assert_filled(b.receive(), 1, HUGE));
    for number in 2..50 {
        a.send(filled(number, 4_000));
        drop(assert_filled(b.receive(), number, 4_000));
    }
}

#[test]
fn the_link_ends_when_the_system_refuses_for_too_long() {
    let (mut a, _b, seen) = pair();
    assert!(a.poll_recv().is_pending());
    refuse(&seen, true);
    a.send(filled(1, HUGE));
    let (ended, took) = pass_until(&mut a, 2 * TIMEOUT, flushed);
    let error = ended.expect("it waits for ever").expect_err("no memory");
    assert!(
        matches!(&error, LinkError::NoMemory(what) if what.contains("1048576 bytes for 5s")),
        "{error}"
    );
    let late = TIMEOUT + Duration::from_millis(101);
    assert!((TIMEOUT..late).contains(&took), "after {took:?}");
    assert!(
        matches!(a.poll_recv(), Poll::Ready(Err(LinkError::NoMemory(_)))),
        "both halves say why"
    );
}

#[test]
fn a_loan_fails_when_the_system_refuses_for_too_long_and_the_link_goes_on() {
    let (mut a, mut b, seen) = pair();
    assert!(a.poll_recv().is_pending());
    refuse(&seen, true);
    assert!(a.poll_loan(Room::exact(HUGE)).is_pending());
    let lent = |a: &mut End| match a.poll_loan(Room::exact(HUGE)) {
        Poll::Ready(Err(error)) => Some(error),
        Poll::Ready(Ok(_)) => panic!("lent what is not there"),
        Poll::Pending => None,
    };
    let (failed, took) = pass_until(&mut a, 2 * TIMEOUT, lent);
    let error = failed.expect("it waits for ever");
    assert!(matches!(error, LinkError::NoMemory(_)), "{error}");
    assert!(took >= TIMEOUT, "after {took:?}");
    a.send(filled(1, 300));
    drop(assert_filled(b.receive(), 1, 300));
    refuse(&seen, false);
    local::pass(Duration::from_millis(100));
    assert!(a.poll_loan(Room::exact(HUGE)).is_ready());
}

#[test]
fn a_shortage_that_nobody_waits_for_ends_no_link_later() {
    let (mut a, mut b, seen) = pair();
    assert!(a.poll_recv().is_pending());
    refuse(&seen, true);
    // As an encoder asks, which takes the heap instead.
    assert!(a.lender.try_loan(Room::exact(HUGE)).is_none());
    let (none, _) = pass_until(&mut a, 2 * TIMEOUT, |_| None::<()>);
    assert!(none.is_none());
    a.send(filled(1, HUGE));
    let (early, _) = pass_until(&mut a, TIMEOUT / 2, flushed);
    assert!(early.is_none(), "the time before counts: {early:?}");
    refuse(&seen, false);
    let (sent, _) = pass_until(&mut a, TIMEOUT / 2, flushed);
    sent.expect("it is sent").expect("the link lives");
    drop(assert_filled(b.receive(), 1, HUGE));
}

#[test]
fn memory_for_this_payload_is_enough_where_there_is_none_for_more() {
    let (mut a, mut b, seen) = pair();
    a.send(filled(1, 2 * HUGE));
    drop(assert_filled(b.receive(), 1, 2 * HUGE));
    let kept = a.lend(Room::exact(2 * HUGE));
    // Two megabytes more would be generous.
    seen.largest[0].store(HUGE, Ordering::SeqCst);
    a.send(filled(2, HUGE - 4096));
    assert!(a.poll_flush().is_ready(), "it asks for too much");
    drop(assert_filled(b.receive(), 2, HUGE - 4096));
    drop(kept);
}

/// Memory is made without the heap's lock; its bounds hold all the same.
#[test]
fn growing_in_many_threads_stays_within_the_bounds() {
    const LANE: usize = 1 << 20;
    let config = ShmConfig {
        lane_bytes_max: LANE,
        spin: Spin::Never,
        ..ShmConfig::default()
    };
    // A lane grows a few times and no more, so that there is little to race for in each.
    for _ in 0..100 {
        let (a, _b, seen) = local::pair::<true>([config.clone(), config.clone()]);
        let a = End::new(a);
        let take_all = || {
            // All of one length: memory that is free always fits, and none is dropped for other.
            let lend = || a.lender.try_loan(Room::exact(30_000));
            std::iter::from_fn(lend).collect::<Vec<_>>()
        };
        let lent: usize = std::thread::scope(|scope| {
            let lenders = [(); 4].map(|()| scope.spawn(take_all));
            let lent = lenders.map(|lender| lender.join().expect("no panic"));
            lent.iter().map(Vec::len).sum()
        });
        let made = seen.made[0].load(Ordering::SeqCst);
        assert!(made <= LANE, "{made} bytes beside the lane");
        assert!((8..=17).contains(&lent), "{lent} loans");
    }
}
