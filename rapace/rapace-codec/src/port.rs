//! Streams and tunnels as leaves of a payload \[port\].
//!
//! This module owns how a port stands in a payload (its number as `u32`) and how the codec
//! recognises one; what a port *is* belongs to the session, which implements [`Port`] for its
//! types and gives them a facet shape with [`impl_port_facet!`](crate::impl_port_facet).
//!
//! The shape is opaque to every other user of facet. It carries one attribute, `rapace::port`, whose
//! value is the table of functions below, one table per type. Only a table that was made for the very
//! type that carries it is obeyed.
#![allow(unsafe_code)]

use core::any::{Any, TypeId};
use core::fmt;

use facet_core::{Attr, Def, Facet, Shape, ShapeBuilder, Type, TypeOpsDirect, UserType};

use crate::error::PortError;

/// What a port carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortKind {
    /// Items of one type, in order.
    Stream,
    /// Bytes, in both directions.
    Tunnel,
}

/// A stream or tunnel that can stand in a payload as its port number \[port\].
///
/// The context is whatever the caller of the codec hands in; the session passes its own table of
/// ports and finds it with `downcast_mut`. The ordinal is the port's position among those that the
/// type declares, counted from 0, present or not. Ports are attached and accepted in order of
/// declaration, and only those that the value really holds (the `Some` of an `Option`).
pub trait Port: Sized + 'static {
    /// What the port carries.
    const KIND: PortKind;
    /// The type's name in schemas and error messages, without type parameters.
    const TYPE_NAME: &'static str;

    /// The shape of the items; `Some` for streams, `None` for tunnels.
    fn element() -> Option<&'static Shape>;

    /// On encoding: hands this end over to the call in progress and returns the port's number.
    ///
    /// Takes `&self` because encoding borrows the value; take the inner end out of a cell, and fail
    /// when it is already gone.
    fn attach(&self, ordinal: u32, cx: &mut dyn Any) -> Result<u32, PortError>;

    /// On decoding: builds this side's end of port `port`, or fails when that number was not
    /// declared \[call.port\].
    fn accept(ordinal: u32, port: u32, cx: &mut dyn Any) -> Result<Self, PortError>;
}

/// The functions of one [`Port`] type, reachable from its shape.
///
/// Public only for the macro; it can be made for a type but not inspected or called.
#[doc(hidden)]
pub struct PortVTable {
    type_id: fn() -> TypeId,
    pub(crate) kind: PortKind,
    pub(crate) element: fn() -> Option<&'static Shape>,
    pub(crate) attach: unsafe fn(*const u8, u32, &mut dyn Any) -> Result<u32, PortError>,
    pub(crate) accept: unsafe fn(u32, u32, &mut dyn Any, *mut u8) -> Result<(), PortError>,
}

impl fmt::Debug for PortVTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortVTable")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

const NAMESPACE: &str = "rapace";
const KEY: &str = "port";

impl PortVTable {
    /// The table of `P`.
    pub const fn of<P: Port>() -> Self {
        Self {
            type_id: TypeId::of::<P>,
            kind: P::KIND,
            element: P::element,
            attach: attach::<P>,
            accept: accept::<P>,
        }
    }

