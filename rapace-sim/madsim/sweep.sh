#!/usr/bin/env bash
# The madsim worlds. `./sweep.sh --seeds 1..20` sweeps; `./sweep.sh run calls --seed 3 --log` replays.
set -euo pipefail
# Cargo looks for .cargo/config.toml, which sets `--cfg madsim`, from where it runs; RUSTFLAGS in the
# environment would replace what it says.
cd "$(dirname "$0")"
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
case "${1:-}" in
run | list | sweep | -h | --help) ;;
*) set -- sweep "$@" ;;
esac
exec cargo run --quiet -- "$@"
