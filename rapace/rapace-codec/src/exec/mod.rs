//! Running a program over raw memory. All of the crate's reading and writing of values by
//! offset is here.
//!
//! | file | does |
//! |---|---|
//! | `varint` | numbers to and from LEB128 |
//! | `sink` | where encoded bytes go: a growing vector, a fixed buffer, a gather list |
//! | `encode`, `encode_leaf` | values to bytes |
//! | `quick` | the same while there is room to spare |
//! | `flat` | both ways, for blocks of nothing but numbers |
//! | `size` | the exact length that encoding would give |
//! | `reader` | the bytes being decoded, their guards and the report of a failure |
//! | `decode`, `decode_leaf`, `collections` | bytes to values |
//! | `short` | short strings and bytes |
//! | `unwind` | dropping what a failed decode had built |
//!
//! # What every unsafe function here relies on
//!
//! *Program and memory agree.* A block is run on a pointer to a value of the type it was compiled
//! from (encode, size) or to writable, aligned memory for one (decode). [`Codec`](crate::Codec) ties
//! the two together with its type parameter, and the compiler took every offset and layout from
//! the shape; that shapes are true is the contract of the `unsafe trait Facet`.
//!
//! *Decode is all or nothing.* A function that decodes into memory returns `Ok` with the memory
//! initialised, or `Err` with nothing in it left to drop. A panic in user code (a key's `Hash`, an
//! invariant, a port) leaks what was built and drops nothing twice.
#![allow(unsafe_code)]
#![allow(
    clippy::cast_ptr_alignment,
    reason = "offsets come from the shape, which places every field at its alignment"
)]
#![allow(
    clippy::inline_always,
    clippy::cast_lossless,
    reason = "measured, on paths of a few instructions; macros over integers of several widths"
)]

mod collections;
mod decode;
mod decode_leaf;
mod encode;
mod encode_leaf;
mod flat;
mod quick;
mod reader;
mod short;
mod sink;
mod size;
mod unwind;
mod varint;

pub(crate) use decode::decode;
pub(crate) use encode::{encode_gather, encode_slice, encode_vec};
pub(crate) use quick::{SLACK as QUICK_SLACK, room as quick_room};
pub(crate) use size::{encoded_len, measure};
pub(crate) use varint::varint_len;

use core::alloc::Layout;
use core::mem::MaybeUninit;

/// Something failed, and the sink or reader knows what.
#[derive(Debug)]
struct Stop;

/// Memory for one value that is built here and then moved elsewhere.
///
/// Small values live on the stack. Dropping frees the memory and never the value.
struct Scratch {
    inline: MaybeUninit<[u128; Scratch::WORDS]>,
    heap: Option<(*mut u8, Layout)>,
}

impl Scratch {
    const WORDS: usize = 8;

    #[inline]
    fn new(layout: Layout) -> Self {
        let fits = layout.size() <= size_of::<[u128; Self::WORDS]>()
            && layout.align() <= align_of::<u128>();
        Self {
            inline: MaybeUninit::uninit(),
            heap: if fits {
                None
            } else {
                Some((allocate(layout), layout))
            },
        }
    }

    /// Where the value goes. The scratch must not move while the pointer is in use.
    #[inline]
    fn pointer(&mut self) -> *mut u8 {
        match self.heap {
            Some((pointer, _)) => pointer,
            None => self.inline.as_mut_ptr().cast(),
        }
    }
}

impl Drop for Scratch {
    #[inline]
    fn drop(&mut self) {
        if let Some((pointer, layout)) = self.heap {
            // SAFETY: `new` allocated this pointer with this layout, and nobody else frees it.
            unsafe { deallocate(pointer, layout) };
        }
    }
}

/// Memory for a value of `layout`; dangling but aligned when its size is zero, as in `Box`.
fn allocate(layout: Layout) -> *mut u8 {
    if layout.size() == 0 {
        return core::ptr::without_provenance_mut(layout.align());
    }
    // SAFETY: the size is not zero.
    let pointer = unsafe { std::alloc::alloc(layout) };
    if pointer.is_null() {
        std::alloc::handle_alloc_error(layout);
    }
    pointer
}

/// # Safety
///
/// `pointer` came from [`allocate`] with the same layout and is not used afterwards.
unsafe fn deallocate(pointer: *mut u8, layout: Layout) {
    if layout.size() != 0 {
        // SAFETY: the caller's contract.
        unsafe { std::alloc::dealloc(pointer, layout) };
    }
}

/// The discriminant that stands at the start of an enum.
///
/// # Safety
///
/// `value` points to an initialised enum whose discriminant has `width` bytes.
#[inline]
unsafe fn read_discriminant(value: *const u8, width: u8) -> u64 {
    // SAFETY: the caller's contract; enums are at least as aligned as their discriminant.
    unsafe {
        match width {
            1 => u64::from(value.read()),
            2 => u64::from(value.cast::<u16>().read()),
            4 => u64::from(value.cast::<u32>().read()),
            _ => value.cast::<u64>().read(),
        }
    }
}

/// # Safety
///
/// `value` is writable memory for an enum whose discriminant has `width` bytes.
#[inline]
unsafe fn write_discriminant(value: *mut u8, width: u8, discriminant: u64) {
    // SAFETY: the caller's contract; enums are at least as aligned as their discriminant.
    unsafe {
        match width {
            1 => value.write(discriminant as u8),
            2 => value.cast::<u16>().write(discriminant as u16),
            4 => value.cast::<u32>().write(discriminant as u32),
            _ => value.cast::<u64>().write(discriminant),
        }
    }
}

/// The index of the variant that the enum at `value` is.
///
/// # Safety
///
/// `value` points to an initialised enum that `op` describes.
#[inline]
unsafe fn variant_index(value: *const u8, op: &crate::program::EnumOp) -> usize {
    // SAFETY: the caller's contract.
    let discriminant = unsafe { read_discriminant(value, op.width) };
    if op.identity {
        return discriminant as usize;
    }
    op.discriminants
        .iter()
        .position(|candidate| *candidate == discriminant)
        .expect("an enum's discriminant is that of one of its variants")
}
