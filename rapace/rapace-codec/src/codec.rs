//! [`Codec`]: the compiled encoder and decoder of one type.
#![allow(unsafe_code)]

use core::any::{Any, TypeId};
use core::fmt;
use core::marker::PhantomData;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use facet_core::Facet;

use crate::error::{DecodeError, EncodeError, UnsupportedType};
use crate::exec;
use crate::gather::{Gather, Splice};
use crate::program::Program;
use crate::schema::Schema;

/// The encoder and decoder of `T`, compiled from its facet shape.
///
/// Compiling takes some ten microseconds: do it once per type and keep the codec, for instance in a
/// `OnceLock`. A clone shares the program and costs a reference count.
///
/// `ports` in the methods below is the context handed to the [`Port`](crate::Port)s of a value; pass
/// `&mut ()` for a type without streams and tunnels. All methods are synchronous and keep no state
/// between calls.
pub struct Codec<T> {
    /// Invariant: compiled from `T::SHAPE`.
    program: Arc<Program>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        Self {
            program: Arc::clone(&self.program),
            of: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Codec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("type", &core::any::type_name::<T>())
            .field("blocks", &self.program.blocks.len())
            .finish_non_exhaustive()
    }
}

impl<T: Facet<'static>> Codec<T> {
    /// Compiles the codec of `T`.
    ///
    /// Fails with the path of the first field that has no encoding and what to write instead.
    pub fn new() -> Result<Codec<T>, UnsupportedType> {
        Ok(Self {
            program: Arc::new(Program::compile(T::SHAPE)?),
            of: PhantomData,
        })
    }

    /// The codec of `T` from a table that the process keeps, compiled when it is not there yet.
    ///
    /// Costs some tens of nanoseconds, for code that is generic over `T` and so has no place for a codec
    /// of its own. The table grows with the number of types, and never shrinks.
    pub fn cached() -> Result<Codec<T>, UnsupportedType> {
        static PROGRAMS: RwLock<BTreeMap<TypeId, Arc<Program>>> = RwLock::new(BTreeMap::new());
        let id = TypeId::of::<T>();
        // A panic elsewhere cannot leave the table half changed.
        let known = PROGRAMS
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned();
        if let Some(program) = known {
            // The program was compiled from the type with this id, and that is `T`.
            return Ok(Self {
                program,
                of: PhantomData,
            });
        }
        let codec = Self::new()?;
        PROGRAMS
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, Arc::clone(&codec.program));
        Ok(codec)
    }

    #[inline]
    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// The length in bytes that encoding `value` gives.
    ///
    /// Exact for types without ports. A port counts as five bytes, the most its number can take, since
    /// it gets that number only on encoding. For a value nested beyond
    /// [`MAX_DEPTH`](crate::MAX_DEPTH), which does not encode, the length is meaningless.
    #[inline]
    pub fn encoded_len(&self, value: &T) -> usize {
        // SAFETY: the program was compiled from the shape of `T`.
        unsafe { exec::encoded_len(&self.program, core::ptr::from_ref(value).cast()) }
    }

    /// The most bytes that any value of `T` can take, if there is a bound: there is none for types with
    /// strings, lists or recursion.
    #[inline]
    pub fn max_len(&self) -> Option<usize> {
        self.program.root().max_wire.map(|max| max as usize)
    }

    /// The fewest bytes that any value of `T` takes.
    #[inline]
    pub fn min_len(&self) -> usize {
        self.program.root().min_wire as usize
    }

    /// Whether `T` holds streams or tunnels.
    #[inline]
    pub fn has_ports(&self) -> bool {
        self.program.has_ports
    }

    /// How many bytes of memory one byte of input can make the decoder claim, at most.
    ///
    /// The decoder refuses inputs whose claimed lengths ask for more than this times their size. It
    /// counts what elements, boxes and bytes take; maps and allocators add their usual overhead.
    #[inline]
    pub fn amplification(&self) -> u64 {
        self.program.amplification
    }

    /// Appends the postcard bytes of `value` to `out` \[enc\]; on failure `out` is as before.
    ///
    /// When `out` is too small it grows once, to exactly what the value needs. A buffer that is kept
    /// and cleared between calls never grows again and saves computing that size.
    #[inline]
    pub fn encode(
        &self,
        value: &T,
        out: &mut Vec<u8>,
        ports: &mut dyn Any,
    ) -> Result<(), EncodeError> {
        // SAFETY: the program was compiled from the shape of `T`.
        unsafe { exec::encode_vec(&self.program, core::ptr::from_ref(value).cast(), out, ports) }
    }

    /// Writes the postcard bytes of `value` to the start of `out`, for instance a transport's loan,
    /// and returns how many they are.
    ///
    /// A buffer of [`encoded_len`](Self::encoded_len) bytes is long enough. Fails with
    /// [`EncodeError::BufferTooSmall`] otherwise; what stands in `out` after a failure is unspecified.
    #[inline]
    pub fn encode_into(
        &self,
        value: &T,
        out: &mut [u8],
        ports: &mut dyn Any,
    ) -> Result<usize, EncodeError> {
        // SAFETY: the program was compiled from the shape of `T`.
        unsafe { exec::encode_slice(&self.program, core::ptr::from_ref(value).cast(), out, ports) }
    }

    /// Appends the postcard bytes of `value` to `out`, without copying the `Bytes` fields that
    /// `splice` takes: those are noted beside the buffer, for a vectored write. A number stands for
    /// all fields of at least so many bytes.
    ///
    /// On failure `out` is as before.
    #[inline]
    pub fn encode_gather<'a>(
        &self,
        value: &T,
        out: &mut Gather,
        splice: impl Into<Splice<'a>>,
        ports: &mut dyn Any,
    ) -> Result<(), EncodeError> {
        let value = core::ptr::from_ref(value).cast();
        // SAFETY: the program was compiled from the shape of `T`.
        unsafe { exec::encode_gather(&self.program, value, out, splice.into(), ports) }
    }

    /// The value that all of `frame` encodes \[enc.strict\].
    ///
    /// `Bytes` fields are slices of `frame` and keep it alive; nothing else does.
    #[inline]
    pub fn decode(&self, frame: &Bytes, ports: &mut dyn Any) -> Result<T, DecodeError> {
        // SAFETY: the program was compiled from the shape of `T`.
        unsafe { exec::decode(&self.program, frame, Some(frame), ports) }
    }

    /// The same for bytes that cannot be shared, such as a payload of at most 16 bytes inside a
    /// descriptor \[frame.inline\]: `Bytes` fields are copied.
    #[inline]
    pub fn decode_slice(&self, bytes: &[u8], ports: &mut dyn Any) -> Result<T, DecodeError> {
        // SAFETY: the program was compiled from the shape of `T`.
        unsafe { exec::decode(&self.program, bytes, None, ports) }
    }

    /// The description of `T`. Built anew by each call.
    pub fn schema(&self) -> Schema {
        Schema::of(T::SHAPE)
            .expect("whatever compiles has a schema: one function classifies for both")
    }
}
