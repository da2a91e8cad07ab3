//! Sessions that never come to be, and peers whose types differ.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rapace_core::control::{Hello, Message, Role};
use rapace_core::session::HandshakeFailure;
use rapace_core::{ChannelId, Descriptor, Flags, Frame, MethodId, Payload};
use rapace_session::{CallError, Code, NotSent, Session, SessionEnd};

use crate::lab::{Bench, LabClient, LabServer, Labs};
use crate::raw_peer::{RawPeer, hello, strange_method};
use crate::{quiet, within};

/// A session with a call that waits for it, and its peer.
fn waiting() -> (
    Session,
    tokio::task::JoinHandle<Result<u32, CallError>>,
    RawPeer,
) {
    let (a, b) = rapace_mem::pair();
    let host = Session::builder().connect(a).expect("host");
    let client: LabClient = host.client();
    let call = tokio::spawn(client.quick(1));
    (host, call, RawPeer::new(b))
}

/// Everybody who waits hears `expected`.
async fn fails(
    host: Session,
    call: tokio::task::JoinHandle<Result<u32, CallError>>,
    expected: impl Fn(&HandshakeFailure) -> bool,
) {
    let is_it = |end: &SessionEnd| matches!(end, SessionEnd::Handshake(why) if expected(why));
    let end = within(host.ready()).await.expect_err("never ready");
    assert!(is_it(&end), "{end:?}");
    let error = within(call).await.expect("task").expect_err("never sent");
    assert!(
        matches!(&error, CallError::NotSent(NotSent::Ended(end)) if is_it(end)),
        "{error:?}"
    );
    let end = within(host.closed()).await;
    assert!(is_it(&end), "{end:?}");
    let late: LabClient = host.client();
    let error = within(late.quick(1)).await.expect_err("over");
    assert!(
        matches!(&error, CallError::NotSent(NotSent::Ended(end)) if is_it(end)),
        "{error:?}"
    );
}

async fn is_told(peer: &mut RawPeer) {
    let message = within(peer.message()).await;
    assert!(
        matches!(
            &message,
            Message::Close {
                channel: ChannelId(0),
                error: Some(_)
            }
        ),
        "{message:?}"
    );
    within(peer.recv()).await.expect_err("and then closed");
}

#[tokio::test(start_paused = true)]
async fn row_03_ready_and_calls_fail_with_the_handshakes_reason() {
    let before = tokio::time::Instant::now();
    let (host, call, mut peer) = waiting();
    let version = 0x0002_0000;
    peer.hello(&Hello {
        protocol_version: version,
        ..hello(Role::Acceptor)
    })
    .await;
    fails(
        host,
        call,
        |why| matches!(why, HandshakeFailure::Version { theirs } if *theirs == version),
    )
    .await;
    is_told(&mut peer).await;

    let (host, call, mut peer) = waiting();
    peer.hello(&hello(Role::Initiator)).await;
    fails(host, call, |why| {
        matches!(why, HandshakeFailure::SameRole(Role::Initiator))
    })
    .await;
    is_told(&mut peer).await;

    let (host, call, mut peer) = waiting();
    let desc = Descriptor::new(ChannelId::CONTROL, MethodId(0), Flags::CONTROL);
    peer.send(Frame::new(desc, Payload::copy_from_slice(&[0xFF; 9])))
        .await;
    fails(host, call, |why| {
        matches!(why, HandshakeFailure::Undecodable(_))
    })
    .await;
    is_told(&mut peer).await;

    let (host, call, mut peer) = waiting();
    peer.request(1, MethodId(9), vec![1]).await;
    fails(host, call, |why| matches!(why, HandshakeFailure::NotHello)).await;
    is_told(&mut peer).await;

    let (host, call, mut peer) = waiting();
    let error = Some("no room".to_owned());
    peer.control(&Message::Close {
        channel: ChannelId(0),
        error,
    })
    .await;
    fails(host, call, |why| {
        matches!(why, HandshakeFailure::Refused(why) if why == "no room")
            || matches!(why, HandshakeFailure::NotHello)
    })
    .await;

    let (host, call, peer) = waiting();
    drop(peer);
    fails(host, call, |why| matches!(why, HandshakeFailure::Link(_))).await;
    assert_eq!(
        before.elapsed(),
        Duration::ZERO,
        "a failure waited for a timer"
    );

    let (host, call, mut peer) = waiting();
    fails(host, call, |why| matches!(why, HandshakeFailure::Timeout)).await;
    let waited = before.elapsed();
    assert!((10_000..10_010).contains(&waited.as_millis()), "{waited:?}");
    is_told(&mut peer).await;
}

