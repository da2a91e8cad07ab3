//! What one link may use.

use std::time::Duration;

use crate::layout::{Geometry, PAGE};
use crate::sizes;

/// The geometry of a link's lanes and how its ends wait.
///
/// The defaults suit a host with twenty plugins on a laptop: an idle link takes 96 KiB for both
/// lanes together, and a busy one what it needs up to `lane_bytes_max`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShmConfig {
    /// Frames that may be on their way in this end's lane. Default: 512; a power of two from 8 to
    /// 65,536, others are rounded up. Each costs 64 bytes. A payload of 17 to 256 bytes stands in the
    /// ring too and takes the place of one to four further frames.
    pub ring_frames: u32,
    /// Payloads that the peer may hold at once. Default: 512; a power of two from 2 to
    /// 1,048,576, others are rounded up. Each costs 8 bytes in the *peer's* lane, and about 40
    /// bytes of private memory here.
    pub slots_max: u32,
    /// Payload memory that is there from the start, in bytes. Default: 8 KiB. Links whose payloads
    /// are usually larger save the first growth by raising it.
    pub payload_bytes_min: usize,
    /// All payload memory that this end may have at once, in bytes. Default: 256 MiB. A single
    /// payload may take half of it, and so may all loans that are not sent yet. Memory is taken
    /// when a payload needs it and given back when it was not used for `idle`.
    pub lane_bytes_max: usize,
    /// How long memory beyond `payload_bytes_min` is kept unused. Default: 1 s.
    pub idle: Duration,
    /// How long a payload waits that none of this end's memory could ever hold while the system
    /// refuses to give more. Until then it is backpressure: the system is asked again after 1 ms, and
    /// then ever more rarely, down to every 100 ms. After that the link ends with
    /// [`LinkError::NoMemory`](rapace_transport::LinkError::NoMemory); a loan fails with it, and the
    /// link goes on. Default: 5 s. Zero does not wait; a longer time has callers without deadlines wait
    /// longer for an answer.
    pub memory_timeout: Duration,
    /// Payload bytes of the *peer's* lane that the program at this end may keep borrowed. Beyond,
    /// payloads are copied out and returned at once, so that who keeps received `Bytes` for long
    /// does not starve its link; so are payloads beyond a quarter of what the peer's lane may have,
    /// or half of its slots. Default: 64 MiB.
    pub borrow_bytes_max: usize,
    /// Copies every payload out before anybody looks at it. For peers that are not trusted to
    /// leave their own payloads alone while they are being read. Costs one copy. Default: no.
    pub copy_payloads: bool,
    /// How a receiver waits before it parks.
    pub spin: Spin,
}

/// Spinning before parking: a parked receiver costs the sender a system call and itself a
/// wake-up, a spinning one costs a core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Spin {
    /// Park at once.
    Never,
    /// Spin while it pays: for twice the measured wake-up (10 to 200 µs) after the last frame,
    /// as long as most frames come within that window, and never while both ends share a
    /// processor. Other tasks of the runtime run in between. The default.
    Adaptive,
    /// Spin for this long after the last frame, whatever comes of it.
    Fixed(Duration),
}

impl Default for ShmConfig {
    fn default() -> Self {
        ShmConfig {
            ring_frames: 512,
            slots_max: 512,
            payload_bytes_min: 8 << 10,
            lane_bytes_max: 256 << 20,
            idle: Duration::from_secs(1),
            memory_timeout: Duration::from_secs(5),
            borrow_bytes_max: 64 << 20,
            copy_payloads: false,
            spin: Spin::Adaptive,
        }
    }
}

impl ShmConfig {
    /// The smallest link that works: for tests of backpressure.
    pub fn smallest() -> Self {
        ShmConfig {
            ring_frames: 8,
            slots_max: 2,
            payload_bytes_min: PAGE,
            lane_bytes_max: 2 * PAGE,
            ..ShmConfig::default()
        }
    }

    /// How large this end's lane must be at least, in bytes.
    pub fn lane_len_bytes(&self) -> usize {
        self.geometry().len_bytes()
    }

    /// The lane that this end makes for itself.
    pub(crate) fn geometry(&self) -> Geometry {
        let payload = self.payload_bytes_min.clamp(PAGE, 1 << 31);
        Geometry::new(
            self.ring_frames.clamp(8, 1 << 16).next_power_of_two(),
            self.slots_max.clamp(2, 1 << 20).next_power_of_two(),
            payload as u64,
        )
        .growing_to(self.lane_bytes_max as u64)
    }

    /// The longest payload, in bytes.
    pub(crate) fn payload_bytes_max(&self) -> usize {
        let base = self.geometry().payload_len as usize;
        sizes::payload_bytes_max(base, self.lane_bytes_max).min(u32::MAX as usize)
    }
}
