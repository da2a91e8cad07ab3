//! The context stands first and is borrowed.

mod rapace {
    pub struct Context;
}

#[rapace_macros::service]
trait Contexts {
    async fn second(&self, a: i32, cx: &rapace::Context);
    async fn mutable(&self, cx: &mut rapace::Context);
    async fn lifetime(&self, cx: &'static rapace::Context);
    async fn value(&self, cx: rapace::Context);
}

fn main() {}
