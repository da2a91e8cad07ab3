//! What is sent is owned.

struct View<'a>(&'a str);

#[rapace_macros::service]
trait Borrowed {
    async fn text(&self, name: &str);
    async fn bytes(&self, data: &[u8]);
    async fn list(&self, numbers: &[u32]);
    async fn map(&self, map: &std::collections::HashMap<String, u32>);
    async fn mutable(&self, buffer: &mut Vec<u8>);
    async fn nested(&self, names: Vec<Option<&'static str>>);
    async fn lifetime(&self, view: View<'_>);
    async fn cow(&self, name: std::borrow::Cow<'_, str>);
    async fn unsized_text(&self, name: Box<str>);
    async fn returned(&self) -> &str;
    async fn returned_result(&self) -> Result<&[u8], String>;
}

fn main() {}
