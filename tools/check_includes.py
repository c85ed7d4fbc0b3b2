#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Folder order is the data flow: a folder includes itself and folders to its left, nothing else."""
import pathlib
import re
import sys

ORDER = ["core", "io", "data", "ops", "optim", "model", "track", "eval", "train", "serve", "loop"]


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    wrong = []
    for folder in (root / "include" / "ftlib", root / "src"):
        for path in sorted(folder.rglob("*")):
            home = path.relative_to(folder).parts[0]
            if path.suffix not in {".h", ".cpp"} or home not in ORDER:
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                found = re.match(r'#include "(?:ftlib/)?(\w+)/', line)
                if found and found[1] in ORDER and ORDER.index(found[1]) > ORDER.index(home):
                    wrong.append(f"{path.relative_to(root)}:{number}: {home} must not include {found[1]}")
    print("\n".join(wrong) or "include order: every folder includes only folders to its left")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
