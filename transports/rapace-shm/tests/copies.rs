//! How many bytes are copied through a lane for one frame, counted by its memory.

mod ends;
mod local;

use std::sync::atomic::Ordering;

use bytes::Bytes;
use ends::{End, contents, filled, frame};
use local::{Copies, Seen};
use rapace_core::frame::Payload;
use rapace_shm::{ShmConfig, Spin};
use rapace_transport::Room;

const LEN: usize = 1 << 20;

fn pair(copy_payloads: bool) -> (End, End, Seen<true>) {
    let config = ShmConfig {
        copy_payloads,
        spin: Spin::Never,
        ..ShmConfig::default()
    };
    let (a, b, seen) = local::pair::<true>([config.clone(), config]);
    (End::new(a), End::new(b), seen)
}

/// (bytes written into lanes, bytes read out of them) since this was asked last.
fn taken(copies: &Copies) -> (usize, usize) {
    (
        copies.written.swap(0, Ordering::Relaxed),
        copies.read.swap(0, Ordering::Relaxed),
    )
}

#[test]
fn inline_payloads_are_words_of_their_descriptor() {
    let (mut a, mut b, seen) = pair(false);
    a.send(filled(1, 16));
    b.receive();
    assert_eq!(taken(&seen.copies), (0, 0));
}

#[test]
fn bytes_are_written_once_and_read_in_place() {
    let (mut a, mut b, seen) = pair(false);
    a.send(filled(1, LEN));
    let got = b.receive().payload.into_bytes();
    assert_eq!(taken(&seen.copies), (LEN, 0));
    assert!(got == contents(1, LEN));
}

#[test]
fn a_chain_is_written_once() {
    let (mut a, mut b, seen) = pair(false);
    let runs = [Bytes::from(vec![1; 1000]), Bytes::from(vec![2; LEN])];
    a.send(frame(1, Payload::Chain(runs.to_vec())));
    b.receive();
    assert_eq!(taken(&seen.copies), (LEN + 1000, 0));
}

#[test]
fn a_loan_is_not_copied_at_all() {
    let (mut a, mut b, seen) = pair(false);
    let mut loan = a.lend(Room::exact(LEN));
    loan.0.as_mut_slice().copy_from_slice(&contents(1, LEN));
    a.send(frame(1, Payload::Loan(loan)));
    let got = b.receive().payload.into_bytes();
    assert_eq!(taken(&seen.copies), (0, 0));
    assert!(got == contents(1, LEN));
}

#[test]
fn of_a_frozen_loan_only_what_stands_around_it_is_written() {
    let (mut a, mut b, seen) = pair(false);
    let room = Room {
        head: 64,
        len: LEN,
        tail: 32,
    };
    let mut loan = a.lend(room);
    loan.0.as_mut_slice().copy_from_slice(&contents(1, LEN));
    let frozen = loan.freeze();
    let (head, tail) = (Bytes::from(vec![7; 40]), Bytes::from(vec![9; 20]));
    let chain = vec![head.clone(), frozen.clone(), tail.clone()];
    a.send(frame(1, Payload::Chain(chain.clone())));
    let got = b.receive().payload.into_bytes();
    assert_eq!(taken(&seen.copies), (60, 0));
    let expected = chain.concat();
    assert!(got == expected);
    // While the peer may still read the room, it is not written again: a copy of the whole.
    let other = vec![Bytes::from(vec![8; 40]), frozen.clone()];
    a.send(frame(2, Payload::Chain(other.clone())));
    let second = b.receive().payload.into_bytes();
    assert_eq!(taken(&seen.copies), (40 + LEN, 0));
    assert!(second == other.concat() && got == expected);
    drop((got, second));
    // Everything was returned, and the room is free again.
    a.send(frame(3, Payload::Chain(other.clone())));
    // Returns are looked at when memory is wished for; either way the bytes are right.
    assert!(b.receive().payload.into_bytes() == other.concat());
    taken(&seen.copies);
    // Sent alone it needs no room.
    a.send(frame(4, Payload::Bytes(frozen.slice(100..LEN - 100))));
    assert!(b.receive().payload.into_bytes() == contents(1, LEN)[100..LEN - 100]);
    assert_eq!(taken(&seen.copies), (0, 0));
}

#[test]
fn a_peer_that_is_not_trusted_costs_one_copy_out() {
    let (mut a, mut b, seen) = pair(true);
    a.send(filled(1, LEN));
    let got = b.receive().payload.into_bytes();
    assert_eq!(taken(&seen.copies), (LEN, LEN));
    assert!(got == contents(1, LEN));
}
