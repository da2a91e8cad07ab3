//! Scenarios as data.

use std::collections::BTreeMap;

use rapace_codec::Schema;
use rapace_session::Limits;
use serde_json::Value;

use super::outcome::Ending;
use crate::fault::Fault;
use crate::link::{LinkConfig, LinkKind};
use crate::program::Restart;
use crate::time::Nanos;

/// The name of the process that has all the links.
pub const HOST: &str = "host";

/// One scripted run: who takes part, what they call, what goes wrong, and what must come of it.
///
/// Made from a file by [`Scenario::parse`]; the format is described in [the module](super).
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    /// What it is called: the file's name without its ending.
    pub name: String,
    /// What it shows, for people.
    pub about: String,
    /// The transports that it runs over, one run for each. Default: all.
    pub transports: Vec<LinkKind>,
    /// Decides everything that the file leaves open. Default: 1.
    pub seed: u64,
    /// The host.
    pub host: Party,
    /// The plugins in the order of the file, each with a link to the host that has its name.
    pub plugins: Vec<PluginScript>,
    /// The calls in the order of the file.
    pub calls: Vec<CallScript>,
    /// What goes wrong.
    pub faults: Vec<FaultScript>,
    /// What must be so at the end.
    pub expect: Expectations,
}

/// What a process offers, and how much of everything it allows.
#[derive(Clone, PartialEq, Debug)]
pub struct Party {
    /// The names of the services that it serves. Default: all that are known.
    pub serves: Vec<String>,
    /// The limits of its sessions. Default: [`Limits::default`].
    pub limits: Limits,
}

/// A plugin.
#[derive(Clone, PartialEq, Debug)]
pub struct PluginScript {
    /// Its name, and that of its link.
    pub name: String,
    /// What it offers.
    pub party: Party,
    /// Its link to the host; the kind is decided by the run.
    pub link: LinkConfig,
    /// When it comes back after a death. Default: [`Restart::default`].
    pub restart: Restart,
}

/// A call, or many of a kind.
#[derive(Clone, PartialEq, Debug)]
pub struct CallScript {
    /// What reports and other calls call it. Default: the method's name.
    pub name: String,
    /// Not before this time.
    pub at: Nanos,
    /// Not before all calls of these names have ended.
    pub after: Vec<String>,
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// What is called.
    pub invocation: Invocation,
    /// How long it may take before both sides give it up.
    pub deadline: Option<Nanos>,
    /// The caller drops it after so long.
    pub cancel: Option<Nanos>,
    /// How many are made, one after the other. Default: 1.
    pub repeat: u32,
    /// How many callers do that at once. Default: 1.
    pub parallel: u32,
    /// What each caller waits before the next one.
    pub every: Nanos,
    /// Its streams and tunnels, in the order in which the method declares them.
    pub ports: Vec<PortScript>,
    /// How it must end.
    pub expect: CallExpectations,
    /// The line of the file.
    pub line: usize,
}

impl CallScript {
    /// How many calls it makes.
    pub fn total(&self) -> u64 {
        u64::from(self.repeat) * u64::from(self.parallel)
    }
}

/// Which method is called with what.
#[derive(Clone, PartialEq, Debug)]
pub struct Invocation {
    /// The service.
    pub service: String,
    /// The method.
    pub method: String,
    /// Its arguments.
    pub args: Vec<Arg>,
}

impl Invocation {
    /// `Service.method`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.service, self.method)
    }
}

/// An argument.
#[derive(Clone, PartialEq, Debug)]
pub enum Arg {
    /// A value. A stream or tunnel in it stands as its number, [`PortScript::number`].
    Json(Value),
    /// So many bytes in a pattern.
    Bytes(u32),
}

