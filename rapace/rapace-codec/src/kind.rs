//! Which shapes have an encoding.
//!
//! One function, [`classify`], decides it for the compiler and for the schema alike, so that the
//! two can never disagree about a type.

#![allow(
    clippy::disallowed_types,
    reason = "names the types that users may send; keeps nothing in them"
)]

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use facet_core::{
    Def, EnumRepr, EnumType, Facet, Field, FieldFlags, KnownPointer, ListDef, MapDef, OptionDef,
    PointerDef, PointerType, PrimitiveType, ResultDef, SetDef, Shape, ShapeFlags, StructKind, Type,
    UserType,
};

use crate::error::Unsupported;
use crate::port::PortVTable;

/// A number, `bool` or `char`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool,
    U8,
    U16,
    U32,
    U64,
    U128,
    I8,
    I16,
    I32,
    I64,
    I128,
    F32,
    F64,
    Char,
}

/// The owners of text that have an encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    String,
    Boxed,
    Shared,
    Cow,
}

/// How a struct is written in JSON and hashed; on the wire all are their fields in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StructStyle {
    /// `struct S;`, hashed and shown like `()`.
    Unit,
    /// `struct S(T);`, indistinguishable from `T` in hash, text and JSON.
    Newtype,
    /// Tuples, and tuple structs with any other number of fields than one.
    Tuple,
    /// `struct S { … }`.
    Named,
}

