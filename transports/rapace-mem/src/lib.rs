//! A rapace link inside one process.
//!
//! ```
//! use rapace_transport::Transport;
//!
//! let (host, plugin) = rapace_mem::pair();
//! assert_eq!(host.info().kind, "mem");
//! # drop(plugin);
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `lane` | the bounded queue of one direction, its two wakers and how it ends |
//! | `halves` | the two halves of a [`MemTransport`] over two lanes |
//!
//! Frames are moved, never serialised: a payload in one run arrives as the very `Bytes` that was
//! sent, and only a payload in several runs is copied, once, into one. The queues are bounded by
//! [`MemConfig`]; a full one is backpressure.
//!
//! This crate knows no task, no runtime and no clock, and it refuses to know what a frame means.
//! A [`KillSwitch`] ends one side the way a killed process would, for tests.
#![forbid(unsafe_code)]

mod halves;
mod lane;

use std::sync::Arc;

use rapace_transport::{DeadlineForm, FrameSink, FrameSource, LinkInfo, Transport};

use halves::{MemSink, MemSource};
use lane::Lane;

/// How much one direction of an in-process link holds before its sender has to wait.
///
/// The receiver takes the whole queue at once, and the sender may fill it again while the
/// receiver works through what it took: a direction holds at most twice these amounts, and one
/// frame of any size more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemConfig {
    /// Frames in the queue; default 1,024. Raising it costs about 110 bytes a frame. Zero counts
    /// as one.
    pub queue_frames_max: usize,
    /// Payload bytes in the queue; default 4 MiB. A queue below this amount takes one more frame
    /// of any size. Zero counts as one.
    pub queue_bytes_max: usize,
}

impl Default for MemConfig {
    fn default() -> Self {
        MemConfig {
            queue_frames_max: 1_024,
            queue_bytes_max: 4 << 20,
        }
    }
}

/// Two connected ends with the default [`MemConfig`].
pub fn pair() -> (MemTransport, MemTransport) {
    pair_with(MemConfig::default())
}

/// Two connected ends.
pub fn pair_with(config: MemConfig) -> (MemTransport, MemTransport) {
    let there = Arc::new(Lane::new(config));
    let back = Arc::new(Lane::new(config));
    let left = MemTransport {
        outgoing: Arc::clone(&there),
        incoming: Arc::clone(&back),
        is_split: false,
    };
    let right = MemTransport {
        outgoing: back,
        incoming: there,
        is_split: false,
    };
    (left, right)
}

/// One end of an in-process link.
///
/// Dropping it, or both halves it was split into, closes the link.
#[derive(Debug)]
pub struct MemTransport {
    outgoing: Arc<Lane>,
    incoming: Arc<Lane>,
    /// Set once the halves are responsible for ending their lanes.
    is_split: bool,
}

impl MemTransport {
    /// A switch that kills this end later, also after it was given to a session.
    pub fn kill_switch(&self) -> KillSwitch {
        KillSwitch {
            outgoing: Arc::clone(&self.outgoing),
            incoming: Arc::clone(&self.incoming),
        }
    }
}

impl Transport for MemTransport {
    fn info(&self) -> LinkInfo {
        LinkInfo {
            kind: "mem",
            deadline: DeadlineForm::Remaining,
            payload_bytes_max: u32::MAX,
            // A payload in several runs is copied into one for the receiver, so keeping a run
            // apart saves nothing.
            gather_bytes_min: usize::MAX,
        }
    }

    fn split(mut self: Box<Self>) -> (Box<dyn FrameSink>, Box<dyn FrameSource>) {
        self.is_split = true;
        let (outgoing, incoming) = (Arc::clone(&self.outgoing), Arc::clone(&self.incoming));
        (
            Box::new(MemSink::new(Arc::clone(&outgoing), Arc::clone(&incoming))),
            Box::new(MemSource::new(incoming)),
        )
    }
}

impl Drop for MemTransport {
    fn drop(&mut self) {
        if !self.is_split {
            self.outgoing.end_sending();
            self.incoming.end_receiving();
        }
    }
}

/// Ends one side of an in-process link the way a killed process would; for tests.
#[derive(Clone, Debug)]
pub struct KillSwitch {
    outgoing: Arc<Lane>,
    incoming: Arc<Lane>,
}

impl KillSwitch {
    /// Kills the end that this switch was taken from.
    ///
    /// As with a killed process, frames that it had flushed still arrive. After them the peer's
    /// receive reports [`LinkError::PeerDied`](rapace_transport::LinkError::PeerDied), and so
    /// does the peer's sink at its next flush. What the killed end did not flush is gone, and
    /// its own halves report the link closed. Killing twice is killing once.
    pub fn kill(&self) {
        self.outgoing.kill_sender();
        self.incoming.kill_receiver();
    }
}
