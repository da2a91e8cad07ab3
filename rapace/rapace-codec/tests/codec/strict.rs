//! What decoding accepts and refuses [enc.strict], and where it says the fault is.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use facet::Facet;
use rapace_codec::{Codec, DecodeError, DecodeErrorKind};

fn decode<T: Facet<'static>>(wire: &[u8]) -> Result<T, DecodeError> {
    let codec = Codec::<T>::new().expect("the type has an encoding");
    let from_frame = codec.decode(&Bytes::copy_from_slice(wire), &mut ());
    let from_slice = codec.decode_slice(wire, &mut ());
    assert_eq!(from_frame.as_ref().err(), from_slice.as_ref().err());
    from_slice
}

#[track_caller]
fn refused<T: Facet<'static>>(wire: &[u8], position: usize, kind: DecodeErrorKind) {
    let error = decode::<T>(wire).err().expect("the bytes are refused");
    assert_eq!((error.position, &error.kind), (position, &kind), "{error}");
}

#[test]
fn longer_well_formed_varints_are_accepted() {
    assert_eq!(decode::<u16>(&[0x81, 0x80, 0x00]), Ok(1));
    assert_eq!(decode::<u32>(&[0x80, 0x80, 0x80, 0x80, 0x00]), Ok(0));
    assert_eq!(
        decode::<u64>(&[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
        Ok(127)
    );
    assert_eq!(decode::<i32>(&[0x83, 0x00]), Ok(-2));
    let mut long = [0x80; 19];
    long[18] = 0;
    assert_eq!(decode::<u128>(&long), Ok(0));
    assert_eq!(decode::<String>(&[0x81, 0x00, b'x']), Ok("x".to_owned()));
    assert_eq!(
        decode::<Vec<u32>>(&[0x81, 0x80, 0x00, 0x85, 0x00]),
        Ok(vec![5])
    );
}

#[test]
fn varints_of_too_many_bytes_are_refused() {
    refused::<u16>(&[0x80, 0x80, 0x80, 0x00], 0, DecodeErrorKind::VarintTooLong);
    refused::<u32>(&[0x80; 9], 0, DecodeErrorKind::VarintTooLong);
    refused::<i32>(
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
        0,
        DecodeErrorKind::VarintTooLong,
    );
    refused::<u64>(&[0x80; 12], 0, DecodeErrorKind::VarintTooLong);
    refused::<u128>(&[0x80; 30], 0, DecodeErrorKind::VarintTooLong);
    refused::<Vec<u16>>(
        &[1, 0x80, 0x80, 0x80, 0x00],
        1,
        DecodeErrorKind::VarintTooLong,
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    refused::<u16>(&[0xff, 0xff, 0x07], 0, DecodeErrorKind::NumberOutOfRange);
    refused::<u32>(
        &[0xff, 0xff, 0xff, 0xff, 0x1f],
        0,
        DecodeErrorKind::NumberOutOfRange,
    );
    refused::<i16>(&[0x80, 0x80, 0x04], 0, DecodeErrorKind::NumberOutOfRange);
    let mut wire = [0xff; 10];
    wire[9] = 0x02;
    refused::<u64>(&wire, 0, DecodeErrorKind::NumberOutOfRange);
    let mut wire = [0xff; 19];
    wire[18] = 0x04;
    refused::<u128>(&wire, 0, DecodeErrorKind::NumberOutOfRange);
    refused::<(u8, Option<u16>)>(
        &[0, 1, 0xff, 0xff, 0x07],
        2,
        DecodeErrorKind::NumberOutOfRange,
    );
}

#[test]
fn tags_and_indices_are_checked() {
    refused::<bool>(&[2], 0, DecodeErrorKind::InvalidBool);
    refused::<Vec<bool>>(&[2, 1, 0xff], 2, DecodeErrorKind::InvalidBool);
    refused::<Option<bool>>(&[1, 2], 1, DecodeErrorKind::InvalidBool);
    refused::<Option<u8>>(&[2, 0], 0, DecodeErrorKind::InvalidOption);
    refused::<Option<(u8, u8)>>(&[0x81], 0, DecodeErrorKind::InvalidOption);
    refused::<Result<u8, u8>>(&[2, 0], 0, DecodeErrorKind::InvalidVariant);
    refused::<Duration>(
        &[1, 0x80, 0x94, 0xeb, 0xdc, 0x03],
        1,
        DecodeErrorKind::InvalidDuration,
    );
}

#[test]
fn text_is_checked() {
    refused::<String>(&[2, 0xc3, 0x28], 0, DecodeErrorKind::InvalidUtf8);
    refused::<Option<String>>(&[1, 1, 0xff], 1, DecodeErrorKind::InvalidUtf8);
    refused::<Box<str>>(&[1, 0x80], 0, DecodeErrorKind::InvalidUtf8);
    refused::<char>(&[2, b'a', b'b'], 0, DecodeErrorKind::InvalidChar);
    refused::<char>(&[0], 0, DecodeErrorKind::InvalidChar);
    // A surrogate is not UTF-8.
    refused::<char>(&[3, 0xed, 0xa0, 0x80], 0, DecodeErrorKind::InvalidUtf8);
}

#[test]
fn lengths_beyond_what_is_left_are_refused_at_once() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    refused::<String>(&huge, 0, DecodeErrorKind::LengthTooLarge);
    refused::<Bytes>(&huge, 0, DecodeErrorKind::LengthTooLarge);
    refused::<Vec<u8>>(&[3, 1, 2], 0, DecodeErrorKind::LengthTooLarge);
    refused::<Vec<u64>>(&huge, 0, DecodeErrorKind::LengthTooLarge);
    refused::<Vec<f64>>(
        &[2, 0, 0, 0, 0, 0, 0, 0, 0],
        0,
        DecodeErrorKind::LengthTooLarge,
    );
    refused::<Vec<String>>(&huge, 0, DecodeErrorKind::LengthTooLarge);
    refused::<Vec<(u8, u8)>>(&[2, 0, 0, 0], 0, DecodeErrorKind::LengthTooLarge);
    refused::<BTreeMap<u8, u8>>(&huge, 0, DecodeErrorKind::LengthTooLarge);
    refused::<HashMap<u8, String>>(&[2, 0, 0, 0], 0, DecodeErrorKind::LengthTooLarge);
    refused::<Vec<()>>(&huge, 0, DecodeErrorKind::TooManyEmptyElements);
}

#[test]
fn the_budget_is_never_exceeded_by_valid_values() {
    // Each level claims the most that its bytes can justify.
    let value: Vec<Vec<Vec<u64>>> = vec![vec![vec![0; 50]; 50]; 50];
    let codec = Codec::<Vec<Vec<Vec<u64>>>>::new().expect("the type has an encoding");
    let mut wire = Vec::new();
    codec.encode(&value, &mut wire, &mut ()).expect("encodes");
    assert_eq!(codec.decode_slice(&wire, &mut ()), Ok(value));
    let empties: Vec<Vec<Vec<u64>>> = vec![vec![]; 10_000];
    wire.clear();
    codec.encode(&empties, &mut wire, &mut ()).expect("encodes");
    assert_eq!(codec.decode_slice(&wire, &mut ()), Ok(empties));
}

#[test]
fn claims_that_only_add_up_to_too_much_are_refused() {
    #[derive(Facet, Debug)]
    struct Fat {
        #[allow(dead_code)]
        kids: Vec<Fat>,
        #[allow(dead_code)]
        pad: [Option<u64>; 4],
    }
    // Every level claims nearly all that is left: a hundred times the input if nobody added it up.
    let mut wire = [0xac, 0x98, 0x01].repeat(100);
    wire.resize(100_000, 0);
    let codec = Codec::<Vec<Fat>>::new().expect("the type has an encoding");
    let error = codec.decode_slice(&wire, &mut ()).expect_err("refused");
    assert_eq!(error.kind, DecodeErrorKind::OverBudget, "{error}");
}

#[test]
fn errors_name_position_and_field() {
    #[derive(Facet, Debug, PartialEq)]
    struct Image {
        width: u16,
        tags: Vec<Tag>,
    }
    #[derive(Facet, Debug, PartialEq)]
    struct Tag {
        name: String,
        kind: Kind,
    }
    #[derive(Facet, Debug, PartialEq)]
    #[repr(u8)]
    enum Kind {
        Plain,
        Sized { size: (u8, u16) },
    }
    let text = |wire: &[u8]| decode::<Image>(wire).expect_err("refused").to_string();
    assert_eq!(
        text(&[0xff, 0xff, 0x7f]),
        "at byte 0, in field `Image.width`: a number is out of range"
    );
    assert_eq!(
        text(&[1, 2, 1, b'a', 0, 1, 0xff, 0]),
        "at byte 5, in field `Image.tags[1].name`: a string is not UTF-8"
    );
    assert_eq!(
        text(&[1, 1, 1, b'a', 1, 1, 0xff, 0xff, 0x7f]),
        "at byte 6, in field `Image.tags[0].kind.Sized.size.1`: a number is out of range"
    );
    assert_eq!(text(&[1, 0, 0]), "at byte 2: bytes are left over");
    let error = decode::<(u8, bool)>(&[1, 3]).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "at byte 1, in field `1`: a bool is neither 0 nor 1"
    );
    let error = decode::<u32>(&[]).expect_err("refused");
    assert_eq!(error.to_string(), "at byte 0: the bytes end too early");
}

#[test]
fn invariants_are_checked_on_decoding() {
    fn ordered(range: &Range) -> bool {
        range.from <= range.to
    }
    #[derive(Facet, Debug, PartialEq)]
    #[facet(invariants = ordered)]
    struct Range {
        from: u32,
        to: u32,
        name: String,
    }
    let good = decode::<Vec<Range>>(&[1, 1, 2, 1, b'x']).expect("decodes");
    assert_eq!(good[0].to, 2);
    let error = decode::<Vec<Range>>(&[2, 1, 2, 1, b'x', 3, 2, 1, b'y']).expect_err("refused");
    assert!(
        matches!(error.kind, DecodeErrorKind::Invariant(_)),
        "{error}"
    );
    assert_eq!(error.path, "[1]");
}
