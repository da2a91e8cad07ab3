//! Every method is an ordinary `async fn` without a body.

#[rapace_macros::service]
trait Qualifiers {
    fn plain(&self, a: i32) -> i32;
    async unsafe fn dangerous(&self);
    async extern "C" fn foreign(&self);
    async fn with_body(&self) -> i32 {
        1
    }
}

fn main() {}
