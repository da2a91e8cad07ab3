//! Descriptors, and the payloads that they name.

use loom::thread;
use rapace_shm::Memory;
use rapace_shm::ring::{Consumer, Producer, Words};

use crate::memory::{Flaw, RACE, geometry, lanes};
use crate::{assert_found, explore};

const FRAMES: u64 = 4;

fn words(number: u64) -> Words {
    std::array::from_fn(|index| number * 100 + index as u64)
}

/// Four frames through a ring of two: it wraps, and the writer waits for the reader. Each frame
/// has its own payload, written before it and read after it.
fn through_a_ring(flaw: Flaw) {
    let [own, peer] = lanes(flaw);
    let at = geometry().payload_at as usize;
    let (lane, cursors) = (own.clone(), peer.clone());
    let writer = thread::spawn(move || {
        let mut producer = Producer::new(geometry());
        for number in 0..FRAMES {
            while !producer.has_room(&cursors).expect("an honest cursor") {
                thread::yield_now();
            }
            lane.write(at + number as usize * 64, &number.to_le_bytes());
            producer.write(&lane, &words(number));
            assert!(producer.publish(&lane));
        }
    });
    let mut consumer = Consumer::new(geometry());
    for number in 0..FRAMES {
        let got = loop {
            match consumer.next(&own).expect("an honest head") {
                Some(words) => break words,
                None => thread::yield_now(),
            }
        };
        assert_eq!(got, words(number));
        let mut payload = [0; 8];
        own.read(at + number as usize * 64, &mut payload);
        assert_eq!(u64::from_le_bytes(payload), number);
        assert!(consumer.publish(&peer));
    }
    writer.join().expect("the writer");
    assert!(consumer.next(&own).expect("an honest head").is_none());
}

#[test]
fn a_ring_that_wraps_delivers_whole_frames_in_order() {
    explore(|| through_a_ring(Flaw::None));
}

#[test]
fn a_relaxed_publish_is_found() {
    assert_found(RACE, || through_a_ring(Flaw::RelaxedStores));
}

#[test]
fn a_relaxed_look_is_found() {
    assert_found(RACE, || through_a_ring(Flaw::RelaxedLoads));
}

#[test]
fn a_cursor_that_is_told_before_the_descriptor_is_read_is_found() {
    assert_found(RACE, || {
        let [own, peer] = lanes(Flaw::None);
        let (lane, cursors) = (own.clone(), peer.clone());
        let writer = thread::spawn(move || {
            let mut producer = Producer::new(geometry());
            for number in 0..3 {
                while !producer.has_room(&cursors).expect("an honest cursor") {
                    thread::yield_now();
                }
                producer.write(&lane, &words(number));
                producer.publish(&lane);
            }
        });
        let mut consumer = Consumer::new(geometry());
        while !consumer.look(&own).expect("an honest head") {
            thread::yield_now();
        }
        // The flaw: one is said to be consumed, and then it is.
        peer.store(
            rapace_shm::layout::CONSUMED,
            1,
            std::sync::atomic::Ordering::Release,
        );
        let _ = consumer.next(&own);
        writer.join().expect("the writer");
    });
}

#[test]
fn a_payload_written_after_its_descriptor_was_published_is_found() {
    assert_found(RACE, || {
        let [own, _] = lanes(Flaw::None);
        let at = geometry().payload_at as usize;
        let lane = own.clone();
        let writer = thread::spawn(move || {
            let mut producer = Producer::new(geometry());
            producer.write(&lane, &words(0));
            producer.publish(&lane);
            lane.write(at, &[1; 8]);
        });
        let mut consumer = Consumer::new(geometry());
        if let Some(_words) = consumer.next(&own).expect("an honest head") {
            own.read(at, &mut [0; 8]);
        }
        writer.join().expect("the writer");
    });
}
