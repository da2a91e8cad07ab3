//! Sleeping and waking: nobody sleeps through a change.
//!
//! A bell is a flag under a mutex with a condition to wait for, which is what an eventfd is.
//! Deadlock, which loom reports, is a lost wake-up.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread;
use rapace_shm::Memory;
use rapace_shm::layout::{NAP_DATA, NAP_ROOM};
use rapace_shm::nap::{Alert, Nap};
use rapace_shm::ring::{Consumer, Producer};

use crate::memory::{DEADLOCK, Flaw, Lane, geometry, lanes};
use crate::{assert_found, explore};

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn park(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }

    fn forget(&self) {
        *self.rung.lock().unwrap() = false;
    }
}

/// How a sleeper goes to sleep.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    NapThenLook,
    /// Planted: does not look again after announcing the nap.
    LookThenNap,
    /// Planted: forgets rings that came before it registered, and registers after its last look.
    LookThenRegister,
}

/// Waits until `look` finds something.
fn wait<T>(
    lane: &Lane,
    bell: &Bell,
    nap: &mut Nap,
    order: Order,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        nap.fall_asleep(lane);
        if order != Order::LookThenNap
            && let Some(found) = look()
        {
            nap.wake_up(lane);
            return found;
        }
        if order == Order::LookThenRegister {
            bell.forget();
        }
        bell.park();
        nap.wake_up(lane);
    }
}

/// One side sends through a ring of two and sleeps while it is full; the other one sleeps while it
/// is empty.
fn both_sleep(flaw: Flaw, order: Order, frames: u64) {
    let [lane, back] = lanes(flaw);
    let (data, room) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    let (writer_lane, writer_back) = (lane.clone(), back.clone());
    let (writer_data, writer_room) = (data.clone(), room.clone());
    let writer = thread::spawn(move || {
        let mut producer = Producer::new(geometry());
        let mut nap = Nap::new(NAP_ROOM);
        let alert = Alert::new(NAP_DATA);
        for number in 0..frames {
            wait(&writer_lane, &writer_room, &mut nap, order, || {
                let room = producer.has_room(&writer_back);
                room.expect("an honest cursor").then_some(())
            });
            producer.write(&writer_lane, &[number; 8]);
            producer.publish(&writer_lane);
            if alert.wanted(&writer_back) {
                writer_data.ring();
            }
        }
    });
    let mut consumer = Consumer::new(geometry());
    let mut nap = Nap::new(NAP_DATA);
    let alert = Alert::new(NAP_ROOM);
    for number in 0..frames {
        let words = wait(&back, &data, &mut nap, order, || {
            consumer.next(&lane).expect("an honest head")
        });
        assert_eq!(words, [number; 8]);
        consumer.publish(&back);
        if alert.wanted(&lane) {
            room.ring();
        }
    }
    writer.join().expect("the writer");
}

#[test]
fn no_wake_up_is_lost_while_a_reader_waits_for_frames() {
    explore(|| both_sleep(Flaw::None, Order::NapThenLook, 2));
}

#[test]
fn no_wake_up_is_lost_while_a_writer_waits_for_room_too() {
    explore(|| both_sleep(Flaw::None, Order::NapThenLook, 4));
}

#[test]
fn a_missing_fence_is_found() {
    assert_found(DEADLOCK, || {
        both_sleep(Flaw::NoFence, Order::NapThenLook, 2);
    });
}

#[test]
fn a_sleeper_that_does_not_look_again_is_found() {
    assert_found(DEADLOCK, || both_sleep(Flaw::None, Order::LookThenNap, 2));
}

#[test]
fn a_sleeper_that_registers_after_its_last_look_is_found() {
    assert_found(DEADLOCK, || {
        both_sleep(Flaw::None, Order::LookThenRegister, 2);
    });
}

/// Two naps that look the same to the waker, which rings once for each.
#[test]
fn naps_that_are_not_counted_are_found() {
    assert_found(DEADLOCK, || {
        let [lane, back] = lanes(Flaw::None);
        let bell = Arc::new(Bell::default());
        let (writer_lane, writer_back, ring) = (lane.clone(), back.clone(), bell.clone());
        let writer = thread::spawn(move || {
            let mut producer = Producer::new(geometry());
            let alert = Alert::new(NAP_DATA);
            for number in 0..2 {
                producer.write(&writer_lane, &[number; 8]);
                producer.publish(&writer_lane);
                if alert.wanted(&writer_back) {
                    ring.ring();
                }
            }
        });
        let mut consumer = Consumer::new(geometry());
        for _ in 0..2 {
            loop {
                if consumer.next(&lane).expect("an honest head").is_some() {
                    break;
                }
                // The flaw: a fresh counter, so this nap has the number of the last one.
                let mut nap = Nap::new(NAP_DATA);
                nap.fall_asleep(&back);
                let there = consumer.look(&lane).expect("an honest head");
                if !there {
                    bell.park();
                }
                back.store(NAP_DATA, 0, std::sync::atomic::Ordering::Relaxed);
            }
        }
        writer.join().expect("the writer");
    });
}

/// Two threads of one process make room at the same time: two payloads are dropped, or one is
/// while the source reads.
#[test]
fn two_wakers_of_one_process_lose_no_wake_up_together() {
    explore(|| {
        let [lane, back] = lanes(Flaw::None);
        let bell = Arc::new(Bell::default());
        let alert = Arc::new(Alert::new(NAP_ROOM));
        let words = [
            rapace_shm::layout::CONSUMED,
            rapace_shm::layout::RETURNS_HEAD,
        ];
        let wakers = words.map(|word| {
            let (lane, back) = (lane.clone(), back.clone());
            let (alert, bell) = (alert.clone(), bell.clone());
            thread::spawn(move || {
                back.store(word, 1, std::sync::atomic::Ordering::Release);
                if alert.wanted(&lane) {
                    bell.ring();
                }
            })
        });
        let mut nap = Nap::new(NAP_ROOM);
        for word in words {
            wait(&lane, &bell, &mut nap, Order::NapThenLook, || {
                let there = back.load(word, std::sync::atomic::Ordering::Acquire) == 1;
                there.then_some(())
            });
        }
        for waker in wakers {
            waker.join().expect("a waker");
        }
    });
}
