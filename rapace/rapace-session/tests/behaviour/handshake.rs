//! Sessions that never come to be, and peers whose types differ.

use std::time::Duration;

use rapace_core::control::{Hello, Message, Role};
use rapace_core::session::HandshakeFailure;
use rapace_core::{ChannelId, Descriptor, Flags, Frame, MethodId, Payload};
use rapace_session::{CallError, NotSent, Session, SessionEnd};

use crate::lab::{LabClient, Labs};
use crate::raw_peer::{RawPeer, hello};
use crate::within;

/// A session with a call that waits for it, and its peer.
pub(crate) fn waiting() -> (
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
