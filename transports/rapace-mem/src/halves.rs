//! The sending and the receiving half.

use std::sync::Arc;
use std::task::{Context, Poll};

use rapace_core::frame::{Frame, INLINE_LEN, Payload, SLOT_INLINE};
use rapace_transport::{FrameSink, FrameSource, LinkError};

use crate::lane::{Batch, Lane, Room};

/// The longest payload accepted before the Hellos, in bytes (PROTOCOL.md §1).
const FIRST_PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// Whether receivers may be handed the frame as it is: inline, or one longer run, and a
/// descriptor without another link's slot.
#[inline]
fn is_in_final_form(frame: &Frame) -> bool {
    match &frame.payload {
        Payload::Inline(_) => frame.desc.payload_slot == SLOT_INLINE,
        Payload::Bytes(bytes) => bytes.len() > INLINE_LEN && frame.desc.payload_slot == 0,
        Payload::Chain(_) | Payload::Loan(_) => false,
    }
}

#[cold]
fn into_final_form(frame: Frame) -> Frame {
    Frame::new(frame.desc, Payload::from(frame.payload.into_bytes()))
}

pub(crate) struct MemSink {
    outgoing: Arc<Lane>,
    incoming: Arc<Lane>,
    /// Accepted, not yet in the lane's queue.
    outbox: Batch,
    /// What the queue took at the last look. Only this sink fills it, so there is never less.
    room: Room,
    ended: Option<LinkError>,
}

impl MemSink {
    pub(crate) fn new(outgoing: Arc<Lane>, incoming: Arc<Lane>) -> Self {
        MemSink {
            outgoing,
            incoming,
            outbox: Batch::default(),
            room: Room::NONE,
            ended: None,
        }
    }

    fn has_room(&self) -> bool {
        self.outbox.frames.len() < self.room.frames && self.outbox.bytes < self.room.bytes
    }

    fn push(&mut self, waiting: Option<&Context<'_>>) -> Result<(), LinkError> {
        if let Some(err) = &self.ended {
            return Err(err.clone());
        }
        match self.outgoing.push(&mut self.outbox, waiting) {
            Ok(room) => {
                self.room = room;
                Ok(())
            }
            Err(err) => {
                self.ended = Some(err.clone());
                self.outbox = Batch::default();
                self.room = Room::NONE;
                Err(err)
            }
        }
    }
}

impl FrameSink for MemSink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.has_room() {
            return Poll::Ready(Ok(()));
        }
        if let Err(err) = self.push(Some(cx)) {
            return Poll::Ready(Err(err));
        }
        if self.has_room() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn send(&mut self, frame: Frame) {
        if self.ended.is_none() {
            let frame = if is_in_final_form(&frame) {
                frame
            } else {
                into_final_form(frame)
            };
            self.outbox.bytes += frame.payload.len();
            self.outbox.frames.push_back(frame);
        }
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(self.push(None))
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let flushed = match self.push(None) {
            Err(LinkError::Closed) => Ok(()),
            other => other,
        };
        self.outgoing.end_sending();
        self.incoming.end_receiving();
        self.ended.get_or_insert(LinkError::Closed);
        self.room = Room::NONE;
        Poll::Ready(flushed)
    }
}

impl Drop for MemSink {
    fn drop(&mut self) {
        self.outgoing.end_sending();
    }
}

pub(crate) struct MemSource {
    incoming: Arc<Lane>,
    /// Taken from the lane, not yet handed over.
    batch: Batch,
    payload_bytes_max: usize,
    ended: Option<LinkError>,
}

impl MemSource {
    pub(crate) fn new(incoming: Arc<Lane>) -> Self {
        MemSource {
            incoming,
            batch: Batch::default(),
            payload_bytes_max: FIRST_PAYLOAD_BYTES_MAX,
            ended: None,
        }
    }

    fn end(&mut self, err: LinkError) -> Poll<Result<Frame, LinkError>> {
        self.batch = Batch::default();
        self.incoming.end_receiving();
        self.ended = Some(err.clone());
        Poll::Ready(Err(err))
    }
}

impl FrameSource for MemSource {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, LinkError>> {
        loop {
            // A link that ended has an empty batch.
            if let Some(frame) = self.batch.frames.pop_front() {
                let len = frame.payload.len();
                if len <= self.payload_bytes_max {
                    return Poll::Ready(Ok(frame));
                }
                let max = self.payload_bytes_max;
                return self.end(LinkError::Malformed(
                    format!("payload of {len} bytes, at most {max} are accepted").into(),
                ));
            }
            if let Some(err) = &self.ended {
                return Poll::Ready(Err(err.clone()));
            }
            self.batch.bytes = 0;
            match self.incoming.take(&mut self.batch, cx) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(err) => return self.end(err),
            }
        }
    }

    fn raise_payload_limit(&mut self, bytes: u32) {
        self.payload_bytes_max = self.payload_bytes_max.max(bytes as usize);
    }
}

impl Drop for MemSource {
    fn drop(&mut self) {
        self.incoming.end_receiving();
    }
}
