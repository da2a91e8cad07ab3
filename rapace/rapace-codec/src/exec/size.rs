//! The exact length of an encoding, without encoding.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use facet_core::PtrConst;

use super::encode::Iter;
use super::variant_index;
use super::varint::{varint_len, varint_len_128, zigzag_64, zigzag_128};
use crate::MAX_DEPTH;
use crate::gather::{Measure, Splice};
use crate::kind::{Scalar, Text};
use crate::program::{Block, Op, Part, Program};

/// The bytes that encoding the value at `value` gives; for a value with ports an upper bound, for
/// one nested too deeply to be encoded a lower one.
///
/// # Safety
///
/// `value` points to an initialised value of the type that `program` was compiled from.
pub(crate) unsafe fn encoded_len(program: &Program, value: *const u8) -> usize {
    // SAFETY: the caller's contract.
    unsafe { measure(program, value, Splice::NOTHING) }.len
}

/// The same, and how much of it are the `Bytes` that `splice` would leave where they are.
///
/// # Safety
///
/// As for [`encoded_len`].
pub(crate) unsafe fn measure(program: &Program, value: *const u8, splice: Splice<'_>) -> Measure {
    let mut sizer = Sizer {
        program,
        splice,
        spliced: 0,
        depth: 0,
    };
    // SAFETY: the caller's contract; the root block was compiled from the type of the program.
    let len = unsafe { sizer.block(program.root(), value) };
    Measure {
        len,
        spliced: sizer.spliced,
    }
}

struct Sizer<'a> {
    program: &'a Program,
    splice: Splice<'a>,
    spliced: usize,
    depth: u32,
}

fn counted(len: usize) -> usize {
    varint_len(len as u64) + len
}

