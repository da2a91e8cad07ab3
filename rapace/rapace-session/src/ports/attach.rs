//! From values to ports and back: the contexts that the codec carries past streams and tunnels.

use std::sync::Arc;

use rapace_codec::PortError;
use rapace_core::session::{PortDecl, PortKind};
use rapace_core::{ChannelId, Time};

use super::link::PortLink;
use super::pump::{ItemSource, Pump};
use super::tunnel::TunnelEnd;
use crate::caller::Link;
use crate::error::StreamError;
use crate::shared::{Shared, State};

/// Collects the ports of a value that is being encoded, to be opened once its call has a channel.
pub(crate) struct PortAttach {
    declared: &'static [PortDecl],
    taken: Vec<(u32, Outgoing)>,
}

/// What this side does with a port that it has passed to the peer.
pub(super) enum Outgoing {
    /// Sends items.
    Stream(Box<dyn ItemSource>),
    /// Sends and receives bytes.
    Tunnel(Arc<TunnelEnd>),
}

impl PortAttach {
    pub(crate) fn new(declared: &'static [PortDecl]) -> Self {
        PortAttach {
            declared,
            taken: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// Takes the port that is declared at `ordinal`, counted from 0; returns its number.
    pub(super) fn take(&mut self, ordinal: u32, outgoing: Outgoing) -> Result<u32, PortError> {
        let Some(declared) = self.declared.get(ordinal as usize) else {
            return Err(PortError::new(
                "more streams and tunnels than the method declares",
            ));
        };
        self.taken.push((declared.port, outgoing));
        Ok(declared.port)
    }

    /// How many channels the ports need.
    pub(crate) fn len(&self) -> u32 {
        self.taken.len() as u32
    }

    /// Opens the ports of `call`, in the same breath as the call itself. The caller has made sure
    /// that the peer allows as many channels.
    pub(crate) fn open(mut self, state: &mut State, now: Time, call: ChannelId) -> PortsOpened {
        let mut opened = PortsOpened { ports: Vec::new() };
        for (port, outgoing) in std::mem::take(&mut self.taken) {
            // An error says that the call has ended meanwhile.
            let link = state.core.open_port(now, call, port).ok().map(|channel| {
                let link = PortLink::sending(call, port, channel);
                state.ports.insert(channel, link.clone());
                (channel, link)
            });
            opened.ports.push((link, outgoing));
        }
        opened
    }
}

impl Drop for PortAttach {
    /// Whoever kept the other end of a tunnel hears that the call never came to be. The source of a
    /// stream tells its sender half by being dropped.
    fn drop(&mut self) {
        for (_, outgoing) in self.taken.drain(..) {
            if let Outgoing::Tunnel(end) = outgoing {
                end.fail(&StreamError::CallEnded);
            }
        }
    }
}

/// An open channel, and where its frames go.
type Opened = (ChannelId, Arc<PortLink>);

/// Ports whose channels are open and that wait for [`PortsOpened::start`].
#[must_use = "nothing is sent before the start"]
pub(crate) struct PortsOpened {
    ports: Vec<(Option<Opened>, Outgoing)>,
}

impl PortsOpened {
    /// Starts to send; not to be called under the session's lock.
    pub(crate) fn start(self, shared: &Arc<Shared>) {
        for (link, outgoing) in self.ports {
            match (link, outgoing) {
                (Some((channel, link)), Outgoing::Stream(source)) => {
                    link.send_only();
                    let pump = Pump::new(shared.clone(), link, channel, source);
                    shared.runtime.spawn(Box::pin(pump));
                }
                (Some((_, link)), Outgoing::Tunnel(end)) => end.bind(Link::to(shared), link),
                (None, Outgoing::Tunnel(end)) => end.fail(&StreamError::CallEnded),
                // Dropping the source tells its sender half.
                (None, Outgoing::Stream(_)) => {}
            }
        }
    }
}

/// Builds this side's halves of the ports of a value that is being decoded.
pub(crate) struct PortAccept {
    shared: Arc<Shared>,
    call: ChannelId,
    declared: &'static [PortDecl],
    /// The ports that the value has.
    named: Vec<u32>,
}

impl PortAccept {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        call: ChannelId,
        declared: &'static [PortDecl],
    ) -> Self {
        PortAccept {
            shared: shared.clone(),
            call,
            declared,
            named: Vec::new(),
        }
    }

    /// The value is decoded: what it does not name will not be opened.
    pub(crate) fn settle(self) {
        let mut state = self.shared.lock();
        state.core.ports_named(self.call, &self.named);
    }

    /// The receiving half of the port that is declared at `ordinal` (\[call.port\]).
    pub(super) fn accept(
        &mut self,
        ordinal: u32,
        port: u32,
        kind: PortKind,
    ) -> Result<(Link, Arc<PortLink>), PortError> {
        match self.declared.get(ordinal as usize) {
            Some(declared) if declared.port == port && declared.kind == kind => {}
            Some(declared) => {
                let expected = declared.port;
                return Err(PortError::new(format!(
                    "port {port} where port {expected} is declared"
                )));
            }
            None => return Err(PortError::new(format!("port {port} is not declared"))),
        }
        self.named.push(port);
        let receives_only = kind == PortKind::Stream;
        let mut state = self.shared.lock();
        let ended = state.end();
        let link = PortLink::accept(&mut state, self.call, port, receives_only, ended);
        drop(state);
        Ok((Link::to(&self.shared), link))
    }
}
