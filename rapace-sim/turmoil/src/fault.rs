//! What a world does to its hosts and links, as data.

use std::fmt;
use std::time::Duration;

/// One thing that happens to a world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The host's process is killed: it says nothing more, and the system closes its sockets, so
    /// peers see the connection end, or reset if it had not read all.
    Crash(String),
    /// The host starts again from nothing. A host that runs is crashed first.
    Bounce(String),
    /// Messages between the two are kept, in order, until [`Fault::Release`]. Nothing is lost: a
    /// stopped process, or a cable that is plugged in again before TCP gives up.
    Hold(String, String),
    /// Held messages are delivered and the link works again.
    Release(String, String),
    /// Messages between the two vanish. turmoil's TCP never sends them again, so connections that
    /// lose one are dead for good: half open until somebody notices.
    Partition(String, String),
    /// New messages pass again; lost ones stay lost.
    Repair(String, String),
    /// Every message between the two takes exactly this long.
    Latency(String, String, Duration),
}

impl Fault {
    pub(crate) fn apply(&self, sim: &mut turmoil::Sim<'static>) {
        match self {
            Fault::Crash(host) => sim.crash(host.as_str()),
            Fault::Bounce(host) => sim.bounce(host.as_str()),
            Fault::Hold(a, b) => sim.hold(a.as_str(), b.as_str()),
            Fault::Release(a, b) => sim.release(a.as_str(), b.as_str()),
            Fault::Partition(a, b) => sim.partition(a.as_str(), b.as_str()),
            Fault::Repair(a, b) => sim.repair(a.as_str(), b.as_str()),
            Fault::Latency(a, b, takes) => sim.set_link_latency(a.as_str(), b.as_str(), *takes),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Crash(host) => write!(f, "crash {host}"),
            Fault::Bounce(host) => write!(f, "bounce {host}"),
            Fault::Hold(a, b) => write!(f, "hold {a} - {b}"),
            Fault::Release(a, b) => write!(f, "release {a} - {b}"),
            Fault::Partition(a, b) => write!(f, "partition {a} - {b}"),
            Fault::Repair(a, b) => write!(f, "repair {a} - {b}"),
            Fault::Latency(a, b, takes) => write!(f, "latency {a} - {b} is {takes:?}"),
        }
    }
}
