//! From values to payloads and back, without a copy that the transport does not need.

use std::any::Any;

use bytes::Bytes;
use facet::Facet;
use rapace_codec::{Codec, DecodeError, EncodeError, Gather};
use rapace_core::envelope;
use rapace_core::frame::{INLINE_LEN, InlineBytes};
use rapace_core::{Metadata, Payload};

/// Arguments or an item: the value alone.
pub(crate) fn value<T: Facet<'static>>(
    codec: &Codec<T>,
    value: &T,
    gather_bytes_min: usize,
    ports: &mut dyn Any,
) -> Result<Payload, EncodeError> {
    headed(codec, value, |_| Header::EMPTY, gather_bytes_min, ports)
}

/// A return value in its envelope, written in place ([call.envelope]).
pub(crate) fn response<T: Facet<'static>>(
    codec: &Codec<T>,
    value: &T,
    trailers: &Metadata,
    gather_bytes_min: usize,
    ports: &mut dyn Any,
) -> Result<Payload, EncodeError> {
    if trailers.is_empty() {
        return headed(codec, value, Header::ok, gather_bytes_min, ports);
    }
    let mut body = Vec::new();
    codec.encode(value, &mut body, ports)?;
    let mut out = Vec::with_capacity(body.len() + 64);
    envelope::encode_ok_header(body.len(), trailers, &mut out);
    out.extend_from_slice(&body);
    Ok(Payload::from(Bytes::from(out)))
}

/// What stands before the value: at most the ten bytes of an OK envelope.
struct Header {
    bytes: [u8; 10],
    len: usize,
}

impl Header {
    const EMPTY: Header = Header {
        bytes: [0; 10],
        len: 0,
    };

    #[inline]
    fn ok(body_len: usize) -> Self {
        let (bytes, len) = envelope::ok_header(body_len);
        Header { bytes, len }
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[inline]
fn headed<T: Facet<'static>>(
    codec: &Codec<T>,
    value: &T,
    header: impl Fn(usize) -> Header,
    gather_bytes_min: usize,
    ports: &mut dyn Any,
) -> Result<Payload, EncodeError> {
    if codec.has_ports() {
        // The numbers of ports are known only when they are written, so the body comes first.
        let mut body = Vec::new();
        codec.encode(value, &mut body, ports)?;
        let header = header(body.len());
        let mut out = Vec::with_capacity(header.len + body.len());
        out.extend_from_slice(header.as_slice());
        out.extend_from_slice(&body);
        return Ok(Payload::from(Bytes::from(out)));
    }
    let body_len = codec.encoded_len(value);
    let header = header(body_len);
    let len = header.len + body_len;
    if len <= INLINE_LEN {
        let mut inline = [0; INLINE_LEN];
        inline[..header.len].copy_from_slice(header.as_slice());
        codec.encode_into(value, &mut inline[header.len..len], ports)?;
        return Ok(match InlineBytes::new(&inline[..len]) {
            Some(inline) => Payload::Inline(inline),
            None => Payload::EMPTY,
        });
    }
    if len >= gather_bytes_min {
        let mut gather = Gather {
            head: header.as_slice().to_vec(),
            splices: Vec::new(),
        };
        codec.encode_gather(value, &mut gather, gather_bytes_min, ports)?;
        let mut chunks = gather.into_chunks();
        return Ok(match chunks.len() {
            1 => Payload::Bytes(chunks.remove(0)),
            _ => Payload::Chain(chunks),
        });
    }
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(header.as_slice());
    codec.encode(value, &mut out, ports)?;
    Ok(Payload::Bytes(Bytes::from(out)))
}

/// The value that a payload stands for; `Bytes` in it share the payload's memory.
#[inline]
pub(crate) fn decode<T: Facet<'static>>(
    codec: &Codec<T>,
    payload: &Payload,
    ports: &mut dyn Any,
) -> Result<T, DecodeError> {
    match payload {
        Payload::Bytes(bytes) => codec.decode(bytes, ports),
        Payload::Inline(inline) => codec.decode_slice(inline.as_slice(), ports),
        // Links deliver neither; a chain can only come from a hand-made transport.
        Payload::Chain(_) | Payload::Loan(_) => {
            let mut flat = vec![0; payload.len()];
            payload.copy_to(&mut flat);
            codec.decode(&Bytes::from(flat), ports)
        }
    }
}
