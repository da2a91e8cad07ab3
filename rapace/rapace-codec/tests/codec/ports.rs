//! Streams and tunnels as leaves of a payload [port].

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;

use bytes::Bytes;
use facet::Facet;
use rapace_codec::{
    Codec, DecodeErrorKind, EncodeError, MethodSchema, Port, PortError, PortKind, PortLeaf, Schema,
    Unsupported,
};

#[derive(Debug)]
struct Streaming<T>(Cell<Option<u32>>, PhantomData<fn() -> T>);

#[derive(Debug)]
struct Tunnel(Cell<Option<u32>>);

/// What the session keeps per call: here, the ports it has seen. The number is the ordinal plus 1.
#[derive(Default)]
struct Table {
    seen: Vec<(&'static str, u32)>,
}

fn attach(
    end: &Cell<Option<u32>>,
    kind: &'static str,
    ordinal: u32,
    cx: &mut dyn Any,
) -> Result<u32, PortError> {
    let table: &mut Table = cx.downcast_mut().ok_or_else(|| PortError::new("no call"))?;
    end.take()
        .ok_or_else(|| PortError::new("it has been sent before"))?;
    table.seen.push((kind, ordinal + 1));
    Ok(ordinal + 1)
}

fn accept(
    ordinal: u32,
    port: u32,
    kind: &'static str,
    cx: &mut dyn Any,
) -> Result<Cell<Option<u32>>, PortError> {
    let table: &mut Table = cx.downcast_mut().ok_or_else(|| PortError::new("no call"))?;
    if port != ordinal + 1 {
        return Err(PortError::new(format!("port {port} was not declared")));
    }
    table.seen.push((kind, port));
    Ok(Cell::new(Some(port)))
}

impl<T: Facet<'static>> Port for Streaming<T> {
    const KIND: PortKind = PortKind::Stream;
    const TYPE_NAME: &'static str = "Streaming";

    fn element() -> Option<&'static facet::Shape> {
        Some(T::SHAPE)
    }

    fn attach(&self, ordinal: u32, cx: &mut dyn Any) -> Result<u32, PortError> {
        attach(&self.0, "stream", ordinal, cx)
    }

    fn accept(ordinal: u32, port: u32, cx: &mut dyn Any) -> Result<Self, PortError> {
        Ok(Streaming(accept(ordinal, port, "stream", cx)?, PhantomData))
    }
}

impl Port for Tunnel {
    const KIND: PortKind = PortKind::Tunnel;
    const TYPE_NAME: &'static str = "Tunnel";

    fn element() -> Option<&'static facet::Shape> {
        None
    }

    fn attach(&self, ordinal: u32, cx: &mut dyn Any) -> Result<u32, PortError> {
        attach(&self.0, "tunnel", ordinal, cx)
    }

    fn accept(ordinal: u32, port: u32, cx: &mut dyn Any) -> Result<Self, PortError> {
        Ok(Tunnel(accept(ordinal, port, "tunnel", cx)?))
    }
}

