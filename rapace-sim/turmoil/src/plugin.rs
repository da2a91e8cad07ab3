//! What a plugin's host runs: listen, accept, serve.

use std::sync::Arc;

use rapace_session::{Limits, Service, Session};
use rapace_testbed::{Subject, TestbedServer};

use crate::book::{Clerk, LedgerServer};
use crate::host::Host;
use crate::net::TcpListener;

/// The port that every plugin listens on.
pub const PORT: u16 = 7000;

/// What a plugin serves, and within which limits. Every life of it is made from one of these.
#[derive(Clone, Default)]
pub struct Plugin {
    limits: Limits,
    services: Vec<Arc<dyn Service>>,
}

impl Plugin {
    /// A plugin that serves the testbed and the [`Ledger`](crate::book::Ledger), with default
    /// limits.
    pub fn new() -> Self {
        Plugin::default()
    }

    /// Changes the limits of its sessions.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves `service` as well.
    pub fn serve(mut self, service: impl Service) -> Self {
        self.services.push(Arc::new(service));
        self
    }

    /// One life of the plugin: serves every connection, for ever.
    pub(crate) async fn run(self, host: Host) -> Result<(), Box<dyn std::error::Error>> {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        host.note("listens");
        loop {
            let (stream, _) = listener.accept().await?;
            let mut builder = Session::builder()
                .name(host.name())
                .epoch(host.life())
                .limits(self.limits.clone())
                .serve(TestbedServer::new(Subject))
                .serve(LedgerServer::new(Clerk::new(
                    host.book().clone(),
                    host.life(),
                )));
            for service in &self.services {
                builder = builder.serve_shared(service.clone());
            }
            let session = builder.accept(host.link(stream))?;
            host.watch("accepted", &session);
        }
    }
}
