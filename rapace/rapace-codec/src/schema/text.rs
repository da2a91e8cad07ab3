//! Schemas as text that reads like Rust.

use core::fmt;

use super::{EnumSchema, FieldSchema, Schema, Scope, StructSchema};

impl fmt::Display for Schema {
    /// The type as it would stand in a signature: `Vec<Image>`. Structs and enums appear by name; see
    /// [`Schema::declarations`] for what they hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_type(&Scope::root(self), f)
    }
}

impl Schema {
    /// The declarations of all structs and enums in this type, as Rust items, the outermost first.
    pub fn declarations(&self) -> String {
        let mut items = Vec::new();
        collect(&Scope::root(self), &mut items);
        items.join("\n")
    }

    /// The schemas directly inside this one, in wire order.
    pub(crate) fn children(&self) -> Vec<&Schema> {
        match self {
            Schema::Option(inner) | Schema::Vec(inner) | Schema::Stream(inner) => vec![inner],
            Schema::Array { element, .. } => vec![element],
            Schema::Map { key, value } => vec![key, value],
            Schema::Struct(ty) => ty.fields.iter().map(|field| &field.schema).collect(),
            Schema::Tuple(elements) => elements.iter().collect(),
            Schema::Enum(ty) => ty
                .variants
                .iter()
                .filter_map(|v| v.payload.as_ref())
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// The type at a place, in one line.
fn write_type(scope: &Scope<'_>, f: &mut dyn fmt::Write) -> fmt::Result {
    let inside = |node: &Schema, f: &mut dyn fmt::Write| write_type(&scope.child(node), f);
    let generic = |name: &str, nodes: &[&Schema], f: &mut dyn fmt::Write| {
        f.write_str(name)?;
        f.write_str("<")?;
        for (index, node) in nodes.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            inside(node, f)?;
        }
        f.write_str(">")
    };
    match scope.node {
        Schema::Unit => f.write_str("()"),
        Schema::Bool => f.write_str("bool"),
        Schema::U8 => f.write_str("u8"),
        Schema::U16 => f.write_str("u16"),
        Schema::U32 => f.write_str("u32"),
        Schema::U64 => f.write_str("u64"),
        Schema::U128 => f.write_str("u128"),
        Schema::I8 => f.write_str("i8"),
        Schema::I16 => f.write_str("i16"),
        Schema::I32 => f.write_str("i32"),
        Schema::I64 => f.write_str("i64"),
        Schema::I128 => f.write_str("i128"),
        Schema::F32 => f.write_str("f32"),
        Schema::F64 => f.write_str("f64"),
        Schema::Char => f.write_str("char"),
        Schema::String => f.write_str("String"),
        Schema::Bytes => f.write_str("Bytes"),
        Schema::Tunnel => f.write_str("Tunnel"),
        Schema::Option(some) => generic("Option", &[some], f),
        Schema::Vec(element) => generic("Vec", &[element], f),
        Schema::Stream(item) => generic("Streaming", &[item], f),
        Schema::Map { key, value } => generic("Map", &[key, value], f),
        Schema::Array { len, element } => {
            f.write_str("[")?;
            inside(element, f)?;
            write!(f, "; {len}]")
        }
        Schema::Tuple(elements) => {
            f.write_str("(")?;
            for (index, element) in elements.iter().enumerate() {
                f.write_str(if index > 0 { ", " } else { "" })?;
                inside(element, f)?;
            }
            f.write_str(if elements.len() == 1 { ",)" } else { ")" })
        }
        Schema::Struct(ty) => f.write_str(&ty.name),
        Schema::Enum(ty) => match ok_and_err(ty) {
            Some((ok, err)) => generic("Result", &[ok, err], f),
            None => f.write_str(&ty.name),
        },
        Schema::BackRef(_) => match scope.resolve().map(|target| target.node) {
            Some(Schema::Struct(ty)) => f.write_str(&ty.name),
            Some(Schema::Enum(ty)) => f.write_str(&ty.name),
            // A recursive type without a name, such as a newtype around an option of itself.
            _ => f.write_str("_"),
        },
    }
}

/// The two types of an enum that is a `Result`.
fn ok_and_err(ty: &EnumSchema) -> Option<(&Schema, &Schema)> {
    match (ty.name.as_str(), ty.variants.as_slice()) {
        ("Result", [ok, err]) if ok.name == "Ok" && err.name == "Err" => {
            Some((ok.payload.as_ref()?, err.payload.as_ref()?))
        }
        _ => None,
    }
}

/// Adds the declarations at and inside a place that are not there yet.
fn collect(scope: &Scope<'_>, items: &mut Vec<String>) {
    let item = match scope.node {
        Schema::Struct(ty) => declare_struct(scope, ty),
        Schema::Enum(ty) if ok_and_err(ty).is_none() => declare_enum(scope, ty),
        _ => String::new(),
    };
    if !item.is_empty() && !items.contains(&item) {
        items.push(item);
    }
    match scope.node {
        // The struct that is a variant's payload is no type of its own; what it holds may be.
        Schema::Enum(ty) => {
            for payload in ty
                .variants
                .iter()
                .filter_map(|variant| variant.payload.as_ref())
            {
                let payload_scope = scope.child(payload);
                match payload {
                    Schema::Struct(inner) if is_variant_struct(ty, inner) => {
                        for field in &inner.fields {
                            collect(&payload_scope.child(&field.schema), items);
                        }
                    }
                    _ => collect(&payload_scope, items),
                }
            }
        }
        other => {
            for node in other.children() {
                collect(&scope.child(node), items);
            }
        }
    }
}

/// Whether a struct is the body of a variant: such bodies carry the variant's name.
fn is_variant_struct(ty: &EnumSchema, inner: &StructSchema) -> bool {
    ty.variants.iter().any(|variant| {
        variant.name == inner.name
            && matches!(&variant.payload, Some(Schema::Struct(body)) if body == inner)
    })
}

fn declare_struct(scope: &Scope<'_>, ty: &StructSchema) -> String {
    let mut text = format!("struct {} {{", ty.name);
    write_fields(scope, &ty.fields, "    ", &mut text);
    text.push_str("}\n");
    text
}

fn declare_enum(scope: &Scope<'_>, ty: &EnumSchema) -> String {
    let mut text = format!("enum {} {{\n", ty.name);
    for variant in &ty.variants {
        text.push_str("    ");
        text.push_str(&variant.name);
        match &variant.payload {
            None => {}
            Some(payload @ Schema::Struct(body)) if is_variant_struct(ty, body) => {
                text.push_str(" {");
                write_fields(&scope.child(payload), &body.fields, "        ", &mut text);
                text.push_str("    }");
            }
            Some(payload @ Schema::Tuple(_)) => push_type(&scope.child(payload), &mut text),
            Some(payload) => {
                text.push('(');
                push_type(&scope.child(payload), &mut text);
                text.push(')');
            }
        }
        text.push_str(",\n");
    }
    text.push_str("}\n");
    text
}

fn write_fields(scope: &Scope<'_>, fields: &[FieldSchema], indent: &str, text: &mut String) {
    for (index, field) in fields.iter().enumerate() {
        text.push_str(if index == 0 { "\n" } else { "" });
        text.push_str(indent);
        text.push_str(&field.name);
        text.push_str(": ");
        push_type(&scope.child(&field.schema), text);
        text.push_str(",\n");
    }
}

fn push_type(scope: &Scope<'_>, text: &mut String) {
    write_type(scope, text).expect("writing to a string cannot fail");
}
