//! Services that cannot be served are refused when the session is built.

use std::collections::BTreeMap;
use std::time::Duration;

use facet::Facet;
use rapace_session::codegen::{Handler, Method, MethodSpec, Request, Service, ServiceDescriptor};
use rapace_session::{BuildError, Limits, Session};

use crate::lab::{Bench, LabServer};

#[derive(Facet, Debug)]
pub struct Outer {
    pub label: String,
    pub inner: Vec<Inner>,
}

#[derive(Facet, Debug)]
pub struct Inner {
    pub good: u32,
    pub index: usize,
}

#[rapace_macros::service(crate = "rapace_session")]
pub trait Unsendable {
    async fn fine(&self) -> u32;
    async fn bad(&self, outer: Outer) -> u32;
}

struct Impossible;

impl Unsendable for Impossible {
    async fn fine(&self) -> u32 {
        1
    }

    async fn bad(&self, _outer: Outer) -> u32 {
        2
    }
}

#[tokio::test]
async fn a_type_that_cannot_travel_is_refused_with_the_path_of_the_field() {
    let (a, b) = rapace_mem::pair();
    let refused = Session::builder()
        .serve(UnsendableServer::new(Impossible))
        .connect(a)
        .expect_err("usize cannot travel");
    let BuildError::UnsupportedType { method, .. } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(method, "Unsendable.bad");
    let text = refused.to_string();
    for part in ["Unsendable.bad", "inner", "index", "usize"] {
        assert!(text.contains(part), "{part:?} is not named in: {text}");
    }
    // The client says it where it is made, not at the first call.
    let session = Session::builder().connect(b).expect("serves nothing");
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        session.client::<UnsendableClient>()
    }));
    let message = made.expect_err("a panic that names the field");
    let message = message.downcast_ref::<String>().expect("text");
    assert!(message.contains("index"), "{message}");
}

#[tokio::test]
async fn a_service_can_be_served_once() {
    let (a, _b) = rapace_mem::pair();
    let refused = Session::builder()
        .serve(LabServer::new(Bench::default()))
        .serve(LabServer::new(Bench::default()))
        .connect(a)
        .expect_err("twice");
    assert!(
        matches!(&refused, BuildError::MethodCollision { first, second } if first == second),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("twice"), "{refused}");
}

/// A service of one method, by whatever names.
struct Named(&'static ServiceDescriptor);

impl Service for Named {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        self.0
    }

    fn serve(&self, _index: usize, request: Request) -> Handler {
        request.unknown()
    }
}

fn named(service: &'static str, name: &'static str) -> Named {
    let method: &'static Method<(), u32> = Box::leak(Box::new(Method::new(MethodSpec {
        service,
        name,
        docs: "",
        args: &[],
        oneway: false,
        idempotent: false,
    })));
    let methods: &'static [&'static dyn rapace_session::codegen::AnyMethod] =
        Box::leak(Box::new([method as _]));
    Named(Box::leak(Box::new(ServiceDescriptor::new(
        service, "", methods,
    ))))
}

#[tokio::test]
async fn two_methods_with_one_id_are_refused_by_name() {
    // Among 32-bit numbers, two of some hundred thousand are the same.
    let mut seen = BTreeMap::new();
    let (first, second) = (0..2_000_000_u32)
        .find_map(|at| {
            let service = format!("S{at}");
            let id = rapace_codec::method_id(&service, "run");
            seen.insert(id, service.clone())
                .map(|first| (first, service))
        })
        .expect("a collision");
    let (a, _b) = rapace_mem::pair();
    let refused = Session::builder()
        .serve(named(first.clone().leak(), "run"))
        .serve(named(second.clone().leak(), "run"))
        .connect(a)
        .expect_err("the same id");
    let text = refused.to_string();
    for part in [&first, &second] {
        assert!(
            text.contains(&format!("{part}.run")),
            "{part} is not named in: {text}"
        );
    }
}

#[tokio::test]
async fn a_handshake_timeout_beyond_the_protocols_is_refused() {
    let (a, _b) = rapace_mem::pair();
    let refused = Session::builder()
        .handshake_timeout(Duration::from_secs(31))
        .connect(a)
        .expect_err("at most 30 s");
    assert!(
        matches!(refused, BuildError::HandshakeTimeout(_)),
        "{refused:?}"
    );
    let (a, _b) = rapace_mem::pair();
    let limits = Limits {
        handshake_timeout: Duration::from_secs(30),
        ..Limits::default()
    };
    Session::builder().limits(limits).connect(a).expect("30 s");
}

#[test]
fn without_a_runtime_the_builder_says_so() {
    let (a, _b) = rapace_mem::pair();
    let refused = Session::builder().connect(a).expect_err("no runtime");
    assert!(matches!(refused, BuildError::NoRuntime), "{refused:?}");
}
