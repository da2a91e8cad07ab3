//! One end of a link.

use std::sync::Arc;

use rapace_transport::{
    DeadlineForm, FrameSink, FrameSource, Lender, LinkError, LinkInfo, Transport,
};

use crate::ShmConfig;
use crate::control::Platform;
use crate::gauge::LaneGauge;
use crate::heap::Heap;
use crate::layout::Geometry;
use crate::lent::LaneLender;
use crate::memory::Memory;
use crate::returns::Taker;
use crate::ring::{Consumer, Producer};
use crate::shared::{Bells, Shared};
use crate::sink::ShmSink;
use crate::source::ShmSource;

/// What one end of a link is made of, after both ends have exchanged their lanes and bells.
#[derive(Debug)]
pub struct Parts<P: Platform> {
    /// This end's lane, filled by [`prepare_lane`].
    pub own: P::Memory,
    /// The peer's lane, readable only.
    pub peer: P::Memory,
    /// Rung by the peer when it has published frames.
    pub own_data: P::Doorbell,
    /// Rung by the peer when it has made room.
    pub own_room: P::Doorbell,
    /// The peer's counterparts.
    pub peer_data: P::Doorbell,
    /// See `peer_data`.
    pub peer_room: P::Doorbell,
    /// The control channel.
    pub control: P::Control,
}

/// A link over shared memory.
///
/// The peer's orderly end is [`LinkError::Closed`]; when its process is gone, or its end was
/// closed without a word, it is [`LinkError::PeerDied`], seen at once on the receiving side, after
/// the frames that it had published. Anything in the peer's memory that does not make sense is
/// [`LinkError::Malformed`].
///
/// Closing does not wait for the peer: what was published can be read after this end is gone.
pub struct ShmTransport<P: Platform> {
    shared: Arc<Shared<P>>,
    producer: Producer,
    consumer: Consumer,
    peer: Geometry,
}

/// Makes fresh, zeroed memory of [`ShmConfig::lane_len_bytes`] or more into a lane: before the peer sees it.
pub fn prepare_lane<M: Memory>(memory: &M, config: &ShmConfig) {
    config.geometry().write(memory);
}

/// What a link of this configuration says of itself.
pub(crate) fn link_info(config: &ShmConfig) -> LinkInfo {
    LinkInfo {
        kind: "shm",
        deadline: DeadlineForm::Monotonic,
        payload_bytes_max: config.payload_bytes_max() as u32,
        gather_bytes_min: 4 * 1024,
    }
}

impl<P: Platform> ShmTransport<P> {
    /// One end of a link.
    ///
    /// # Errors
    ///
    /// [`LinkError::Malformed`] when the peer's lane is none.
    pub fn new(parts: Parts<P>, config: ShmConfig) -> Result<Self, LinkError> {
        let peer = Geometry::read(&parts.peer)
            .map_err(|what| LinkError::Malformed(format!("shared memory: {what}").into()))?;
        let geometry = config.geometry();
        debug_assert!(parts.own.len_bytes() >= geometry.len_bytes());
        let Parts {
            own,
            peer: peer_lane,
            own_data,
            own_room,
            peer_data,
            peer_room,
            control,
        } = parts;
        let (own, peer_lane) = (Arc::new(own), Arc::new(peer_lane));
        let bells = Bells {
            own_data,
            own_room,
            peer_data,
            peer_room,
        };
        let heap = Heap::new(
            own.clone(),
            geometry.payload_at as usize,
            geometry.payload_len as usize,
            config.lane_bytes_max,
            geometry.returns,
            Taker::new(peer),
            peer.returns,
        );
        let shared = Shared::new(config, geometry, heap, own, peer_lane, bells, control);
        Ok(ShmTransport {
            shared: Arc::new(shared),
            producer: Producer::new(geometry),
            consumer: Consumer::new(peer),
            peer,
        })
    }

    /// Tells how much memory this end has out, also after it was split.
    pub fn gauge(&self) -> LaneGauge<P> {
        LaneGauge::new(&self.shared)
    }
}

impl<P: Platform> Transport for ShmTransport<P> {
    fn info(&self) -> LinkInfo {
        link_info(&self.shared.config)
    }

    fn lender(&self) -> Option<Arc<dyn Lender>> {
        let shared = self.shared.clone();
        Some(Arc::new(LaneLender { shared }))
    }

    fn split(self: Box<Self>) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
        let ShmTransport {
            shared,
            producer,
            consumer,
            peer,
        } = *self;
        let source = ShmSource::new(shared.clone(), consumer, peer);
        (Box::new(ShmSink::new(shared, producer)), Box::new(source))
    }
}
