#!/usr/bin/env bash
# Plants each bug of this folder in a scratch copy of the project and asks who finds it.
# `rapace-sim/mutants/run.sh --help` says more; README.md explains the mutants.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
seeds=10000
ranges=5
patience=900
table=""
names=()

usage() {
    cat <<'TEXT'
Plants bugs in scratch copies of the project and asks who finds them.

usage: run.sh [OPTIONS] [NAMES…]

  NAMES          parts of names of mutants, such as `07` or `credit`; without any: all
  --seeds N      seeds of a range, the most that a mutant may take to be found (default 10000)
  --ranges N     disjoint ranges of seeds, whose median counts (default 5)
  --patience S   seconds for all ranges of a mutant, or for its tests (default 900); one world that
                 takes a minute more than that counts as a hang
  --table FILE   writes the table there, as Markdown; rows of mutants that were not asked for are kept
  --missing      leaves out mutants that have a row from an earlier run: goes on where that stopped
  --check        only checks that every patch still applies; takes a second
  --baseline     sweeps the code as it is first, and stops if that fails

Mutants for the simulator are all planted in one tree and chosen when the sweep starts, so that they
cost one build (plant.py, which needs python3). Those for tests are planted one after the other.
The scratch copies are $CARGO_TARGET_DIR/mutants/{together,alone} (target/mutants/…); your files are
not touched.

exit status: 0 all found, 1 some are not, 2 a patch does not apply or does not build

examples:
  run.sh --check
  run.sh --seeds 2000 credit deadline
  run.sh --baseline --table rapace-sim/mutants/TABLE.md
TEXT
}

baseline=no
check=no
missing=no
while [ $# -gt 0 ]; do
    case "$1" in
        --seeds) seeds=$2; shift ;;
        --ranges) ranges=$2; shift ;;
        --table) table=$2; shift ;;
        --patience) patience=$2; shift ;;
        --check) check=yes ;;
        --missing) missing=yes ;;
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
target=$(cd "$target" && pwd)/mutants
together=$target/together
alone=$target/alone
results=$target/results
mkdir -p "$results"
export CARGO_TARGET_DIR=$target/build
# One level of optimisation and no line tables: the sweep is short, and the build is what takes long.
export CARGO_PROFILE_DEV_OPT_LEVEL=${MUTANTS_OPT_LEVEL:-1} CARGO_PROFILE_DEV_DEBUG=0
export RUST_BACKTRACE=0

# The project as it is now. Files that are the same keep their times, so that only what changed since
# the last copy is built again.
copy_project() {
    local tree=$1
    mkdir -p "$tree.new" "$tree"
    git -C "$root" ls-files -co --exclude-standard -z |
        while IFS= read -r -d '' file; do [ -f "$root/$file" ] && printf '%s\0' "$file"; done |
        tar -C "$root" --null -T - -cf - | tar -C "$tree.new" -xf -
}

# Makes `tree` equal to `tree.new`.
take_over() {
    local tree=$1
    (cd "$tree.new" && find . -type f -print0) |
        while IFS= read -r -d '' file; do
            cmp -s "$tree.new/$file" "$tree/$file" && continue
            mkdir -p "$(dirname "$tree/$file")"
            cp "$tree.new/$file" "$tree/$file"
        done
    (cd "$tree" && find . -type f -print0) |
        while IFS= read -r -d '' file; do [ -e "$tree.new/$file" ] || rm "$tree/$file"; done
    rm -r "$tree.new"
}

header() { sed -n "s/^$2: //p" "$here/$1.patch" | head -1; }

# Median of what the ranges needed, the oracle of the first, and its words.
judge() {
    local out=$1 status=$2 found
    if [ "$status" -eq 124 ]; then
        echo "yes|hang|–|the sweep does not come to an end"
    elif ! grep -q '^missed' "$out" && [ "$status" -ne 0 ]; then
        echo "yes|crash|1|the sweep dies with status $status"
    elif grep -q '^missed' "$out"; then
        found=$(grep -c '^found' "$out" || true)
        if [ "$found" -eq 0 ]; then
            echo "no||>$(sed -n 's/^missed //p' "$out")|"
        else
            echo "partly|$(sed -n '1s/^found [0-9]* \([a-z]*\).*/\1/p' "$out")|$(sed -n '1s/^found \([0-9]*\).*/\1/p' "$out")|$(sed -n '1s/^found [0-9]* [a-z]* //p' "$out")"
        fi
    else
        local median
        median=$(sed -n 's/^found \([0-9]*\).*/\1/p' "$out" | sort -n |
            awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }')
        echo "yes|$(sed -n '1s/^found [0-9]* \([a-z]*\).*/\1/p' "$out")|$median|$(sed -n '1s/^found [0-9]* [a-z]* //p' "$out")"
    fi
}

