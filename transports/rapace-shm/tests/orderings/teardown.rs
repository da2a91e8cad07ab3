//! The end of a link right after its last frame.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::sync::atomic::AtomicBool;
use loom::thread;
use rapace_shm::Memory;
use rapace_shm::layout::CLOSED;
use rapace_shm::ring::{Consumer, Producer};

use crate::memory::{Flaw, geometry, lanes};
use crate::{assert_found, explore};

/// How the writer ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It says that nothing follows.
    Closes,
    /// Its process dies, and the system says so. What was stored stays.
    Dies,
}

/// Reads until the writer has ended, and says how many frames there were.
fn read_all(end: End, looks_again: bool, flaw: Flaw) -> impl Fn() {
    move || {
        let [lane, _] = lanes(flaw);
        let hung_up = Arc::new(AtomicBool::new(false));
        let (own, dead) = (lane.clone(), hung_up.clone());
        let writer = thread::spawn(move || {
            let mut producer = Producer::new(geometry());
            for number in 0..2 {
                producer.write(&own, &[number; 8]);
                producer.publish(&own);
            }
            match end {
                End::Closes => own.store(CLOSED, 1, Ordering::Release),
                End::Dies => dead.store(true, Ordering::Release),
            }
        });
        let mut consumer = Consumer::new(geometry());
        let mut frames = 0;
        loop {
            while consumer.next(&lane).expect("an honest head").is_some() {
                frames += 1;
            }
            let ended = match end {
                End::Closes => lane.load(CLOSED, Ordering::Acquire) == 1,
                End::Dies => hung_up.load(Ordering::Acquire),
            };
            if ended && !(looks_again && consumer.look(&lane).expect("an honest head")) {
                break;
            }
            thread::yield_now();
        }
        assert_eq!(frames, 2, "frames were lost");
        writer.join().expect("the writer");
    }
}

#[test]
fn the_last_frame_comes_before_the_close() {
    explore(read_all(End::Closes, true, Flaw::None));
}

#[test]
fn the_last_frame_comes_before_the_death() {
    explore(read_all(End::Dies, true, Flaw::None));
}

#[test]
fn a_reader_that_does_not_look_again_is_found() {
    assert_found("frames were lost", read_all(End::Closes, false, Flaw::None));
}

#[test]
fn a_relaxed_close_is_found() {
    assert_found("", read_all(End::Closes, true, Flaw::RelaxedLoads));
}