mod old {
    use facet::Facet;

    #[derive(Facet, Debug)]
    pub struct Order {
        pub item: String,
        pub size: u32,
    }

    #[rapace_macros::service(crate = "rapace_session")]
    pub trait Shop {
        async fn order(&self, order: Order) -> u32;
        async fn count(&self) -> u32;
        async fn gone(&self) -> u32;
    }
}

mod new {
    use facet::Facet;

    #[derive(Facet, Debug)]
    pub struct Order {
        pub item: String,
        pub size: u64,
    }

    #[rapace_macros::service(crate = "rapace_session")]
    pub trait Shop {
        async fn order(&self, order: Order) -> u32;
        async fn count(&self) -> u32;
    }
}

struct Shop(Arc<AtomicU32>);

impl new::Shop for Shop {
    async fn order(&self, _order: new::Order) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    async fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn row_23_other_types_are_named() {
    let (a, b) = rapace_mem::pair();
    let host = Session::builder().connect(a).expect("host");
    let orders = Arc::new(AtomicU32::new(0));
    let plugin = Session::builder()
        .serve(new::ShopServer::new(Shop(orders.clone())))
        .accept(b)
        .expect("plugin");
    let shop: old::ShopClient = host.client();
    let order = || old::Order {
        item: "tea".to_owned(),
        size: 3,
    };
    let error = within(shop.order(order())).await.expect_err("other types");
    let CallError::SchemaMismatch { method, difference } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(method, "Shop.order");
    for part in ["size", "u32", "u64"] {
        assert!(
            difference.contains(part),
            "{part:?} is not named in: {difference}"
        );
    }
    assert!(error.is_safe_to_retry());
    assert_eq!(error.code(), Code::INCOMPATIBLE_SCHEMA);
    // Methods that did not change go on working.
    assert_eq!(within(shop.count()).await.expect("same types"), 0);
    assert_eq!(orders.load(Ordering::SeqCst), 0, "the order was sent");
    assert_eq!(
        within(shop.gone()).await.expect_err("gone").code(),
        Code::UNIMPLEMENTED
    );
    quiet([&host, &plugin]).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_say_how_it_sees_a_method_cannot_hold_the_caller_up() {
    let (host, call, mut peer) = waiting();
    // It lists the very method that would be asked, with other types, too.
    let methods = vec![strange_method("Lab.quick"), strange_method("Rapace.schema")];
    peer.hello(&Hello {
        methods,
        ..hello(Role::Acceptor)
    })
    .await;
    let error = within(call).await.expect("task").expect_err("other types");
    assert!(
        matches!(&error, CallError::SchemaMismatch { .. }),
        "{error:?}"
    );
    drop(host);

    let (host, call, mut peer) = waiting();
    let methods = vec![strange_method("Lab.quick")];
    peer.hello(&Hello {
        methods,
        ..hello(Role::Acceptor)
    })
    .await;
    let client: LabClient = host.client();
    within(host.ready()).await.expect("ready");
    let before = tokio::time::Instant::now();
    let bounded = client.quick(1).deadline(Duration::from_millis(100));
    let error = within(bounded).await.expect_err("other types");
    assert!(
        matches!(
            &error,
            CallError::SchemaMismatch { .. } | CallError::DeadlineExceeded
        ),
        "{error:?}"
    );
    assert!(
        before.elapsed() < Duration::from_millis(200),
        "{:?}",
        before.elapsed()
    );
    let error = within(call).await.expect("task").expect_err("other types");
    assert!(
        matches!(&error, CallError::SchemaMismatch { .. }),
        "{error:?}"
    );
    drop(peer);
}

#[tokio::test]
async fn row_24_a_restarted_peer_has_another_epoch_and_what_belonged_to_the_old_one_stays_dead() {
    let first = Labs::new();
    within(first.host.ready()).await.expect("ready");
    let old_client = first.client();
    let old_epoch = first.host.peer_epoch().expect("an epoch");
    let items = within(old_client.feed()).await.expect("feed");
    first.kill.kill();
    within(first.host.closed()).await;
    let second = Labs::new();
    within(second.host.ready()).await.expect("ready");
    assert_ne!(second.host.peer_epoch().expect("an epoch"), old_epoch);
    assert!(within(old_client.quick(1)).await.is_err());
    assert!(
        within(futures_util::StreamExt::collect::<Vec<_>>(items))
            .await
            .pop()
            .is_some_and(|last| last.is_err())
    );
    assert_eq!(
        within(second.client().quick(2))
            .await
            .expect("the new life"),
        2
    );
    assert_ne!(first.host.peer_epoch(), second.host.peer_epoch());
}

/// [stream.order]: what the peer may send before what.
#[tokio::test]
async fn row_09_a_stream_may_be_opened_before_or_after_its_request_but_not_after_its_data() {
    use rapace_core::control::{Attach, CancelReason, ChannelKind, Direction, OpenChannel};
    let (a, b) = rapace_mem::pair();
    let session = Session::builder()
        .serve(LabServer::new(Bench::default()))
        .accept(b)
        .expect("session");
    let mut peer = RawPeer::new(a);
    let window = (
        "rapace.window".to_owned(),
        bytes::Bytes::from_static(&[0, 0, 1, 0]),
    );
    peer.hello(&Hello {
        params: vec![window],
        ..hello(Role::Initiator)
    })
    .await;
    within(session.ready()).await.expect("ready");
    let total = MethodId(rapace_codec::method_id("Lab", "total"));
    let open = |channel: u32, attach: Option<u32>| {
        Message::Open(OpenChannel {
            channel: ChannelId(channel),
            kind: if attach.is_some() {
                ChannelKind::Stream
            } else {
                ChannelKind::Call
            },
            attach: attach.map(|call| Attach {
                call: ChannelId(call),
                port: 1,
                direction: Direction::ClientToServer,
            }),
            metadata: Some(rapace_core::Metadata::default()),
            initial_credits: 0,
        })
    };
    let data = |channel: u32| {
        let desc = Descriptor::new(ChannelId(channel), MethodId(0), Flags::DATA | Flags::EOS);
        Frame::new(desc, Payload::copy_from_slice(&[21]))
    };
    // The stream and all of its data come between the call's opening and its request.
    peer.control(&open(1, None)).await;
    peer.control(&open(3, Some(1))).await;
    peer.send(data(3)).await;
    peer.request(1, total, vec![1]).await;
    let answer = within(peer.response())
        .await
        .body
        .expect("a body")
        .into_bytes();
    assert_eq!(&answer[..], [42], "21 as a zigzag");
    // The stream is opened after the request.
    peer.request(5, total, vec![1]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    peer.control(&open(7, Some(5))).await;
    peer.send(data(7)).await;
    assert_eq!(within(peer.response()).await.status.code, Code::OK);
    // Its data overtake its opening: that channel ends, the session does not.
    peer.request(9, total, vec![1]).await;
    peer.send(data(11)).await;
    let refused = loop {
        if let Message::Cancel { channel, reason } = within(peer.message()).await {
            break (channel, reason);
        }
    };
    assert_eq!(refused, (ChannelId(11), CancelReason::ProtocolViolation));
    // Arguments that do not decode, and a port that is not the declared one.
    let quick = MethodId(rapace_codec::method_id("Lab", "quick"));
    for (at, bad) in [vec![], vec![0xFF; 6], vec![1, 2]].into_iter().enumerate() {
        peer.request(13 + 2 * at as u32, quick, bad).await;
        let status = within(peer.response()).await.status;
        assert_eq!(status.code, Code::INVALID_ARGUMENT, "{status:?}");
        assert!(
            status.message.contains(|c: char| c.is_ascii_digit()),
            "no position: {status:?}"
        );
    }
    peer.request(21, total, vec![2]).await;
    let status = within(peer.response()).await.status;
    assert_eq!(status.code, Code::INVALID_ARGUMENT, "{status:?}");
    assert!(status.message.contains("port 2"), "{status:?}");
    assert!(session.end().is_none());
}
