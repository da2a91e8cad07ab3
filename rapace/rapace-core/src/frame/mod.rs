//! Frames: the 64-byte descriptor and its payload (\[frame.desc\], \[frame.inline\], \[frame.flags\]).
//!
//! This module owns the layout of one frame. How frames are delimited on a byte stream is
//! rapace-stream's affair; what they mean is the session's.

mod descriptor;
mod payload;

pub use descriptor::{
    DESCRIPTOR_LEN, Descriptor, Flags, INLINE_LEN, NO_DEADLINE, SLOT_INLINE, SLOT_RESERVED,
};
pub use payload::{InlineBytes, Loan, LoanBuf, Payload};

/// One unit of the link: a descriptor and the payload it describes.
#[derive(Debug)]
pub struct Frame {
    /// The fixed part.
    pub desc: Descriptor,
    /// The variable part. `desc.payload_len` equals `payload.len()` in every well-formed frame.
    pub payload: Payload,
}

impl Frame {
    /// A frame whose descriptor is completed from the payload: length, slot and inline copy
    /// (\[frame.inline\]).
    #[inline]
    pub fn new(mut desc: Descriptor, payload: Payload) -> Self {
        desc.describe(&payload);
        Frame { desc, payload }
    }
}
