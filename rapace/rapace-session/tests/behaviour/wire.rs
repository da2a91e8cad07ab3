//! What peers of other make may send, frame by frame.

use std::time::Duration;

use bytes::Bytes;
use rapace_core::control::{
    Attach, CancelReason, ChannelKind, Direction, Hello, Message, OpenChannel, Role,
};
use rapace_core::{ChannelId, Descriptor, Flags, Frame, Metadata, MethodId, Payload};
use rapace_session::{Code, Session};

use crate::lab::{Bench, LabServer};
use crate::raw_peer::{RawPeer, hello};
use crate::within;

/// [stream.order]: what the peer may send before what.
#[tokio::test]
async fn row_09_a_stream_may_be_opened_before_or_after_its_request_but_not_after_its_data() {
    let (a, b) = rapace_mem::pair();
    let session = Session::builder()
        .serve(LabServer::new(Bench::default()))
        .accept(b)
        .expect("session");
    let mut peer = RawPeer::new(a);
    let window = (
        "rapace.window".to_owned(),
        Bytes::from_static(&[0, 0, 1, 0]),
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
            metadata: Some(Metadata::default()),
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
