//! The size of `usize` is a matter of one process.

#[rapace_macros::service]
trait Sizes {
    async fn skip(&self, count: usize) -> isize;
    async fn nested(&self, counts: Vec<(usize, u8)>) -> Option<usize>;
    async fn array_lengths_are_fine(&self, data: [u8; 4usize]);
}

fn main() {}
