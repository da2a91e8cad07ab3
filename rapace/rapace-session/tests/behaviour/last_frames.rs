//! A write fails while frames of the peer are still on their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use rapace_core::control::{GoAwayReason, Message, Role};
use rapace_core::envelope;
use rapace_core::{ChannelId, Descriptor, Flags, Frame, Metadata, Payload};
use rapace_mem::MemTransport;
use rapace_session::{CallError, NotSent, Session, SessionEnd};
use rapace_testbed::TestbedClient;
use rapace_transport::{Death, FrameSink, FrameSource, LinkError, LinkInfo, Transport};

use crate::raw_peer::{RawPeer, hello};
use crate::within;

/// A link whose writes fail from some moment on, and that goes on receiving.
struct Mute {
    link: MemTransport,
    broken: Arc<AtomicBool>,
}

struct MuteSink {
    sink: Box<dyn FrameSink>,
    broken: Arc<AtomicBool>,
}

impl Transport for Mute {
    fn info(&self) -> LinkInfo {
        self.link.info()
    }

    fn split(self: Box<Self>) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
        let Mute { link, broken } = *self;
        let (sink, source) = Box::new(link).split();
        (Box::new(MuteSink { sink, broken }), source)
    }
}

impl MuteSink {
    fn check(&self) -> Result<(), LinkError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(LinkError::PeerDied(Death::seen("broken pipe")));
        }
        Ok(())
    }
}

impl FrameSink for MuteSink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        self.sink.poll_ready(cx)
    }

    fn send(&mut self, frame: Frame) {
        self.sink.send(frame);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        self.sink.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.check()?;
        self.sink.poll_close(cx)
    }
}

/// A session over a link that breaks when it is told to, and its peer.
async fn breakable() -> (Session, RawPeer, Arc<AtomicBool>) {
    let (a, b) = rapace_mem::pair();
    let broken = Arc::new(AtomicBool::new(false));
    let link = Mute {
        link: a,
        broken: broken.clone(),
    };
    let session = Session::builder().connect(link).expect("session");
    let mut peer = RawPeer::new(b);
    peer.hello(&hello(Role::Acceptor)).await;
    within(session.ready()).await.expect("ready");
    (session, peer, broken)
}

fn answer(channel: u32, body: &[u8]) -> Frame {
    let flags = Flags::DATA | Flags::EOS | Flags::RESPONSE;
    let desc = Descriptor::new(ChannelId(channel), rapace_core::MethodId(0), flags);
    let mut bytes = Vec::new();
    envelope::encode_ok_header(body.len(), &Metadata::default(), &mut bytes);
    bytes.extend_from_slice(body);
    Frame::new(desc, Payload::from(Bytes::from(bytes)))
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_said_before_it_went_is_heard_after_a_failed_write() {
    let (session, mut peer, broken) = breakable().await;
    let client: TestbedClient = session.client();
    let mut first = Box::pin(client.add(1, 2));
    let mut second = Box::pin(client.add(3, 4));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    peer.recv_data().await;
    peer.recv_data().await;
    broken.store(true, Ordering::Relaxed);
    // This one finds out; it never leaves.
    let mut third = Box::pin(client.add(5, 6));
    assert!(third.as_mut().now_or_never().is_none());
    // The driver has looked, and found nothing yet.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut fourth = Box::pin(client.add(7, 8));
    assert!(fourth.as_mut().now_or_never().is_none());
    peer.send(answer(1, &[6])).await;
    peer.control(&Message::GoAway {
        reason: GoAwayReason::Shutdown,
        last_channel: ChannelId(1),
        message: "update".into(),
        metadata: Vec::new(),
    })
    .await;
    assert_eq!(within(first).await.expect("its answer had been sent"), 3);
    let error = within(second).await.expect_err("refused");
    assert!(
        matches!(&error, CallError::NotSent(NotSent::Refused(why)) if why == "update"),
        "{error:?}"
    );
    for call in [third, fourth] {
        let error = within(call).await.expect_err("never sent");
        assert!(error.is_safe_to_retry() && error.is_lost(), "{error:?}");
    }
    drop(peer);
    let end = within(session.closed()).await;
    assert!(matches!(end, SessionEnd::Drained), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_after_a_failed_write_are_not_sent_and_wait_a_second_at_most() {
    let (session, mut peer, broken) = breakable().await;
    let client: TestbedClient = session.client();
    let mut sent = Box::pin(client.add(1, 2));
    assert!(sent.as_mut().now_or_never().is_none());
    peer.recv_data().await;
    broken.store(true, Ordering::Relaxed);
    let before = tokio::time::Instant::now();
    let mut late = Vec::new();
    for at in 0..3 {
        let mut call = Box::pin(client.add(at, at));
        assert!(call.as_mut().now_or_never().is_none());
        late.push(call);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The peer lives and says nothing: only this side cannot write.
    for call in late {
        let error = within(call).await.expect_err("the link is broken");
        let ended = matches!(&error, CallError::NotSent(NotSent::Ended(_)));
        assert!(ended && error.is_safe_to_retry(), "{error:?}");
    }
    let error = within(sent).await.expect_err("lost");
    assert!(matches!(&error, CallError::PeerDied(_)), "{error:?}");
    assert_eq!(before.elapsed().as_secs(), 1, "{:?}", before.elapsed());
    let end = within(session.closed()).await;
    assert!(matches!(end, SessionEnd::PeerDied(_)), "{end:?}");
}
