//! The rapace protocol as a state machine without I/O.
//!
//! | module | owns |
//! |---|---|
//! | [`session`] | [`session::Session`]: one side of one connection |
//! | [`table`] | the transition table of channels |
//! | [`control`] | control messages and their bytes |
//! | [`envelope`] | the envelope of responses, status codes |
//! | [`metadata`] | key-value pairs beside arguments and results |
//! | [`frame`] | the 64-byte descriptor and payloads |
//! | [`limits`] | bounds of everything that can grow |
//! | [`id`], [`hash`], [`time`] | ids, tables keyed by them, time handed in from outside |
//!
//! What this crate refuses to know: I/O, async, threads, clocks, randomness, and the types of
//! payloads. It never panics on what a peer sends.
#![forbid(unsafe_code)]

pub mod control;
pub mod envelope;
pub mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz_bodies;
pub mod hash;
pub mod id;
pub mod limits;
pub mod metadata;
pub mod session;
pub mod table;
pub mod time;

pub use frame::{Descriptor, Flags, Frame, Payload};
pub use id::{ChannelId, MethodId};
pub use metadata::Metadata;
pub use time::{DeadlineForm, Time};
