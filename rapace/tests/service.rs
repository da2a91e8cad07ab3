//! What `#[rapace::service]` generates, used as users use it: two sessions over an in-process link.

#![allow(
    clippy::many_single_char_names,
    reason = "twelve arguments are what is tested"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rapace::{Bytes, Client, Context, Session};

/// Both ends of a session that serves `service`.
fn pair(service: impl rapace::Service) -> (Session, Session) {
    let (host, plugin) = rapace::mem::pair();
    let plugin = Session::builder()
        .serve(service)
        .accept(plugin)
        .expect("the plugin starts");
    let host = Session::builder()
        .name("host")
        .connect(host)
        .expect("the host starts");
    (host, plugin)
}

/// Every shape of signature.
#[rapace::service]
pub trait Shapes {
    /// Takes nothing.
    async fn none(&self) -> u8;
    /// Gives nothing.
    async fn unit(&self, value: u8);
    /// A context alone.
    async fn context(&self, cx: &Context) -> Option<String>;
    /// A context
    ///
    /// and a value.
    async fn context_and_value(&self, cx: &rapace::Context, service: String) -> String;
    /// Twelve.
    #[expect(clippy::too_many_arguments, reason = "the limit is what is tested")]
    async fn twelve(
        &self,
        a: u8,
        b: u16,
        c: u32,
        d: u64,
        e: i8,
        f: i16,
        g: i32,
        h: i64,
        i: bool,
        j: char,
        k: String,
        l: Bytes,
    ) -> (u64, i64, String);
    /// Raw names are plain on the wire.
    async fn r#type(&self, r#match: Result<u8, String>) -> Result<u8, String>;
    #[allow(missing_docs, reason = "its client has docs all the same")]
    #[rapace(idempotent)]
    async fn undocumented(&self) -> Vec<Option<u8>>;
    /// Names that the generated code uses itself.
    async fn caller(&self, arguments: u8, request: u8, index: u8, context: u8) -> u32;
}

struct Plain;

impl Shapes for Plain {
    async fn none(&self) -> u8 {
        7
    }

    async fn unit(&self, _: u8) {}

    async fn context(&self, cx: &Context) -> Option<String> {
        cx.peer_name()
    }

    async fn context_and_value(&self, cx: &Context, service: String) -> String {
        format!("{service} {}", cx.peer_name().unwrap_or_default())
    }

    async fn twelve(
        &self,
        a: u8,
        b: u16,
        c: u32,
        d: u64,
        e: i8,
        f: i16,
        g: i32,
        h: i64,
        i: bool,
        j: char,
        k: String,
        l: Bytes,
    ) -> (u64, i64, String) {
        let unsigned = u64::from(a) + u64::from(b) + u64::from(c) + d;
        let signed = i64::from(e) + i64::from(f) + i64::from(g) + h;
        (unsigned, signed, format!("{i}{j}{k}{}", l.len()))
    }

    async fn r#type(&self, r#match: Result<u8, String>) -> Result<u8, String> {
        r#match.map(|value| value + 1)
    }

    async fn undocumented(&self) -> Vec<Option<u8>> {
        vec![None, Some(1)]
    }

    async fn caller(&self, arguments: u8, request: u8, index: u8, context: u8) -> u32 {
        u32::from_be_bytes([arguments, request, index, context])
    }
}

