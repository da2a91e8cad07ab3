//! Worlds of many hosts in [turmoil], for the shipping tokio driver and stream transport.
//!
//! | module | owns |
//! |---|---|
//! | [`world`] | [`World`]: hosts, plugins, a plan of faults, one run of them, and what must hold after it |
//! | [`plugin`] | what a plugin's host runs: listen, accept, serve |
//! | [`dialer`] | [`Dialer`]: the reconnecting side, behind `Caller::supervised` |
//! | [`book`] | the call oracle: every call ends once, and runs as often as its outcome says |
//! | [`host`] | [`Host`]: a host as the code on it sees it |
//! | [`fault`] | [`Fault`]: what happens to hosts and links, as data |
//! | [`log`] | what happened, in virtual time |
//! | [`panics`] | panics of spawned tasks, which tokio and turmoil would swallow |
//! | `net` | the names of turmoil's network and clock |
//! | `socket` | turmoil's TCP stream, in a process that can be killed |
//!
//! The worlds themselves are tests: `tests/worlds`.
//!
//! Nothing of rapace is replaced here. Sessions run on the shipping `TokioRuntime`, whose clock
//! turmoil has paused, and frames go through the shipping `StreamTransport` over
//! `turmoil::net::TcpStream`. This crate refuses to know the protocol: it sees what a user sees.
//!
//! [turmoil]: https://docs.rs/turmoil
#![forbid(unsafe_code)]

pub mod book;
pub mod dialer;
pub mod fault;
pub mod host;
pub mod log;
mod net;
pub mod panics;
pub mod plugin;
mod socket;
pub mod world;

pub use book::{Book, LedgerClient};
pub use dialer::{Dialer, WhenDown};
pub use fault::Fault;
pub use host::Host;
pub use plugin::Plugin;
pub use world::{Report, World};
