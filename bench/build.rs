//! Writes the gRPC glue for the tonic peer, and hands the compiler's version to the report.

use tonic_build::manual::{Builder, Method, Service};

/// Name in Rust, name on the wire, request, response, whether the server streams.
const METHODS: [(&str, &str, &str, &str, bool); 4] = [
    ("echo", "Echo", "Payload", "Payload", false),
    ("sink", "Sink", "Payload", "Count", false),
    ("items", "Items", "Count", "Count", true),
    ("chunks", "Chunks", "ChunksRequest", "Payload", true),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let mut service = Service::builder().name("Bench").package("bench");
    for (name, route, input, output, streams) in METHODS {
        let method = Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("crate::peers::tonic::{input}"))
            .output_type(format!("crate::peers::tonic::{output}"))
            .codec_path("tonic_prost::ProstCodec");
        let method = if streams {
            method.server_streaming()
        } else {
            method
        };
        service = service.method(method.build());
    }
    Builder::new().compile(&[service.build()]);

    let rustc = std::env::var_os("RUSTC").expect("cargo sets RUSTC for build scripts");
    let output = std::process::Command::new(rustc)
        .arg("--version")
        .output()
        .expect("the compiler that builds this can print its version");
    let version = String::from_utf8_lossy(&output.stdout);
    println!("cargo::rustc-env=BENCH_RUSTC={}", version.trim());
}
