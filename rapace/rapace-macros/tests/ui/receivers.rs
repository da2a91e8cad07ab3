//! Every method takes `&self`.

#[rapace_macros::service]
trait Receivers {
    async fn none();
    async fn argument_only(a: i32);
    async fn value(self);
    async fn mutable(&mut self);
    async fn shared(self: std::sync::Arc<Self>);
    async fn lifetime(&'static self);
}

fn main() {}
