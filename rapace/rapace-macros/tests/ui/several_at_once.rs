//! One build reports everything that is wrong.

#[rapace_macros::service]
trait Several<T> {
    const LIMIT: u32;
    fn first(&mut self, name: &str) -> usize;
    #[rapace(oneways)]
    async fn second<U>(&self, value: U) -> Option<&U> {
        None
    }
}

struct Implementation;

// The trait is still there, so the impl is no error of its own.
impl Several<u8> for Implementation {
    const LIMIT: u32 = 1;
    fn first(&mut self, _: &str) -> usize {
        0
    }
    async fn second<U>(&self, _: U) -> Option<&U> {
        None
    }
}

fn main() {}
