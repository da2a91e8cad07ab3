use std::future::{pending, poll_fn};
use std::time::Duration;

use rapace_shm::ShmConfig;
use rapace_transport::conformance::Pair;
use rapace_transport::conformance::traffic::{check, frame, recv, send};

use super::*;

/// Runs a case with a time limit.
fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async { tokio::time::timeout(Duration::from_secs(30), case).await })
        .expect("the case ends in time");
}

/// Both ends set their link up when they are used first.
fn pair() -> Pair {
    let (a, b) = rapace_shm::socket_pair().expect("sockets");
    let end = |socket| -> Box<dyn Transport> {
        let begun = rapace_shm::os::SetUp::begin(socket, ShmConfig::default()).expect("a lane");
        let info = begun.info();
        Box::new(PendingTransport::new(info, async {
            begun.finish().await.map_err(Into::into)
        }))
    };
    (end(a), end(b))
}

#[test]
fn frames_pass_once_both_ends_are_used() {
    run(async {
        let (a, b) = pair();
        let ((mut a_sink, mut a_source), (mut b_sink, mut b_source)) = (a.split(), b.split());
        // Each side's set-up is driven by its receiving half.
        let a = async {
            send(&mut *a_sink, frame(1, 5_000)).await.expect("sent");
        };
        let b = async {
            check(&recv(&mut *b_source).await.expect("received"), 1, 5_000);
            send(&mut *b_sink, frame(2, 40)).await.expect("sent");
        };
        let answer = async { check(&recv(&mut *a_source).await.expect("received"), 2, 40) };
        tokio::join!(a, b, answer);
    });
}

#[test]
fn a_loan_waits_for_the_link() {
    run(async {
        let (a, b) = pair();
        let lender = a.lender().expect("a lender");
        let room = Room::exact(1_000);
        assert!(lender.try_loan(room).is_none(), "there is no link yet");
        let (_a_sink, mut a_source) = a.split();
        let (_b_sink, mut b_source) = b.split();
        let up = async {
            tokio::select! {
                _ = recv(&mut *a_source) => panic!("nothing was sent"),
                _ = recv(&mut *b_source) => panic!("nothing was sent"),
                loan = poll_fn(|cx| lender.poll_loan(cx, room)) => loan.expect("a loan"),
            }
        };
        assert_eq!(up.await.freeze().len(), 1_000);
        assert!(lender.try_loan(room).is_some());
    });
}

fn never() -> PendingTransport {
    let info = LinkInfo {
        kind: "test",
        deadline: rapace_transport::DeadlineForm::Monotonic,
        payload_bytes_max: 1 << 20,
        gather_bytes_min: usize::MAX,
    };
    PendingTransport::new(info, pending::<Result<Box<dyn Transport>, LinkError>>())
}

#[test]
fn row_07_closing_before_there_is_a_link_wakes_the_receiver() {
    run(async {
        let (mut sink, mut source) = Transport::split(Box::new(never()));
        let close = async {
            tokio::task::yield_now().await;
            poll_fn(|cx| sink.poll_close(cx)).await
        };
        let (received, closed) = tokio::join!(recv(&mut *source), close);
        assert_eq!(received.err(), Some(LinkError::Closed));
        assert_eq!(closed, Ok(()));
    });
}

#[test]
fn row_03_a_set_up_that_fails_fails_both_halves_and_loans() {
    run(async {
        let mut transport = never();
        let error = LinkError::Io("no memory".into());
        let failed = error.clone();
        transport.set_up = Box::pin(async move { Err(failed) });
        let lender = transport.lender().expect("a lender");
        let (mut sink, mut source) = Transport::split(Box::new(transport));
        let loan = poll_fn(|cx| lender.poll_loan(cx, Room::exact(10)));
        let sent = send(&mut *sink, frame(1, 10));
        let (loan, sent, received) = tokio::join!(loan, sent, recv(&mut *source));
        assert_eq!(loan.err(), Some(error.clone()));
        assert_eq!(sent, Err(error.clone()));
        assert_eq!(received.err(), Some(error));
    });
}

#[test]
fn a_dropped_receiver_fails_the_sender() {
    run(async {
        let (mut sink, source) = Transport::split(Box::new(never()));
        let drop_it = async {
            tokio::task::yield_now().await;
            drop(source);
        };
        let (sent, ()) = tokio::join!(send(&mut *sink, frame(1, 10)), drop_it);
        assert_eq!(sent, Err(LinkError::Closed));
    });
}