impl Sizer<'_> {
    #[inline]
    fn shared(&mut self, bytes: &Bytes) -> usize {
        if self.splice.takes(bytes) {
            self.spliced += bytes.len();
        }
        counted(bytes.len())
    }

    /// # Safety
    ///
    /// `base` points to an initialised value of the type that `block` was compiled from.
    unsafe fn block(&mut self, block: &Block, base: *const u8) -> usize {
        if block.max_wire == Some(block.min_wire) {
            return block.min_wire as usize;
        }
        let mut sum = 0;
        for op in &block.ops {
            // SAFETY: the caller's contract.
            sum += match unsafe { self.leaf(op, base) } {
                Some(len) => len,
                // SAFETY: the caller's contract.
                None => unsafe { self.holder(op, base) },
            };
        }
        sum
    }

    /// The length of a value that holds no others; `None` for one that does.
    ///
    /// # Safety
    ///
    /// `base` points to an initialised value of the type that the op's block was compiled from.
    #[inline]
    unsafe fn leaf(&mut self, op: &Op, base: *const u8) -> Option<usize> {
        macro_rules! field {
            ($at:expr, $ty:ty) => {
                // SAFETY: the compiler took offset and type from the shape of the value at `base`.
                unsafe { &*base.add(*$at as usize).cast::<$ty>() }
            };
        }
        Some(match op {
            Op::Bool(_) | Op::Byte(_) => 1,
            Op::U16(at) => varint_len(u64::from(*field!(at, u16))),
            Op::U32(at) => varint_len(u64::from(*field!(at, u32))),
            Op::U64(at) => varint_len(*field!(at, u64)),
            Op::I16(at) => varint_len(zigzag_64(i64::from(*field!(at, i16)))),
            Op::I32(at) => varint_len(zigzag_64(i64::from(*field!(at, i32)))),
            Op::I64(at) => varint_len(zigzag_64(*field!(at, i64))),
            Op::U128(at) => varint_len_128(*field!(at, u128)),
            Op::I128(at) => varint_len_128(zigzag_128(*field!(at, i128))),
            Op::F32(_) => 4,
            Op::F64(_) => 8,
            Op::Char(at) => 1 + field!(at, char).len_utf8(),
            Op::Raw { len, .. } => *len as usize,
            Op::Str(at) => counted(field!(at, String).len()),
            Op::OtherText(at, text) => counted(match text {
                Text::String => field!(at, String).len(),
                Text::Boxed => field!(at, Box<str>).len(),
                Text::Shared => field!(at, Arc<str>).len(),
                Text::Cow => field!(at, Cow<'static, str>).len(),
            }),
            Op::Bytes(at) => self.shared(field!(at, Bytes)),
            Op::ByteVec(at) => counted(field!(at, Vec<u8>).len()),
            Op::ByteSlice { at, shared: false } => counted(field!(at, Box<[u8]>).len()),
            Op::ByteSlice { at, shared: true } => counted(field!(at, Arc<[u8]>).len()),
            Op::Duration(at) => {
                let duration = field!(at, core::time::Duration);
                varint_len(duration.as_secs()) + varint_len(u64::from(duration.subsec_nanos()))
            }
            // SAFETY: the compiler saw that the field is a `Vec` of this scalar.
            Op::ScalarVec(at, scalar) => unsafe { scalar_vec(base.add(*at as usize), *scalar) },
            // SAFETY: the compiler saw that the field is an `Option` of this scalar.
            Op::OptionScalar(at, scalar) => unsafe {
                option_scalar(base.add(*at as usize), *scalar)
            },
            Op::OptionStr(at) => {
                1 + field!(at, Option<String>)
                    .as_ref()
                    .map_or(0, |s| counted(s.len()))
            }
            Op::OptionBytes(at) => {
                1 + field!(at, Option<Bytes>)
                    .as_ref()
                    .map_or(0, |b| self.shared(b))
            }
            Op::OptionByteVec(at) => {
                1 + field!(at, Option<Vec<u8>>)
                    .as_ref()
                    .map_or(0, |b| counted(b.len()))
            }
            // SAFETY: the field is what the op describes; its table returns initialised parts of it.
            Op::UnitEnum(at, op) => unsafe {
                varint_len(variant_index(base.add(*at as usize), op) as u64)
            },
            // The number is given out only on encoding.
            Op::Port(..) => 5,
            Op::Invariant(..) | Op::FieldInvariant(..) => 0,
            _ => return None,
        })
    }

    /// The length of a value that holds others.
    ///
    /// # Safety
    ///
    /// `base` points to an initialised value of the type that the op's block was compiled from.
    unsafe fn holder(&mut self, op: &Op, base: *const u8) -> usize {
        let program = self.program;
        match op {
            // SAFETY: the field is what the op describes; its table returns initialised parts of it.
            Op::Option(at, op) => unsafe {
                let some = (op.def.vtable.get_value)(PtrConst::new(base.add(*at as usize)));
                if some.is_null() {
                    1
                } else {
                    1 + self.block(program.block(op.some.block), some)
                }
            },
            // SAFETY: the field is what the op describes; its table returns initialised parts of it.
            Op::Result(at, op) => unsafe {
                let table = op.def.vtable;
                let field = PtrConst::new(base.add(*at as usize));
                1 + if (table.is_ok)(field) {
                    self.block(program.block(op.ok.block), (table.get_ok)(field))
                } else {
                    self.block(program.block(op.err.block), (table.get_err)(field))
                }
            },
            // SAFETY: the field is what the op describes; its table returns initialised parts of it.
            Op::Enum(at, op) => unsafe {
                let value = base.add(*at as usize);
                let index = variant_index(value, op);
                varint_len(index as u64)
                    + op.variants[index].map_or(0, |id| self.block(program.block(id), value))
            },
            // SAFETY: the field is what the op describes; its table returns initialised parts of it.
            Op::List(at, op) => unsafe {
                let list = PtrConst::new(base.add(*at as usize));
                let as_ptr = op
                    .def
                    .vtable
                    .as_ptr
                    .expect("the compiler saw this function");
                self.elements(
                    &op.element,
                    as_ptr(list).raw_ptr(),
                    (op.def.vtable.len)(list),
                )
            },
            // SAFETY: the field is what the op describes; its table returns initialised parts of it.
            Op::Slice(at, op) => unsafe {
                let borrow = op
                    .def
                    .vtable
                    .borrow_fn
                    .expect("the compiler saw this function");
                let slice = borrow(PtrConst::new(base.add(*at as usize))).as_ptr::<[()]>();
                self.elements(&op.element, slice.cast(), slice.len())
            },
            // SAFETY: the field is what the op describes; its table returns initialised parts of it.
            Op::Array(at, op) => unsafe { self.items(&op.element, base.add(*at as usize), op.len) },
            // SAFETY: the field is what the op describes; its table returns initialised parts of it.
            Op::Map(at, op) => unsafe {
                let map = base.add(*at as usize);
                let mut sum = varint_len((op.def.vtable.len)(PtrConst::new(map)) as u64);
                let entries = Iter::new(&op.def.vtable.iter_vtable, map);
                let (key, value) = (program.block(op.key.block), program.block(op.value.block));
                while let Some((k, v)) = (entries.table.next)(entries.state) {
                    sum += self.nested(key, k.raw_ptr()) + self.nested(value, v.raw_ptr());
                }
                sum
            },
            // SAFETY: the field is what the op describes; its table returns initialised parts of it.
            Op::Set(at, op) => unsafe {
                let set = base.add(*at as usize);
                let mut sum = varint_len((op.def.vtable.len)(PtrConst::new(set)) as u64);
                let items = Iter::new(&op.def.vtable.iter_vtable, set);
                let inner = program.block(op.element.block);
                while let Some(item) = (items.table.next)(items.state) {
                    sum += self.nested(inner, item.raw_ptr());
                }
                sum
            },
            Op::Boxed(at, op) => {
                // SAFETY: a `Box` of a sized type is a pointer to its value.
                let value = unsafe { base.add(*at as usize).cast::<*const u8>().read() };
                // SAFETY: the box owns an initialised value of this type.
                unsafe { self.nested(program.block(op.inner.block), value) }
            }
            // SAFETY: the field is what the op describes; its table returns initialised parts of it.
            Op::Arc(at, op) => unsafe {
                let borrow = op
                    .def
                    .vtable
                    .borrow_fn
                    .expect("the compiler saw this function");
                let value = borrow(PtrConst::new(base.add(*at as usize))).raw_ptr();
                self.nested(program.block(op.inner.block), value)
            },
            // SAFETY: the field is what the op describes; its table returns initialised parts of it.
            Op::Call(at, id) => unsafe { self.block(program.block(*id), base.add(*at as usize)) },
            _ => unreachable!("a leaf"),
        }
    }

    /// A value behind a pointer. Below the deepest level that encodes, the size no longer matters.
    ///
    /// # Safety
    ///
    /// As for [`Sizer::block`].
    unsafe fn nested(&mut self, block: &Block, value: *const u8) -> usize {
        if self.depth >= MAX_DEPTH {
            return 0;
        }
        self.depth += 1;
        // SAFETY: the caller's contract.
        let len = unsafe { self.block(block, value) };
        self.depth -= 1;
        len
    }

    /// # Safety
    ///
    /// `first` points to `len` initialised elements of the type of `element`.
    unsafe fn elements(&mut self, element: &Part, first: *const u8, len: usize) -> usize {
        let count = varint_len(len as u64);
        if self.depth >= MAX_DEPTH {
            return count;
        }
        self.depth += 1;
        // SAFETY: the caller's contract.
        let items = unsafe { self.items(element, first, len) };
        self.depth -= 1;
        count + items
    }

    /// # Safety
    ///
    /// As for [`Sizer::elements`].
    unsafe fn items(&mut self, element: &Part, first: *const u8, len: usize) -> usize {
        let inner = self.program.block(element.block);
        if inner.max_wire == Some(inner.min_wire) {
            return inner.min_wire as usize * len;
        }
        (0..len)
            // SAFETY: within the `len` elements.
            .map(|index| unsafe { self.block(inner, first.add(index * element.stride())) })
            .sum()
    }
}

