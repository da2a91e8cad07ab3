//! The name of an argument is part of the schema, and an attribute on it is not.

#[rapace_macros::service]
trait Names {
    async fn pattern(&self, (a, b): (i32, i32));
    async fn mutable(&self, mut a: i32);
    async fn wildcard(&self, _: i32);
    async fn attribute(&self, #[allow(unused)] a: i32);
}

fn main() {}
