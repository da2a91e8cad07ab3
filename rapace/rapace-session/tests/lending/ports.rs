//! Streams and tunnels.

use std::time::Duration;

use bytes::Bytes;
use rapace_session::{Client as _, Streaming, Tunnel};
use tokio::io::AsyncWriteExt as _;

use crate::service::Depots;
use crate::{given_back, since, within};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn items_made_of_loans_are_not_copied() {
    let depots = Depots::new().await;
    let before = depots.back.counts();
    let mut items = within(depots.client.items(64, MIB as u32))
        .await
        .expect("items");
    let mut number = 0_u8;
    while let Some(item) = within(items.next()).await {
        let item = item.expect("item");
        assert_eq!(item.len(), MIB);
        assert!(item.iter().all(|byte| *byte == number));
        number += 1;
    }
    assert_eq!(number, 64);
    drop(items);
    let counts = since(&depots.back, before);
    assert_eq!(counts.in_place, 64 * MIB as u64, "{counts:?}");
    assert!(counts.copied <= 65 * 16, "{counts:?}");
    given_back(&depots.back).await;
}

#[tokio::test]
async fn plain_items_are_copied_once_by_the_codec() {
    let depots = Depots::new().await;
    let before = depots.there.counts();
    depots.gate.add_permits(1);
    let items: Vec<Bytes> = (0..40)
        .map(|n| Bytes::from(vec![n; 300 * 1024 + 1]))
        .collect();
    let expected: u64 = (0..40).map(|n| n * (300 * 1024 + 1)).sum();
    let total = within(depots.client.sum(Streaming::from(items))).await;
    assert_eq!(total.expect("sum"), expected);
    let counts = since(&depots.there, before);
    assert_eq!(counts.copied, 0, "{counts:?}");
    assert!(counts.encoded >= 40 * 300 * 1024, "{counts:?}");
    given_back(&depots.there).await;
}

/// Row 4 for shared memory: what one reader leaves lying is bounded by its window, and its sender
/// does not sit on memory that others need.
#[tokio::test]
async fn row_04_a_stream_that_waits_for_credit_holds_no_memory_of_the_link() {
    let depots = Depots::new().await;
    let sums: Vec<_> = (0..8)
        .map(|_| {
            let items: Vec<Bytes> = (0..10).map(|_| Bytes::from(vec![1; 600 * 1024])).collect();
            tokio::spawn(depots.client.sum(Streaming::from(items)))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    // One item of 600 KiB fits into a window of 1 MiB; the next one waits, and not in a loan.
    let counts = depots.there.counts();
    assert!(counts.lent >= 8 * 600 * 1024, "{counts:?}");
    assert!(counts.lent_high < 8 * 601 * 1024, "{counts:?}");
    depots.gate.add_permits(8);
    for sum in sums {
        let total = within(sum).await.expect("task").expect("sum");
        assert_eq!(total, 10 * 600 * 1024);
    }
    given_back(&depots.there).await;
}

#[tokio::test]
async fn an_item_larger_than_the_window_still_passes() {
    let depots = Depots::new().await;
    depots.gate.add_permits(1);
    let items: Vec<Bytes> = (0..5).map(|_| Bytes::from(vec![1; 3 * MIB])).collect();
    let total = within(depots.client.sum(Streaming::from(items))).await;
    assert_eq!(total.expect("sum"), 15 * MIB as u64);
    given_back(&depots.there).await;
}

#[tokio::test]
async fn a_tunnel_sends_a_loan_as_it_is() {
    let depots = Depots::new().await;
    let before = depots.there.counts();
    let (mut tunnel, remote) = Tunnel::pair();
    let pour = tokio::spawn(depots.client.pour(remote));
    // Eight times the window: it is split where credit ends, and nothing is copied all the same.
    let mut loan = within(depots.client.caller().loan(8 * MIB))
        .await
        .expect("loan");
    loan.fill(2);
    let mut bytes = loan.freeze();
    within(tunnel.send(&mut bytes)).await.expect("send");
    assert!(bytes.is_empty());
    tunnel.shutdown().await.expect("shutdown");
    let total = within(pour).await.expect("task").expect("pour");
    assert_eq!(total, 16 * MIB as u64);
    let counts = since(&depots.there, before);
    assert_eq!(counts.in_place, 8 * MIB as u64, "{counts:?}");
    assert_eq!(counts.copied, 0, "{counts:?}");
    drop((bytes, tunnel));
    given_back(&depots.there).await;
}

#[tokio::test]
async fn written_bytes_are_copied_once_into_the_link() {
    let depots = Depots::new().await;
    let before = depots.there.counts();
    let (mut tunnel, remote) = Tunnel::pair();
    let pour = tokio::spawn(depots.client.pour(remote));
    within(tunnel.write_all(&vec![3; 3 * MIB]))
        .await
        .expect("write");
    tunnel.shutdown().await.expect("shutdown");
    let total = within(pour).await.expect("task").expect("pour");
    assert_eq!(total, 9 * MIB as u64);
    let counts = since(&depots.there, before);
    assert_eq!(counts.copied, 0, "{counts:?}");
    assert_eq!(counts.encoded, 3 * MIB as u64, "{counts:?}");
    drop(tunnel);
    given_back(&depots.there).await;
}
