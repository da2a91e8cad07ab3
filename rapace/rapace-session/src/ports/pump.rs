//! The task that moves a stream's items into the session, as fast as credit and link allow.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use facet::Facet;
use futures_core::Stream;
use rapace_codec::Codec;
use rapace_core::session::{SendAllowance, SendBlocked};
use rapace_core::{ChannelId, Payload};

use super::link::PortLink;
use crate::encode::{self, Outlet};
use crate::shared::Shared;

/// Items encoded before the session's lock is taken once for all of them.
const BATCH_ITEMS: usize = 256;
/// Bytes after which a batch is complete.
const BATCH_BYTES: usize = 64 * 1024;
/// Batches in one poll before other tasks get their turn.
const BATCHES_PER_POLL: usize = 4;

/// Where the items of an outgoing stream come from, encoded.
pub(super) trait ItemSource: Send {
    /// Appends what is ready now to `out`: at least one item, or the end, or it is pending.
    ///
    /// With an `allowance`, an item that it does not cover is kept back, not encoded.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut VecDeque<Payload>,
        outlet: Outlet<'_>,
        allowance: Option<SendAllowance>,
    ) -> Poll<Fill>;
}

/// What [`ItemSource::poll_fill`] found.
pub(super) enum Fill {
    /// There may be more.
    More,
    /// The next item is there, and its so many bytes wait for credit.
    NeedsCredit(usize),
    /// That was all.
    End,
    /// The stream broke off: an item cannot be encoded, or the stream it forwards failed.
    Broken(String),
}

/// From items to payloads.
pub(super) trait EncodeItem<T>: Send {
    /// The item's bytes where the link reads them; `None` when their length does not fit.
    fn encode(
        &self,
        item: &T,
        outlet: Outlet<'_>,
        fits: impl FnOnce(usize) -> bool,
    ) -> Result<Option<Payload>, String>;
}

impl<T: Facet<'static>> EncodeItem<T> for Codec<T> {
    #[inline]
    fn encode(
        &self,
        item: &T,
        outlet: Outlet<'_>,
        fits: impl FnOnce(usize) -> bool,
    ) -> Result<Option<Payload>, String> {
        encode::item(self.bind(item), outlet, fits).map_err(|error| error.to_string())
    }
}

/// For items that are encoded already.
pub(super) struct Verbatim;

impl EncodeItem<Bytes> for Verbatim {
    fn encode(
        &self,
        item: &Bytes,
        outlet: Outlet<'_>,
        fits: impl FnOnce(usize) -> bool,
    ) -> Result<Option<Payload>, String> {
        Ok(fits(item.len()).then(|| encode::copied(item, outlet)))
    }
}

/// A stream of values as a source of payloads.
pub(super) struct Encoded<T, S, C> {
    items: S,
    codec: C,
    /// An item that credit did not cover.
    kept: Option<T>,
    ended: bool,
}

impl<T, S, C> Encoded<T, S, C> {
    pub(super) fn new(items: S, codec: C) -> Self {
        Encoded {
            items,
            codec,
            kept: None,
            ended: false,
        }
    }
}

impl<T, S, E, C> ItemSource for Encoded<T, S, C>
where
    T: Send,
    S: Stream<Item = Result<T, E>> + Unpin + Send,
    E: std::fmt::Display,
    C: EncodeItem<T>,
{
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut VecDeque<Payload>,
        outlet: Outlet<'_>,
        mut allowance: Option<SendAllowance>,
    ) -> Poll<Fill> {
        if self.ended {
            return Poll::Ready(Fill::End);
        }
        let mut items = 0;
        let mut bytes = 0;
        while items < BATCH_ITEMS && bytes < BATCH_BYTES {
            let next = match self.kept.take() {
                Some(item) => Poll::Ready(Some(Ok(item))),
                None => Pin::new(&mut self.items).poll_next(cx),
            };
            match next {
                Poll::Ready(Some(Ok(item))) => {
                    let mut needed = 0;
                    let fits = |len| {
                        needed = len;
                        allowance.as_mut().is_none_or(|left| left.spend(len))
                    };
                    match self.codec.encode(&item, outlet, fits) {
                        Ok(Some(payload)) => {
                            items += 1;
                            bytes += payload.len();
                            out.push_back(payload);
                        }
                        Ok(None) => {
                            self.kept = Some(item);
                            return Poll::Ready(Fill::NeedsCredit(needed));
                        }
                        Err(why) => return Poll::Ready(Fill::Broken(why)),
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Fill::Broken(error.to_string()));
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    return Poll::Ready(Fill::End);
                }
                Poll::Pending if items == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Fill::More)
    }
}

