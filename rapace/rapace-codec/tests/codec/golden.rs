//! Bytes written down by hand from [enc].

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use facet::Facet;
use rapace_codec::{Codec, Gather, Splice};

use crate::differential::check;

#[track_caller]
fn golden<T: Facet<'static> + PartialEq + std::fmt::Debug>(value: T, wire: &[u8]) {
    check(
        &Codec::<T>::new().expect("the type has an encoding"),
        &value,
        wire,
    );
}

#[test]
fn numbers() {
    golden(0u8, &[0]);
    golden(-1i8, &[0xff]);
    golden(127u16, &[0x7f]);
    golden(128u16, &[0x80, 0x01]);
    golden(u16::MAX, &[0xff, 0xff, 0x03]);
    golden(u32::MAX, &[0xff, 0xff, 0xff, 0xff, 0x0f]);
    golden(
        u64::MAX,
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    );
    golden(-1i32, &[0x01]);
    golden(1i32, &[0x02]);
    golden(i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]);
    golden(
        i64::MAX,
        &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    );
    let mut widest = [0xff; 19];
    widest[18] = 0x03;
    golden(u128::MAX, &widest);
    golden(i128::MIN, &widest);
    golden(1.0f32, &[0, 0, 0x80, 0x3f]);
    golden(-2.0f64, &[0, 0, 0, 0, 0, 0, 0, 0xc0]);
    golden(true, &[1]);
}

#[test]
fn text_and_bytes() {
    golden("hé".to_owned(), &[3, b'h', 0xc3, 0xa9]);
    golden('é', &[2, 0xc3, 0xa9]);
    golden(Bytes::from_static(&[9, 8]), &[2, 9, 8]);
    golden(vec![1u8], &[1, 1]);
    golden([7u8; 3], &[7, 7, 7]);
    golden((), &[]);
}

#[test]
fn containers() {
    golden(Some(300u32), &[1, 0xac, 0x02]);
    golden(None::<u32>, &[0]);
    golden(vec![Some(1u8), None], &[2, 1, 1, 0]);
    golden(BTreeMap::from([(1u8, "a".to_owned())]), &[1, 1, 1, b'a']);
    golden(Ok::<u8, String>(5), &[0, 5]);
    golden(Err::<u8, String>("x".to_owned()), &[1, 1, b'x']);
    golden((1u8, -2i16, "z".to_owned()), &[1, 3, 1, b'z']);
    golden([[1u16, 2], [3, 4]], &[1, 2, 3, 4]);
    golden(Duration::new(300, 5), &[0xac, 0x02, 5]);
}

#[test]
fn enums_are_the_index_of_the_variant() {
    #[derive(Facet, PartialEq, Debug)]
    #[repr(u8)]
    enum Verb {
        Open = 10,
        Close(u8) = 20,
        Cancel { why: String } = 30,
    }
    golden(Verb::Open, &[0]);
    golden(Verb::Close(9), &[1, 9]);
    golden(
        Verb::Cancel {
            why: "x".to_owned(),
        },
        &[2, 1, b'x'],
    );
}

#[test]
fn enums_of_more_than_127_variants_take_two_bytes() {
    macro_rules! many {
        ($($name:ident)*) => {
            #[derive(Facet, PartialEq, Debug)]
            #[repr(u16)]
            #[allow(dead_code)]
            enum Many { $($name,)* Last }
        };
    }
    many!(
        A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 B0 B1 B2 B3 B4 B5 B6 B7 B8 B9 C0 C1 C2 C3 C4 C5 C6 C7 C8 C9
        D0 D1 D2 D3 D4 D5 D6 D7 D8 D9 E0 E1 E2 E3 E4 E5 E6 E7 E8 E9 F0 F1 F2 F3 F4 F5 F6 F7 F8 F9
        G0 G1 G2 G3 G4 G5 G6 G7 G8 G9 H0 H1 H2 H3 H4 H5 H6 H7 H8 H9 I0 I1 I2 I3 I4 I5 I6 I7 I8 I9
        J0 J1 J2 J3 J4 J5 J6 J7 J8 J9 K0 K1 K2 K3 K4 K5 K6 K7 K8 K9 L0 L1 L2 L3 L4 L5 L6 L7 L8 L9
        M0 M1 M2 M3 M4 M5 M6 M7 M8 M9
    );
    golden(Many::Last, &[0x82, 0x01]);
    golden(Many::M7, &[0x7f]);
    assert_eq!(
        Codec::<Many>::new()
            .expect("the type has an encoding")
            .max_len(),
        Some(2)
    );
}

#[test]
fn cached_codecs_are_told_apart_by_type() {
    for _ in 0..2 {
        let mut out = Vec::new();
        let numbers = Codec::<(u32, u32)>::cached().expect("the type has an encoding");
        let texts = Codec::<(String, u32)>::cached().expect("the type has an encoding");
        numbers
            .encode(&(1, 300), &mut out, &mut ())
            .expect("encodes");
        texts
            .encode(&("x".to_owned(), 2), &mut out, &mut ())
            .expect("encodes");
        assert_eq!(out, [1, 0xac, 2, 1, b'x', 2]);
        assert!(Codec::<usize>::cached().is_err());
    }
}

