//! Arguments and return values.

use bytes::Bytes;
use rapace_session::Client as _;

use crate::service::{Depots, Parcel, Record};
use crate::{given_back, since, within};

const MIB: usize = 1 << 20;

/// The most that the link may copy beside a loan: lengths, an envelope, small fields.
const SMALL: u64 = 64;

#[tokio::test]
async fn small_payloads_ask_for_no_loan() {
    let depots = Depots::new().await;
    let before = (depots.there.counts(), depots.back.counts());
    for n in 0..100 {
        assert_eq!(within(depots.client.add(n, 1)).await.expect("add"), n + 1);
    }
    let (there, back) = (
        since(&depots.there, before.0),
        since(&depots.back, before.1),
    );
    assert_eq!((there.asked, there.encoded, there.copied), (0, 0, 0));
    assert_eq!((back.asked, back.encoded, back.copied), (0, 0, 0));
}

#[tokio::test]
async fn a_struct_is_encoded_where_the_peer_reads_it() {
    let depots = Depots::new().await;
    let before = (depots.there.counts(), depots.back.counts());
    let record = Record {
        name: "n".repeat(300),
        numbers: (0..10_000).collect(),
        raw: vec![3; 100_000],
    };
    let same = within(depots.client.copy(record.clone())).await;
    assert_eq!(same.expect("copy"), record);
    for (lane, before) in [(&depots.there, before.0), (&depots.back, before.1)] {
        let counts = since(lane, before);
        assert_eq!(counts.copied, 0, "{counts:?}");
        assert!(counts.encoded > 120_000, "{counts:?}");
        given_back(lane).await;
    }
}

#[tokio::test]
async fn plain_bytes_are_copied_once_by_the_codec() {
    let depots = Depots::new().await;
    let before = depots.there.counts();
    let data = Bytes::from(vec![1; MIB]);
    assert_eq!(
        within(depots.client.weigh(data)).await.expect("weigh"),
        MIB as u32
    );
    let counts = since(&depots.there, before);
    assert_eq!(counts.copied, 0, "{counts:?}");
    assert_eq!(counts.encoded, MIB as u64 + 3, "{counts:?}");
    assert_eq!(counts.in_place, 0, "{counts:?}");
    given_back(&depots.there).await;
}

#[tokio::test]
async fn a_frozen_loan_is_not_copied_as_an_argument() {
    let depots = Depots::new().await;
    let mut loan = within(depots.client.caller().loan(MIB))
        .await
        .expect("loan");
    assert!(loan.is_lent());
    loan.fill(9);
    let data = loan.freeze();
    let before = depots.there.counts();
    for _ in 0..3 {
        let weight = within(depots.client.weigh(data.clone())).await;
        assert_eq!(weight.expect("weigh"), MIB as u32);
    }
    let counts = since(&depots.there, before);
    assert_eq!(counts.in_place, 3 * MIB as u64, "{counts:?}");
    assert!(counts.copied <= 3 * SMALL, "{counts:?}");
    assert_eq!(counts.encoded, 0, "{counts:?}");
    drop(data);
    given_back(&depots.there).await;
}

#[tokio::test]
async fn a_frozen_loan_among_other_fields_is_not_copied_either_way() {
    let depots = Depots::new().await;
    let mut loan = within(depots.client.caller().loan(MIB))
        .await
        .expect("loan");
    loan.fill(4);
    let parcel = Parcel {
        name: "a parcel".to_owned(),
        body: loan.freeze(),
        tag: 77,
    };
    let before = (depots.there.counts(), depots.back.counts());
    let same = within(depots.client.forward(parcel.clone())).await;
    assert_eq!(same.expect("forward"), parcel);
    let there = since(&depots.there, before.0);
    assert_eq!(there.in_place, MIB as u64, "{there:?}");
    assert!(there.copied <= SMALL, "{there:?}");
    // What the plugin gives back lies in the host's lane, which it cannot lend: one copy, by the
    // codec, into its own.
    let back = since(&depots.back, before.1);
    assert_eq!((back.in_place, back.copied), (0, 0), "{back:?}");
    assert!(back.encoded > MIB as u64, "{back:?}");
    drop((parcel, depots.client));
    given_back(&depots.there).await;
    given_back(&depots.back).await;
}

#[tokio::test]
async fn a_handler_answers_with_a_loan() {
    let depots = Depots::new().await;
    for trailer in [false, true] {
        let before = depots.back.counts();
        let call = depots.client.make(MIB as u32, trailer);
        let (parcel, trailers) = within(call.with_response_metadata()).await.expect("make");
        assert_eq!(parcel.body, vec![7; MIB]);
        assert_eq!(trailers.get("made").is_some(), trailer);
        let counts = since(&depots.back, before);
        assert_eq!(counts.in_place, MIB as u64, "{counts:?}");
        assert!(counts.copied <= SMALL, "{counts:?}");
        assert_eq!(counts.encoded, 0, "{counts:?}");
    }
    given_back(&depots.back).await;
}

#[tokio::test]
async fn without_anything_to_lend_calls_go_on_from_the_heap() {
    let depots = Depots::new().await;
    depots.there.set_budget(0);
    depots.back.set_budget(0);
    let parcel = Parcel {
        name: "p".repeat(30),
        body: Bytes::from(vec![8; MIB]),
        tag: 1,
    };
    let before = depots.there.counts();
    let same = within(depots.client.forward(parcel.clone())).await;
    assert_eq!(same.expect("forward"), parcel);
    let counts = since(&depots.there, before);
    assert!(counts.copied > MIB as u64, "{counts:?}");
    assert_eq!(counts.encoded, 0, "{counts:?}");
}
