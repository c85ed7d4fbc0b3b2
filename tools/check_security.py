#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that SECURITY.md names exists by that name."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    tests = "\n".join(path.read_text() for kind in ("cpp", "c", "txt") for path in (ROOT / "tests").rglob(f"*.{kind}"))
    named = [re.sub(r"\s+", " ", name) for name in re.findall(r'"([^"]+)"', (ROOT / "SECURITY.md").read_text())]
    missing = [name for name in named if f'"{name}"' not in tests]
    if missing or not named:
        sys.exit("SECURITY.md names tests that are none:\n" + "\n".join(missing))
    print(f"{len(named)} tests named, all there")


if __name__ == "__main__":
    main()
