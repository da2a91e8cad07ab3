//! Dropping what a failed decode had built. Cold.

use bytes::Bytes;
use facet_core::{Def, PtrMut, Shape, StructKind, Type, UserType};

use crate::program::{Block, Part};

/// Drops what the first `done` ops of `block` have built, last first.
///
/// # Safety
///
/// Exactly those ops have run on `base`, which is not used afterwards.
#[cold]
pub(super) unsafe fn drop_ops(block: &Block, done: usize, base: *mut u8) {
    for meta in block.meta[..done].iter().rev() {
        if let Some(shape) = meta.shape {
            // SAFETY: the op built a value of this shape at this offset.
            unsafe { drop_value(shape, base.add(meta.offset as usize)) };
        }
    }
}

/// Drops the first `count` elements of an array.
///
/// # Safety
///
/// Those elements are initialised and are not used afterwards.
#[cold]
pub(super) unsafe fn drop_elements(element: &Part, first: *mut u8, count: usize) {
    for index in (0..count).rev() {
        // SAFETY: the caller's contract.
        unsafe { drop_value(element.shape, first.add(index * element.stride())) };
    }
}

/// Drops a whole value.
///
/// facet drops tuples and arrays part by part through the shapes of the parts, and that of `Bytes`
/// has no drop function; so those three are taken apart here.
///
/// # Safety
///
/// `value` points to an initialised value of the type of `shape` that is not used afterwards.
#[cold]
pub(super) unsafe fn drop_value(shape: &'static Shape, value: *mut u8) {
    // SAFETY: the caller's contract, passed on to the parts.
    unsafe {
        if shape.is_type::<Bytes>() {
            return core::ptr::drop_in_place(value.cast::<Bytes>());
        }
        if let Def::Array(array) = &shape.def {
            let stride = array
                .t
                .layout
                .sized_layout()
                .map_or(0, |layout| layout.size());
            for index in 0..array.n {
                drop_value(array.t, value.add(index * stride));
            }
            return;
        }
        if let Type::User(UserType::Struct(ty)) = &shape.ty
            && ty.kind == StructKind::Tuple
        {
            for field in ty.fields {
                drop_value(field.shape.get(), value.add(field.offset));
            }
            return;
        }
        // What remains without a drop function is plain data: `Uuid`, `Duration`.
        shape.call_drop_in_place(PtrMut::new(value));
    }
}
