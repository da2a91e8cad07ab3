//! The services that scenarios can call by name.

use std::sync::Arc;

use rapace_session::method::{AnyMethod, MethodInfo, ServiceDescriptor};
use rapace_session::{Client, Service};
use rapace_testbed::{Subject, TestbedClient, TestbedServer};

use super::manifold::{ManifoldClient, ManifoldServer, Pipework};
use super::workbench::{Bench, WorkbenchClient, WorkbenchServer, stale};
use crate::process::Process;
use crate::program::Program;

type Add = Arc<dyn Fn(Program) -> Program + Send + Sync>;

/// Services by name: how processes serve them, and which methods they have.
///
/// The standard ones are [`Testbed`](rapace_testbed::Testbed) and [`Workbench`](super::Workbench).
/// Two more are served only where a scenario asks for them: [`Manifold`](super::Manifold), whose calls
/// have several streams, and `StaleTestbed`, a testbed of another version.
#[derive(Clone)]
pub struct Services {
    entries: Vec<Entry>,
    /// Whether none was added to the standard ones.
    is_standard: bool,
}

#[derive(Clone)]
struct Entry {
    name: &'static str,
    /// `None` for those that pretend to be another one.
    descriptor: Option<&'static ServiceDescriptor>,
    /// Whether a process serves it whose script says nothing of services.
    by_default: bool,
    add: Add,
}

impl Services {
    /// Those of the simulator.
    pub fn standard() -> Self {
        let none = Services {
            entries: Vec::new(),
            is_standard: true,
        };
        let mut services = none
            .with::<TestbedClient, _>(|_| TestbedServer::new(Subject))
            .with::<WorkbenchClient, _>(|process| WorkbenchServer::new(Bench::new(process)))
            .with::<ManifoldClient, _>(|process| ManifoldServer::new(Pipework::new(process)));
        for entry in &mut services.entries {
            entry.by_default = entry.name != ManifoldClient::descriptor().name();
        }
        services.entries.push(Entry {
            name: "StaleTestbed",
            descriptor: None,
            by_default: false,
            add: Arc::new(|program| program.serve(|| stale::TestbedServer::new(stale::Stale))),
        });
        services.is_standard = true;
        services
    }

    /// Whether these are the services that the command line has.
    pub(super) fn is_standard(&self) -> bool {
        self.is_standard
    }

    /// One more: `.with::<FooClient, _>(|process| FooServer::new(Foo))`. Scenarios call its methods
    /// with JSON, and list the items of their streams.
    pub fn with<C, S>(mut self, serve: impl Fn(&Process) -> S + Send + Sync + 'static) -> Self
    where
        C: Client,
        S: Service,
    {
        let descriptor = C::descriptor();
        let serve = Arc::new(serve);
        self.is_standard = false;
        self.entries.push(Entry {
            name: descriptor.name(),
            descriptor: Some(descriptor),
            by_default: true,
            add: Arc::new(move |program| {
                let serve = serve.clone();
                program.serve_with(move |process| serve(process))
            }),
        });
        self
    }

    /// Whether scenarios need not say what is sent to this service's streams and comes back: it is
    /// made up and compared for the methods of the standard ones.
    pub(super) fn makes_items(service: &str) -> bool {
        matches!(service, "Testbed" | "Workbench" | "Manifold")
    }

    /// The names of all of them.
    pub fn names(&self) -> Vec<&'static str> {
        self.entries.iter().map(|entry| entry.name).collect()
    }

    /// Those that a process serves when its script says nothing.
    pub(super) fn by_default(&self) -> Vec<String> {
        let entries = self.entries.iter();
        let served = entries.filter(|entry| entry.by_default);
        served.map(|entry| entry.name.to_owned()).collect()
    }

    /// Has a program serve the service of this name.
    pub(super) fn serve(&self, program: Program, name: &str) -> Program {
        let mut entries = self.entries.iter();
        match entries.find(|entry| entry.name == name) {
            Some(entry) => (entry.add)(program),
            None => program,
        }
    }

    /// The methods of a service that can be called.
    pub(super) fn methods(&self, service: &str) -> Vec<&'static str> {
        let methods = self.descriptor(service).map(ServiceDescriptor::methods);
        let methods = methods.unwrap_or_default().iter();
        methods.map(|method| method.spec().name).collect()
    }

    pub(super) fn method(&self, service: &str, method: &str) -> Option<&'static dyn AnyMethod> {
        let mut methods = self.descriptor(service)?.methods().iter();
        methods.find(|known| known.spec().name == method).copied()
    }

    /// What is known of a method, or why it cannot be had.
    pub(super) fn info(&self, service: &str, method: &str) -> Result<&'static MethodInfo, String> {
        let known = self
            .method(service, method)
            .ok_or_else(|| format!("`{service}` has no method `{method}`"))?;
        known.info().map_err(|problem| problem.to_string())
    }

    fn descriptor(&self, service: &str) -> Option<&'static ServiceDescriptor> {
        let mut entries = self.entries.iter();
        entries
            .find(|entry| entry.name == service)
            .and_then(|entry| entry.descriptor)
    }
}

impl Default for Services {
    fn default() -> Self {
        Services::standard()
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Services").field(&self.names()).finish()
    }
}
