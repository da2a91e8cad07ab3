//! `Send`, `Sync` and `'static` are implied and may be written; other supertraits may not.

#[rapace_macros::service]
trait Bounds: Send + Sync + 'static + std::fmt::Debug + Clone {
    async fn get(&self) -> u32;
}

#[rapace_macros::service]
unsafe trait Dangerous {
    async fn get(&self) -> u32;
}

fn main() {}