    /// The table that `shape` carries, if it was made for the type of `shape`.
    pub(crate) fn of_shape(shape: &'static Shape) -> Option<&'static PortVTable> {
        let attribute: &'static Attr = shape
            .attributes
            .iter()
            .find(|attribute| attribute.ns == Some(NAMESPACE) && attribute.key == KEY)?;
        let table = attribute.get_as::<PortVTable>()?;
        ((table.type_id)() == shape.id.get()).then_some(table)
    }
}

/// # Safety
///
/// `port` points to a valid `P`.
unsafe fn attach<P: Port>(
    port: *const u8,
    ordinal: u32,
    cx: &mut dyn Any,
) -> Result<u32, PortError> {
    // SAFETY: the caller vouches for `port`; `of_shape` made sure that the field's type is `P`.
    unsafe { &*port.cast::<P>() }.attach(ordinal, cx)
}

/// # Safety
///
/// `into` is valid for writing a `P` and aligned for it.
unsafe fn accept<P: Port>(
    ordinal: u32,
    port: u32,
    cx: &mut dyn Any,
    into: *mut u8,
) -> Result<(), PortError> {
    let value = P::accept(ordinal, port, cx)?;
    // SAFETY: the caller vouches for `into`; `of_shape` made sure that the field's type is `P`.
    unsafe { into.cast::<P>().write(value) };
    Ok(())
}

/// # Safety
///
/// `port` points to a valid `P` that is not used afterwards.
unsafe fn drop_port<P: Port>(port: *mut ()) {
    // SAFETY: the caller vouches for `port`.
    unsafe { core::ptr::drop_in_place(port.cast::<P>()) };
}

/// The shape of a port type, for [`impl_port_facet!`](crate::impl_port_facet).
#[doc(hidden)]
pub const fn port_shape<P: Port>() -> Shape {
    ShapeBuilder::for_sized::<P>(P::TYPE_NAME)
        .ty(Type::User(UserType::Opaque))
        .def(Def::Undefined)
        .attributes(
            &const {
                [Attr::new(
                    Some(NAMESPACE),
                    KEY,
                    &const { PortVTable::of::<P>() },
                )]
            },
        )
        .type_ops_direct(
            &const {
                TypeOpsDirect {
                    drop_in_place: drop_port::<P>,
                    default_in_place: None,
                    clone_into: None,
                    is_truthy: None,
                }
            },
        )
        .build()
}

// SAFETY: the shape describes an opaque type of this size and alignment, and offers no operation on it.
unsafe impl Facet<'_> for PortVTable {
    const SHAPE: &'static Shape = &const {
        ShapeBuilder::for_sized::<PortVTable>("PortVTable")
            .ty(Type::User(UserType::Opaque))
            .def(Def::Undefined)
            .build()
    };
}

/// Implements facet's `Facet` for a [`Port`] type, generic over its item or not.
///
/// The expansion holds an `unsafe impl`, so use it in a module that allows `unsafe_code`.
///
/// ```
/// # use std::any::Any;
/// # use rapace_codec::{Port, PortError, PortKind};
/// # use facet_core::{Facet, Shape};
/// # struct Tunnel;
/// # impl Port for Tunnel {
/// #     const KIND: PortKind = PortKind::Tunnel;
/// #     const TYPE_NAME: &'static str = "Tunnel";
/// #     fn element() -> Option<&'static Shape> { None }
/// #     fn attach(&self, _: u32, _: &mut dyn Any) -> Result<u32, PortError> { Ok(1) }
/// #     fn accept(_: u32, _: u32, _: &mut dyn Any) -> Result<Self, PortError> { Ok(Tunnel) }
/// # }
/// # struct Streaming<T>(std::marker::PhantomData<fn() -> T>);
/// # impl<T: Facet<'static>> Port for Streaming<T> {
/// #     const KIND: PortKind = PortKind::Stream;
/// #     const TYPE_NAME: &'static str = "Streaming";
/// #     fn element() -> Option<&'static Shape> { Some(T::SHAPE) }
/// #     fn attach(&self, _: u32, _: &mut dyn Any) -> Result<u32, PortError> { Ok(1) }
/// #     fn accept(_: u32, _: u32, _: &mut dyn Any) -> Result<Self, PortError> { Ok(Streaming(std::marker::PhantomData)) }
/// # }
/// rapace_codec::impl_port_facet!(Streaming<T>);
/// rapace_codec::impl_port_facet!(Tunnel);
/// # let codec = rapace_codec::Codec::<(Streaming<u32>, Tunnel)>::new().unwrap();
/// # let (_, _) = codec.decode_slice(&[1, 2], &mut ()).unwrap();
/// ```
#[macro_export]
macro_rules! impl_port_facet {
    ($port:ident<$element:ident>) => {
        // SAFETY: `port_shape` describes an opaque value of this very type, dropped as itself.
        unsafe impl<'facet, $element> $crate::private::Facet<'facet> for $port<$element>
        where
            $element: $crate::private::Facet<'static>,
            $port<$element>: $crate::Port,
        {
            const SHAPE: &'static $crate::private::Shape =
                &const { $crate::private::port_shape::<$port<$element>>() };
        }
    };
    ($port:ident) => {
        // SAFETY: `port_shape` describes an opaque value of this very type, dropped as itself.
        unsafe impl<'facet> $crate::private::Facet<'facet> for $port {
            const SHAPE: &'static $crate::private::Shape =
                &const { $crate::private::port_shape::<$port>() };
        }
    };
}
