//! Bytes to values \[enc\], \[enc.strict\]: the ways in, and the ops that hold other values.
//!
//! As in encoding, the frames of these functions are what recursion costs and are kept small.
//!
//! Every function here that takes a place to decode into leaves it initialised on `Ok` and holding
//! nothing to drop on `Err`.

use core::any::Any;
use core::mem::MaybeUninit;

use bytes::Bytes;
use facet_core::{Facet, PtrMut, PtrUninit};

use super::reader::Reader;
use super::{
    Scratch, Stop, allocate, collections, deallocate, decode_leaf, flat, unwind, write_discriminant,
};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::program::{ArcOp, ArrayOp, Block, BoxedOp, EnumOp, Op, OptionOp, Program, ResultOp};

/// The value that `bytes` encode. With `frame`, which must be the same bytes, `Bytes` fields are
/// slices of it.
///
/// All that is generic is here, so that each further type costs the user's program a few instructions.
///
/// # Safety
///
/// `program` was compiled from the shape of `T`.
#[inline]
pub(crate) unsafe fn decode<T: Facet<'static>>(
    program: &Program,
    bytes: &[u8],
    frame: Option<&Bytes>,
    ports: &mut dyn Any,
) -> Result<T, DecodeError> {
    let mut value = MaybeUninit::<T>::uninit();
    let into = value.as_mut_ptr().cast();
    // SAFETY: `into` is memory for a `T`, which is what the program decodes.
    match unsafe { decode_into(program, bytes, frame, ports, into) } {
        // SAFETY: the value has been built.
        Ok(()) => Ok(unsafe { value.assume_init() }),
        Err(failure) => {
            if failure.built {
                // SAFETY: the value has been built.
                unsafe { value.assume_init_drop() };
            }
            Err(failure.error)
        }
    }
}

pub(crate) struct Failure {
    error: DecodeError,
    /// Whether there is a value all the same: the bytes go on after it.
    built: bool,
}

/// Decodes all of `bytes` into the memory at `into`.
///
/// # Safety
///
/// `into` is writable, aligned memory for a value of the type that `program` was compiled from.
unsafe fn decode_into(
    program: &Program,
    bytes: &[u8],
    frame: Option<&Bytes>,
    ports: &mut dyn Any,
    into: *mut u8,
) -> Result<(), Box<Failure>> {
    let root = program.root();
    if root.flat {
        let range = bytes.as_ptr_range();
        // SAFETY: the caller's contract.
        if unsafe { flat::decode(root, into, range.start, range.end) } == range.end {
            return Ok(());
        }
        // What went wrong is for the general run to find out; nothing needs a drop.
    }
    let mut reader = Reader::new(program, bytes, frame, ports);
    // SAFETY: the caller's contract.
    let built = unsafe { block(program, root, into, &mut reader) }.is_ok();
    if built {
        if reader.left() == 0 {
            return Ok(());
        }
        reader.record(DecodeErrorKind::TrailingBytes);
    }
    Err(Box::new(Failure {
        error: reader.into_error(program),
        built,
    }))
}

/// Decodes one value of `block`'s type.
///
/// # Safety
///
/// `base` is writable, aligned memory for a value of the type that `block` of `program` was
/// compiled from.
pub(super) unsafe fn block(
    program: &Program,
    block: &Block,
    base: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    let mut done = 0;
    // SAFETY: the caller's contract; on failure exactly the ops before `done` have built their parts.
    unsafe {
        if ops(program, block, &mut done, base, reader).is_ok() {
            return Ok(());
        }
        reader.name_op(block, done);
        unwind::drop_ops(block, done, base);
    }
    Err(Stop)
}

/// Runs all ops of a block, counting in `done` those that have succeeded.
///
/// # Safety
///
/// As for [`block`], with `done` zero.
#[inline]
unsafe fn ops(
    program: &Program,
    block: &Block,
    done: &mut usize,
    base: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    loop {
        // SAFETY: the caller's contract; the fields of the ops from `done` on are not yet written.
        unsafe {
            decode_leaf::run(block, done, base, reader)?;
            let Some(op) = block.ops.get(*done) else {
                return Ok(());
            };
            holder(program, op, base, reader)?;
        }
        *done += 1;
    }
}

