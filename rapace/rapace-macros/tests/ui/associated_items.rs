//! A service consists of methods.

#[rapace_macros::service]
trait Items {
    const LIMIT: u32;
    type Output;
    async fn get(&self) -> u32;
}

fn main() {}
