//! serde with the postcard crate: the same bytes as rapace's, and what most would use.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, time};

/// Encodes into a slice, postcard's fastest way.
#[derive(Default)]
pub(crate) struct Postcard {
    buffer: Vec<u8>,
}

impl<T: Serialize + DeserializeOwned> Codec<T> for Postcard {
    fn name(&self) -> &'static str {
        "postcard"
    }

    fn encoded(&mut self, value: &T) -> Result<Vec<u8>> {
        let bytes = ::postcard::to_stdvec(value)?;
        self.buffer.resize(bytes.len(), 0);
        Ok(bytes)
    }

    fn decoded(&self, bytes: &[u8]) -> Result<T> {
        Ok(::postcard::from_bytes(bytes)?)
    }

    fn time_encode(&mut self, value: &T, times: u64) -> Duration {
        time(times, || {
            let written = ::postcard::to_slice(black_box(value), &mut self.buffer);
            black_box(written.expect("the buffer was sized for this value"));
        })
    }

    fn time_decode(&self, bytes: &[u8], times: u64) -> Duration {
        time(times, || {
            let value: T = ::postcard::from_bytes(black_box(bytes)).expect("these are its bytes");
            black_box(value);
        })
    }
}
