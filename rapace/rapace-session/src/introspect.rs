//! The one service that every session serves: it tells how the methods' types look here.
//!
//! Only a caller whose types differ asks (\[hello.compat\]), so the schemas cost nothing in the
//! Hello. This is what the feature bit SCHEMA_TEXT promises.

use std::sync::Arc;

use bytes::Bytes;
use rapace_codec::MethodSchema;

use crate::call::Call;
use crate::caller::Caller;
use crate::method::{AnyMethod, Method, MethodSpec, ServiceDescriptor};
use crate::service::{Handler, Request, Service};

static SCHEMA: Method<(u32,), Option<Bytes>> = Method::new(MethodSpec {
    service: "Rapace",
    name: "schema",
    docs: "The types of a method that this side serves, encoded; `None` for an unknown one.",
    args: &["method_id"],
    oneway: false,
    idempotent: true,
});

static DESCRIPTOR: ServiceDescriptor =
    ServiceDescriptor::new("Rapace", "What every rapace peer serves.", &[&SCHEMA]);

/// The service that every session serves besides its own (\[hello.compat\]), for tools that give
/// names to the methods they see on the wire.
pub fn introspection() -> &'static ServiceDescriptor {
    &DESCRIPTOR
}

pub(crate) struct Introspect {
    methods: Vec<&'static dyn AnyMethod>,
}

impl Introspect {
    pub(crate) fn new(services: &[Arc<dyn Service>]) -> Self {
        let methods = services
            .iter()
            .flat_map(|service| service.descriptor().methods().iter().copied());
        Introspect {
            methods: methods.collect(),
        }
    }
}

impl Service for Introspect {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &DESCRIPTOR
    }

    fn serve(&self, _index: usize, request: Request) -> Handler {
        let known = self.methods.clone();
        request.unary(&SCHEMA, move |(id,)| {
            let found = known.into_iter().filter_map(|method| method.info().ok());
            let schema = found.into_iter().find(|info| info.id.0 == id);
            std::future::ready(schema.map(|info| Bytes::from(info.schema.to_bytes())))
        })
    }
}

/// Asks the peer how it sees a method.
pub(crate) fn ask(caller: &Caller, method_id: u32) -> Call<(u32,), Option<Bytes>> {
    caller.call(&SCHEMA, (method_id,))
}

/// Whether it is the question itself whose types differ: then nothing can be asked.
pub(crate) fn is_question(spec: &MethodSpec) -> bool {
    std::ptr::eq(spec, SCHEMA.spec())
}

/// The first difference between our view of a method and the encoded view of the peer.
pub(crate) fn difference(ours: &MethodSchema, theirs: &[u8]) -> Option<String> {
    let theirs = MethodSchema::from_bytes(theirs).ok()?;
    MethodSchema::first_difference(ours, &theirs)
}
