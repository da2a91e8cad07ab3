//! The schema of a method.

use std::sync::OnceLock;

use facet::Facet;

use super::Schema;
use crate::codec::Codec;
use crate::error::DecodeError;
use crate::port::PortKind;

/// The arguments and the return type of a method.
#[derive(Facet, Debug, Clone, PartialEq, Eq)]
pub struct MethodSchema {
    /// Name and type of each argument, in order. Names are for people and are not hashed.
    pub args: Vec<(String, Schema)>,
    /// The return type.
    pub ret: Schema,
}

impl MethodSchema {
    /// A method's schema from the tuple of its arguments, their names and its return type.
    pub fn new(names: &[&str], args: Schema, ret: Schema) -> Self {
        let args = match (names, args) {
            ([], _) => Vec::new(),
            // One argument stands for itself, whether or not its tuple of one was kept.
            ([_], Schema::Tuple(mut only)) if only.len() == 1 => vec![only.remove(0)],
            ([_], only) => vec![only],
            (_, Schema::Tuple(args)) => args,
            (_, other) => vec![other],
        };
        let name = |at: usize| {
            names
                .get(at)
                .map_or_else(|| format!("arg{at}"), ToString::to_string)
        };
        let args = args
            .into_iter()
            .enumerate()
            .map(|(at, schema)| (name(at), schema))
            .collect();
        MethodSchema { args, ret }
    }

    /// The streams and tunnels of the arguments, in order of declaration \[port\].
    pub fn request_ports(&self) -> Vec<PortLeaf> {
        let mut leaves = Vec::new();
        for (_, schema) in &self.args {
            port_leaves(schema, true, &mut leaves);
        }
        leaves
    }

    /// The streams and tunnels of the return value, in order of declaration \[port\].
    pub fn response_ports(&self) -> Vec<PortLeaf> {
        let mut leaves = Vec::new();
        port_leaves(&self.ret, true, &mut leaves);
        leaves
    }

    /// The signature as Rust text: `async fn add(a: i32, b: i32) -> i32`.
    pub fn text(&self, name: &str) -> String {
        let args: Vec<String> = self
            .args
            .iter()
            .map(|(name, schema)| format!("{name}: {schema}"))
            .collect();
        let ret = match &self.ret {
            Schema::Unit => String::new(),
            ret => format!(" -> {ret}"),
        };
        format!("async fn {name}({}){ret}", args.join(", "))
    }

    /// The declarations of all structs and enums in the signature, as Rust items.
    pub fn declarations(&self) -> String {
        let mut types: Vec<Schema> = self.args.iter().map(|(_, schema)| schema.clone()).collect();
        types.push(self.ret.clone());
        Schema::Tuple(types).declarations()
    }

    /// The schema of the request payload \[enc.args\]: nothing for no arguments, the value for one,
    /// a tuple for more.
    pub fn request(&self) -> Schema {
        match self.args.as_slice() {
            [] => Schema::Unit,
            [(_, schema)] => schema.clone(),
            args => Schema::Tuple(args.iter().map(|(_, schema)| schema.clone()).collect()),
        }
    }

    /// The postcard bytes of this schema, for [`MethodSchema::from_bytes`] at the other side.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A schema nested too deeply to encode comes from no real type; it decodes to an error.
        let _ = codec().encode(self, &mut bytes, &mut ());
        bytes
    }

    /// The schema that `bytes` encode. Back references may be wrong; whoever follows them checks.
    pub fn from_bytes(bytes: &[u8]) -> Result<MethodSchema, DecodeError> {
        codec().decode_slice(bytes, &mut ())
    }
}

/// A stream or tunnel in a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortLeaf {
    /// Stream or tunnel.
    pub kind: PortKind,
    /// Whether it is there in every value: not inside of an `Option` or a `Result`.
    pub required: bool,
}

fn port_leaves(schema: &Schema, required: bool, leaves: &mut Vec<PortLeaf>) {
    match schema {
        Schema::Stream(_) => leaves.push(PortLeaf {
            kind: PortKind::Stream,
            required,
        }),
        Schema::Tunnel => leaves.push(PortLeaf {
            kind: PortKind::Tunnel,
            required,
        }),
        Schema::Option(inner) => port_leaves(inner, false, leaves),
        Schema::Tuple(parts) => {
            for part in parts {
                port_leaves(part, required, leaves);
            }
        }
        Schema::Struct(parts) => {
            for field in &parts.fields {
                port_leaves(&field.schema, required, leaves);
            }
        }
        Schema::Enum(parts) => {
            for payload in parts
                .variants
                .iter()
                .filter_map(|variant| variant.payload.as_ref())
            {
                port_leaves(payload, false, leaves);
            }
        }
        // The codec refuses ports anywhere else.
        _ => {}
    }
}

fn codec() -> &'static Codec<MethodSchema> {
    static CODEC: OnceLock<Codec<MethodSchema>> = OnceLock::new();
    CODEC.get_or_init(|| Codec::new().expect("a method's schema has an encoding"))
}
