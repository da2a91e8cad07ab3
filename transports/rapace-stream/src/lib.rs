//! rapace links over byte streams: Unix sockets, TCP, or anything that is `AsyncRead` and
//! `AsyncWrite`.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | the bounds of a link's buffers, their defaults and what raising them costs |
//! | `transport` | [`StreamTransport`]: a reader and a writer made into a link |
//! | `framing` | the bytes around a frame (\[stream.frame\]), as pure functions |
//! | `sink` | the sending half: staging small frames, gathering large payloads |
//! | `source` | the receiving half: parsing frames where they were read |
//! | `pool` | reusable buffers for large payloads |
//! | `end` | what both halves know of the link's end, and what I/O errors mean |
//! | [`net`] | addresses, connectors and listeners of Unix and TCP sockets (feature `net`) |
//! | `fuzz_bodies` | the body of the fuzz target (feature `fuzzing`) |
//!
//! **No system call in `send`.** Accepted frames wait in memory until `poll_flush` writes all of
//! them at once. Payloads of 16 KiB and more are never copied on the way out; payloads of 32 KiB
//! and more are read straight into the memory in which they are handed over.
//!
//! This crate refuses to know what a frame means, which frames are due, and what time it is. It
//! spawns nothing.
#![forbid(unsafe_code)]

pub mod config;
mod end;
mod framing;
#[cfg(feature = "fuzzing")]
pub mod fuzz_bodies;
#[cfg(feature = "net")]
pub mod net;
mod pool;
mod sink;
mod source;
mod transport;

pub use config::StreamConfig;
#[cfg(feature = "net")]
pub use net::{Address, AddressError, Listener, NetError, connect};
pub use transport::StreamTransport;
