//! Streams as arguments, as return values, and both at once.
//!
//! `cargo run -p rapace --example streaming`

use futures_util::{StreamExt, TryStreamExt};
use rapace::{Session, StreamError, Streaming};

/// Works on items as they come.
#[rapace::service]
pub trait Numbers {
    /// Takes a stream, and answers when it has ended.
    async fn sum(&self, numbers: Streaming<i32>) -> Result<i64, String>;
    /// Answers at once, with a stream that goes on after the answer.
    async fn count(&self, n: u32) -> Streaming<u32>;
    /// Takes one stream and gives another.
    async fn shout(&self, words: Streaming<String>) -> Streaming<String>;
}

struct Abacus;

impl Numbers for Abacus {
    async fn sum(&self, mut numbers: Streaming<i32>) -> Result<i64, String> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += i64::from(number.map_err(|error: StreamError| error.to_string())?);
        }
        Ok(sum)
    }

    async fn count(&self, n: u32) -> Streaming<u32> {
        Streaming::from_iter(0..n)
    }

    async fn shout(&self, words: Streaming<String>) -> Streaming<String> {
        // The items of the answer are made while the items of the argument arrive.
        let words = words.take_while(|word| std::future::ready(word.is_ok()));
        Streaming::new(words.filter_map(async |word| Some(word.ok()?.to_uppercase())))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (host_end, plugin_end) = rapace::mem::pair();
    let plugin = Session::builder()
        .serve(NumbersServer::new(Abacus))
        .accept(plugin_end)?;
    let host = Session::builder().connect(host_end)?;
    let numbers: NumbersClient = host.client();

    println!(
        "sum of 1..=100: {:?}",
        numbers.sum(Streaming::from_iter(1..=100)).await?
    );

    let counted: Vec<u32> = numbers.count(5).await?.try_collect().await?;
    println!("counted: {counted:?}");

    // A sender half waits while the reader is behind; dropping it ends the stream.
    let (words, argument) = Streaming::channel(4);
    let mut shouted = numbers.shout(argument).await?;
    for word in ["plugins", "crash", "hosts", "stay"] {
        words.send(word.to_owned()).await?;
        println!(
            "{word} -> {}",
            shouted.try_next().await?.unwrap_or_default()
        );
    }
    drop(words);
    assert!(shouted.try_next().await?.is_none());

    host.close().await;
    plugin.closed().await;
    Ok(())
}
