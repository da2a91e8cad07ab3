//! Getting loans, and giving them back.

use std::task::Poll;
use std::time::Duration;

use futures_util::future::poll_immediate;
use rapace_session::{CallError, Client as _, NotSent, Room, Session, SessionEnd};

use crate::service::{BUDGET, DepotClient, Depots};
use crate::{given_back, within};

#[tokio::test]
async fn an_unsent_loan_goes_back_when_it_is_dropped() {
    let depots = Depots::new().await;
    let caller = depots.client.caller();
    let loan = within(caller.loan(1000)).await.expect("loan");
    assert_eq!(loan.len(), 1000);
    assert!(depots.there.counts().lent > 1000);
    drop(loan);
    assert_eq!(depots.there.counts().lent, 0);

    let frozen = within(caller.loan(1000)).await.expect("loan").freeze();
    assert!(depots.there.counts().lent > 1000);
    drop(frozen);
    assert_eq!(depots.there.counts().lent, 0);
}

#[tokio::test]
async fn loans_wait_for_memory_and_a_dropped_one_has_taken_nothing() {
    let depots = Depots::new().await;
    let caller = depots.client.caller();
    let held = within(caller.loan(BUDGET - 500)).await.expect("loan");
    let mut given_up = Box::pin(caller.loan(4096));
    assert!(poll_immediate(&mut given_up).await.is_none());
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move { caller.loan(4096).await.expect("loan").len() })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    drop(given_up);
    drop(held);
    for task in waiting {
        assert_eq!(within(task).await.expect("task"), 4096);
    }
    given_back(&depots.there).await;
}

#[tokio::test]
async fn a_loan_that_waits_ends_with_the_session() {
    let depots = Depots::new().await;
    let caller = depots.client.caller();
    let held = within(caller.loan(BUDGET - 500)).await.expect("loan");
    let mut waits = Box::pin(caller.loan(4096));
    assert!(poll_immediate(&mut waits).await.is_none());
    depots.host.abort();
    match within(waits).await {
        Err(CallError::NotSent(NotSent::Ended(SessionEnd::Local))) => {}
        other => panic!("{other:?}"),
    }
    // The loan that is out lives on.
    assert_eq!(held.len(), BUDGET - 500);
}

#[tokio::test]
async fn a_loan_that_the_system_refuses_fails_alone() {
    let depots = Depots::new().await;
    let caller = depots.client.caller();
    let held = within(caller.loan(BUDGET - 500)).await.expect("loan");
    let mut waits = Box::pin(caller.loan(4096));
    assert!(poll_immediate(&mut waits).await.is_none());
    depots.there.refuse();
    match within(waits).await {
        Err(error @ CallError::NotSent(NotSent::NoMemory(_))) => {
            assert!(error.is_safe_to_retry() && !error.is_lost());
            assert!(error.to_string().contains("refused for 5s"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(within(depots.client.add(1, 2)).await.expect("a sum"), 3);
    drop(held);
    within(caller.loan(4096)).await.expect("a loan again");
}

#[tokio::test]
async fn more_than_a_link_ever_lends_is_refused_with_the_limit() {
    let depots = Depots::new().await;
    let refused = within(depots.client.caller().loan(BUDGET + 1)).await;
    match refused {
        Err(CallError::TooLarge { bytes, limit }) => {
            assert!(bytes > BUDGET as u64);
            assert_eq!(limit, BUDGET as u64);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_room_around_a_loan_is_what_was_asked_for() {
    let depots = Depots::new().await;
    let room = Room {
        head: 3000,
        len: 100_000,
        tail: 0,
    };
    let loan = within(depots.client.caller().loan_with_room(room)).await;
    let loan = loan.expect("loan");
    assert_eq!(loan.len(), 100_000);
    assert_eq!(depots.there.counts().lent, 103_000);
}

#[tokio::test]
async fn where_nothing_is_lent_a_loan_is_heap_memory() {
    let (a, b) = rapace_mem::pair();
    let host = Session::builder().connect(a).expect("host");
    let _plugin = Session::builder().accept(b).expect("plugin");
    let client: DepotClient = host.client();
    let mut loan = Box::pin(client.caller().loan(5000));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let Poll::Ready(loan) = loan.as_mut().poll(&mut cx) else {
        panic!("heap memory is there at once");
    };
    let mut loan = loan.expect("loan");
    assert!(!loan.is_lent());
    loan[4999] = 1;
    assert_eq!(loan.freeze().len(), 5000);
}