/// Moves one stream.
pub(super) struct Pump {
    shared: Arc<Shared>,
    link: Arc<PortLink>,
    channel: ChannelId,
    source: Box<dyn ItemSource>,
    queue: VecDeque<Payload>,
    ended: bool,
    /// The peer knows how the stream ended, or there is nobody to tell.
    over: bool,
}

/// How far one attempt to send came.
enum Sent {
    All,
    Blocked,
    Over,
}

impl Pump {
    pub(super) fn new(
        shared: Arc<Shared>,
        link: Arc<PortLink>,
        channel: ChannelId,
        source: Box<dyn ItemSource>,
    ) -> Self {
        Pump {
            shared,
            link,
            channel,
            source,
            queue: VecDeque::new(),
            ended: false,
            over: false,
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Sent {
        let now = self.shared.runtime.now();
        let mut state = self.shared.lock();
        self.link.watch_writable(cx);
        let mut sent = Sent::All;
        while let Some(payload) = self.queue.pop_front() {
            let last = self.ended && self.queue.is_empty();
            match state.core.send_data(self.channel, payload, last) {
                Ok(()) if last => sent = Sent::Over,
                Ok(()) => {}
                Err((SendBlocked::TooLarge, payload)) => {
                    let bytes = payload.len();
                    drop(state);
                    self.break_off(&format!(
                        "an item of {bytes} bytes is more than the peer takes"
                    ));
                    return Sent::Over;
                }
                Err((SendBlocked::Closed, _)) => {
                    sent = Sent::Over;
                    break;
                }
                Err((blocked, payload)) => {
                    self.queue.push_front(payload);
                    if let SendBlocked::Congested = blocked {
                        state.congested.push(cx.waker().clone());
                    }
                    sent = Sent::Blocked;
                    break;
                }
            }
        }
        if matches!(sent, Sent::All) && self.ended {
            state.core.send_eos(self.channel);
            sent = Sent::Over;
        }
        if matches!(sent, Sent::Over) {
            self.link.finish_sending();
            state.ports.remove(&self.channel);
        }
        self.shared.settle(state, now);
        sent
    }

    /// What may be sent now, on a link that lends: an item is encoded only when it can leave, so
    /// that a stream which nobody reads holds no memory of the link, which all streams share.
    fn allowance(&self) -> Option<SendAllowance> {
        self.shared.lender.as_ref()?;
        self.shared.lock().core.send_allowance(self.channel)
    }

    /// Whether an item of `len` bytes may be sent by now; else the pump is woken when more may.
    fn has_credit(&self, cx: &Context<'_>, len: usize) -> bool {
        let mut state = self.shared.lock();
        self.link.watch_writable(cx);
        // A channel that is closed says so when it is sent to.
        let allowance = state.core.send_allowance(self.channel);
        let fits = allowance.is_none_or(|mut left| left.spend(len));
        if !fits {
            state.core.await_credit(self.channel);
        }
        fits
    }

    /// The stream cannot go on: the peer must not take what came so far for all of it.
    fn break_off(&self, why: &str) {
        tracing::debug!(target: "rapace", channel = self.channel.0, why, "outgoing stream broke off");
        let now = self.shared.runtime.now();
        let mut state = self.shared.lock();
        self.link.drop_half(&mut state, now);
        self.shared.settle(state, now);
    }
}

impl Drop for Pump {
    /// The user's stream panicked, or the runtime dropped the task.
    fn drop(&mut self) {
        if !self.over {
            self.break_off("its task was dropped");
        }
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let pump = self.get_mut();
        let poll = pump.advance(cx);
        pump.over = poll.is_ready();
        poll
    }
}

impl Pump {
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let pump = self;
        for _ in 0..BATCHES_PER_POLL {
            // Also notices that the peer has given the stream up while the source is silent; watches
            // before it looks, so that a failure in between is not missed.
            pump.link.watch_writable(cx);
            if let Poll::Ready(Err(_)) = pump.link.poll_channel(cx) {
                return Poll::Ready(());
            }
            let mut needed = None;
            if pump.queue.is_empty() && !pump.ended {
                let (outlet, allowance) = (pump.shared.outlet(), pump.allowance());
                let filled = pump
                    .source
                    .poll_fill(cx, &mut pump.queue, outlet, allowance);
                match filled {
                    Poll::Ready(Fill::More) => {}
                    Poll::Ready(Fill::NeedsCredit(len)) => needed = Some(len),
                    Poll::Ready(Fill::End) => pump.ended = true,
                    Poll::Ready(Fill::Broken(why)) => {
                        pump.break_off(&why);
                        return Poll::Ready(());
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
            match pump.send(cx) {
                Sent::All if needed.is_some_and(|len| !pump.has_credit(cx, len)) => {
                    return Poll::Pending;
                }
                Sent::All => {}
                Sent::Blocked => return Poll::Pending,
                Sent::Over => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
