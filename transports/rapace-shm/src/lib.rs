//! A rapace link over shared memory.
//!
//! A link has two *lanes*, one per direction. A lane is a memory file that its owner sizes, maps and
//! seals: from then on nobody else can ever write, resize or punch it. The peer maps it readable
//! only. So every byte has one writer, nothing has to be repaired when a process dies, and a
//! payload is read where it was written.
//!
//! | module | owns |
//! |---|---|
//! | [`memory`], [`doorbell`], [`control`] | the seams: memory that two processes see, waking, the control channel |
//! | [`layout`] | where everything stands in a lane |
//! | [`ring`], [`returns`], [`nap`] | the three protocols between the processes: descriptors, returned slots, sleeping |
//! | `heap`, `sizes` | the payload memory of one's own lane: private bookkeeping |
//! | `lent`, `borrowed` | payloads in the hands of the program: being written, being read |
//! | `shared`, `sink`, `source`, `supply`, [`transport`] | one end of a link |
//! | `shortage` | what happens when the system refuses memory |
//! | `spin` | how long a receiver looks again before it parks |
//! | `config` | the bounds |
//! | `gauge` | how much memory is out, for those who look for leaks |
//! | `fuzz_bodies` | the body of the fuzz target (feature `fuzzing`) |
//! | [`os`] | the real system: mappings, eventfds, sockets that carry descriptors |
//!
//! Refuses to know: what a frame means (rapace-core), tasks and sessions (rapace-session), spawning
//! (rapace-plugin). It spawns no task and starts no thread.
//!
//! Architecture invariant: what the peer can write is read once, with a relaxed atomic, into private
//! memory, and checked against private geometry before it is used. Unsafe code is in `memory`,
//! `lent`, `borrowed` and `os`, nowhere else.

mod borrowed;
mod config;
pub mod control;
pub mod doorbell;
#[cfg(feature = "fuzzing")]
pub mod fuzz_bodies;
mod gauge;
mod heap;
pub mod layout;
mod lent;
pub mod memory;
pub mod nap;
#[cfg(unix)]
pub mod os;
pub mod returns;
pub mod ring;
mod shared;
mod shortage;
mod sink;
mod sizes;
mod source;
mod spin;
mod supply;
pub mod transport;

pub use config::{ShmConfig, Spin};
pub use control::{Alarm, Control, Incoming, Outgoing, Platform};
pub use doorbell::Doorbell;
pub use gauge::{LaneGauge, LaneUse};
pub use memory::{Memory, Region};
#[cfg(unix)]
pub use os::{Listener, Os, SetUpError, connect, from_socket, pair, socket_pair};
pub use transport::{Parts, ShmTransport, prepare_lane};

#[cfg(windows)]
compile_error!(
    "rapace-shm needs memory files and descriptor passing, which this system lacks: use rapace-stream over TCP here"
);
