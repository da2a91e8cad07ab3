#!/usr/bin/env bash
# Plants each bug of this folder in a scratch copy of the project and asks who finds it.
# `rapace-sim/mutants/run.sh --help` says more; README.md explains the mutants.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
seeds=10000
ranges=5
# A mutant that hangs the sweep has been noticed, too; this is how long that takes.
patience=900
table=""
names=()

usage() {
    cat <<'TEXT'
Plants bugs in a scratch copy of the project, one after the other, and sweeps until they are found.

usage: run.sh [OPTIONS] [NAMES…]

  NAMES          parts of names of mutants, such as `07` or `credit`; without any: all
  --seeds N      seeds of a range, the most that a mutant may take to be found (default 10000)
  --ranges N     disjoint ranges of seeds, whose median counts (default 5)
  --table FILE   writes the table there, as Markdown; rows of other mutants in it are kept
  --check        only checks that every patch still applies; takes a second
  --baseline     sweeps the code as it is first, and stops if that fails

The scratch copy is $CARGO_TARGET_DIR/mutants/tree (target/mutants/tree); your files are not touched.

exit status: 0 all found, 1 some are not, 2 a patch does not apply or does not build

examples:
  run.sh --check
  run.sh --seeds 2000 credit deadline
  run.sh --baseline --table rapace-sim/mutants/TABLE.md
TEXT
}

baseline=no
check=no
while [ $# -gt 0 ]; do
    case "$1" in
        --seeds) seeds=$2; shift ;;
        --ranges) ranges=$2; shift ;;
        --table) table=$2; shift ;;
        --check) check=yes ;;
        --baseline) baseline=yes ;;
        -h | --help) usage; exit 0 ;;
        -*) echo "unknown option $1: see --help" >&2; exit 2 ;;
        *) names+=("$1") ;;
    esac
    shift
done

chosen=()
for patch in "$here"/*.patch; do
    name=$(basename "$patch" .patch)
    [ ${#names[@]} -eq 0 ] && chosen+=("$name")
    for part in "${names[@]}"; do
        case "$name" in *"$part"*) chosen+=("$name"); break ;; esac
    done
done
if [ ${#chosen[@]} -eq 0 ]; then
    echo "no mutant is named like that: ls $here" >&2
    exit 2
fi

if [ "$check" = yes ]; then
    stale=0
    for name in "${chosen[@]}"; do
        git -C "$root" apply --check "$here/$name.patch" || { echo "stale: $name" >&2; stale=2; }
    done
    [ $stale -eq 0 ] && echo "${#chosen[@]} mutants apply"
    exit $stale
fi

target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$target/mutants"
target=$(cd "$target" && pwd)
tree=$target/mutants/tree
results=$target/mutants/results
mkdir -p "$tree" "$results"
export CARGO_TARGET_DIR=$target/mutants/build
# The sweep is short and the builds are many; no line tables, and one level of optimisation.
export CARGO_PROFILE_DEV_OPT_LEVEL=${MUTANTS_OPT_LEVEL:-1} CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=1
export RUST_BACKTRACE=0

# Files keep their times, so that only what changed since the last copy is built again.
copy_project() {
    git -C "$root" ls-files -co --exclude-standard -z |
        while IFS= read -r -d '' file; do [ -f "$root/$file" ] && printf '%s\0' "$file"; done |
        tar -C "$root" --null -T - -cf - | tar -C "$tree" -xf -
}

build() {
    (cd "$tree" && cargo build --quiet -p rapace-sim --example seeds_to_find)
}

# The binary of one mutant must not be overwritten while it runs.
sweep() {
    timeout "$patience" "$CARGO_TARGET_DIR/debug/examples/seeds_to_find" "$ranges" "$seeds"
}

header() { sed -n "s/^$2: //p" "$here/$1.patch" | head -1; }

# Median of what the ranges needed, the oracle of the first, and its words.
judge() {
    local out=$1 status=$2 found
    if [ "$status" -eq 124 ]; then
        echo "yes|the sweep hangs|1|it does not come to an end"
    elif ! grep -q '^missed' "$out" && [ "$status" -ne 0 ]; then
        echo "yes|crash|1|the sweep dies with status $status"
    elif grep -q '^missed' "$out"; then
        found=$(grep -c '^found' "$out" || true)
        if [ "$found" -eq 0 ]; then
            echo "no||>$seeds|"
        else
            echo "partly|$(sed -n '1s/^found [0-9]* \([a-z]*\).*/\1/p' "$out")|>$seeds|$(sed -n '1s/^found [0-9]* [a-z]* //p' "$out")"
        fi
    else
        local median
        median=$(sed -n 's/^found \([0-9]*\).*/\1/p' "$out" | sort -n |
            awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }')
        echo "yes|$(sed -n '1s/^found [0-9]* \([a-z]*\).*/\1/p' "$out")|$median|$(sed -n '1s/^found [0-9]* [a-z]* //p' "$out")"
    fi
}