#[test]
fn bytes_are_slices_of_the_frame() {
    let codec = Codec::<(u8, Bytes, Vec<Bytes>)>::new().expect("the type has an encoding");
    let frame = Bytes::from(vec![7, 3, b'a', b'b', b'c', 1, 2, b'x', b'y']);
    let (_, data, list) = codec.decode(&frame, &mut ()).expect("decodes");
    assert_eq!(data.as_ptr(), frame[2..].as_ptr());
    assert_eq!(list[0].as_ptr(), frame[7..].as_ptr());
    let (_, copied, _) = codec.decode_slice(&frame, &mut ()).expect("decodes");
    assert_eq!(copied, data);
    assert!(!frame.as_ptr_range().contains(&copied.as_ptr()));
}

#[test]
fn gathered_bytes_are_not_copied() {
    let codec = Codec::<(u8, Bytes, Bytes, u8)>::new().expect("the type has an encoding");
    let large = Bytes::from(vec![5; 1000]);
    let small = Bytes::from_static(b"abc");
    let mut gather = Gather::new();
    gather.head.extend_from_slice(b"prefix");
    codec
        .encode_gather(&(1, large.clone(), small, 2), &mut gather, 512, &mut ())
        .expect("encodes");
    assert_eq!(gather.head, b"prefix\x01\xe8\x07\x03abc\x02");
    assert_eq!(gather.splices.len(), 1);
    assert_eq!(gather.splices[0].0, 9);
    assert_eq!(gather.splices[0].1.as_ptr(), large.as_ptr());
    assert_eq!(gather.total_len(), 14 + 1000);
    let chunks = gather.into_chunks();
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[1].as_ptr(), large.as_ptr());
    assert_eq!(chunks.concat().len(), 14 + 1000);
}

#[test]
fn gathering_can_choose_by_the_bytes_themselves() {
    let codec =
        Codec::<(Bytes, Option<Bytes>, Vec<Bytes>)>::new().expect("the type has an encoding");
    let chosen = Bytes::from(vec![1; 600]);
    let other = Bytes::from(vec![2; 600]);
    let short = chosen.slice(..100);
    let value = (
        other.clone(),
        Some(chosen.clone()),
        vec![short, chosen.clone()],
    );
    let range = chosen.as_ptr_range();
    let choice = |bytes: &[u8]| range.contains(&bytes.as_ptr());
    let splice = Splice::only(512, &choice);

    let measure = codec.bind(&value).measure(splice);
    assert_eq!(measure.len, codec.encoded_len(&value));
    assert_eq!(measure.spliced, 1200);
    let mut gather = Gather::new();
    codec
        .encode_gather(&value, &mut gather, splice, &mut ())
        .expect("encodes");
    assert_eq!(gather.splices.len(), 2);
    assert_eq!(gather.head.len(), measure.len - measure.spliced);
    let mut plain = Vec::new();
    codec.encode(&value, &mut plain, &mut ()).expect("encodes");
    assert_eq!(gather.into_chunks().concat(), plain);
    assert_eq!(codec.bind(&value).measure(Splice::NOTHING).spliced, 0);
}

#[test]
fn a_vector_that_is_too_small_gets_exactly_what_is_needed() {
    let codec = Codec::<Vec<String>>::new().expect("the type has an encoding");
    let value = vec!["some text".to_owned(); 100];
    let mut out = Vec::new();
    codec.encode(&value, &mut out, &mut ()).expect("encodes");
    assert_eq!(out.len(), 1001);
    assert_eq!(out.capacity(), 1001);
}

#[test]
fn bounds_are_those_of_the_type() {
    fn bounds<T: Facet<'static>>() -> (usize, Option<usize>) {
        let codec = Codec::<T>::new().expect("the type has an encoding");
        (codec.min_len(), codec.max_len())
    }
    assert_eq!(bounds::<()>(), (0, Some(0)));
    assert_eq!(bounds::<(i32, i32)>(), (2, Some(10)));
    assert_eq!(bounds::<[u8; 32]>(), (32, Some(32)));
    assert_eq!(bounds::<Option<u128>>(), (1, Some(20)));
    assert_eq!(bounds::<Result<(), u64>>(), (1, Some(11)));
    assert_eq!(bounds::<String>(), (1, None));
    assert_eq!(bounds::<[Vec<u8>; 3]>(), (3, None));
}

#[cfg(feature = "uuid")]
#[test]
fn a_uuid_is_its_sixteen_bytes() {
    let bytes: [u8; 16] = std::array::from_fn(|at| at as u8);
    golden(
        (1u8, uuid::Uuid::from_bytes(bytes)),
        &[&[1], &bytes[..]].concat(),
    );
    let schema = Codec::<uuid::Uuid>::new()
        .expect("the type has an encoding")
        .schema();
    assert_eq!(schema.to_string(), "[u8; 16]");
}
