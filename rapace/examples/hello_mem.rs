//! A service and its client inside one process: the smallest whole program.
//!
//! `cargo run -p rapace --example hello_mem`

use rapace::Session;

/// Does sums.
#[rapace::service]
pub trait Calculator {
    /// Adds two numbers.
    async fn add(&self, a: i32, b: i32) -> i32;
    /// Divides, if it can.
    async fn divide(&self, a: i32, b: i32) -> Result<i32, String>;
}

struct Schoolbook;

impl Calculator for Schoolbook {
    async fn add(&self, a: i32, b: i32) -> i32 {
        a + b
    }

    async fn divide(&self, a: i32, b: i32) -> Result<i32, String> {
        a.checked_div(b)
            .ok_or_else(|| "division by zero".to_owned())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (host_end, plugin_end) = rapace::mem::pair();
    let plugin = Session::builder()
        .serve(CalculatorServer::new(Schoolbook))
        .accept(plugin_end)?;
    let host = Session::builder().connect(host_end)?;

    let calculator: CalculatorClient = host.client();
    println!("1 + 2 = {}", calculator.add(1, 2).await?);
    println!("7 / 2 = {:?}", calculator.divide(7, 2).await?);
    println!("1 / 0 = {:?}", calculator.divide(1, 0).await?);

    host.close().await;
    println!("plugin: {}", plugin.closed().await);
    Ok(())
}