# All mutants for the simulator, whoever was asked for: so there is one binary.
sims=()
for patch in "$here"/*.patch; do
    [ "$(header "$(basename "$patch" .patch)" Engine)" = sim ] && sims+=("$patch")
done
binary=$CARGO_TARGET_DIR/debug/examples/seeds_to_find
built=no
build_together() {
    [ $built = yes ] && return
    copy_project "$together"
    python3 "$here/plant.py" "$together.new" "${sims[@]}" || exit 2
    take_over "$together"
    echo "building ${#sims[@]} mutants for the simulator"
    (cd "$together" && cargo build --quiet -p rapace-sim --example seeds_to_find) 2>"$results/build.log" || {
        cat "$results/build.log" >&2
        exit 2
    }
    built=yes
}

# Sweeps as mutant $1; 0 is the code as it is.
sweep() {
    # It stops by itself; who does not is caught in one world.
    RAPACE_MUTANT=$1 timeout $((patience + 60)) "$binary" "$ranges" "$seeds" "$patience"
}

if [ "$baseline" = yes ]; then
    build_together
    status=0
    sweep 0 >"$results/baseline" || status=$?
    if ! grep -q '^missed' "$results/baseline" || [ $status -ne 0 ]; then
        echo "the code as it is fails already:" >&2
        cat "$results/baseline" >&2
        exit 1
    fi
    echo "baseline: nothing found in $(sed -n 's/^missed //p' "$results/baseline") seeds"
fi

failed=0
for name in "${chosen[@]}"; do
    [ $missing = yes ] && [ -f "$results/$name.row" ] && continue
    begun=$SECONDS
    engine=$(header "$name" Engine)
    status=0
    case "$engine" in
        sim)
            build_together
            number=${name%%-*}
            sweep "$((10#$number))" >"$results/$name.out" 2>"$results/$name.log" || status=$?
            verdict=$(judge "$results/$name.out" "$status")
            ;;
        test\ *)
            copy_project "$alone"
            if ! (cd "$alone.new" && patch --quiet -p1 --force <"$here/$name.patch" >"$results/$name.log" 2>&1); then
                echo "$name: the patch does not apply: $results/$name.log" >&2
                rm -r "$alone.new"
                failed=2
                continue
            fi
            take_over "$alone"
            # The build is not what must not hang.
            # shellcheck disable=SC2086 — the header holds several arguments.
            (cd "$alone" && cargo test --quiet --no-run ${engine#test } &&
                timeout "$patience" cargo test --quiet ${engine#test }) \
                >"$results/$name.out" 2>&1 || status=$?
            if [ "$status" -eq 0 ]; then
                verdict="no||–|"
            elif grep -q '^error\[\|could not compile' "$results/$name.out"; then
                verdict="broken|||does not build: $results/$name.out"
            else
                test=$(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p; s/^---- \(.*\) stdout ----$/\1/p' "$results/$name.out" | head -1)
                [ "$status" -eq 124 ] && test="it does not come to an end"
                verdict="yes|cargo test ${engine#test }|–|${test:-it fails with status $status}"
            fi
            ;;
    esac
    IFS='|' read -r found oracle median text <<<"$verdict"
    case "$found" in
        yes) ;;
        broken) failed=2 ;;
        *) [ $failed -eq 0 ] && failed=1 ;;
    esac
    text=${text//|/\/}
    echo "| $name | $(header "$name" Row) | ${found} | ${oracle} | ${median} | ${text:0:100} |" >"$results/$name.row"
    printf '%-34s %-7s %-12s %8s  %4d s  %s\n' "$name" "$found" "$oracle" "$median" $((SECONDS - begun)) "${text:0:80}"
done

# How many rows there are of mutants that `engine` has to find, and how many of those it finds.
count() {
    local all=0 found=0
    for patch in "$here"/*.patch; do
        local row=$results/$(basename "$patch" .patch).row
        [[ $(header "$(basename "$patch" .patch)" Engine) == $1 ]] && [ -f "$row" ] || continue
        all=$((all + 1))
        grep -q '^|[^|]*|[^|]*| yes |' "$row" && found=$((found + 1))
    done
    echo "$found of $all"
}

if [ -n "$table" ]; then
    {
        echo "# Which planted bugs are found, and after how many seeds"
        echo
        echo "$(count sim) mutants for the simulator are found in every one of $ranges disjoint ranges of"
        echo "$seeds seeds; the median is over the ranges. $(count 'test *') of the others fail the tests that"
        echo "are named. Written by \`run.sh --table\`; [README.md](README.md) says what that does."
        echo
        echo "| mutant | row | found | by | median seeds | what it says |"
        echo "|---|---:|---|---|---:|---|"
        for patch in "$here"/*.patch; do
            row=$results/$(basename "$patch" .patch).row
            [ -f "$row" ] && cat "$row"
        done
    } >"$table"
fi
exit $failed
