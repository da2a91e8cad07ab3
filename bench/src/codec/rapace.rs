//! rapace-codec, as rapace's generated code uses it: compiled once, then run.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use facet::Facet;

use super::{Codec, time};

/// Encodes into a slice, as into a transport's loan.
pub(crate) struct Rapace<T> {
    codec: rapace_codec::Codec<T>,
    buffer: Vec<u8>,
}

impl<T: Facet<'static>> Rapace<T> {
    pub(crate) fn new() -> Result<Self> {
        let codec = rapace_codec::Codec::new()?;
        Ok(Self {
            codec,
            buffer: Vec::new(),
        })
    }
}

impl<T: Facet<'static>> Codec<T> for Rapace<T> {
    fn name(&self) -> &'static str {
        "rapace-codec"
    }

    fn encoded(&mut self, value: &T) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.codec.encode(value, &mut bytes, &mut ())?;
        self.buffer.resize(bytes.len(), 0);
        Ok(bytes)
    }

    fn decoded(&self, bytes: &[u8]) -> Result<T> {
        Ok(self.codec.decode_slice(bytes, &mut ())?)
    }

    fn time_encode(&mut self, value: &T, times: u64) -> Duration {
        time(times, || {
            let written = self
                .codec
                .encode_into(black_box(value), &mut self.buffer, &mut ());
            black_box(written.expect("the buffer was sized for this value"));
        })
    }

    fn time_decode(&self, bytes: &[u8], times: u64) -> Duration {
        let frame = Bytes::copy_from_slice(bytes);
        time(times, || {
            let value = self.codec.decode(black_box(&frame), &mut ());
            black_box(value.expect("these are its bytes"));
        })
    }
}