copy_project
if [ "$baseline" = yes ]; then
    build || exit 2
    status=0
    sweep >"$results/baseline" || status=$?
    if ! grep -q '^missed' "$results/baseline" || [ $status -ne 0 ]; then
        echo "the code as it is fails already:" >&2
        cat "$results/baseline" >&2
        exit 1
    fi
    echo "baseline: nothing found in $seeds seeds"
fi

failed=0
for name in "${chosen[@]}"; do
    begun=$SECONDS
    patch=$here/$name.patch
    engine=$(header "$name" Engine)
    if ! (cd "$tree" && patch --quiet -p1 --force <"$patch" >"$results/$name.log" 2>&1); then
        echo "$name: the patch does not apply: $results/$name.log" >&2
        copy_project
        failed=2
        continue
    fi
    status=0
    case "$engine" in
        sim)
            if build 2>"$results/$name.log"; then
                sweep >"$results/$name.out" 2>>"$results/$name.log" || status=$?
                verdict=$(judge "$results/$name.out" "$status")
            else
                verdict="broken|||does not build: $results/$name.log"
            fi
            ;;
        test\ *)
            # shellcheck disable=SC2086 — the header holds several arguments.
            (cd "$tree" && timeout "$patience" cargo test --quiet ${engine#test }) \
                >"$results/$name.out" 2>&1 || status=$?
            if [ "$status" -eq 0 ]; then
                verdict="no||–|"
            elif grep -q '^error\[\|could not compile' "$results/$name.out"; then
                verdict="broken|||does not build: $results/$name.out"
            else
                test=$(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p; s/^---- \(.*\) stdout ----$/\1/p' "$results/$name.out" | head -1)
                verdict="yes|cargo test ${engine#test }|–|${test:-it does not come to an end}"
            fi
            ;;
    esac
    (cd "$tree" && patch --quiet -p1 --force --reverse <"$patch")
    IFS='|' read -r found oracle median text <<<"$verdict"
    case "$found" in
        yes) ;;
        broken) failed=2 ;;
        *) [ $failed -eq 0 ] && failed=1 ;;
    esac
    text=${text//|/\/}
    row="| $name | $(header "$name" Row) | ${found} | ${oracle} | ${median} | ${text:0:100} |"
    echo "$row" >"$results/$name.row"
    printf '%-34s %-7s %-12s %8s  %4d s  %s\n' "$name" "$found" "$oracle" "$median" $((SECONDS - begun)) "${text:0:80}"
done

if [ -n "$table" ]; then
    {
        echo "| mutant | row | found | by | median seeds | what it says |"
        echo "|---|---|---|---|---|---|"
        for patch in "$here"/*.patch; do
            row=$results/$(basename "$patch" .patch).row
            [ -f "$row" ] && cat "$row"
        done
    } >"$table"
fi
exit $failed
