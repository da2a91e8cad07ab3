//! Streams and tunnels: the channels that hang on a call.
//!
//! | module | owns |
//! |---|---|
//! | `link` | `PortLink`: where the driver and the user's half of a port meet |
//! | `attach` | from values to ports and back, while arguments and results are coded |
//! | `streaming` | [`Streaming`] and its sender half |
//! | `encoded` | the same for calls whose types are known at run time only: [`EncodedPort`] |
//! | `receiver` | taking items out of a port, and giving the credit back |
//! | `pump` | the task that moves a stream's items into the session |
//! | `tunnel` | [`Tunnel`]: bytes both ways |
//! | `shape` | how facet sees them; the one place with `unsafe` in this crate |

mod attach;
mod encoded;
mod link;
mod pump;
mod receiver;
mod shape;
mod streaming;
mod tunnel;

pub(crate) use attach::{PortAccept, PortAttach};
pub use encoded::{EncodedPort, EncodedStream};
pub(crate) use link::{Delivered, PortLink};
pub use streaming::{StreamClosed, StreamSender, Streaming};
pub use tunnel::Tunnel;