/// What a shape is, to the encoding.
pub(crate) enum Kind {
    Scalar(Scalar),
    Text(Text),
    Bytes,
    ByteVec,
    /// `Box<[u8]>`, or `Arc<[u8]>` when shared.
    ByteSlice {
        shared: bool,
    },
    Uuid,
    Duration,
    Struct(&'static [Field], StructStyle),
    Enum(EnumType),
    Option(OptionDef),
    Result(ResultDef),
    List(ListDef),
    /// `Box<[T]>` and `Arc<[T]>`: the pointer and the element.
    Slice(PointerDef, &'static Shape),
    Array(&'static Shape, usize),
    Map(MapDef),
    Set(SetDef),
    Boxed(&'static Shape),
    Arc(PointerDef, &'static Shape),
    Port(&'static PortVTable),
}

/// What `shape` is to the encoding, or why it has none.
pub(crate) fn classify(shape: &'static Shape) -> Result<Kind, Unsupported> {
    if let Some(leaf) = leaf(shape) {
        return Ok(leaf);
    }
    check_type_attributes(shape)?;
    match &shape.def {
        Def::List(def) => list(shape, *def),
        Def::Array(def) if u32::try_from(def.n).is_err() => Err(Unsupported::TooLarge),
        Def::Array(def) => Ok(Kind::Array(def.t, def.n)),
        Def::Map(def) => map(shape, *def),
        Def::Set(def) => set(shape, *def),
        Def::Option(def) => Ok(Kind::Option(*def)),
        Def::Result(def) => Ok(Kind::Result(*def)),
        Def::Pointer(def) => pointer(*def),
        // Only here may fields be trusted to be all there is to a value: facet calls those structs whose
        // bits mean more than their fields, `NonZero` and `Infallible` among them, scalars.
        Def::Undefined => user_type(shape),
        Def::Scalar => Err(scalar_refusal(shape)),
        _ => Err(Unsupported::NoEncoding),
    }
}

/// Refuses fields whose attributes change what is serialised.
pub(crate) fn check_field(field: &Field) -> Result<(), Unsupported> {
    let flags = [
        (FieldFlags::FLATTEN, "flatten"),
        (FieldFlags::SKIP, "skip"),
        (FieldFlags::SKIP_SERIALIZING, "skip_serializing"),
        (FieldFlags::SKIP_DESERIALIZING, "skip_deserializing"),
    ];
    for (flag, name) in flags {
        if field.flags.contains(flag) {
            return Err(Unsupported::Attribute(name));
        }
    }
    if field.skip_serializing_if.is_some() {
        return Err(Unsupported::Attribute("skip_serializing_if"));
    }
    if field.proxy.is_some() || !field.format_proxies.is_empty() {
        return Err(Unsupported::Attribute("proxy"));
    }
    if field.metadata.is_some() {
        return Err(Unsupported::Attribute("metadata"));
    }
    Ok(())
}

/// The shapes that are recognised by their type rather than by their description.
fn leaf(shape: &'static Shape) -> Option<Kind> {
    if let Some(port) = PortVTable::of_shape(shape) {
        return Some(Kind::Port(port));
    }
    if let Some(scalar) = scalar(shape) {
        return Some(Kind::Scalar(scalar));
    }
    let kind = if shape.is_type::<String>() {
        Kind::Text(Text::String)
    } else if shape.is_type::<Bytes>() {
        Kind::Bytes
    } else if shape.is_type::<Vec<u8>>() {
        Kind::ByteVec
    } else if shape.is_type::<()>() {
        Kind::Struct(&[], StructStyle::Unit)
    } else if shape.is_type::<Duration>() {
        Kind::Duration
    } else if shape.is_type::<Box<str>>() {
        Kind::Text(Text::Boxed)
    } else if shape.is_type::<Arc<str>>() {
        Kind::Text(Text::Shared)
    } else if shape.is_type::<Cow<'static, str>>() {
        Kind::Text(Text::Cow)
    } else if shape.is_type::<Box<[u8]>>() {
        Kind::ByteSlice { shared: false }
    } else if shape.is_type::<Arc<[u8]>>() {
        Kind::ByteSlice { shared: true }
    } else if is_uuid(shape) {
        Kind::Uuid
    } else {
        return None;
    };
    Some(kind)
}

#[cfg(feature = "uuid")]
fn is_uuid(shape: &'static Shape) -> bool {
    shape.is_type::<uuid::Uuid>()
}

#[cfg(not(feature = "uuid"))]
fn is_uuid(_: &'static Shape) -> bool {
    false
}

/// The scalar that `shape` is, by type: width alone would take `usize` for `u64`.
pub(crate) fn scalar(shape: &'static Shape) -> Option<Scalar> {
    let Type::Primitive(primitive) = &shape.ty else {
        return None;
    };
    if matches!(primitive, PrimitiveType::Never) {
        return None;
    }
    type Is = fn(&Shape) -> bool;
    let table: [(Is, Scalar); 14] = [
        (|s| s.is_type::<bool>(), Scalar::Bool),
        (|s| s.is_type::<u8>(), Scalar::U8),
        (|s| s.is_type::<u16>(), Scalar::U16),
        (|s| s.is_type::<u32>(), Scalar::U32),
        (|s| s.is_type::<u64>(), Scalar::U64),
        (|s| s.is_type::<u128>(), Scalar::U128),
        (|s| s.is_type::<i8>(), Scalar::I8),
        (|s| s.is_type::<i16>(), Scalar::I16),
        (|s| s.is_type::<i32>(), Scalar::I32),
        (|s| s.is_type::<i64>(), Scalar::I64),
        (|s| s.is_type::<i128>(), Scalar::I128),
        (|s| s.is_type::<f32>(), Scalar::F32),
        (|s| s.is_type::<f64>(), Scalar::F64),
        (|s| s.is_type::<char>(), Scalar::Char),
    ];
    table
        .into_iter()
        .find_map(|(is, scalar)| is(shape).then_some(scalar))
}

/// Why a leaf that facet calls a scalar has no encoding.
fn scalar_refusal(shape: &'static Shape) -> Unsupported {
    match &shape.ty {
        _ if shape.is_type::<usize>() || shape.is_type::<isize>() => Unsupported::PlatformSized,
        Type::Pointer(PointerType::Raw(_) | PointerType::Function(_)) => Unsupported::Pointer,
        Type::Pointer(PointerType::Reference(_)) => Unsupported::Borrowed,
        _ if shape.type_identifier == "PhantomData" => Unsupported::Phantom,
        _ => Unsupported::NoEncoding,
    }
}

fn check_type_attributes(shape: &'static Shape) -> Result<(), Unsupported> {
    let attribute = if shape.flags.contains(ShapeFlags::UNTAGGED) {
        "untagged"
    } else if shape.flags.contains(ShapeFlags::NUMERIC) {
        "is_numeric"
    } else if shape.flags.contains(ShapeFlags::METADATA_CONTAINER) {
        "metadata_container"
    } else if shape.tag.is_some() {
        "tag"
    } else if shape.content.is_some() {
        "content"
    } else if shape.proxy.is_some() || !shape.format_proxies.is_empty() {
        "proxy"
    } else if shape.opaque_adapter.is_some() {
        "opaque"
    } else {
        return Ok(());
    };
    Err(Unsupported::Attribute(attribute))
}

/// Lists must offer direct filling, which `Vec` does and `BytesMut` does not.
fn list(shape: &'static Shape, def: ListDef) -> Result<Kind, Unsupported> {
    let fillable = def.init_in_place_with_capacity().is_some()
        && def.set_len().is_some()
        && def.as_mut_ptr_typed().is_some()
        && def.vtable.as_ptr.is_some()
        && shape.type_ops.is_some();
    if fillable {
        Ok(Kind::List(def))
    } else {
        Err(Unsupported::NoEncoding)
    }
}

/// facet's table for a `HashMap` inserts as if its hasher were the standard one, so another hasher
/// must be kept out; its size and alignment are all that the shape says about it.
fn map(shape: &'static Shape, def: MapDef) -> Result<Kind, Unsupported> {
    let std_hasher = shape.type_identifier == "HashMap"
        && shape.module_path == Some("std::collections::hash_map")
        && shape.layout.sized_layout().ok()
            == Some(core::alloc::Layout::new::<HashMap<u8, u8, RandomState>>());
    let ordered = shape.type_identifier == "BTreeMap"
        && shape.layout.sized_layout().ok() == Some(core::alloc::Layout::new::<BTreeMap<u8, u8>>());
    if !(std_hasher || ordered) {
        return Err(Unsupported::Hasher);
    }
    if def.vtable.iter_vtable.init_with_value.is_none() {
        return Err(Unsupported::NoEncoding);
    }
    Ok(Kind::Map(def))
}

/// A `HashSet` names its hasher among its type parameters.
fn set(shape: &'static Shape, def: SetDef) -> Result<Kind, Unsupported> {
    let supported = match shape.type_identifier {
        "HashSet" => shape
            .type_params
            .iter()
            .any(|parameter| parameter.shape.id == RandomState::SHAPE.id),
        "BTreeSet" => true,
        _ => false,
    };
    if !supported {
        return Err(Unsupported::Hasher);
    }
    if def.vtable.iter_vtable.init_with_value.is_none() {
        return Err(Unsupported::NoEncoding);
    }
    Ok(Kind::Set(def))
}

fn pointer(def: PointerDef) -> Result<Kind, Unsupported> {
    let owner = match def.known {
        Some(owner @ (KnownPointer::Box | KnownPointer::Arc)) => owner,
        Some(
            KnownPointer::Rc | KnownPointer::RcWeak | KnownPointer::Cell | KnownPointer::RefCell,
        ) => return Err(Unsupported::NotSend),
        Some(
            KnownPointer::SharedReference | KnownPointer::ExclusiveReference | KnownPointer::Cow,
        ) => return Err(Unsupported::Borrowed),
        Some(KnownPointer::NonNull) => return Err(Unsupported::Pointer),
        Some(
            KnownPointer::ArcWeak
            | KnownPointer::Mutex
            | KnownPointer::RwLock
            | KnownPointer::OnceCell
            | KnownPointer::OnceLock
            | KnownPointer::LazyLock,
        ) => return Err(Unsupported::Shared),
        _ => return Err(Unsupported::NoEncoding),
    };
    let (Some(pointee), Some(_)) = (def.pointee, def.vtable.borrow_fn) else {
        return Err(Unsupported::Opaque);
    };
    if let Def::Slice(slice) = &pointee.def {
        return match def.vtable.slice_builder_vtable {
            Some(_) => Ok(Kind::Slice(def, slice.t)),
            None => Err(Unsupported::NoEncoding),
        };
    }
    if pointee.layout.sized_layout().is_err() || def.vtable.new_into_fn.is_none() {
        return Err(Unsupported::NoEncoding);
    }
    Ok(match owner {
        KnownPointer::Box => Kind::Boxed(pointee),
        _ => Kind::Arc(def, pointee),
    })
}

fn user_type(shape: &'static Shape) -> Result<Kind, Unsupported> {
    match &shape.ty {
        Type::User(UserType::Struct(ty)) => {
            if ty.repr.packed {
                return Err(Unsupported::Packed);
            }
            let style = match (ty.kind, ty.fields.len()) {
                (StructKind::Unit, _) => StructStyle::Unit,
                (StructKind::TupleStruct, 1) => StructStyle::Newtype,
                (StructKind::TupleStruct | StructKind::Tuple, _) => StructStyle::Tuple,
                (StructKind::Struct, _) => StructStyle::Named,
            };
            Ok(Kind::Struct(ty.fields, style))
        }
        Type::User(UserType::Enum(ty)) => {
            let known = !matches!(ty.enum_repr, EnumRepr::Rust | EnumRepr::RustNPO);
            let discriminants = ty.variants.iter().all(|v| v.discriminant.is_some());
            if known && discriminants && !ty.is_cow {
                Ok(Kind::Enum(*ty))
            } else {
                Err(Unsupported::EnumRepr)
            }
        }
        Type::User(UserType::Union(_)) => Err(Unsupported::Union),
        Type::User(UserType::Opaque) => Err(Unsupported::Opaque),
        Type::Pointer(PointerType::Reference(_)) => Err(Unsupported::Borrowed),
        Type::Pointer(_) => Err(Unsupported::Pointer),
        _ if shape.type_identifier == "PhantomData" => Err(Unsupported::Phantom),
        _ => Err(Unsupported::NoEncoding),
    }
}
