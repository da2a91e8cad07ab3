//! RPC between a host and its plugins, on one machine.
//!
//! Mark a trait of async methods with [`service`], and call it from another process as if it were
//! local. The transport is chosen apart from the service. One [`Session`] per link carries calls,
//! typed streams ([`Streaming`]) and raw byte pipes ([`Tunnel`]) in both directions at once, and
//! every call gets an answer: also when the peer crashes, hangs or runs another version.
//!
//! ```
//! use rapace::Session;
//!
//! #[rapace::service]
//! pub trait Greeter {
//!     /// Greets by name.
//!     async fn hello(&self, name: String) -> String;
//! }
//!
//! struct English;
//!
//! impl Greeter for English {
//!     async fn hello(&self, name: String) -> String {
//!         format!("Hello, {name}!")
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(feature = "mem")] {
//!     // Two ends of a link inside this process; a socket or a plugin's process works the same.
//!     let (host_end, plugin_end) = rapace::mem::pair();
//!     let plugin = Session::builder().serve(GreeterServer::new(English)).accept(plugin_end)?;
//!     let host = Session::builder().connect(host_end)?;
//!
//!     let greeter: GreeterClient = host.client();
//!     assert_eq!(greeter.hello("world".to_owned()).await?, "Hello, world!");
//!
//!     host.close().await;
//!     plugin.closed().await;
//! # }
//!     Ok(())
//! }
//! ```
//!
//! # Where to look
//!
//! | you want to | see |
//! |---|---|
//! | declare a service | [`service`] |
//! | set a deadline, send metadata, cancel a call | [`Call`] |
//! | know who calls, or call back, from a handler | [`Context`] |
//! | know what went wrong and whether to try again | [`CallError`] |
//! | send megabytes without copying them | [`LoanMut`] |
//! | bound what a peer may make this process hold | [`Limits`] |
//! | connect two ends in one process | `mem`, with the feature of that name |
//! | listen and connect on Unix and TCP sockets | `stream`, with the feature of that name |
//! | listen and connect over shared memory | `shm`, with the feature of that name |
//! | start, watch and restart plugin processes, or be one | `plugin`, with the feature of that name |
//! | write a transport | [`transport`] |
//! | list the methods of a service, or serve one that no macro made | [`descriptor`] |
//!
//! # Your types
//!
//! What a service takes and returns derives `Facet`, from the `facet` crate in the very version that
//! rapace is built with (`facet = "=0.46.5"`, a direct dependency of yours: the derive names it). An
//! enum needs a `#[repr(u8)]`. [`Bytes`] fields are received without copying them.
//!
//! # Large payloads
//!
//! Over shared memory, what a service takes and returns is written where the peer reads it. Who makes
//! the bytes himself can also make them there, and then nobody copies them at all:
//!
//! ```
//! use rapace::{Bytes, CallError, Client};
//!
//! #[rapace::service]
//! pub trait Painter {
//!     async fn show(&self, title: String, pixels: Bytes) -> u32;
//! }
//!
//! async fn paint(painter: &PainterClient) -> Result<u32, CallError> {
//!     let mut frame = painter.caller().loan(1920 * 1080 * 4).await?;
//!     frame.fill(0x7F);
//!     painter.show("grey".to_owned(), frame.freeze()).await
//! }
//! ```
//!
//! On links that do not lend memory the same code works with memory of the heap: see [`LoanMut`].
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `mem` | yes | `rapace::mem`: links inside one process |
//! | `stream` | yes | `rapace::stream`: Unix and TCP sockets, any `AsyncRead + AsyncWrite` |
//! | `plugin` | yes | `rapace::plugin`: plugin processes, started, watched, restarted (Unix) |
//! | `shm` | yes | `rapace::shm`: links over shared memory, also those of plugin processes (Linux) |
//!
//! This crate holds no code of its own: it gathers what users need of the crates below it.
#![forbid(unsafe_code)]

pub mod descriptor;
pub mod prelude;

pub use bytes::Bytes;
pub use rapace_core::metadata::BadMetadata;
pub use rapace_core::session::{CancelReason, HandshakeFailure};
pub use rapace_macros::service;
pub use rapace_session::{
    BuildError, Call, CallError, CallWithMetadata, Caller, Cancellation, Client, Code, Context,
    Durations, Limits, LoanMut, Metadata, NotSent, Reconnect, Room, Runtime, Service, Session,
    SessionBuilder, SessionEnd, Status, StreamClosed, StreamError, StreamSender, Streaming, Timer,
    TokioRuntime, Tunnel,
};
pub use rapace_transport::{Death, ExitReason};

#[doc(hidden)]
pub use rapace_session::codegen;

#[cfg(feature = "mem")]
#[doc(inline)]
pub use rapace_mem as mem;

#[cfg(feature = "stream")]
#[doc(inline)]
pub use rapace_stream as stream;

#[cfg(all(unix, feature = "plugin"))]
#[doc(inline)]
pub use rapace_plugin as plugin;

#[cfg(all(unix, feature = "shm"))]
#[doc(inline)]
pub use rapace_shm as shm;

#[doc(inline)]
pub use rapace_transport as transport;

/// The README's examples, as tests.
#[cfg(all(doctest, unix, feature = "mem", feature = "plugin"))]
#[doc = include_str!("../../README.md")]
struct Readme;
