//! The link between two rapace peers: an ordered, reliable sequence of whole frames.
//!
//! | module | owns |
//! |---|---|
//! | [`link`] | the [`Transport`] trait, its two halves and the [`Lender`] |
//! | [`error`] | how a link ends: [`LinkError`], [`Death`] |
//! | `socket_file` | the file of a listening Unix socket, for transports that have one |
//! | `conformance` | the suite that every transport passes (feature `conformance`) |
//!
//! A transport knows frames and nothing about what they mean: no channel, call or credit is named
//! here. It does not spawn tasks and does not read a clock.
#![forbid(unsafe_code)]

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod error;
pub mod link;
#[cfg(unix)]
pub mod socket_file;

pub use rapace_core::DeadlineForm;

pub use error::{Death, ExitReason, LinkError};
pub use link::{FrameSink, FrameSource, Lender, LinkInfo, Room, Transport};
