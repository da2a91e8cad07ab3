#!/usr/bin/env python3
"""Plants many mutants in one tree, to be chosen when the program starts.

usage: plant.py TREE PATCHES…

Every function that a patch changes becomes a `match` over the number of the mutant: the bodies of the
patches, and the one that ships for everything else. The number comes from the environment variable
RAPACE_MUTANT, so that one build serves all mutants. A patch may only change bodies of functions.
"""

import collections
import os
import re
import subprocess
import sys
import tempfile

SIGNATURE = re.compile(r"^( *)(?:pub(?:\([^)]*\))? )?(?:const )?(?:async )?fn ")

SWITCH = """
/// Which mutant this process is; 0 is the code as it ships.
#[allow(missing_docs)]
pub fn mutant() -> u32 {
    static MUTANT: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *MUTANT.get_or_init(|| {
        let number = std::env::var("RAPACE_MUTANT").ok();
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    })
}
"""


def functions(lines):
    """First line, last line of the signature, closing line of every function of a formatted file."""
    found = []
    at = 0
    while at < len(lines):
        hit = SIGNATURE.match(lines[at])
        if not hit:
            at += 1
            continue
        opening = at
        while lines[opening].rstrip()[-1:] not in ("{", ";", "}"):
            opening += 1
        if not lines[opening].rstrip().endswith("{"):
            at = opening + 1
            continue
        closing = opening + 1
        while lines[closing].rstrip("\n") != hit.group(1) + "}":
            closing += 1
        found.append((at, opening, closing))
        at = closing + 1
    return found


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return file.readlines()


def bodies(tree, patch):
    """What a patch makes of which functions: file, number of the function, its new body."""
    with open(patch, encoding="utf-8") as file:
        files = re.findall(r"^\+\+\+ b/(\S+)", file.read(), re.MULTILINE)
    with tempfile.TemporaryDirectory() as scratch:
        for name in files:
            os.makedirs(os.path.dirname(f"{scratch}/{name}"), exist_ok=True)
            with open(f"{scratch}/{name}", "w", encoding="utf-8") as file:
                file.writelines(lines_of(f"{tree}/{name}"))
        patching = ["patch", "--quiet", "-p1", "-d", scratch, "-i", os.path.abspath(patch)]
        subprocess.run(patching, check=True)
        for name in files:
            before, after = lines_of(f"{tree}/{name}"), lines_of(f"{scratch}/{name}")
            pairs = list(zip(functions(before), functions(after), strict=True))
            changed = 0
            for number, (old, new) in enumerate(pairs):
                body = after[new[1] + 1 : new[2]]
                if before[old[1] + 1 : old[2]] != body:
                    changed += 1
                    yield name, number, body
            if changed == 0:
                sys.exit(f"{patch}: changes no body of a function in {name}")


def main(tree, patches):
    variants = collections.defaultdict(lambda: collections.defaultdict(list))
    for patch in patches:
        mutant = int(os.path.basename(patch).split("-")[0])
        for name, number, body in bodies(tree, patch):
            variants[name][number].append((mutant, body))
    for name, changed in variants.items():
        lines = lines_of(f"{tree}/{name}")
        places = functions(lines)
        here = "crate" if name.startswith("rapace/rapace-core/") else "rapace_core"
        # From the end, so that the places before stay where they are.
        for number in sorted(changed, reverse=True):
            first, opening, closing = places[number]
            planted = [f"match {here}::mutant() {{\n"]
            for mutant, body in changed[number]:
                planted += [f"{mutant} => {{\n", *body, "}\n"]
            planted += ["_ => {\n", *lines[opening + 1 : closing], "}\n}\n"]
            lines[opening + 1 : closing] = planted
            # A choice at run time is not constant.
            lines[first] = lines[first].replace("const fn ", "fn ")
        with open(f"{tree}/{name}", "w", encoding="utf-8") as file:
            file.writelines(lines)
    with open(f"{tree}/rapace/rapace-core/src/lib.rs", "a", encoding="utf-8") as file:
        file.write(SWITCH)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
