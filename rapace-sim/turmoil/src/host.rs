//! A host as the code that runs on it sees it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rapace_session::{CallError, Session};
use rapace_stream::StreamTransport;

use crate::book::{Book, LedgerClient};
use crate::net::TcpStream;
use crate::socket::{Life, Socket};
use crate::world::Shared;

/// One life of a host. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: Arc<str>,
    pub(crate) life: u64,
    pub(crate) process: Arc<Life>,
}

impl Host {
    /// The host's name, which is also its address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which life of the host this is, from 1. Its sessions carry it as their epoch.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// The call oracle of the world.
    pub fn book(&self) -> &Arc<Book> {
        &self.shared.book
    }

    /// Random numbers for this life of this host: they depend on the seed, the name and the life,
    /// and on nothing that other hosts do.
    pub fn rng(&self) -> fastrand::Rng {
        let name = self.name.bytes().fold(0u64, |sum, byte| {
            sum.wrapping_mul(257).wrapping_add(byte.into())
        });
        fastrand::Rng::with_seed(self.shared.seed ^ name.rotate_left(20) ^ self.life << 56)
    }

    /// The shipping link over a connection of this host.
    pub fn link(&self, stream: TcpStream) -> StreamTransport {
        StreamTransport::new(Socket::new(&self.process, stream)).with_kind("simulated")
    }

    /// Adds a line to the world's log.
    pub fn note(&self, event: impl fmt::Display) {
        self.shared
            .log
            .add(format!("{}/{}: {event}", self.name, self.life));
    }

    /// Logs the end of a session, and has its tables checked when the world has come to rest.
    ///
    /// The world holds the session from then on: it does not drain because its user dropped it.
    pub fn watch(&self, what: &str, session: &Session) {
        self.note(what);
        let label = format!("{}/{} {what}", self.name, self.life);
        self.shared.keep(label, session.clone());
        let (host, session, what) = (self.clone(), session.clone(), what.to_owned());
        tokio::spawn(async move {
            let end = session.closed().await;
            host.note(format!("{what}, ended: {end}"));
        });
    }

    /// Calls [`Ledger::post`](crate::book::Ledger::post) under the oracle's eyes.
    pub async fn post(
        &self,
        ledger: &LedgerClient,
        millis: u32,
        deadline: Option<Duration>,
    ) -> Result<u64, CallError> {
        let open = self.book().open(0);
        let id = open.id();
        let call = ledger.post(id, millis);
        let result = match deadline {
            Some(deadline) => call.deadline(deadline).await,
            None => call.await,
        };
        self.note_outcome(id, &result);
        open.close(&result);
        result
    }

    /// Calls [`Ledger::repost`](crate::book::Ledger::repost), which may be repeated `repeats_max`
    /// times, under the oracle's eyes.
    pub async fn repost(
        &self,
        ledger: &LedgerClient,
        millis: u32,
        deadline: Option<Duration>,
        repeats_max: u32,
    ) -> Result<u64, CallError> {
        let open = self.book().open(repeats_max);
        let id = open.id();
        let call = ledger.repost(id, millis);
        let result = match deadline {
            Some(deadline) => call.deadline(deadline).await,
            None => call.await,
        };
        self.note_outcome(id, &result);
        open.close(&result);
        result
    }

    fn note_outcome(&self, id: u64, result: &Result<u64, CallError>) {
        match result {
            Ok(life) => self.note(format!("call {id} answered by life {life}")),
            Err(error) => self.note(format!("call {id} failed: {error}")),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({}/{})", self.name, self.life)
    }
}
