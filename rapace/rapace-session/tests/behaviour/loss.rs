//! The peer dies.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use rapace_session::{CallError, NotSent, Session, SessionEnd, StreamError, Streaming, Tunnel};
use rapace_testbed::{Subject, TestbedClient, TestbedServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::lab::Labs;
use crate::{quiet, until, within};

fn killed(end: &SessionEnd) -> bool {
    matches!(end, SessionEnd::PeerDied(death) if &*death.seen == "killed")
}

#[tokio::test(start_paused = true)]
async fn row_02_a_cut_link_fails_every_call_stream_and_tunnel_with_how_the_peer_died() {
    let (a, b) = rapace_mem::pair();
    let kill = b.kill_switch();
    let host = Session::builder().connect(a).expect("host");
    let _plugin = Session::builder()
        .serve(TestbedServer::new(Subject))
        .accept(b)
        .expect("plugin");
    let client: TestbedClient = host.client();
    let naps: Vec<_> = (0..20)
        .map(|_| tokio::spawn(client.nap(3_600_000)))
        .collect();
    let mut counted = within(client.count(1_000_000)).await.expect("count");
    assert_eq!(counted.next().await.expect("one").expect("item"), 0);
    let (sender, numbers) = Streaming::channel(1);
    let sum = tokio::spawn(client.sum(numbers));
    sender.send(1).await.expect("taken");
    let (mut tunnel, remote) = Tunnel::pair();
    let pipe = tokio::spawn(client.pipe(remote));
    tunnel.write_all(b"hello").await.expect("write");
    let mut echoed = [0; 5];
    within(tunnel.read_exact(&mut echoed)).await.expect("echo");

    let before = tokio::time::Instant::now();
    kill.kill();
    for nap in naps {
        let error = within(nap).await.expect("task").expect_err("killed");
        let CallError::PeerDied(death) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(&*death.seen, "killed");
        assert!(error.is_lost() && !error.is_safe_to_retry());
    }
    assert!(matches!(
        within(sum).await.expect("task"),
        Err(CallError::PeerDied(_))
    ));
    assert!(matches!(
        within(pipe).await.expect("task"),
        Err(CallError::PeerDied(_))
    ));
    within(sender.closed()).await;
    // What had arrived is still read, in order, and then the reason.
    let mut next = 1;
    loop {
        match within(counted.next()).await.expect("an item or the reason") {
            Ok(item) => assert_eq!(item, next),
            Err(StreamError::Lost(end)) => {
                assert!(killed(&end), "{end:?}");
                break;
            }
            Err(other) => panic!("{other:?}"),
        }
        next += 1;
    }
    assert!(
        within(counted.next()).await.is_none(),
        "an end after the error"
    );
    let error = within(tunnel.read(&mut echoed))
        .await
        .expect_err("no end of file");
    assert!(error.to_string().contains("killed"), "{error}");
    within(tunnel.write_all(b"more"))
        .await
        .expect_err("no more writing");
    let end = within(host.closed()).await;
    assert!(killed(&end), "{end:?}");
    assert!(matches!(host.end(), Some(end) if killed(&end)));
    assert_eq!(
        before.elapsed(),
        Duration::ZERO,
        "somebody waited for a timer"
    );
    let error = within(client.add(1, 1)).await.expect_err("over");
    let CallError::NotSent(NotSent::Ended(end)) = &error else {
        panic!("{error:?}")
    };
    assert!(killed(end));
}

#[tokio::test]
async fn a_stream_in_an_answer_that_arrived_before_the_end_is_read_to_its_end_or_told_of_it() {
    let labs = Labs::new();
    within(labs.host.ready()).await.expect("ready");
    let mut call = Box::pin(labs.client().one_of(true));
    assert!(call.as_mut().now_or_never().is_none());
    // The answer and all of its stream arrive, the peer dies, and only then the call is polled.
    tokio::time::sleep(Duration::from_millis(50)).await;
    labs.kill.kill();
    within(labs.host.closed()).await;
    let (_, items) = within(call).await.expect("the answer had arrived");
    let mut items = items.expect("the second place");
    let mut count = 0;
    while let Some(item) = within(items.next()).await {
        match item {
            Ok(item) => assert_eq!(item, count),
            Err(error) => panic!("it had arrived in full: {error}"),
        }
        count += 1;
    }
    assert_eq!(count, 10);
    // Likewise with a stream that had no end yet.
    let labs = Labs::new();
    within(labs.host.ready()).await.expect("ready");
    let mut call = Box::pin(labs.client().feed());
    assert!(call.as_mut().now_or_never().is_none());
    tokio::time::sleep(Duration::from_millis(50)).await;
    labs.kill.kill();
    within(labs.host.closed()).await;
    let mut items = within(call).await.expect("the answer had arrived");
    let error = within(items.next())
        .await
        .expect("no clean end")
        .expect_err("lost");
    assert!(matches!(error, StreamError::Lost(_)), "{error:?}");
}

#[tokio::test]
async fn the_survivors_handlers_are_cancelled_when_their_caller_dies() {
    let labs = Labs::new();
    // The plugin calls the host; then the plugin dies.
    let client: crate::lab::LabClient = labs.plugin.client();
    let call = tokio::spawn(client.hold());
    until("the handler runs", || labs.at_host.holding() == 1).await;
    labs.kill.kill();
    until("the handler is dropped", || labs.at_host.holding() == 0).await;
    let token = labs.at_host.tokens.lock().expect("tokens")[0].clone();
    within(token.cancelled()).await;
    assert!(within(call).await.expect("task").is_err());
    quiet([&labs.host, &labs.plugin]).await;
}

#[tokio::test]
async fn a_session_whose_runtime_is_shut_down_tells_everybody() {
    let (a, b) = rapace_mem::pair();
    let other = tokio::runtime::Runtime::new().expect("a runtime");
    let host = {
        let _entered = other.enter();
        Session::builder().connect(a).expect("host")
    };
    let plugin = Session::builder()
        .serve(TestbedServer::new(Subject))
        .accept(b)
        .expect("plugin");
    within(host.ready()).await.expect("ready");
    let client: TestbedClient = host.client();
    let nap = tokio::spawn(client.nap(3_600_000));
    let counted = within(client.count(1_000_000)).await.expect("count");
    until("the call is under way", || host.table_sizes().calls == 1).await;
    other.shutdown_background();
    let end = within(host.closed()).await;
    assert!(matches!(end, SessionEnd::RuntimeStopped), "{end:?}");
    let error = within(nap).await.expect("task").expect_err("lost");
    assert!(
        matches!(error, CallError::MaybeSent(SessionEnd::RuntimeStopped)),
        "{error:?}"
    );
    let last = within(counted.collect::<Vec<_>>()).await.pop();
    assert!(matches!(last, Some(Err(StreamError::Lost(_)))), "{last:?}");
    let end = within(plugin.closed()).await;
    assert!(!end.is_clean(), "{end:?}");
    assert!(within(client.add(1, 1)).await.is_err());
}