/// A stream or tunnel of a call.
#[derive(Clone, PartialEq, Debug)]
pub struct PortScript {
    /// What scripts call it: the place where the method declares it. `names` or `feeds.left` in the
    /// arguments, `0` or `Ok.left` in what is returned, `return` for all that is returned.
    pub name: String,
    /// Its number on the wire (\[port\]).
    pub number: u32,
    /// The type of a stream's items; `None` for a tunnel.
    pub item: Option<Schema>,
    /// Whether it is part of what is returned, and not of the arguments.
    pub returned: bool,
    /// Whether the arguments leave it out: it is in an `Option` that is `null`, or in another variant.
    pub absent: bool,
    /// What the caller sends on it.
    pub send: Send,
    /// How the caller reads it.
    pub read: Read,
    /// What must be read from it.
    pub reads: Reads,
}

impl PortScript {
    /// Whether the script itself says what goes through it.
    pub(super) fn is_literal(&self) -> bool {
        let Send { values, text, .. } = &self.send;
        let sent = values.is_some() || text.is_some();
        sent || self.read.text.is_some() || matches!(self.reads, Reads::Items(_))
    }

    /// Whether the caller can send on it.
    pub(super) fn takes(&self) -> bool {
        !self.returned || self.item.is_none()
    }

    /// Whether the caller can read from it.
    pub(super) fn gives(&self) -> bool {
        self.returned || self.item.is_none()
    }
}

/// What must have been read from a stream or tunnel when its call has ended.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Reads {
    /// The script does not say.
    #[default]
    Any,
    /// So many items or bytes.
    Count {
        /// At least.
        least: u64,
        /// At most.
        most: u64,
    },
    /// These items, as JSON: all of them if the call ends well, else so many of the first ones.
    Items(Vec<Value>),
    /// It must not be there: what is returned leaves it out.
    Absent,
}

/// What a caller sends on a stream or a tunnel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Send {
    /// Items of a stream, made up for the method. Default: 0.
    pub items: u32,
    /// Or these, as JSON.
    pub values: Option<Vec<Value>>,
    /// The length of each item of a stream of texts or bytes. Default: short.
    pub item_bytes: u32,
    /// Bytes of a tunnel, in a pattern. Default: 0.
    pub bytes: u32,
    /// Or these.
    pub text: Option<String>,
    /// The pause before each item, or before each 16 KiB of a tunnel. Default: none.
    pub every: Nanos,
    /// Whether the sending direction is left open after that. Default: it is ended.
    pub keep_open: bool,
}

/// How a caller reads a stream or a tunnel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Read {
    /// How long it waits before the first read. Default: not at all.
    pub start: Nanos,
    /// The pause before each item, or before each read of a tunnel. Default: none.
    pub every: Nanos,
    /// After so many items or bytes it is dropped. Default: it is read to its end.
    pub stop_after: Option<u64>,
    /// The bytes that must come out of a tunnel. Default: those that were sent, where the method is
    /// known to send them back.
    pub text: Option<String>,
}

/// How a call must end. With nothing said it must end well.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CallExpectations {
    /// With this value, if it ends well.
    pub returns: Option<Value>,
    /// It must fail, in one of these ways.
    pub fails: Vec<Ending>,
    /// It may also fail, in one of these ways.
    pub may_fail: Vec<Ending>,
    /// The text of its failure has this in it.
    pub says: Option<String>,
    /// Within so long, counted from the moment that it is made.
    pub within: Option<Nanos>,
    /// Not earlier than that.
    pub not_before: Option<Nanos>,
}

/// A scripted fault.
#[derive(Clone, PartialEq, Debug)]
pub struct FaultScript {
    /// The fault.
    pub fault: Fault,
    /// Whether the scenario is right too when there was nothing to hit. Default: it is not.
    pub may_miss: bool,
    /// The line of the file.
    pub line: usize,
}

/// What must be so at the end, beside what every run is checked for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Expectations {
    /// These marks were reached.
    pub marks: Vec<String>,
    /// So many lives each of these plugins has had.
    pub lives: BTreeMap<String, u64>,
    /// All is over by this time.
    pub over_by: Option<Nanos>,
    /// Who is dead at the end and stays so.
    pub dead: Vec<String>,
}
