//! The rapace protocol as a state machine without I/O.
//!
//! | module | owns |
//! |---|---|
//! | [`frame`] | the 64-byte descriptor and payloads |
//! | [`id`] | channel and method ids |
//! | [`time`] | time handed in from outside |
#![forbid(unsafe_code)]

pub mod frame;
pub mod id;
pub mod time;

pub use frame::{Descriptor, Flags, Frame, Payload};
pub use id::{ChannelId, MethodId};
pub use time::{DeadlineForm, Time};
