//! What hosts do with plugins, in all worlds. Each piece of work judges its own result; what may go
//! wrong is an error that a lost peer, a deadline or an ending session explains.

use bytes::Bytes;
use rapace_session::{CallError, StreamError, Streaming, Tunnel};
use rapace_testbed::TestbedClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;

use super::ms;

/// Calls of every kind of answer.
pub(super) async fn call(
    testbed: &TestbedClient,
    rng: &mut fastrand::Rng,
) -> Result<(), CallError> {
    match rng.u8(..4) {
        0 => {
            let (a, b) = (rng.i32(..), rng.i32(..));
            assert_eq!(testbed.add(a, b).await?, a.wrapping_add(b));
        }
        1 => {
            // Inline, staged and gathered payloads.
            let len = [16, 17, 3_000, 40_000][rng.usize(..4)];
            let data: Bytes = vec![rng.u8(..); rng.usize(..=len)].into();
            assert_eq!(testbed.echo(data.clone()).await?, data);
        }
        2 => {
            let divided = testbed.divide(7, rng.i32(0..2)).await?;
            assert!(divided == Ok(7) || divided == Err("division by zero".to_owned()));
        }
        _ => {
            let millis = rng.u32(..50);
            assert_eq!(testbed.nap(millis).await?, millis);
        }
    }
    Ok(())
}

/// Reads 0, 1, 2 … up to `read_max` items, sleeping now and then. Says how many there were.
pub(super) async fn count(
    testbed: &TestbedClient,
    len: u32,
    read_max: u32,
    rng: &mut fastrand::Rng,
) -> Result<u32, CallError> {
    let mut items = testbed.count(len).await?;
    let mut expected = 0;
    while expected < read_max {
        match items.next().await {
            Some(Ok(item)) => {
                assert_eq!(item, expected, "a stream is a prefix, in order");
                expected += 1;
                if rng.u8(..) == 0 {
                    sleep(ms(rng.u64(..20))).await;
                }
            }
            Some(Err(error)) => {
                assert!(matches!(error, StreamError::Lost(_)), "{error:?}");
                assert!(items.next().await.is_none(), "an error is the last");
                return Ok(expected);
            }
            None => {
                assert_eq!(expected, len, "only a whole stream ends well");
                break;
            }
        }
    }
    Ok(expected)
}

/// Sends numbers and has them added up.
pub(super) async fn sum(
    testbed: &TestbedClient,
    len: i32,
    rng: &mut fastrand::Rng,
) -> Result<(), CallError> {
    let (sender, numbers) = Streaming::channel(rng.usize(1..5));
    let pause = rng.u64(..3);
    let sending = tokio::spawn(async move {
        for number in 0..len {
            if sender.send(number).await.is_err() {
                break;
            }
            if pause > 0 && number % 50 == 0 {
                sleep(ms(pause)).await;
            }
        }
    });
    let summed = testbed.sum(numbers).await;
    // Whatever came of the call, the sender hears of it.
    sending.await.expect("sender");
    assert_eq!(summed?, i64::from(len) * i64::from(len - 1).max(0) / 2);
    Ok(())
}

/// Words out and back in capitals, at once.
pub(super) async fn relay(testbed: &TestbedClient, len: u32) -> Result<(), CallError> {
    let (sender, words) = Streaming::channel(2);
    let sending = tokio::spawn(async move {
        for at in 0..len {
            if sender.send(format!("word {at}")).await.is_err() {
                break;
            }
        }
    });
    match testbed.relay(words).await {
        Err(error) => {
            sending.await.expect("sender");
            return Err(error);
        }
        Ok(mut relayed) => {
            let mut at = 0;
            while let Some(word) = relayed.next().await {
                match word {
                    Ok(word) => assert_eq!(word, format!("WORD {at}")),
                    Err(error) => {
                        assert!(matches!(error, StreamError::Lost(_)), "{error:?}");
                        break;
                    }
                }
                at += 1;
            }
        }
    }
    sending.await.expect("sender");
    Ok(())
}

/// Bytes through the echoing tunnel; they come back as a prefix, and whole if the call is answered.
pub(super) async fn pipe(
    testbed: &TestbedClient,
    len: usize,
    rng: &mut fastrand::Rng,
) -> Result<(), CallError> {
    let (tunnel, remote) = Tunnel::pair();
    let call = tokio::spawn(testbed.pipe(remote));
    let (mut reader, mut writer) = tokio::io::split(tunnel);
    let mut sent = vec![0; len];
    rng.fill(&mut sent);
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        // A lost peer is seen by the reader and by the call.
        if writer.write_all(&sent).await.is_ok() {
            let _ = writer.shutdown().await;
        }
    });
    let mut echoed = Vec::new();
    let read = reader.read_to_end(&mut echoed).await;
    writing.await.expect("writer");
    let answer = call.await.expect("call");
    assert!(expected.starts_with(&echoed), "a tunnel is a prefix");
    let answer = answer?;
    if read.is_ok() {
        assert_eq!((answer as usize, echoed.len()), (len, len));
    }
    Ok(())
}
