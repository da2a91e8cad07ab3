//! From values to payloads and back, without a copy that the transport does not need.
//!
//! Where a value is written, by its encoded length:
//!
//! | the link | at most 16 bytes | longer | holds frozen loans of this link |
//! |---|---|---|---|
//! | lends | inline | into a loan, where the peer reads it | around them: only the rest is copied |
//! | lends, but has nothing to lend now | inline | as a link that does not lend | around them |
//! | does not lend | inline | into a buffer; large `Bytes` stay where they are | (has none) |
//!
//! Nothing here waits: backpressure is the sink's, not the encoder's.

use std::any::Any;

use bytes::Bytes;
use facet::Facet;
use rapace_codec::{Bound, Codec, DecodeError, EncodeError, Gather, Splice};
use rapace_core::envelope;
use rapace_core::frame::{INLINE_LEN, InlineBytes, Loan};
use rapace_core::{Metadata, Payload};
use rapace_transport::{Lender, Room};

/// A frozen loan of fewer bytes is copied into the payload's own: a payload of several runs costs
/// more than that.
const OWN_RUN_BYTES_MIN: usize = 1024;

/// Values of types that never take more bytes are written to the stack first, without measuring
/// them.
const BOUNDED_BYTES_MAX: usize = 64;

/// The encoder is quickest while it has this many bytes to spare.
const SPARE_BYTES: usize = 24;

/// What the encoder knows of the link that a payload will leave by.
#[derive(Clone, Copy)]
pub(crate) struct Outlet<'a> {
    /// As [`rapace_transport::LinkInfo::gather_bytes_min`].
    pub(crate) gather_bytes_min: usize,
    pub(crate) lender: Option<&'a dyn Lender>,
}

/// Arguments: the value alone.
pub(crate) fn value(
    value: Bound<'_>,
    outlet: Outlet<'_>,
    ports: &mut dyn Any,
) -> Result<Payload, EncodeError> {
    if let Some(bounded) = Bounded::new(value, Head::Absent, ports) {
        return bounded.map(|bounded| copied(bounded.as_slice(), outlet));
    }
    Planned::new(value, Head::Absent, outlet).write(outlet, ports)
}

/// An item of a stream, unless `fits` says that one of its length cannot be sent now.
pub(crate) fn item(
    value: Bound<'_>,
    outlet: Outlet<'_>,
    fits: impl FnOnce(usize) -> bool,
) -> Result<Option<Payload>, EncodeError> {
    if let Some(bounded) = Bounded::new(value, Head::Absent, &mut ()) {
        let bounded = bounded?;
        let bytes = bounded.as_slice();
        return Ok(fits(bytes.len()).then(|| copied(bytes, outlet)));
    }
    let planned = Planned::new(value, Head::Absent, outlet);
    if !fits(planned.len) {
        return Ok(None);
    }
    planned.write(outlet, &mut ()).map(Some)
}

/// A copy of `bytes`, made where the link reads them.
#[inline]
pub(crate) fn copied(bytes: &[u8], outlet: Outlet<'_>) -> Payload {
    match InlineBytes::new(bytes) {
        Some(inline) => Payload::Inline(inline),
        None => copied_out(bytes, outlet),
    }
}

fn copied_out(bytes: &[u8], outlet: Outlet<'_>) -> Payload {
    if let Some(lender) = outlet.lender
        && let Some(mut loan) = lend(lender, bytes.len())
    {
        loan.0.as_mut_slice().copy_from_slice(bytes);
        return Payload::Loan(loan);
    }
    Payload::Bytes(Bytes::copy_from_slice(bytes))
}

/// A return value in its envelope, written in place (\[call.envelope\]).
pub(crate) fn response(
    value: Bound<'_>,
    trailers: &Metadata,
    outlet: Outlet<'_>,
    ports: &mut dyn Any,
) -> Result<Payload, EncodeError> {
    let head = if trailers.is_empty() {
        Head::Ok
    } else {
        Head::WithTrailers(trailers)
    };
    if let Some(bounded) = Bounded::new(value, head, ports) {
        return bounded.map(|bounded| copied(bounded.as_slice(), outlet));
    }
    Planned::new(value, head, outlet).write(outlet, ports)
}

/// What stands before the value.
#[derive(Clone, Copy)]
enum Head<'a> {
    Absent,
    Ok,
    WithTrailers(&'a Metadata),
}

impl Head<'_> {
    /// The bytes before a body of `body_len` bytes.
    #[inline]
    fn bytes(self, body_len: usize) -> HeadBytes {
        match self {
            Head::Absent => HeadBytes::Short([0; 10], 0),
            Head::Ok => {
                let (bytes, len) = envelope::ok_header(body_len);
                HeadBytes::Short(bytes, len)
            }
            Head::WithTrailers(trailers) => {
                let mut bytes = Vec::with_capacity(64);
                envelope::encode_ok_header(body_len, trailers, &mut bytes);
                HeadBytes::Long(bytes)
            }
        }
    }
}

enum HeadBytes {
    /// The first so many of ten bytes, the most that an OK envelope without trailers takes.
    Short([u8; 10], usize),
    Long(Vec<u8>),
}

impl HeadBytes {
    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            HeadBytes::Short(bytes, len) => &bytes[..*len],
            HeadBytes::Long(bytes) => bytes,
        }
    }
}

/// A short value with what stands before it, on the stack.
struct Bounded {
    /// The body begins at [`Bounded::BODY`]; the head ends there.
    bytes: [u8; Bounded::BODY + BOUNDED_BYTES_MAX + SPARE_BYTES],
    start: usize,
    end: usize,
}

