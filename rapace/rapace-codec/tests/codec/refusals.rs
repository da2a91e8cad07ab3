//! Types without an encoding are refused by name, with the path and what to write instead.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Mutex;

use facet::Facet;
use rapace_codec::{Codec, Schema, Unsupported, UnsupportedType};

#[track_caller]
fn refusal<T: Facet<'static>>() -> UnsupportedType {
    let error = Codec::<T>::new().expect_err("the type has no encoding");
    assert_eq!(Schema::of(T::SHAPE), Err(error.clone()));
    error
}

#[test]
fn the_message_names_the_field_and_says_what_to_write() {
    #[derive(Facet)]
    #[allow(dead_code)]
    struct Album {
        photos: Vec<Photo>,
    }
    #[derive(Facet)]
    #[allow(dead_code)]
    struct Photo {
        size: Option<(u8, usize)>,
    }
    let error = refusal::<Album>();
    assert_eq!(error.path, "Album.photos[].size.1");
    assert_eq!(error.reason, Unsupported::PlatformSized);
    assert_eq!(
        error.to_string(),
        "`Album.photos[].size.1` of type `usize` cannot be sent: its width differs between \
         platforms; use u32 or u64 (i32 or i64) instead"
    );
    assert_eq!(
        refusal::<isize>().to_string(),
        "`isize` cannot be sent: its width differs between platforms; use u32 or u64 (i32 or i64) \
         instead"
    );
}

#[test]
fn paths_go_through_enums_maps_and_results() {
    #[derive(Facet)]
    #[repr(u8)]
    #[allow(dead_code)]
    enum Choice {
        A,
        B { deep: HashMap<String, Vec<usize>> },
    }
    assert_eq!(
        refusal::<(u8, Choice)>().path,
        "(u8, Choice).1.B.deep[value][]"
    );
    assert_eq!(refusal::<Result<u8, usize>>().path, "Result<u8, usize>.Err");
    assert_eq!(refusal::<[usize; 3]>().path, "[usize; 3][]");
}

#[test]
fn each_reason_is_told_apart() {
    #[derive(Facet)]
    #[allow(dead_code)]
    struct Skips {
        kept: u8,
        #[facet(skip)]
        skipped: u8,
    }
    #[derive(Facet)]
    #[allow(dead_code)]
    struct Flattens {
        #[facet(flatten)]
        inner: Box<u8>,
    }
    #[derive(Facet)]
    #[facet(tag = "kind")]
    #[repr(u8)]
    #[allow(dead_code)]
    enum Tagged {
        A { x: u8 },
    }
    #[derive(Facet)]
    #[facet(untagged)]
    #[repr(u8)]
    #[allow(dead_code)]
    enum Untagged {
        A { x: u8 },
    }
    #[derive(Facet)]
    #[facet(opaque)]
    #[allow(dead_code)]
    struct Closed(u8);
    #[derive(Facet)]
    #[allow(dead_code)]
    struct Marked {
        marker: std::marker::PhantomData<u8>,
    }
    #[derive(Facet)]
    #[allow(dead_code)]
    struct Endless {
        again: Box<Endless>,
    }
    assert_eq!(refusal::<Skips>().reason, Unsupported::Attribute("skip"));
    assert_eq!(refusal::<Skips>().path, "Skips.skipped");
    assert_eq!(
        refusal::<Flattens>().reason,
        Unsupported::Attribute("flatten")
    );
    assert_eq!(refusal::<Tagged>().reason, Unsupported::Attribute("tag"));
    assert_eq!(
        refusal::<Untagged>().reason,
        Unsupported::Attribute("untagged")
    );
    assert_eq!(refusal::<Closed>().reason, Unsupported::Opaque);
    assert_eq!(refusal::<Marked>().reason, Unsupported::Phantom);
    assert_eq!(refusal::<Endless>().reason, Unsupported::Endless);
    assert_eq!(refusal::<(u8, *const u8)>().reason, Unsupported::Pointer);
    assert_eq!(refusal::<(&'static str,)>().reason, Unsupported::Borrowed);
    assert_eq!(refusal::<&'static u32>().reason, Unsupported::Borrowed);
    assert_eq!(refusal::<Rc<u8>>().reason, Unsupported::NotSend);
    assert_eq!(refusal::<Mutex<u8>>().reason, Unsupported::Shared);
    assert_eq!(refusal::<PathBuf>().reason, Unsupported::NoEncoding);
    for shape in [
        <Result<u8, std::convert::Infallible>>::SHAPE,
        <std::ops::Range<u8>>::SHAPE,
    ] {
        let error = Schema::of(shape).expect_err("the type has no encoding");
        assert_eq!(error.reason, Unsupported::NoEncoding, "{shape}");
    }
    assert_eq!(
        refusal::<HashMap<u8, u8, BuildHasherDefault<DefaultHasher>>>().reason,
        Unsupported::Hasher
    );
}
