//! madsim's network and clock, under the names that the shared modules use.

use std::time::Duration;

use madsim::time::TimeHandle;
pub(crate) use tokio::net::{TcpListener, TcpStream};

/// How long the world has run, in virtual time.
pub(crate) fn now() -> Duration {
    TimeHandle::current().elapsed()
}
