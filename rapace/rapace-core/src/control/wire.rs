//! The few postcard forms that control messages need (\[enc\], \[enc.strict\]).

use std::fmt;

use bytes::Bytes;

use crate::metadata::{ENTRIES_MAX, Metadata};

/// What is wrong with the bytes of a control message or an envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecodeFault(pub &'static str);

impl fmt::Display for DecodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for DecodeFault {}

/// Writes forward into a buffer.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Writer { out }
    }

    /// One byte as it is.
    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.out.push(value);
        self
    }

    /// A varint.
    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.u64(u64::from(value))
    }

    /// A varint.
    pub(crate) fn u64(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
        self
    }

    /// Length and bytes; strings too.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u64(bytes.len() as u64);
        self.raw(bytes)
    }

    /// Bytes without their length.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    /// Count and pairs.
    pub(crate) fn metadata(&mut self, metadata: &Metadata) -> &mut Self {
        self.u64(metadata.len() as u64);
        for (key, value) in metadata.iter() {
            self.bytes(key.as_bytes()).bytes(value);
        }
        self
    }
}

/// Reads forward, strictly.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// How many bytes have been read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Passes over `len` bytes.
    pub(crate) fn skip(&mut self, len: usize) -> Result<(), DecodeFault> {
        self.raw(len).map(|_| ())
    }

    /// That was all: nothing may follow.
    pub(crate) fn finish(self) -> Result<(), DecodeFault> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(DecodeFault("trailing bytes"))
        }
    }

    /// One byte.
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeFault> {
        let byte = *self.bytes.get(self.at).ok_or(DecodeFault("cut off"))?;
        self.at += 1;
        Ok(byte)
    }

    /// A varint that fits 32 bits; longer forms than needed are accepted up to 5 bytes.
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeFault> {
        let value = self.varint(5)?;
        u32::try_from(value).map_err(|_| DecodeFault("varint overflows 32 bits"))
    }

    /// A varint that fits 64 bits.
    pub(crate) fn u64(&mut self) -> Result<u64, DecodeFault> {
        self.varint(10)
    }

    fn varint(&mut self, len_max: u32) -> Result<u64, DecodeFault> {
        let mut value = 0;
        for at in 0..len_max {
            let byte = self.u8()?;
            let low = u64::from(byte & 0x7F);
            if at == 9 && low > 1 {
                return Err(DecodeFault("varint overflows 64 bits"));
            }
            value |= low << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeFault("varint too long"))
    }

    /// `len` bytes.
    pub(crate) fn raw(&mut self, len: usize) -> Result<&'a [u8], DecodeFault> {
        let rest = self.bytes.len() - self.at;
        if len > rest {
            return Err(DecodeFault("cut off"));
        }
        let bytes = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(bytes)
    }

    /// An array of known length.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeFault> {
        let mut out = [0; N];
        out.copy_from_slice(self.raw(N)?);
        Ok(out)
    }

    /// Length and bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeFault> {
        let len = self.count(1)?;
        self.raw(len)
    }

    /// Length and UTF-8.
    pub(crate) fn string(&mut self) -> Result<String, DecodeFault> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeFault("string is not UTF-8"))?;
        Ok(text.to_owned())
    }

    /// 0 or 1.
    pub(crate) fn option(&mut self) -> Result<bool, DecodeFault> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeFault("option tag is neither 0 nor 1")),
        }
    }

    /// The number of items that follow, each of at least `item_bytes_min` bytes.
    pub(crate) fn count(&mut self, item_bytes_min: usize) -> Result<usize, DecodeFault> {
        let count = self.u64()?;
        let rest = self.bytes.len() - self.at;
        match usize::try_from(count) {
            Ok(count) if count <= rest / item_bytes_min => Ok(count),
            _ => Err(DecodeFault("length beyond what is left")),
        }
    }

    /// Pairs as they stand, for lists in which other limits hold.
    pub(crate) fn pairs(&mut self) -> Result<Vec<(String, Bytes)>, DecodeFault> {
        let count = self.count(2)?;
        let mut pairs = Vec::with_capacity(count.min(ENTRIES_MAX));
        for _ in 0..count {
            let key = self.string()?;
            pairs.push((key, Bytes::copy_from_slice(self.bytes()?)));
        }
        Ok(pairs)
    }

    /// Metadata within the limits of \[ctl.small\].
    pub(crate) fn metadata(&mut self) -> Result<Metadata, DecodeFault> {
        to_metadata(self.pairs()?).map_err(|_| DecodeFault("metadata breaks a limit"))
    }
}

/// The pairs as metadata, if they keep its limits.
pub(crate) fn to_metadata(
    pairs: Vec<(String, Bytes)>,
) -> Result<Metadata, crate::metadata::BadMetadata> {
    let mut metadata = Metadata::default();
    for (key, value) in pairs {
        metadata.insert(key, value)?;
    }
    Ok(metadata)
}
