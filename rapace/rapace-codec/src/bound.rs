//! [`Bound`]: a value and its codec, with the type forgotten.
#![allow(unsafe_code)]

use core::any::Any;
use core::marker::PhantomData;

use facet_core::Facet;

use crate::codec::Codec;
use crate::error::EncodeError;
use crate::exec;
use crate::gather::{Gather, Measure, Splice};
use crate::program::Program;

/// A value that is ready to be encoded, whatever its type.
///
/// Code that only encodes takes this instead of being generic over the type, so that it is
/// compiled once and not once for each type of each service.
#[derive(Clone, Copy)]
pub struct Bound<'a> {
    /// Invariant: compiled from the shape of the type that `value` points to.
    program: &'a Program,
    value: *const u8,
    of: PhantomData<&'a ()>,
}

impl<T: Facet<'static>> Codec<T> {
    /// Forgets the type.
    #[inline]
    pub fn bind<'a>(&'a self, value: &'a T) -> Bound<'a> {
        Bound {
            program: self.program(),
            value: core::ptr::from_ref(value).cast(),
            of: PhantomData,
        }
    }
}

impl Bound<'_> {
    /// As [`Codec::encoded_len`].
    #[inline]
    pub fn encoded_len(&self) -> usize {
        // SAFETY: `bind` paired the value, which is still borrowed, with the program of its type.
        unsafe { exec::encoded_len(self.program, self.value) }
    }

    /// [`encoded_len`](Self::encoded_len), and how much of it are `Bytes` that
    /// [`encode_gather`](Self::encode_gather) with the same `splice` would not copy.
    #[inline]
    pub fn measure(&self, splice: Splice<'_>) -> Measure {
        // SAFETY: `bind` paired the value, which is still borrowed, with the program of its type.
        unsafe { exec::measure(self.program, self.value, splice) }
    }

    /// As [`Codec::max_len`].
    #[inline]
    pub fn max_len(&self) -> Option<usize> {
        self.program.root().max_wire.map(|max| max as usize)
    }

    /// As [`Codec::has_ports`].
    #[inline]
    pub fn has_ports(&self) -> bool {
        self.program.has_ports
    }

    /// As [`Codec::encode`].
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>, ports: &mut dyn Any) -> Result<(), EncodeError> {
        // SAFETY: `bind` paired the value, which is still borrowed, with the program of its type.
        unsafe { exec::encode_vec(self.program, self.value, out, ports) }
    }

    /// As [`Codec::encode_into`].
    #[inline]
    pub fn encode_into(&self, out: &mut [u8], ports: &mut dyn Any) -> Result<usize, EncodeError> {
        // SAFETY: `bind` paired the value, which is still borrowed, with the program of its type.
        unsafe { exec::encode_slice(self.program, self.value, out, ports) }
    }

    /// As [`Codec::encode_gather`].
    #[inline]
    pub fn encode_gather<'b>(
        &self,
        out: &mut Gather,
        splice: impl Into<Splice<'b>>,
        ports: &mut dyn Any,
    ) -> Result<(), EncodeError> {
        // SAFETY: `bind` paired the value, which is still borrowed, with the program of its type.
        unsafe { exec::encode_gather(self.program, self.value, out, splice.into(), ports) }
    }
}