#[tokio::test]
async fn every_shape_of_method_is_called_with_its_own_arguments() {
    let (host, _plugin) = pair(ShapesServer::new(Plain));
    let client: ShapesClient = host.client();
    assert_eq!(client.none().await.unwrap(), 7);
    client.unit(1).await.unwrap();
    assert_eq!(client.context().await.unwrap().as_deref(), Some("host"));
    assert_eq!(
        client.context_and_value("the".to_owned()).await.unwrap(),
        "the host"
    );
    let (bytes, text) = (Bytes::from_static(b"123"), "text".to_owned());
    assert_eq!(
        client
            .twelve(1, 2, 3, 4, -1, -2, -3, -4, true, 'ß', text, bytes)
            .await
            .unwrap(),
        (10, -10, "trueßtext3".to_owned()),
    );
    assert_eq!(client.r#type(Ok(1)).await.unwrap(), Ok(2));
    assert_eq!(
        client.r#type(Err("no".to_owned())).await.unwrap(),
        Err("no".to_owned())
    );
    assert_eq!(client.undocumented().await.unwrap(), [None, Some(1)]);
    assert_eq!(
        ShapesClient::caller(&client, 1, 2, 3, 4).await.unwrap(),
        0x0102_0304
    );
}

#[test]
fn the_descriptor_says_what_the_trait_says() {
    let descriptor = ShapesClient::descriptor();
    assert_eq!(descriptor.name(), "Shapes");
    assert_eq!(descriptor.docs(), "Every shape of signature.");
    let described: Vec<_> = descriptor
        .methods()
        .iter()
        .map(|method| method.spec())
        .map(|spec| {
            (
                spec.full_name(),
                spec.args,
                spec.oneway,
                spec.idempotent,
                spec.docs,
            )
        })
        .collect();
    assert_eq!(
        described[0],
        (
            "Shapes.none".to_owned(),
            &[][..],
            false,
            false,
            "Takes nothing."
        )
    );
    assert_eq!(
        described[3],
        (
            "Shapes.context_and_value".to_owned(),
            &["service"][..],
            false,
            false,
            "A context\n\nand a value.",
        ),
    );
    assert_eq!(described[5].0, "Shapes.type");
    assert_eq!(described[5].1, ["match"]);
    assert_eq!(
        described[6],
        ("Shapes.undocumented".to_owned(), &[][..], false, true, "")
    );
}

#[rapace::service]
trait Counter {
    async fn add(&self, amount: u64) -> u64;
    #[rapace(oneway)]
    async fn forget(&self);
}

#[derive(Default)]
struct Count(AtomicU64);

impl Counter for Count {
    async fn add(&self, amount: u64) -> u64 {
        self.0.fetch_add(amount, Ordering::Relaxed) + amount
    }

    async fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn one_value_serves_many_sessions_through_an_arc() {
    let count = Arc::new(Count::default());
    // As an implementation of its own, as the server's storage, and as a clone of a server.
    let (one, _plugin) = pair(CounterServer::new(count.clone()));
    let server = CounterServer::from_arc(count.clone());
    let (two, _plugin) = pair(server.clone());
    let (three, _plugin) = pair(server);
    for (times, session) in (1..).zip([&one, &two, &three]) {
        let client = CounterClient::new(session);
        assert_eq!(client.clone().add(5).await.unwrap(), 5 * times);
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 15);
}

#[tokio::test]
async fn a_oneway_call_is_over_when_it_is_sent_and_runs_before_the_call_after_it() {
    let (host, _plugin) = pair(CounterServer::new(Count::default()));
    let client: CounterClient = host.client();
    assert_eq!(client.add(5).await.unwrap(), 5);
    client.forget().await.unwrap();
    assert_eq!(client.add(1).await.unwrap(), 1);
}

mod reexport {
    pub(crate) use rapace::codegen;
}

#[rapace::service(crate = "crate::reexport")]
trait Elsewhere {
    async fn here(&self) -> bool;
}

struct Here;

impl Elsewhere for Here {
    async fn here(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn the_generated_code_takes_the_path_that_it_is_given() {
    let (host, _plugin) = pair(ElsewhereServer::new(Here));
    assert!(host.client::<ElsewhereClient>().here().await.unwrap());
}

/// Where every name that generated code might use means something else.
#[allow(dead_code)]
mod shadowed {
    pub(super) trait Send {}
    pub(super) trait Sync {}
    pub(super) trait Clone {}
    pub(super) trait Debug {}
    pub(super) trait Into {}
    pub(super) trait Future {}
    pub(super) struct Arc;
    pub(super) struct Result;
    pub(super) struct Option;
    pub(super) struct Some;
    pub(super) mod std {}
    pub(super) mod core {}
    pub(super) mod rapace {}

    #[::rapace::service]
    pub(super) trait S {
        async fn clone(&self) -> u8;
        async fn serve(&self, a: u8) -> u8;
        async fn descriptor(&self, cx: &::rapace::Context) -> u8;
    }

    pub(super) struct Implementation;

    impl S for Implementation {
        async fn clone(&self) -> u8 {
            1
        }

        async fn serve(&self, a: u8) -> u8 {
            a
        }

        async fn descriptor(&self, _: &::rapace::Context) -> u8 {
            3
        }
    }
}

#[tokio::test]
async fn names_of_the_users_own_do_not_meet_those_of_the_generated_code() {
    let (host, _plugin) = pair(shadowed::SServer::new(shadowed::Implementation));
    let client: shadowed::SClient = host.client();
    assert_eq!(shadowed::SClient::clone(&client).await.unwrap(), 1);
    assert_eq!(client.serve(2).await.unwrap(), 2);
    assert_eq!(shadowed::SClient::descriptor(&client).await.unwrap(), 3);
}

/// Compiles only if the generated items are as visible as the trait and have docs.
pub mod visible {
    #![deny(missing_docs, unreachable_pub, missing_debug_implementations)]

    /// Documented.
    #[rapace::service]
    pub trait Public {
        /// Documented.
        async fn go(&self);
    }

    #[rapace::service]
    pub(crate) trait Internal {
        async fn go(&self);
    }
}

#[test]
fn a_restricted_trait_has_a_restricted_client() {
    assert_eq!(visible::PublicClient::descriptor().methods().len(), 1);
    assert_eq!(visible::InternalClient::descriptor().methods().len(), 1);
}
