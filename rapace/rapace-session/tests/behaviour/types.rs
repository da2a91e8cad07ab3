//! Peers whose types differ ([hello.compat]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rapace_core::control::{Hello, Role};
use rapace_session::{CallError, Code, Session};

use crate::handshake::waiting;
use crate::lab::LabClient;
use crate::raw_peer::{hello, strange_method};
use crate::{quiet, within};

mod old {
    use facet::Facet;

    #[derive(Facet, Debug)]
    pub struct Order {
        pub item: String,
        pub size: u32,
    }

    #[rapace_macros::service(crate = "rapace_session")]
    pub trait Shop {
        async fn order(&self, order: Order) -> u32;
        async fn count(&self) -> u32;
        async fn gone(&self) -> u32;
    }
}

mod new {
    use facet::Facet;

    #[derive(Facet, Debug)]
    pub struct Order {
        pub item: String,
        pub size: u64,
    }

    #[rapace_macros::service(crate = "rapace_session")]
    pub trait Shop {
        async fn order(&self, order: Order) -> u32;
        async fn count(&self) -> u32;
    }
}

struct Shop(Arc<AtomicU32>);

impl new::Shop for Shop {
    async fn order(&self, _order: new::Order) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    async fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn row_23_other_types_are_named() {
    let (a, b) = rapace_mem::pair();
    let host = Session::builder().connect(a).expect("host");
    let orders = Arc::new(AtomicU32::new(0));
    let plugin = Session::builder()
        .serve(new::ShopServer::new(Shop(orders.clone())))
        .accept(b)
        .expect("plugin");
    let shop: old::ShopClient = host.client();
    let order = || old::Order {
        item: "tea".to_owned(),
        size: 3,
    };
    let error = within(shop.order(order())).await.expect_err("other types");
    let CallError::SchemaMismatch { method, difference } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(method, "Shop.order");
    for part in ["size", "u32", "u64"] {
        assert!(
            difference.contains(part),
            "{part:?} is not named in: {difference}"
        );
    }
    assert!(error.is_safe_to_retry());
    assert_eq!(error.code(), Code::INCOMPATIBLE_SCHEMA);
    // Methods that did not change go on working.
    assert_eq!(within(shop.count()).await.expect("same types"), 0);
    assert_eq!(orders.load(Ordering::SeqCst), 0, "the order was sent");
    assert_eq!(
        within(shop.gone()).await.expect_err("gone").code(),
        Code::UNIMPLEMENTED
    );
    quiet([&host, &plugin]).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_say_how_it_sees_a_method_cannot_hold_the_caller_up() {
    let (host, call, mut peer) = waiting();
    // It lists the very method that would be asked, with other types, too.
    let methods = vec![strange_method("Lab.quick"), strange_method("Rapace.schema")];
    peer.hello(&Hello {
        methods,
        ..hello(Role::Acceptor)
    })
    .await;
    let error = within(call).await.expect("task").expect_err("other types");
    assert!(
        matches!(&error, CallError::SchemaMismatch { .. }),
        "{error:?}"
    );
    drop(host);

    let (host, call, mut peer) = waiting();
    let methods = vec![strange_method("Lab.quick")];
    peer.hello(&Hello {
        methods,
        ..hello(Role::Acceptor)
    })
    .await;
    let client: LabClient = host.client();
    within(host.ready()).await.expect("ready");
    let before = tokio::time::Instant::now();
    let bounded = client.quick(1).deadline(Duration::from_millis(100));
    let error = within(bounded).await.expect_err("other types");
    assert!(
        matches!(
            &error,
            CallError::SchemaMismatch { .. } | CallError::DeadlineExceeded
        ),
        "{error:?}"
    );
    assert!(
        before.elapsed() < Duration::from_millis(200),
        "{:?}",
        before.elapsed()
    );
    let error = within(call).await.expect("task").expect_err("other types");
    assert!(
        matches!(&error, CallError::SchemaMismatch { .. }),
        "{error:?}"
    );
    drop(peer);
}
