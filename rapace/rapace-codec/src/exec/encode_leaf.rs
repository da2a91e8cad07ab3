//! Values that hold no others, to bytes, each with its room checked.
//!
//! This is the path at the end of a buffer and for leaves that are not worth a place in [`quick`];
//! the lists of numbers at the bottom are fast in themselves.
//!
//! [`quick`]: super::quick

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::sink::Sink;
use super::varint::{self, MAX_64, zigzag_64, zigzag_128};
use super::{Stop, variant_index};
use crate::error::EncodeError;
use crate::kind::{Scalar, Text};
use crate::program::Op;

/// Encodes one leaf.
///
/// # Safety
///
/// `base` points to an initialised value of the type that the op's block was compiled from.
pub(super) unsafe fn leaf(op: &Op, base: *const u8, sink: &mut Sink<'_>) -> Result<(), Stop> {
    macro_rules! field {
        ($at:expr, $ty:ty) => {
            // SAFETY: the compiler took offset and type from the shape of the value at `base`.
            unsafe { &*base.add(*$at as usize).cast::<$ty>() }
        };
    }
    macro_rules! option {
        ($value:expr, $put:expr) => {
            match $value {
                None => sink.put(&[0]),
                Some(value) => {
                    sink.put(&[1])?;
                    $put(sink, value)
                }
            }
        };
    }
    match op {
        Op::Bool(at) | Op::Byte(at) => sink.put(&[*field!(at, u8)]),
        Op::U16(at) => sink.put_varint(u64::from(*field!(at, u16))),
        Op::U32(at) => sink.put_varint(u64::from(*field!(at, u32))),
        Op::U64(at) => sink.put_varint(*field!(at, u64)),
        Op::U128(at) => sink.put_varint_128(*field!(at, u128)),
        Op::I16(at) => sink.put_varint(zigzag_64(i64::from(*field!(at, i16)))),
        Op::I32(at) => sink.put_varint(zigzag_64(i64::from(*field!(at, i32)))),
        Op::I64(at) => sink.put_varint(zigzag_64(*field!(at, i64))),
        Op::I128(at) => sink.put_varint_128(zigzag_128(*field!(at, i128))),
        Op::F32(at) => sink.put(&field!(at, f32).to_le_bytes()),
        Op::F64(at) => sink.put(&field!(at, f64).to_le_bytes()),
        Op::Char(at) => sink.put_counted(field!(at, char).encode_utf8(&mut [0; 4]).as_bytes()),
        Op::Raw { at, len } => {
            // SAFETY: the op stands for this many plain bytes at this offset.
            sink.put(unsafe { core::slice::from_raw_parts(base.add(*at as usize), *len as usize) })
        }
        Op::Str(at) | Op::OtherText(at, Text::String) => {
            sink.put_counted(field!(at, String).as_bytes())
        }
        Op::OtherText(at, Text::Boxed) => sink.put_counted(field!(at, Box<str>).as_bytes()),
        Op::OtherText(at, Text::Shared) => sink.put_counted(field!(at, Arc<str>).as_bytes()),
        Op::OtherText(at, Text::Cow) => sink.put_counted(field!(at, Cow<'static, str>).as_bytes()),
        Op::Bytes(at) => sink.put_shared(field!(at, Bytes)),
        Op::ByteVec(at) => sink.put_counted(field!(at, Vec<u8>)),
        Op::ByteSlice { at, shared: false } => sink.put_counted(field!(at, Box<[u8]>)),
        Op::ByteSlice { at, shared: true } => sink.put_counted(field!(at, Arc<[u8]>)),
        Op::Duration(at) => {
            let duration = field!(at, core::time::Duration);
            sink.put_varint(duration.as_secs())?;
            sink.put_varint(u64::from(duration.subsec_nanos()))
        }
        // SAFETY: the compiler saw that the field is a `Vec` of this scalar.
        Op::ScalarVec(at, scalar) => unsafe { scalar_vec(base.add(*at as usize), *scalar, sink) },
        // SAFETY: the compiler saw that the field is an `Option` of this scalar.
        Op::OptionScalar(at, scalar) => unsafe {
            option_scalar(base.add(*at as usize), *scalar, sink)
        },
        Op::OptionStr(at) => option!(
            field!(at, Option<String>),
            |sink: &mut Sink<'_>, text: &String| sink.put_counted(text.as_bytes())
        ),
        Op::OptionBytes(at) => option!(
            field!(at, Option<Bytes>),
            |sink: &mut Sink<'_>, bytes: &Bytes| sink.put_shared(bytes)
        ),
        Op::OptionByteVec(at) => option!(
            field!(at, Option<Vec<u8>>),
            |sink: &mut Sink<'_>, bytes: &Vec<u8>| sink.put_counted(bytes)
        ),
        Op::UnitEnum(at, op) => {
            // SAFETY: the field is the enum that the op describes.
            sink.put_varint(unsafe { variant_index(base.add(*at as usize), op) } as u64)
        }
        Op::Port(at, ordinal, table) => {
            // SAFETY: the table was made for the type of the field.
            match unsafe { (table.attach)(base.add(*at as usize), *ordinal, sink.ports) } {
                Ok(port) => sink.put_varint(u64::from(port)),
                Err(error) => {
                    sink.error = Some(EncodeError::Port(error));
                    Err(Stop)
                }
            }
        }
        // What a type demands of itself is checked on the way in.
        Op::Invariant(..) | Op::FieldInvariant(..) => Ok(()),
        Op::Option(..)
        | Op::Result(..)
        | Op::Enum(..)
        | Op::List(..)
        | Op::Slice(..)
        | Op::Array(..)
        | Op::Map(..)
        | Op::Set(..)
        | Op::Boxed(..)
        | Op::Arc(..)
        | Op::Call(..) => unreachable!("these ops hold other values"),
    }
}

/// # Safety
///
/// `option` points to an initialised `Option` of `scalar`'s type.
#[inline]
unsafe fn option_scalar(
    option: *const u8,
    scalar: Scalar,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    macro_rules! option {
        ($ty:ty, $value:ident => $put:expr) => {
            // SAFETY: the caller's contract.
            match unsafe { &*option.cast::<Option<$ty>>() } {
                None => sink.put(&[0]),
                Some($value) => {
                    sink.put(&[1])?;
                    $put
                }
            }
        };
    }
    match scalar {
        Scalar::Bool => option!(bool, v => sink.put(&[u8::from(*v)])),
        Scalar::U8 => option!(u8, v => sink.put(&[*v])),
        Scalar::I8 => option!(i8, v => sink.put(&[*v as u8])),
        Scalar::U16 => option!(u16, v => sink.put_varint(u64::from(*v))),
        Scalar::U32 => option!(u32, v => sink.put_varint(u64::from(*v))),
        Scalar::U64 => option!(u64, v => sink.put_varint(*v)),
        Scalar::U128 => option!(u128, v => sink.put_varint_128(*v)),
        Scalar::I16 => option!(i16, v => sink.put_varint(zigzag_64(i64::from(*v)))),
        Scalar::I32 => option!(i32, v => sink.put_varint(zigzag_64(i64::from(*v)))),
        Scalar::I64 => option!(i64, v => sink.put_varint(zigzag_64(*v))),
        Scalar::I128 => option!(i128, v => sink.put_varint_128(zigzag_128(*v))),
        Scalar::F32 => option!(f32, v => sink.put(&v.to_le_bytes())),
        Scalar::F64 => option!(f64, v => sink.put(&v.to_le_bytes())),
        Scalar::Char => option!(char, v => {
            sink.put_counted(v.encode_utf8(&mut [0; 4]).as_bytes())
        }),
    }
}

/// # Safety
///
/// `list` points to an initialised `Vec` of `scalar`'s type.
unsafe fn scalar_vec(list: *const u8, scalar: Scalar, sink: &mut Sink<'_>) -> Result<(), Stop> {
    macro_rules! vec {
        ($ty:ty) => {
            // SAFETY: the caller's contract.
            unsafe { (*list.cast::<Vec<$ty>>()).as_slice() }
        };
    }
    macro_rules! wide {
        ($ty:ty, $value:ident => $wide:expr) => {{
            let items = vec![$ty];
            sink.put_varint(items.len() as u64)?;
            for $value in items {
                sink.put_varint_128($wide)?;
            }
            Ok(())
        }};
    }
    match scalar {
        // A bool is one byte, 0 or 1, and so are its bytes on the wire.
        Scalar::Bool => plain(vec![bool], sink),
        Scalar::U8 => plain(vec![u8], sink),
        Scalar::I8 => plain(vec![i8], sink),
        Scalar::U16 => varints(vec![u16], 3, |v| u64::from(*v), sink),
        Scalar::U32 => varints(vec![u32], 5, |v| u64::from(*v), sink),
        Scalar::U64 => varints(vec![u64], 10, |v| *v, sink),
        Scalar::I16 => varints(vec![i16], 3, |v| zigzag_64(i64::from(*v)), sink),
        Scalar::I32 => varints(vec![i32], 5, |v| zigzag_64(i64::from(*v)), sink),
        Scalar::I64 => varints(vec![i64], 10, |v| zigzag_64(*v), sink),
        Scalar::U128 => wide!(u128, v => *v),
        Scalar::I128 => wide!(i128, v => zigzag_128(*v)),
        Scalar::F32 if cfg!(target_endian = "little") => plain(vec![f32], sink),
        Scalar::F64 if cfg!(target_endian = "little") => plain(vec![f64], sink),
        Scalar::F32 => each(vec![f32], |v, sink| sink.put(&v.to_le_bytes()), sink),
        Scalar::F64 => each(vec![f64], |v, sink| sink.put(&v.to_le_bytes()), sink),
        Scalar::Char => each(
            vec![char],
            |v, sink| sink.put_counted(v.encode_utf8(&mut [0; 4]).as_bytes()),
            sink,
        ),
    }
}

/// Items whose bytes in memory are those on the wire. Called with numbers and bools only, which have
/// no padding.
fn plain<T: Copy>(items: &[T], sink: &mut Sink<'_>) -> Result<(), Stop> {
    sink.put_varint(items.len() as u64)?;
    // SAFETY: the items are initialised and without padding.
    let bytes = unsafe { core::slice::from_raw_parts(items.as_ptr().cast(), size_of_val(items)) };
    sink.put(bytes)
}

fn each<T>(
    items: &[T],
    put: impl Fn(&T, &mut Sink<'_>) -> Result<(), Stop>,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    sink.put_varint(items.len() as u64)?;
    items.iter().try_for_each(|item| put(item, sink))
}

/// Numbers of at most `max` bytes each. As many as surely fit are written without further checks.
#[inline]
fn varints<T>(
    mut items: &[T],
    max: usize,
    number: impl Fn(&T) -> u64,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    sink.put_varint(items.len() as u64)?;
    while let [first, rest @ ..] = items {
        // Writing one varint touches up to `MAX_64` bytes, however short it turns out.
        let sure = sink.room().saturating_sub(MAX_64) / max;
        if sure == 0 {
            sink.put_varint(number(first))?;
            items = rest;
            continue;
        }
        let (now, later) = items.split_at(sure.min(items.len()));
        let mut cur = sink.cur;
        for item in now {
            // SAFETY: the room was checked for all of `now`.
            cur = unsafe { varint::write(cur, number(item)) };
        }
        sink.cur = cur;
        items = later;
    }
    Ok(())
}