impl Bounded {
    /// As long as the longest short head.
    const BODY: usize = 10;

    /// `None` when the value's type can take more, or its head is not short.
    #[inline]
    fn new(
        value: Bound<'_>,
        head: Head<'_>,
        ports: &mut dyn Any,
    ) -> Option<Result<Self, EncodeError>> {
        let short = value.max_len().is_some_and(|max| max <= BOUNDED_BYTES_MAX);
        if !short || value.has_ports() || matches!(head, Head::WithTrailers(_)) {
            return None;
        }
        let mut bytes = [0; Self::BODY + BOUNDED_BYTES_MAX + SPARE_BYTES];
        let body_len = match value.encode_into(&mut bytes[Self::BODY..], ports) {
            Ok(len) => len,
            Err(error) => return Some(Err(error)),
        };
        let mut start = Self::BODY;
        if let Head::Ok = head {
            let (ok, len) = envelope::ok_header(body_len);
            start -= len;
            bytes[start..Self::BODY].copy_from_slice(&ok[..len]);
        }
        let end = Self::BODY + body_len;
        Some(Ok(Bounded { bytes, start, end }))
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }
}

/// A value that has been measured and not yet written. Not generic over its type: what is would be
/// compiled for every method.
struct Planned<'a> {
    value: Bound<'a>,
    head: HeadBytes,
    /// Of head and body; an upper bound when the value has ports.
    len: usize,
    /// How much of it are frozen loans that stay where they are.
    spliced: usize,
    with_ports: Option<Head<'a>>,
}

impl<'a> Planned<'a> {
    #[inline]
    fn new(value: Bound<'a>, head: Head<'a>, outlet: Outlet<'_>) -> Self {
        let (body_len, spliced) = match outlet.lender {
            None => (value.encoded_len(), 0),
            Some(lender) => {
                let owned = |bytes: &[u8]| lender.owns(bytes);
                let measure = value.measure(Splice::only(OWN_RUN_BYTES_MIN, &owned));
                (measure.len, measure.spliced)
            }
        };
        let with_ports = value.has_ports().then_some(head);
        let head = head.bytes(body_len);
        Planned {
            value,
            len: head.as_slice().len() + body_len,
            head,
            spliced,
            with_ports,
        }
    }

    fn write(self, outlet: Outlet<'_>, ports: &mut dyn Any) -> Result<Payload, EncodeError> {
        if let Some(head) = self.with_ports {
            return self.write_with_ports(head, outlet, ports);
        }
        let (head, len) = (self.head.as_slice(), self.len);
        if len <= INLINE_LEN {
            let mut inline = [0; INLINE_LEN + SPARE_BYTES];
            inline[..head.len()].copy_from_slice(head);
            self.value.encode_into(&mut inline[head.len()..], ports)?;
            return Ok(match InlineBytes::new(&inline[..len]) {
                Some(inline) => Payload::Inline(inline),
                None => Payload::EMPTY,
            });
        }
        if let Some(lender) = outlet.lender {
            if self.spliced > 0 {
                let stays =
                    |bytes: &[u8]| bytes.len() >= outlet.gather_bytes_min || lender.owns(bytes);
                return self.gather(Splice::only(OWN_RUN_BYTES_MIN, &stays), ports);
            }
            if let Some(mut loan) = lend(lender, len) {
                let out = loan.0.as_mut_slice();
                out[..head.len()].copy_from_slice(head);
                self.value.encode_into(&mut out[head.len()..], ports)?;
                return Ok(Payload::Loan(loan));
            }
        }
        if len >= outlet.gather_bytes_min {
            return self.gather(Splice::from(outlet.gather_bytes_min), ports);
        }
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(head);
        self.value.encode(&mut out, ports)?;
        Ok(Payload::Bytes(Bytes::from(out)))
    }

    /// Leaves what `splice` takes where it is, and writes the rest around it.
    fn gather(&self, splice: Splice<'_>, ports: &mut dyn Any) -> Result<Payload, EncodeError> {
        let mut gather = Gather {
            head: self.head.as_slice().to_vec(),
            splices: Vec::new(),
        };
        self.value.encode_gather(&mut gather, splice, ports)?;
        Ok(chained(gather))
    }

    /// The numbers of ports, and so the length, are known only when they are written: the body
    /// comes first, with large `Bytes` beside it.
    fn write_with_ports(
        &self,
        head: Head<'_>,
        outlet: Outlet<'_>,
        ports: &mut dyn Any,
    ) -> Result<Payload, EncodeError> {
        let splice_min = match outlet.lender {
            Some(_) => outlet.gather_bytes_min.min(OWN_RUN_BYTES_MIN),
            None => outlet.gather_bytes_min,
        };
        let mut body = Gather::new();
        self.value.encode_gather(&mut body, splice_min, ports)?;
        let head = head.bytes(body.total_len());
        let head = head.as_slice();
        body.head.splice(..0, head.iter().copied());
        for (offset, _) in &mut body.splices {
            *offset += head.len();
        }
        Ok(chained(body))
    }
}

fn lend(lender: &dyn Lender, len: usize) -> Option<Loan> {
    if len < lender.encode_bytes_min() {
        return None;
    }
    let mut loan = lender.try_loan(Room::exact(len))?;
    // A lender that keeps to its contract never fails this.
    (loan.0.as_mut_slice().len() == len).then_some(loan)
}

fn chained(gather: Gather) -> Payload {
    let mut chunks = gather.into_chunks();
    match chunks.len() {
        0 => Payload::EMPTY,
        1 => Payload::from(chunks.remove(0)),
        _ => Payload::Chain(chunks),
    }
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