thread_local! {
    static DROPPED: Cell<u32> = const { Cell::new(0) };
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

rapace_codec::impl_port_facet!(Streaming<T>);
rapace_codec::impl_port_facet!(Tunnel);

fn stream<T>() -> Streaming<T> {
    Streaming(Cell::new(Some(0)), PhantomData)
}

fn tunnel() -> Tunnel {
    Tunnel(Cell::new(Some(0)))
}

#[derive(Facet)]
struct Upload {
    name: String,
    chunks: Streaming<Bytes>,
    control: Option<Tunnel>,
}

type Args = (u8, Upload, Option<Streaming<u32>>, Result<Tunnel, String>);

fn args() -> Args {
    let upload = Upload {
        name: "n".to_owned(),
        chunks: stream(),
        control: Some(tunnel()),
    };
    (9, upload, None, Ok(tunnel()))
}

#[test]
fn ports_are_their_numbers_in_order_of_declaration() {
    let codec = Codec::<Args>::new().expect("the type has an encoding");
    assert!(codec.has_ports());
    let mut table = Table::default();
    let mut wire = Vec::new();
    let value = args();
    assert!(codec.encoded_len(&value) >= 10);
    codec
        .encode(&value, &mut wire, &mut table)
        .expect("encodes");
    assert_eq!(wire, [9, 1, b'n', 1, 1, 2, 0, 0, 4]);
    assert_eq!(table.seen, [("stream", 1), ("tunnel", 2), ("tunnel", 4)]);

    let mut table = Table::default();
    let (_, upload, none, result) = codec.decode_slice(&wire, &mut table).expect("decodes");
    assert_eq!(table.seen, [("stream", 1), ("tunnel", 2), ("tunnel", 4)]);
    assert_eq!(upload.name, "n");
    assert_eq!(upload.chunks.0.get(), Some(1));
    assert_eq!(upload.control.expect("was sent").0.get(), Some(2));
    assert!(none.is_none());
    assert_eq!(result.expect("was sent").0.get(), Some(4));
}

#[test]
fn a_buffer_of_the_upper_bound_is_long_enough() {
    let codec = Codec::<Args>::new().expect("the type has an encoding");
    let value = args();
    let mut out = vec![0; codec.encoded_len(&value)];
    let len = codec
        .encode_into(&value, &mut out, &mut Table::default())
        .expect("encodes");
    assert_eq!(out[..len], [9, 1, b'n', 1, 1, 2, 0, 0, 4]);
}

#[test]
fn a_port_that_was_sent_before_fails_and_leaves_the_buffer() {
    let codec = Codec::<Args>::new().expect("the type has an encoding");
    let mut table = Table::default();
    let mut wire = vec![1, 2, 3];
    let value = args();
    value.1.chunks.0.take();
    let error = codec
        .encode(&value, &mut wire, &mut table)
        .expect_err("refused");
    assert_eq!(
        error,
        EncodeError::Port(PortError::new("it has been sent before"))
    );
    assert_eq!(wire, [1, 2, 3]);
    let error = codec
        .encode(&args(), &mut wire, &mut ())
        .expect_err("refused");
    assert_eq!(error, EncodeError::Port(PortError::new("no call")));
}

#[test]
fn an_undeclared_number_is_refused_and_the_ports_before_it_dropped() {
    let codec = Codec::<(Tunnel, Option<Tunnel>, (Tunnel, u8))>::new().expect("has an encoding");
    DROPPED.set(0);
    let error = codec
        .decode_slice(&[1, 1, 2, 7, 0], &mut Table::default())
        .expect_err("refused");
    assert_eq!(
        error.kind,
        DecodeErrorKind::Port(PortError::new("port 7 was not declared"))
    );
    assert_eq!((error.position, error.path.as_str()), (4, "2.0"));
    assert_eq!(DROPPED.get(), 2);
}

#[test]
fn ports_are_refused_where_their_number_would_not_be_fixed() {
    #[derive(Facet)]
    #[repr(u8)]
    #[allow(dead_code)]
    enum Choice {
        One(Tunnel),
    }
    let reason = |shape| Schema::of(shape).expect_err("refused").reason;
    for shape in [
        <Vec<Tunnel>>::SHAPE,
        <(u8, Box<Tunnel>)>::SHAPE,
        <[Tunnel; 2]>::SHAPE,
        <std::collections::BTreeMap<u8, Tunnel>>::SHAPE,
        <std::sync::Arc<Upload>>::SHAPE,
        Choice::SHAPE,
        <Streaming<Streaming<u8>>>::SHAPE,
        <Option<Vec<Upload>>>::SHAPE,
    ] {
        assert_eq!(reason(shape), Unsupported::PortPosition, "{shape}");
    }
    // The same type is fine in one place and refused in another.
    assert!(Codec::<(Upload, Option<Upload>)>::new().is_ok());
    let error = Codec::<(Upload, Vec<Upload>)>::new().expect_err("refused");
    assert_eq!(error.path, "(Upload, Vec<Upload>).1[].chunks");
    let error = Codec::<Streaming<usize>>::new().expect_err("refused");
    assert_eq!(error.reason, Unsupported::PlatformSized);
}

#[test]
fn ports_have_a_schema() {
    let schema = Schema::of(Args::SHAPE).expect("has an encoding");
    assert_eq!(
        schema.to_string(),
        "(u8, Upload, Option<Streaming<u32>>, Result<Tunnel, String>)"
    );
    assert_eq!(
        schema.declarations(),
        "struct Upload {\n    name: String,\n    chunks: Streaming<Bytes>,\n    control: Option<Tunnel>,\n}\n"
    );
}

#[test]
fn a_port_keeps_its_number_when_others_are_absent() {
    type Choice = (
        Result<(Tunnel, Tunnel), Option<Tunnel>>,
        Option<(Tunnel, u8)>,
        Tunnel,
    );
    let codec = Codec::<Choice>::new().expect("the type has an encoding");
    let values: [(Choice, &[u8]); 3] = [
        ((Ok((tunnel(), tunnel())), None, tunnel()), &[0, 1, 2, 0, 5]),
        (
            (Err(Some(tunnel())), Some((tunnel(), 7)), tunnel()),
            &[1, 1, 3, 1, 4, 7, 5],
        ),
        ((Err(None), None, tunnel()), &[1, 0, 0, 5]),
    ];
    for (value, expected) in values {
        let mut wire = Vec::new();
        codec
            .encode(&value, &mut wire, &mut Table::default())
            .expect("encodes");
        assert_eq!(wire, expected);
        assert!(codec.decode_slice(&wire, &mut Table::default()).is_ok());
        let last = wire.len() - 1;
        wire[last] = 3;
        assert!(codec.decode_slice(&wire, &mut Table::default()).is_err());
    }
    let leaf = |kind, required| PortLeaf { kind, required };
    let schema = Schema::of(<(Streaming<u8>, Choice)>::SHAPE).expect("has an encoding");
    let method = MethodSchema::new(&["s", "c"], schema, Schema::Tunnel);
    assert_eq!(method.args[1].0, "c");
    assert_eq!(
        method.request_ports(),
        [
            leaf(PortKind::Stream, true),
            leaf(PortKind::Tunnel, false),
            leaf(PortKind::Tunnel, false),
            leaf(PortKind::Tunnel, false),
            leaf(PortKind::Tunnel, false),
            leaf(PortKind::Tunnel, true),
        ]
    );
    assert_eq!(method.response_ports(), [leaf(PortKind::Tunnel, true)]);
}
