//! The other process must know every type.

#[rapace_macros::service]
trait Opaque {
    async fn existential(&self, items: impl Iterator<Item = u32>);
    async fn object(&self, item: Box<dyn std::fmt::Debug>);
    async fn object_reference(&self, item: &dyn std::fmt::Debug);
    async fn pointer(&self, address: *const u8);
    async fn function(&self, callback: fn(u32) -> u32);
    async fn inferred(&self, item: _);
    async fn own(&self, other: Self);
    async fn existential_return(&self) -> impl Iterator<Item = u32>;
    async fn never(&self) -> !;
}

fn main() {}
