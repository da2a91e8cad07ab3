//! From values to payloads and back, without a copy that the transport does not need.

use std::any::Any;

use bytes::Bytes;
use facet::Facet;
use rapace_codec::{Bound, Codec, DecodeError, EncodeError, Gather};
use rapace_core::envelope;
use rapace_core::frame::{INLINE_LEN, InlineBytes};
use rapace_core::{Metadata, Payload};

/// Arguments or an item: the value alone.
pub(crate) fn value(
    value: Bound<'_>,
    gather_bytes_min: usize,
    ports: &mut dyn Any,
) -> Result<Payload, EncodeError> {
    headed(value, Envelope::Absent, gather_bytes_min, ports)
}

/// A return value in its envelope, written in place (\[call.envelope\]).
pub(crate) fn response(
    value: Bound<'_>,
    trailers: &Metadata,
    gather_bytes_min: usize,
    ports: &mut dyn Any,
) -> Result<Payload, EncodeError> {
    if trailers.is_empty() {
        return headed(value, Envelope::Ok, gather_bytes_min, ports);
    }
    let mut body = Vec::new();
    value.encode(&mut body, ports)?;
    let mut out = Vec::with_capacity(body.len() + 64);
    envelope::encode_ok_header(body.len(), trailers, &mut out);
    out.extend_from_slice(&body);
    Ok(Payload::from(Bytes::from(out)))
}

/// What stands before the value.
#[derive(Clone, Copy)]
enum Envelope {
    Absent,
    Ok,
}

impl Envelope {
    /// At most the ten bytes of an OK envelope; how many count.
    #[inline]
    fn header(self, body_len: usize) -> ([u8; 10], usize) {
        match self {
            Envelope::Absent => ([0; 10], 0),
            Envelope::Ok => envelope::ok_header(body_len),
        }
    }
}

/// One function for all types: what is generic over them is compiled for every method.
fn headed(
    value: Bound<'_>,
    envelope: Envelope,
    gather_bytes_min: usize,
    ports: &mut dyn Any,
) -> Result<Payload, EncodeError> {
    if value.has_ports() {
        // The numbers of ports are known only when they are written, so the body comes first.
        let mut body = Vec::new();
        value.encode(&mut body, ports)?;
        let (header, header_len) = envelope.header(body.len());
        let mut out = Vec::with_capacity(header_len + body.len());
        out.extend_from_slice(&header[..header_len]);
        out.extend_from_slice(&body);
        return Ok(Payload::from(Bytes::from(out)));
    }
    let body_len = value.encoded_len();
    let (header, header_len) = envelope.header(body_len);
    let header = &header[..header_len];
    let len = header_len + body_len;
    if len <= INLINE_LEN {
        let mut inline = [0; INLINE_LEN];
        inline[..header_len].copy_from_slice(header);
        value.encode_into(&mut inline[header_len..len], ports)?;
        return Ok(match InlineBytes::new(&inline[..len]) {
            Some(inline) => Payload::Inline(inline),
            None => Payload::EMPTY,
        });
    }
    if len >= gather_bytes_min {
        let mut gather = Gather {
            head: header.to_vec(),
            splices: Vec::new(),
        };
        value.encode_gather(&mut gather, gather_bytes_min, ports)?;
        let mut chunks = gather.into_chunks();
        return Ok(match chunks.len() {
            1 => Payload::Bytes(chunks.remove(0)),
            _ => Payload::Chain(chunks),
        });
    }
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(header);
    value.encode(&mut out, ports)?;
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
