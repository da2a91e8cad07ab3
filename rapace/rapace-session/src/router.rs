//! Which service answers which method.

use std::sync::Arc;

use rapace_core::MethodId;
use rapace_core::session::{MethodTable, ServedMethod};

use crate::error::BuildError;
use crate::method::AnyMethod;
use crate::pace::Pace;
use crate::service::{Handler, Request, Service};
use crate::shared::IdMap;

/// All services of one session; immutable once the session is built.
#[derive(Default)]
pub(crate) struct Router {
    routes: IdMap<MethodId, Route>,
}

/// One method of one service.
#[derive(Clone)]
pub(crate) struct Route {
    service: Arc<dyn Service>,
    index: usize,
    method: &'static dyn AnyMethod,
    pace: Arc<Pace>,
}

impl Route {
    pub(crate) fn serve(&self, request: Request) -> Handler {
        self.service.serve(self.index, request)
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    pub(crate) fn is_oneway(&self) -> bool {
        self.method.spec().oneway
    }

    pub(crate) fn full_name(&self) -> String {
        self.method.spec().full_name()
    }
}

impl Router {
    /// Compiles and registers every method of `service`.
    pub(crate) fn add(&mut self, service: Arc<dyn Service>) -> Result<(), BuildError> {
        let descriptor = service.descriptor();
        for (index, &method) in descriptor.methods().iter().enumerate() {
            let info = method
                .info()
                .map_err(|problem| BuildError::UnsupportedType {
                    method: method.spec().full_name(),
                    problem,
                })?;
            let route = Route {
                service: service.clone(),
                index,
                method,
                pace: Arc::default(),
            };
            if let Some(first) = self.routes.insert(info.id, route) {
                return Err(BuildError::MethodCollision {
                    first: first.full_name(),
                    second: method.spec().full_name(),
                });
            }
        }
        Ok(())
    }

    pub(crate) fn route(&self, method: MethodId) -> Option<&Route> {
        self.routes.get(&method)
    }

    /// What the Hello says of the methods (\[hello.methods\]).
    pub(crate) fn table(&self) -> MethodTable {
        let mut methods: Vec<ServedMethod> = self
            .routes
            .values()
            .filter_map(|route| {
                let info = route.method.info().ok()?;
                Some(ServedMethod {
                    id: info.id,
                    name: route.full_name(),
                    sig_hash: info.sig_hash,
                    ports: info.ports.clone(),
                })
            })
            .collect();
        methods.sort_by(|a, b| a.name.cmp(&b.name));
        methods.into_iter().collect()
    }
}
