//! Blocks of nothing but numbers, both ways, without a sink or a reader.
//!
//! The arguments and results of small calls are such blocks, and so are the elements of many lists.
//! They are bounded, so encoding needs one check of the room; they hold nothing to drop, so decoding
//! can give up at once and leave the report of the failure to a second, general run.

use super::varint::{self, unzigzag_64, zigzag_64};
use crate::program::{Block, Op};

/// How much room [`encode`] wants beyond the block's bound: writing a varint touches up to ten
/// bytes, however short it turns out.
pub(super) const SLACK: usize = varint::MAX_64;

/// Writes the value at `base` and returns where it ends.
///
/// # Safety
///
/// `block` is flat, `base` points to an initialised value of the type it was compiled from, and `to` has
/// room for its bound and [`SLACK`].
#[inline]
pub(super) unsafe fn encode(block: &Block, base: *const u8, to: *mut u8) -> *mut u8 {
    debug_assert!(block.flat);
    let mut cur = to;
    macro_rules! field {
        ($at:expr, $ty:ty) => {
            // SAFETY: the compiler took offset and type from the shape of the value at `base`.
            unsafe { *base.add(*$at as usize).cast::<$ty>() }
        };
    }
    macro_rules! put {
        ($value:expr) => {{
            let value = $value;
            // SAFETY: the caller gives room for every op of the block.
            cur = unsafe { varint::write(cur, value) };
        }};
    }
    macro_rules! put_array {
        ($bytes:expr) => {{
            let bytes = $bytes;
            // SAFETY: the caller gives room for every op of the block.
            cur = unsafe {
                cur.cast::<[u8; _]>().write(bytes);
                cur.add(bytes.len())
            };
        }};
    }
    for op in &block.ops {
        match op {
            Op::Bool(at) | Op::Byte(at) => put_array!([field!(at, u8)]),
            Op::U16(at) => put!(u64::from(field!(at, u16))),
            Op::U32(at) => put!(u64::from(field!(at, u32))),
            Op::U64(at) => put!(field!(at, u64)),
            Op::I16(at) => put!(zigzag_64(i64::from(field!(at, i16)))),
            Op::I32(at) => put!(zigzag_64(i64::from(field!(at, i32)))),
            Op::I64(at) => put!(zigzag_64(field!(at, i64))),
            Op::F32(at) => put_array!(field!(at, f32).to_le_bytes()),
            Op::F64(at) => put_array!(field!(at, f64).to_le_bytes()),
            _ => unreachable!("a flat block holds no other ops"),
        }
    }
    cur
}

/// Reads a value from `from..end` into `base` and returns where it ends, or null when the bytes are
/// no such value.
///
/// # Safety
///
/// `block` is flat, `from..end` is readable, and `base` is writable, aligned memory for a value of the
/// type the block was compiled from.
#[inline]
pub(super) unsafe fn decode(
    block: &Block,
    base: *mut u8,
    from: *const u8,
    end: *const u8,
) -> *const u8 {
    debug_assert!(block.flat);
    let mut cur = from;
    macro_rules! set {
        ($at:expr, $ty:ty, $value:expr) => {{
            let value: $ty = $value;
            // SAFETY: the compiler took offset and type from the shape of the value at `base`.
            unsafe { base.add(*$at as usize).cast::<$ty>().write(value) }
        }};
    }
    macro_rules! take {
        ($max:expr, $limit:expr) => {{
            // SAFETY: the caller's range.
            let read = unsafe { varint::read(cur, end) };
            if read.next.is_null()
                || read.next as usize - cur as usize > $max
                || read.value > $limit as u64
            {
                return core::ptr::null();
            }
            cur = read.next;
            read.value
        }};
    }
    macro_rules! take_array {
        ($len:expr) => {{
            if (end as usize - cur as usize) < $len {
                return core::ptr::null();
            }
            // SAFETY: that many bytes are left.
            unsafe {
                let bytes = cur.cast::<[u8; $len]>().read();
                cur = cur.add($len);
                bytes
            }
        }};
    }
    for op in &block.ops {
        match op {
            Op::Bool(at) => match take_array!(1)[0] {
                byte @ (0 | 1) => set!(at, bool, byte == 1),
                _ => return core::ptr::null(),
            },
            Op::Byte(at) => set!(at, u8, take_array!(1)[0]),
            Op::U16(at) => set!(at, u16, take!(3, u16::MAX) as u16),
            Op::U32(at) => set!(at, u32, take!(5, u32::MAX) as u32),
            Op::U64(at) => set!(at, u64, take!(varint::MAX_64, u64::MAX)),
            Op::I16(at) => set!(at, i16, unzigzag_64(take!(3, u16::MAX)) as i16),
            Op::I32(at) => set!(at, i32, unzigzag_64(take!(5, u32::MAX)) as i32),
            Op::I64(at) => set!(at, i64, unzigzag_64(take!(varint::MAX_64, u64::MAX))),
            Op::F32(at) => set!(at, f32, f32::from_le_bytes(take_array!(4))),
            Op::F64(at) => set!(at, f64, f64::from_le_bytes(take_array!(8))),
            _ => unreachable!("a flat block holds no other ops"),
        }
    }
    cur
}
