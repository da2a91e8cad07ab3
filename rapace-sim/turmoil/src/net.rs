//! turmoil's network and clock, under the names that the shared modules use: `book`, `dialer`,
//! `host`, `log` and `plugin` are compiled into the madsim worlds as well, with its network.

use std::time::Duration;

pub(crate) use turmoil::net::{TcpListener, TcpStream};

/// How long the world has run, in virtual time.
pub(crate) fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}
