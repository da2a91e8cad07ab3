//! Twelve arguments, and no more; the context does not count.

struct Context;

#[rapace_macros::service]
trait Wide {
    async fn twelve(
        &self, cx: &Context, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8,
        k: u8, l: u8,
    );
    async fn thirteen(
        &self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8,
        thirteenth: u8, fourteenth: u8,
    );
}

fn main() {}
