#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""needs.py LIBRARY: the oldest system libraries that a shared library runs with, as its own symbol versions say.

They stand in docs/platforms.md; tools/wheel.py compares."""
import re
import subprocess
import sys


def version(text):
    return tuple(int(part) for part in text.split("."))


def newest_versions(library):
    """Of each family of symbols the newest version that the library asks for: {"GLIBC": "2.34", ...}."""
    symbols = subprocess.run(["objdump", "-T", library], check=True, capture_output=True, text=True).stdout
    newest = {}
    for name, number in re.findall(r"\b(GLIBC|GLIBCXX|CXXABI|GOMP|OPENSSL)_([0-9.]+)\b", symbols):
        if version(number) > version(newest.get(name, "0")):
            newest[name] = number
    return newest


def main():
    library = sys.argv[1]
    dynamic = subprocess.run(["objdump", "-p", library], check=True, capture_output=True, text=True).stdout
    for name, number in sorted(newest_versions(library).items()):
        print(f"{name} {number}")
    for needed in re.findall(r"NEEDED +(\S+)", dynamic):
        print(f"needs {needed}")


if __name__ == "__main__":
    main()
