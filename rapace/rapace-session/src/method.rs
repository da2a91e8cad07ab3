//! Methods as generated code declares them, compiled at most once per process.

use std::sync::OnceLock;

use facet::Facet;
use rapace_codec::{Codec, MethodSchema, Schema, UnsupportedType};
use rapace_core::MethodId;
use rapace_core::session::{Direction, PortDecl};

/// What generated code says of a method.
#[derive(Clone, Copy, Debug)]
pub struct MethodSpec {
    /// The trait's name, as written.
    pub service: &'static str,
    /// The method's name, as written.
    pub name: &'static str,
    /// The doc comment.
    pub docs: &'static str,
    /// Names of the arguments, in order.
    pub args: &'static [&'static str],
    /// No response is sent (\[call.oneway\]).
    pub oneway: bool,
    /// Running it twice does no harm, so a lost call may be repeated.
    pub idempotent: bool,
}

impl MethodSpec {
    /// `Service.method`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.service, self.name)
    }
}

/// One method: its name, and how its arguments `A` (a tuple) and its return value `R` travel.
///
/// Lives in a `static` of the generated code, so that finding the compiled codec costs one load.
pub struct Method<A: 'static, R: 'static> {
    spec: MethodSpec,
    id: MethodId,
    compiled: OnceLock<Result<Compiled<A, R>, UnsupportedType>>,
}

/// The compiled form of a method.
pub(crate) struct Compiled<A: 'static, R: 'static> {
    pub(crate) args: Codec<A>,
    pub(crate) ret: Codec<R>,
    pub(crate) info: MethodInfo,
}

/// What is known of a method once its types are compiled.
#[derive(Debug)]
pub struct MethodInfo {
    /// \[id.method\].
    pub id: MethodId,
    /// \[id.sig\].
    pub sig_hash: [u8; 32],
    /// Names and types.
    pub schema: MethodSchema,
    /// Streams and tunnels of the arguments and the return value (\[port\]).
    pub ports: Vec<PortDecl>,
    /// How many of `ports` stand in the arguments; they come first.
    pub request_ports: usize,
}

impl MethodInfo {
    /// Ports of the return value.
    pub(crate) fn response_ports(&self) -> &[PortDecl] {
        &self.ports[self.request_ports..]
    }
}

impl<A, R> Method<A, R> {
    /// A method; its id is computed at compile time.
    pub const fn new(spec: MethodSpec) -> Self {
        let id = MethodId(rapace_codec::method_id(spec.service, spec.name));
        Method {
            spec,
            id,
            compiled: OnceLock::new(),
        }
    }

    /// What generated code said of it.
    pub fn spec(&self) -> &MethodSpec {
        &self.spec
    }
}

impl<A: Facet<'static>, R: Facet<'static>> Method<A, R> {
    #[inline]
    pub(crate) fn compiled(&self) -> Result<&Compiled<A, R>, UnsupportedType> {
        let compiled = self.compiled.get_or_init(|| {
            let args = Codec::<A>::new()?;
            let ret = Codec::<R>::new()?;
            let info = describe(&self.spec, self.id, args.schema(), ret.schema());
            Ok(Compiled { args, ret, info })
        });
        compiled.as_ref().map_err(Clone::clone)
    }
}

fn describe(spec: &MethodSpec, id: MethodId, args: Schema, ret: Schema) -> MethodInfo {
    let schema = MethodSchema::new(spec.args, args, ret);
    let mut ports = Vec::new();
    for (at, port) in schema.request_ports().into_iter().enumerate() {
        ports.push(declare(1 + at as u32, port, Direction::ClientToServer));
    }
    let request_ports = ports.len();
    for (at, port) in schema.response_ports().into_iter().enumerate() {
        ports.push(declare(101 + at as u32, port, Direction::ServerToClient));
    }
    MethodInfo {
        id,
        sig_hash: schema.signature_hash(),
        schema,
        ports,
        request_ports,
    }
}

fn declare(port: u32, leaf: rapace_codec::PortLeaf, direction: Direction) -> PortDecl {
    use rapace_core::session::PortKind;
    let (kind, direction) = match leaf.kind {
        rapace_codec::PortKind::Stream => (PortKind::Stream, direction),
        rapace_codec::PortKind::Tunnel => (PortKind::Tunnel, Direction::Bidir),
    };
    PortDecl {
        port,
        kind,
        direction,
        required: leaf.required,
    }
}

/// A method without its types, for tables.
pub trait AnyMethod: Send + Sync + 'static {
    /// What generated code said of it.
    fn spec(&self) -> &MethodSpec;
    /// Compiles the types if that has not happened yet.
    fn info(&'static self) -> Result<&'static MethodInfo, UnsupportedType>;
}

impl<A: Facet<'static>, R: Facet<'static>> AnyMethod for Method<A, R> {
    fn spec(&self) -> &MethodSpec {
        &self.spec
    }

    fn info(&'static self) -> Result<&'static MethodInfo, UnsupportedType> {
        self.compiled().map(|compiled| &compiled.info)
    }
}

/// All methods of a service.
pub struct ServiceDescriptor {
    name: &'static str,
    docs: &'static str,
    methods: &'static [&'static dyn AnyMethod],
}

impl ServiceDescriptor {
    /// A descriptor; the position of a method is the index that [`crate::Service::serve`] gets.
    pub const fn new(
        name: &'static str,
        docs: &'static str,
        methods: &'static [&'static dyn AnyMethod],
    ) -> Self {
        ServiceDescriptor {
            name,
            docs,
            methods,
        }
    }

    /// The trait's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The trait's doc comment.
    pub fn docs(&self) -> &'static str {
        self.docs
    }

    /// The methods in the order of declaration.
    pub fn methods(&self) -> &'static [&'static dyn AnyMethod] {
        self.methods
    }

    /// Compiles every method.
    ///
    /// # Errors
    ///
    /// The first type that the wire cannot carry, with its path.
    pub fn check(&self) -> Result<(), crate::BuildError> {
        for method in self.methods {
            method
                .info()
                .map_err(|problem| crate::BuildError::UnsupportedType {
                    method: method.spec().full_name(),
                    problem,
                })?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for ServiceDescriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ServiceDescriptor({}, {} methods)",
            self.name,
            self.methods.len()
        )
    }
}
