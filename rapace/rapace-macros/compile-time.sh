#!/bin/sh
# What does `#[rapace::service]` cost a build? Generates a crate with one service of fifty methods, its
# server over a real implementation and one use of every client method, and reports the lines of the
# expansion and the seconds that rebuilding that crate alone takes.
#
# usage: rapace/rapace-macros/compile-time.sh [METHODS]
set -eu

methods=${1:-50}
root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
crate=$target/compile-time
mkdir -p "$crate/src"

cat > "$crate/Cargo.toml" <<EOF
[workspace]
[package]
name = "compile-time"
version = "0.0.0"
edition = "2024"
publish = false
[dependencies]
facet = { version = "=0.46.5", features = ["bytes", "tuples-12"] }
rapace = { path = "${RAPACE:-$root/rapace}", default-features = false }
EOF
cp "$root/Cargo.lock" "$crate/Cargo.lock"

# Five shapes of method, in turn; the types are all of the service's own kind, not one type fifty times.
awk -v methods="$methods" 'BEGIN {
    print "use facet::Facet;\nuse rapace::{Bytes, Context};\n"
    for (i = 0; i < methods; i += 5)
        printf "#[derive(Facet, Clone, Default)]\npub struct Page%d { pub path: String, pub title: Option<String>, pub size: u64, pub tags: Vec<String> }\n", i
    print "#[rapace::service]\npub trait Many {"
    for (i = 0; i < methods; i++) {
        printf "    /// Method %d of the service.\n", i
        page = "Page" int(i / 5) * 5
        if (i % 5 == 0) printf "    async fn m%d(&self, page: %s, width: u32) -> %s;\n", i, page, page
        if (i % 5 == 1) printf "    async fn m%d(&self, cx: &Context, pages: Vec<%s>) -> Result<u64, String>;\n", i, page
        if (i % 5 == 2) printf "    async fn m%d(&self, data: Bytes, page: Option<%s>) -> Bytes;\n", i, page
        if (i % 5 == 3) printf "    async fn m%d(&self, a: i32, b: i32, c: String) -> (i32, %s);\n", i, page
        if (i % 5 == 4) printf "    #[rapace(oneway)]\n    async fn m%d(&self, line: String);\n", i
    }
    print "}\n\npub struct Busy;\nimpl Many for Busy {"
    for (i = 0; i < methods; i++) {
        page = "Page" int(i / 5) * 5
        if (i % 5 == 0) printf "    async fn m%d(&self, page: %s, _: u32) -> %s { page }\n", i, page, page
        if (i % 5 == 1) printf "    async fn m%d(&self, _: &Context, pages: Vec<%s>) -> Result<u64, String> { Ok(pages.len() as u64) }\n", i, page
        if (i % 5 == 2) printf "    async fn m%d(&self, data: Bytes, _: Option<%s>) -> Bytes { data }\n", i, page
        if (i % 5 == 3) printf "    async fn m%d(&self, a: i32, b: i32, _: String) -> (i32, %s) { (a + b, %s::default()) }\n", i, page, page
        if (i % 5 == 4) printf "    async fn m%d(&self, line: String) { drop(line) }\n", i
    }
    print "}\n\npub fn server() -> ManyServer<Busy> { ManyServer::new(Busy) }\n"
    print "pub async fn client(c: ManyClient) -> Result<(), rapace::CallError> {"
    for (i = 0; i < methods; i++) {
        if (i % 5 == 0) printf "    c.m%d(Default::default(), 1).await?;\n", i
        if (i % 5 == 1) printf "    c.m%d(Vec::new()).await?.ok();\n", i
        if (i % 5 == 2) printf "    c.m%d(Bytes::new(), None).await?;\n", i
        if (i % 5 == 3) printf "    c.m%d(1, 2, String::new()).await?;\n", i
        if (i % 5 == 4) printf "    c.m%d(String::new()).await?;\n", i
    }
    print "    Ok(())\n}"
}' > "$crate/src/service.rs"
# Never called, but it makes the compiler generate the server and the client as a program would.
cat > "$crate/src/main.rs" <<'EOF'
#[allow(unused)]
mod service;

fn main() {
    let serve: &dyn Fn() -> Box<dyn rapace::Service> = &|| Box::new(service::server());
    let call: &dyn Fn(service::ManyClient) -> std::pin::Pin<Box<dyn Future<Output = _>>> =
        &|client| Box::pin(service::client(client));
    std::hint::black_box((serve, call));
}
EOF

cd "$crate"
export CARGO_TARGET_DIR="$target"
cargo --quiet check
cargo --quiet build
cargo --quiet build --release
echo "source: $(wc -l < src/service.rs) lines"
expanded=$(RUSTC_BOOTSTRAP=1 cargo --quiet rustc --profile dev -- -Zunpretty=expanded 2> /dev/null |
    sed -n '/^    pub trait Many/,/^        };/p' | wc -l)
echo "expansion of the trait: $expanded lines as the compiler prints them"
for command in check build "build --release"; do
    for _ in 1 2 3; do
        touch src/main.rs
        # shellcheck disable=SC2086
        CARGO_INCREMENTAL=0 cargo $command 2>&1 | sed -n "s/.*Finished.* in \(.*\)/cargo $command, this crate alone: \1/p"
    done
done
