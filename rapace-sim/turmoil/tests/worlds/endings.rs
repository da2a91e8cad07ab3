//! How sessions end: in good order, half open, before they began, and inside a nested call.

use std::time::Duration;

use rapace_session::{CallError, Context, Limits, Session, SessionEnd};
use rapace_sim_turmoil::plugin::PORT;
use rapace_sim_turmoil::{Dialer, LedgerClient, Plugin, World};
use rapace_testbed::TestbedClient;
use tokio::time::{Instant, sleep};

use crate::check;
use crate::plan::{Plan, ms};

fn pinging() -> Limits {
    Limits {
        ping_interval: Some(Duration::from_secs(2)),
        ping_timeout: Duration::from_secs(1),
        handshake_timeout: Duration::from_secs(1),
        ..Limits::default()
    }
}

#[test]
fn both_ends_of_a_half_open_connection_notice_by_pinging() {
    check("both_ends_of_a_half_open_connection", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new().limits(pinging()));
        world.host("host", |host| async move {
            let dialer = Dialer::builder(&host, "plugin").limits(pinging()).build();
            let ledger: LedgerClient = dialer.client();
            let session = dialer.dial().await;
            // Idle through two rounds of pings, and then the link is gone without a word.
            let end = session.closed().await;
            assert!(matches!(end, SessionEnd::PingTimeout), "{end:?}");
            let noticed = turmoil::elapsed();
            assert!((ms(6_000)..ms(8_500)).contains(&noticed), "{noticed:?}");
            host.post(&ledger, 1, None).await.expect("dialled again");
            assert!(turmoil::elapsed() > ms(9_000));
            // The plugin's end of the old connection is over, too.
            let open = turmoil::established_tcp_stream_count_on("plugin");
            assert_eq!(open, 1);
        });
        world.partition(5_000, "host", "plugin");
        world.repair(9_000, "host", "plugin");
        world
    });
}

#[test]
fn a_call_on_a_connection_that_only_this_side_remembers_is_reset() {
    check("a_call_on_a_connection_that_only", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let dialer = Dialer::new(&host, "plugin");
            let ledger: LedgerClient = dialer.client();
            let first = dialer.dial().await;
            // The plugin loses its power, so that not even its kernel says goodbye, and restarts.
            sleep(ms(3_000)).await;
            assert!(first.end().is_none(), "nobody can know");
            let reset = host.post(&ledger, 1, None).await.expect_err("another life");
            assert!(matches!(reset, CallError::PeerDied(_)), "{reset:?}");
            let answer = host.post(&ledger, 1, None).await;
            assert_eq!(answer.expect("the next session"), 2);
            assert_eq!(dialer.dial().await.peer_epoch(), Some(2));
        });
        world.partition(1_000, "host", "plugin");
        world.crash(1_100, "plugin");
        world.bounce(2_000, "plugin");
        world.repair(2_000, "host", "plugin");
        world
    });
}

#[test]
fn a_peer_that_never_says_hello_fails_whoever_waits_for_it() {
    check("a_peer_that_never_says_hello", |seed| {
        let mut world = World::new(seed, |_| {});
        world.background("mute", |host| async move {
            let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await;
            let listener = listener.expect("bind");
            let mut taken = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accept");
                taken.push(host.link(stream));
            }
        });
        world.host("host", |host| async move {
            let stream = turmoil::net::TcpStream::connect(("mute", PORT)).await;
            let session = Session::builder()
                .handshake_timeout(ms(1_500))
                .connect(host.link(stream.expect("connect")))
                .expect("built");
            host.watch("dialled", &session);
            let connected = Instant::now();
            let testbed: TestbedClient = session.client();
            let early = tokio::spawn(testbed.add(1, 2));
            let end = session.ready().await.expect_err("mute");
            assert!(matches!(end, SessionEnd::Handshake(_)), "{end:?}");
            let took = connected.elapsed();
            assert!((ms(1_500)..ms(1_505)).contains(&took), "{took:?}");
            let error = early.await.expect("task").expect_err("never sent");
            assert!(error.is_safe_to_retry(), "{error:?}");
        });
        world
    });
}

#[test]
fn closing_waits_for_calls_under_way_and_refuses_later_ones() {
    let reports = check("closing_waits_for_calls", |seed| {
        let mut world = World::new(seed, |_| {});
        world.plugin("plugin", Plugin::new());
        world.host("host", |host| async move {
            let dialer = Dialer::new(&host, "plugin");
            let session = dialer.dial().await;
            let ledger: LedgerClient = session.client();
            let under_way = tokio::spawn({
                let (host, ledger) = (host.clone(), ledger.clone());
                async move { host.post(&ledger, 1_000, None).await }
            });
            sleep(ms(300)).await;
            let closing = tokio::spawn({
                let session = session.clone();
                async move { session.close().await }
            });
            sleep(ms(10)).await;
            let late = host.post(&ledger, 0, None).await.expect_err("closing");
            assert!(matches!(late, CallError::NotSent(_)), "{late:?}");
            let answer = under_way.await.expect("task");
            assert_eq!(answer.expect("finished first"), 1);
            let end = closing.await.expect("task");
            assert!(end.is_clean(), "{end:?}");
            // A client that survives restarts goes on with the next session.
            let ledger: LedgerClient = dialer.client();
            host.post(&ledger, 0, None).await.expect("dialled again");
        });
        world
    });
    for report in reports {
        assert_eq!((report.answered, report.sessions), (2, 4));
        assert!(!report.log.contains("died"), "{}", report.log);
    }
}

/// A service on both sides: each step down asks the other side.
#[rapace_macros::service(crate = "rapace_session")]
trait Ladder {
    /// How deep it went: asks the caller for one step less until `steps` is 0.
    async fn descend(&self, cx: &Context, steps: u32) -> Result<u32, String>;
}

struct Rungs;

impl Ladder for Rungs {
    async fn descend(&self, cx: &Context, steps: u32) -> Result<u32, String> {
        if steps == 0 {
            sleep(ms(20)).await;
            return Ok(0);
        }
        let below = LadderClient::new(cx.caller()).descend(steps - 1).await;
        below
            .map_err(|error| error.to_string())?
            .map(|deep| deep + 1)
    }
}

#[test]
fn nested_callbacks_unwind_when_the_plugin_dies_under_them() {
    check("nested_callbacks_unwind", |seed| {
        let mut world = World::new(seed, |turmoil| {
            turmoil.max_message_latency(ms(15));
        });
        world.plugin("plugin", Plugin::new().serve(LadderServer::new(Rungs)));
        world.host("host", |host| async move {
            let dialer = Dialer::builder(&host, "plugin");
            let dialer = dialer.serve(LadderServer::new(Rungs)).build();
            let ladder: LadderClient = dialer.client();
            let (mut whole, mut broken) = (0, 0);
            while turmoil::elapsed() < ms(3_000) {
                match ladder.descend(9).await {
                    Ok(deep) => {
                        assert_eq!(deep, Ok(9));
                        whole += 1;
                    }
                    Err(CallError::PeerDied(_)) => broken += 1,
                    Err(error) => panic!("an odd end: {error:?}"),
                }
            }
            host.note(format!("{whole} whole, {broken} broken"));
            assert!(whole > 0 && broken > 0);
        });
        for at in 0..4 {
            world.crash(400 + at * 600, "plugin");
            world.bounce(500 + at * 600, "plugin");
        }
        world
    });
}
