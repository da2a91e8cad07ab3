# Everything here is also a cargo command: see .cargo/config.toml for the aliases.

export CARGO_TERM_COLOR := env("CARGO_TERM_COLOR", "auto")

# List the recipes.
default:
    @just --list

# The main job: build the sample site with four plugin processes.
site *ARGS:
    cargo run --release -p site -- build demos/site/content --out target/site {{ ARGS }}

# Serve the sample site and rebuild it when a file changes.
serve *ARGS:
    cargo run --release -p site -- serve demos/site/content {{ ARGS }}

# All tests.
test:
    cargo nextest run --workspace

# Doc tests, which nextest does not run.
test-docs:
    cargo test --workspace --doc

# Formatting, lints, docs, dependencies.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features
    cargo deny check

# The conformance subject of docs/protocol.md §9.
subject *ARGS:
    cargo run --release -p rapace-cli -- subject {{ ARGS }}

# Compare with other RPC systems; a table and bench/results/latest.json.
bench *ARGS:
    cargo run --release --manifest-path bench/Cargo.toml -- run {{ ARGS }}

# Throw hostile bytes at every parser, for SECONDS each.
hostile SECONDS="150":
    cargo run --release -p rapace-cli --features hostile -- hostile --seconds {{ SECONDS }}

# Fuzz one of the targets of fuzz/README.md, such as core_receive or sim_plan (needs nightly and cargo-fuzz).
fuzz TARGET SECONDS="60":
    mkdir -p fuzz/corpus/{{ TARGET }}
    cargo +nightly fuzz run {{ TARGET }} fuzz/corpus/{{ TARGET }} fuzz/seeds/{{ TARGET }} -- -max_total_time={{ SECONDS }}

# Model-check the shared-memory protocols with N preemptions: minutes where the tests take seconds.
loom N="3":
    LOOM_MAX_PREEMPTIONS={{ N }} cargo test --release -p rapace-shm --test orderings

# A thousand plugin restarts; prints descriptors, tasks and memory before and after.
restart-storm N="1000":
    cargo run --release -p rapace-plugin --example restart_storm -- {{ N }}

# A million calls on one session; prints memory on the way.
million-calls N="1000000":
    cargo run --release -p rapace-cli --example million_calls -- {{ N }}

# Worlds of many hosts with crashes and held links (RAPACE_TURMOIL_SEEDS=1..100 for more seeds).
turmoil *ARGS:
    cargo nextest run -p rapace-sim-turmoil {{ ARGS }}

# The same driver under random task schedules: seeds A..B, each world in a process of its own.
madsim *ARGS:
    rapace-sim/madsim/sweep.sh {{ ARGS }}

# The simulator: `just sim` sweeps for a minute, `just sim --help` shows the rest.
sim *ARGS:
    cargo sim {{ ARGS }}

# Plant bugs in the shipping code and see after how many seeds the simulator finds each (--help).
mutants *ARGS:
    rapace-sim/mutants/run.sh {{ ARGS }}

# What CI runs.
ci:
    bash .ci/run
