//! Streams and tunnels over links that stop, and with plugins that die.

use rapace_session::{Limits, StreamError, Streaming, Tunnel};
use rapace_sim_turmoil::{Dialer, Host, Plugin, World};
use rapace_testbed::TestbedClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;

use crate::check;
use crate::plan::{Plan, ms};

/// A dialer whose streams have little room, so that their senders wait for credit.
fn narrow(host: &Host) -> Dialer {
    let limits = Limits {
        window_bytes: 2_000,
        ..Limits::default()
    };
    Dialer::builder(host, "plugin").limits(limits).build()
}

/// Reads a stream of 0, 1, 2 … to its end, with `pause` after every hundred items, and says how
/// many there were and how it ended.
async fn read(mut items: Streaming<u32>, pause: u64) -> (u32, Option<StreamError>) {
    let mut expected = 0;
    loop {
        match items.next().await {
            Some(Ok(item)) => {
                assert_eq!(item, expected, "items are in order and without gaps");
                expected += 1;
                if pause > 0 && item % 100 == 0 {
                    sleep(ms(pause)).await;
                }
            }
            Some(Err(error)) => {
                assert!(items.next().await.is_none(), "an error is the last");
                return (expected, Some(error));
            }
            None => return (expected, None),
        }
    }
}

#[test]
fn a_stream_of_a_held_link_goes_on_where_it_stood() {
    check("a_stream_of_a_held_link", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let testbed: TestbedClient = narrow(&host).client();
            let items = testbed.count(20_000).await.expect("count");
            let (count, error) = read(items, 10).await;
            assert!(error.is_none(), "{error:?}");
            assert_eq!(count, 20_000);
            assert!(turmoil::elapsed() > ms(4_000));
            let sum = testbed.sum(Streaming::from_iter(0..1_000)).await;
            assert_eq!(sum.expect("sum"), 499_500);
        });
        for at in 1..4 {
            world.hold(at * 1_000, "host", "plugin");
            world.release(at * 1_000 + 900, "host", "plugin");
        }
        world
    });
}

#[test]
fn a_stream_whose_plugin_dies_is_a_prefix_and_one_error() {
    check("a_stream_whose_plugin_dies", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let testbed: TestbedClient = narrow(&host).client();
            let items = testbed.count(u32::MAX).await.expect("count");
            let (count, error) = read(items, 3).await;
            host.note(format!("{count} items"));
            assert!(count > 100, "it had begun");
            assert!(matches!(error, Some(StreamError::Lost(_))), "{error:?}");
            // The next one is whole.
            let items = testbed.count(500).await.expect("count");
            assert_eq!(read(items, 0).await.0, 500);
        });
        world.crash(1_500, "plugin");
        world.bounce(1_600, "plugin");
        world
    });
}

#[test]
fn a_stream_that_nobody_reads_holds_up_itself_only() {
    check("a_stream_that_nobody_reads", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let testbed: TestbedClient = narrow(&host).client();
            let unread = testbed.count(u32::MAX).await.expect("count");
            sleep(ms(1_000)).await;
            for at in 0..20 {
                assert_eq!(testbed.add(at, 1).await.expect("add"), at + 1);
            }
            let items = testbed.count(5_000).await.expect("count");
            assert_eq!(read(items, 0).await.0, 5_000);
            // Dropping it tells the sender, whose tables are checked when the world has come to rest.
            drop(unread);
            assert_eq!(testbed.add(1, 1).await.expect("add"), 2);
        });
        world
    });
}

#[test]
fn words_go_out_and_come_back_while_the_link_stutters() {
    check("words_go_out_and_come_back", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let testbed: TestbedClient = Dialer::new(&host, "plugin").client();
            let (sender, words) = Streaming::channel(4);
            let sending = tokio::spawn(async move {
                for at in 0..300 {
                    sender.send(format!("word {at}")).await.expect("read");
                    if at % 10 == 0 {
                        sleep(ms(20)).await;
                    }
                }
            });
            let mut relayed = testbed.relay(words).await.expect("relay");
            let mut at = 0;
            while let Some(word) = relayed.next().await {
                assert_eq!(word.expect("word"), format!("WORD {at}"));
                at += 1;
            }
            assert_eq!(at, 300);
            sending.await.expect("sender");
        });
        for at in 1..8 {
            world.hold(at * 100, "host", "plugin");
            world.release(at * 100 + 70, "host", "plugin");
        }
        world
    });
}

/// Sends `len` bytes through the echoing tunnel of the plugin and reads them back.
async fn echo(host: &Host, testbed: &TestbedClient, len: usize) {
    let (tunnel, remote) = Tunnel::pair();
    let call = tokio::spawn(testbed.pipe(remote));
    let (mut reader, mut writer) = tokio::io::split(tunnel);
    let mut sent = vec![0; len];
    host.rng().fill(&mut sent);
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&sent).await.expect("write");
        writer.shutdown().await.expect("shutdown");
    });
    let mut echoed = Vec::new();
    reader.read_to_end(&mut echoed).await.expect("read");
    assert!(echoed == expected, "{} bytes for {len}", echoed.len());
    writing.await.expect("writer");
    assert_eq!(call.await.expect("task").expect("pipe"), len as u64);
}

#[test]
fn a_tunnel_carries_every_byte_once_through_two_writes_of_room() {
    check("a_tunnel_carries_every_byte", |seed| {
        let mut world = World::new(seed, |turmoil| {
            // Two writes are under way at most: turmoil's only backpressure.
            turmoil.tcp_capacity(2).max_message_latency(ms(20));
        });
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let testbed: TestbedClient = Dialer::new(&host, "plugin").client();
            echo(&host, &testbed, 3_000_000).await;
            host.note("echoed");
            echo(&host, &testbed, 1).await;
        });
        for at in 0..5 {
            world.hold(100 + at * 200, "host", "plugin");
            world.release(200 + at * 200, "host", "plugin");
        }
        world
    });
}