/// # Safety
///
/// `option` points to an initialised `Option` of `scalar`'s type.
unsafe fn option_scalar(option: *const u8, scalar: Scalar) -> usize {
    macro_rules! option {
        ($ty:ty, $value:ident => $len:expr) => {
            // SAFETY: the caller's contract.
            1 + unsafe { &*option.cast::<Option<$ty>>() }.map_or(0, |$value| $len)
        };
    }
    match scalar {
        Scalar::Bool => option!(bool, _v => 1),
        Scalar::U8 => option!(u8, _v => 1),
        Scalar::I8 => option!(i8, _v => 1),
        Scalar::U16 => option!(u16, v => varint_len(u64::from(v))),
        Scalar::U32 => option!(u32, v => varint_len(u64::from(v))),
        Scalar::U64 => option!(u64, v => varint_len(v)),
        Scalar::U128 => option!(u128, v => varint_len_128(v)),
        Scalar::I16 => option!(i16, v => varint_len(zigzag_64(i64::from(v)))),
        Scalar::I32 => option!(i32, v => varint_len(zigzag_64(i64::from(v)))),
        Scalar::I64 => option!(i64, v => varint_len(zigzag_64(v))),
        Scalar::I128 => option!(i128, v => varint_len_128(zigzag_128(v))),
        Scalar::F32 => option!(f32, _v => 4),
        Scalar::F64 => option!(f64, _v => 8),
        Scalar::Char => option!(char, v => 1 + v.len_utf8()),
    }
}

/// # Safety
///
/// `list` points to an initialised `Vec` of `scalar`'s type.
unsafe fn scalar_vec(list: *const u8, scalar: Scalar) -> usize {
    macro_rules! vec {
        ($ty:ty, $value:ident => $len:expr) => {{
            // SAFETY: the caller's contract.
            let items: &[$ty] = unsafe { (*list.cast::<Vec<$ty>>()).as_slice() };
            varint_len(items.len() as u64) + items.iter().map(|$value| $len).sum::<usize>()
        }};
    }
    match scalar {
        Scalar::Bool => vec!(bool, _v => 1),
        Scalar::U8 => vec!(u8, _v => 1),
        Scalar::I8 => vec!(i8, _v => 1),
        Scalar::U16 => vec!(u16, v => varint_len(u64::from(*v))),
        Scalar::U32 => vec!(u32, v => varint_len(u64::from(*v))),
        Scalar::U64 => vec!(u64, v => varint_len(*v)),
        Scalar::U128 => vec!(u128, v => varint_len_128(*v)),
        Scalar::I16 => vec!(i16, v => varint_len(zigzag_64(i64::from(*v)))),
        Scalar::I32 => vec!(i32, v => varint_len(zigzag_64(i64::from(*v)))),
        Scalar::I64 => vec!(i64, v => varint_len(zigzag_64(*v))),
        Scalar::I128 => vec!(i128, v => varint_len_128(zigzag_128(*v))),
        Scalar::F32 => vec!(f32, _v => 4),
        Scalar::F64 => vec!(f64, _v => 8),
        Scalar::Char => vec!(char, v => 1 + v.len_utf8()),
    }
}