/// Decodes a field that holds other values.
///
/// # Safety
///
/// `base` is memory for a value of the type that the op's block was compiled from, in which the op's
/// field is not yet written.
unsafe fn holder(
    program: &Program,
    op: &Op,
    base: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    // SAFETY: the field at the op's offset is what the op describes.
    unsafe {
        match op {
            Op::Option(at, op) => option(program, op, base.add(*at as usize), reader),
            Op::Result(at, op) => result(program, op, base.add(*at as usize), reader),
            Op::Enum(at, op) => enumeration(program, op, base.add(*at as usize), reader),
            Op::List(at, op) => collections::list(program, op, base.add(*at as usize), reader),
            Op::Slice(at, op) => collections::slice(program, op, base.add(*at as usize), reader),
            Op::Array(at, op) => array(program, op, base.add(*at as usize), reader),
            Op::Map(at, op) => collections::map(program, op, base.add(*at as usize), reader),
            Op::Set(at, op) => collections::set(program, op, base.add(*at as usize), reader),
            Op::Boxed(at, op) => boxed(program, op, base.add(*at as usize), reader),
            Op::Arc(at, op) => arc(program, op, base.add(*at as usize), reader),
            Op::Call(at, id) => block(program, program.block(*id), base.add(*at as usize), reader),
            _ => unreachable!("a leaf"),
        }
    }
}

/// # Safety
///
/// `into` is memory for the `Option` that `op` describes.
unsafe fn option(
    program: &Program,
    op: &OptionOp,
    into: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    let into = PtrUninit::new(into);
    if !reader.option()? {
        // SAFETY: the caller's contract.
        unsafe { (op.def.vtable.init_none)(into) };
        return Ok(());
    }
    let mut scratch = Scratch::new(op.some.layout);
    let some = scratch.pointer();
    // SAFETY: the scratch has the layout of the value, which `init_some` moves out of it.
    unsafe {
        block(program, program.block(op.some.block), some, reader)?;
        (op.def.vtable.init_some)(into, PtrMut::new(some));
    }
    Ok(())
}

/// # Safety
///
/// `into` is memory for the `Result` that `op` describes.
unsafe fn result(
    program: &Program,
    op: &ResultOp,
    into: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    let (part, init, name) = if reader.variant(2)? == 0 {
        (&op.ok, op.def.vtable.init_ok, "Ok")
    } else {
        (&op.err, op.def.vtable.init_err, "Err")
    };
    let mut scratch = Scratch::new(part.layout);
    let value = scratch.pointer();
    // SAFETY: the scratch has the layout of the value, which `init` moves out of it.
    unsafe {
        block(program, program.block(part.block), value, reader)
            .map_err(|Stop| reader.name(name.into()))?;
        init(PtrUninit::new(into), PtrMut::new(value));
    }
    Ok(())
}

/// # Safety
///
/// `into` is memory for the enum that `op` describes.
unsafe fn enumeration(
    program: &Program,
    op: &EnumOp,
    into: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    let index = reader.variant(op.variants.len())?;
    // SAFETY: the discriminant stands at the start; the variant's block takes its offsets from there.
    unsafe {
        write_discriminant(into, op.width, op.discriminants[index]);
        match op.variants[index] {
            Some(id) => block(program, program.block(id), into, reader),
            None => Ok(()),
        }
    }
}

/// # Safety
///
/// `into` is memory for the array that `op` describes.
unsafe fn array(
    program: &Program,
    op: &ArrayOp,
    into: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    let inner = program.block(op.element.block);
    for index in 0..op.len {
        // SAFETY: the array has `len` elements at this stride; on failure those before `index`
        // are initialised.
        unsafe {
            if block(
                program,
                inner,
                into.add(index * op.element.stride()),
                reader,
            )
            .is_err()
            {
                unwind::drop_elements(&op.element, into, index);
                return Err(reader.name_index(index));
            }
        }
    }
    Ok(())
}

/// # Safety
///
/// `into` is memory for the `Box` of a sized type that `op` describes.
unsafe fn boxed(
    program: &Program,
    op: &BoxedOp,
    into: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    reader.descend()?;
    reader.claim(op.inner.layout.size() as u64)?;
    let value = allocate(op.inner.layout);
    // SAFETY: the memory is from the global allocator and has the layout of the value, so that it
    // is what a `Box`, which is a pointer, owns.
    unsafe {
        if block(program, program.block(op.inner.block), value, reader).is_err() {
            deallocate(value, op.inner.layout);
            return Err(Stop);
        }
        into.cast::<*mut u8>().write(value);
    }
    reader.ascend();
    Ok(())
}

/// # Safety
///
/// `into` is memory for the `Arc` that `op` describes.
unsafe fn arc(
    program: &Program,
    op: &ArcOp,
    into: *mut u8,
    reader: &mut Reader<'_>,
) -> Result<(), Stop> {
    reader.descend()?;
    reader.claim(op.inner.layout.size() as u64)?;
    let new_into = op
        .def
        .vtable
        .new_into_fn
        .expect("the compiler saw this function");
    let mut scratch = Scratch::new(op.inner.layout);
    let value = scratch.pointer();
    // SAFETY: the scratch has the layout of the value, which `new_into` moves out of it.
    unsafe {
        block(program, program.block(op.inner.block), value, reader)?;
        new_into(PtrUninit::new(into), PtrMut::new(value));
    }
    reader.ascend();
    Ok(())
}
