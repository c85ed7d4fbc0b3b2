#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every status and every reason of the C header has its entry in docs/errors.md, and no entry is of something else."""
import pathlib
import re
import sys

from capi_layout import Header

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    header = Header(ROOT / "capi/ftlib_c.h")
    page = (ROOT / "docs/errors.md").read_text()
    reasons = {name.removeprefix("FT_REASON_") for name, _ in header.enums["ft_reason"]} - {"FORCE32", "NONE"}
    statuses = {name for name, _ in header.enums["ft_status"] if name.startswith("FT_ERROR_")}
    pairs = [("reason", reasons, set(re.findall(r"^### (\w+)$", page, flags=re.M))),
             ("status", statuses, set(re.findall(r"^\| [^|]*\| `(FT_ERROR_\w+)`", page, flags=re.M)))]
    problems = [f"{kind} {name}: docs/errors.md has no entry" for kind, want, have in pairs for name in sorted(want - have)]
    problems += [f"docs/errors.md: {name} is no {kind} of the header" for kind, want, have in pairs
                 for name in sorted(have - want)]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(reasons)} reasons and {len(statuses)} statuses, each with its entry")


if __name__ == "__main__":
    main()
