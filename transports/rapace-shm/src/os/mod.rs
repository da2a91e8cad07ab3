//! The operating system under a link: memory files, bells, the control socket, and setting a link
//! up.
//!
//! | module | owns |
//! |---|---|
//! | [`mapping`] | [`Mapping`]: a lane in this process's address space |
//! | `watched` | registering a descriptor with the runtime |
//! | `memory_file` | sealed memory files (Linux) |
//! | [`bell`] | [`Bell`]: an eventfd that one side listens to and the other rings |
//! | `fallback` | memory files and bells of other Unix systems |
//! | `record` | the fixed records on the control socket |
//! | [`socket`] | [`Socket`]: records and descriptors in, records and descriptors out; death |
//! | [`set_up`] | from a socket to a transport: [`from_socket`], [`pair`], [`SetUp`], [`SetUpError`] |
//! | [`address`] | [`Address`]: where a listener is |
//! | [`listener`] | [`Listener`], [`connect`], and the life of a socket's file |
//! | [`platform`] | [`Os`]: the above as one [`Platform`](crate::Platform); clock, processor, alarm |
//! | [`error`] | [`SystemError`]: what the system refused and what to do about it |
//!
//! Every descriptor that is made or received here is close-on-exec from its first moment (row 12),
//! memory files have no name anywhere (row 18), and nothing here runs on a timer once a link
//! stands (row 19).
//!
//! # Descriptors of a link that stands
//!
//! The control socket, two bells of one's own, the peer's two bells, and on Linux the peer's pidfd:
//! six. A mapped lane costs none, so a lane may grow by as many segments as it likes.
#![expect(clippy::disallowed_methods, reason = "production's timers are tokio's")]

pub mod address;
pub mod bell;
pub mod error;
pub mod listener;
#[allow(unsafe_code)]
pub mod mapping;
pub mod platform;
mod record;
pub mod set_up;
pub mod socket;
#[allow(unsafe_code)]
mod watched;

#[cfg(not(target_os = "linux"))]
mod fallback;
#[cfg(target_os = "linux")]
mod memory_file;

#[cfg(not(target_os = "linux"))]
use fallback as memory_file;

pub use address::{Address, AddressError};
pub use bell::Bell;
pub use error::SystemError;
pub use listener::{Listener, connect};
pub use mapping::Mapping;
pub use platform::Os;
pub use set_up::{SET_UP_TIMEOUT, SetUp, SetUpError, from_socket, pair, socket_pair};
pub use socket::Socket;
