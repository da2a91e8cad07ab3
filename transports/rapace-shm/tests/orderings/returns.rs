//! Slots that are given back, and used again.

use loom::thread;
use rapace_shm::Memory;
use rapace_shm::returns::{Giver, Taker};
use rapace_shm::ring::{Consumer, Producer};

use crate::memory::{Flaw, Lane, RACE, geometry, lanes};
use crate::{assert_found, explore};

const ROUNDS: u64 = 3;

/// When the reader returns a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    AfterReading,
    /// The planted flaw.
    BeforeReading,
}

/// Writes into a slot only while it is not in flight; two slots, and more payloads than slots.
fn write(lane: &Lane, peer: &Lane) {
    let at = geometry().payload_at as usize;
    let mut producer = Producer::new(geometry());
    let mut taker = Taker::new(geometry());
    let mut free = vec![1_u32, 0];
    for number in 0..ROUNDS {
        let slot = loop {
            if let Some(slot) = free.pop() {
                break slot;
            }
            match taker.take(peer).expect("an honest ring of returns") {
                Some(slot) => free.push(slot),
                None => thread::yield_now(),
            }
        };
        lane.write(at + slot as usize * 64, &number.to_le_bytes());
        while !producer.has_room(peer).expect("an honest cursor") {
            thread::yield_now();
        }
        producer.write(lane, &[u64::from(slot); 8]);
        producer.publish(lane);
    }
    // Everything comes back.
    while free.len() < 2 {
        match taker.take(peer).expect("an honest ring of returns") {
            Some(slot) => free.push(slot),
            None => thread::yield_now(),
        }
    }
}

fn slots_are_used_again(flaw: Flaw, when: When) {
    let [own, peer] = lanes(flaw);
    let at = geometry().payload_at as usize;
    let (lane, cursors) = (own.clone(), peer.clone());
    let writer = thread::spawn(move || write(&lane, &cursors));
    let mut consumer = Consumer::new(geometry());
    let mut giver = Giver::new(geometry());
    for number in 0..ROUNDS {
        let slot = loop {
            match consumer.next(&own).expect("an honest head") {
                Some(words) => break words[0] as u32,
                None => thread::yield_now(),
            }
        };
        consumer.publish(&peer);
        if when == When::BeforeReading {
            giver.give(&peer, slot);
        }
        let mut payload = [0; 8];
        own.read(at + slot as usize * 64, &mut payload);
        assert_eq!(u64::from_le_bytes(payload), number);
        if when == When::AfterReading {
            giver.give(&peer, slot);
        }
    }
    writer.join().expect("the writer");
}

#[test]
fn a_slot_is_written_again_only_after_it_was_read() {
    explore(|| slots_are_used_again(Flaw::None, When::AfterReading));
}

#[test]
fn an_early_return_is_found() {
    assert_found("", || {
        slots_are_used_again(Flaw::None, When::BeforeReading);
    });
}

#[test]
fn a_relaxed_return_is_found() {
    assert_found(RACE, || {
        slots_are_used_again(Flaw::RelaxedStores, When::AfterReading);
    });
}
