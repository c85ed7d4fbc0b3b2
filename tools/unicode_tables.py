#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/data/unicode_tables.h: Python's case mappings of single code points as runs, printed by whichever Python runs it.

Usage: tools/unicode_tables.py > src/data/unicode_tables.h   (Python 3.11: Unicode 14)
"""
import sys
import unicodedata

MAPPINGS = {"upper": str.upper, "lower": str.lower, "title": str.title}


def runs(pairs):
    """(first, last, stride, delta) rows for sorted (code point, image) pairs with a constant distance."""
    rows = []
    for point, image in pairs:
        delta = image - point
        if rows and rows[-1][3] == delta:
            first, last, stride, _ = rows[-1]
            if point - last in (1, 2) and stride in (0, point - last):
                rows[-1] = (first, point, point - last, delta)
                continue
        rows.append((point, point, 0, delta))
    return [(first, last, stride or 1, delta) for first, last, stride, delta in rows]


def wrapped(items):
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) > 118:
            lines.append(line)
            line = "   "
        line += " " + item
    return "\n".join(lines + [line])


def main():
    print("// SPDX-License-Identifier: Apache-2.0")
    print(f"// Case mappings of Unicode {unicodedata.unidata_version}, written by tools/unicode_tables.py; do not edit.")
    print("#pragma once\n#include <cstdint>\n#include <string_view>\n")
    print('#include "ftlib/config.h"\n\nnamespace ftlib::inline FTLIB_ABI::jinja {\n')
    print("/// Code points first, first + stride, ... last map to themselves plus delta.")
    print("struct CaseRun {\n  std::uint32_t first, last, stride;\n  std::int32_t delta;\n};")
    print("/// A code point that maps to several.\nstruct CaseSpecial {\n  std::uint32_t point;\n  std::string_view image;\n};")
    for name, function in MAPPINGS.items():
        single, special = [], []
        for point in range(sys.maxunicode + 1):
            if 0xD800 <= point < 0xE000:
                continue
            image = function(chr(point))
            if name == "title" and image == chr(point).upper():
                continue
            if len(image) > 1:
                special.append((point, image))
            elif image != chr(point) or name == "title":
                single.append((point, ord(image)))
        print(f"\ninline constexpr CaseRun k{name.capitalize()}Runs[] = {{")
        print(wrapped([f"{{{a:#x}, {b:#x}, {s}, {d}}}," for a, b, s, d in runs(single)]))
        print("};")
        if special:
            escaped = lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode())
            print(f"inline constexpr CaseSpecial k{name.capitalize()}Specials[] = {{")
            print(wrapped([f'{{{point:#x}, "{escaped(image)}"}},' for point, image in special]))
            print("};")
    print("\n}  // namespace ftlib::jinja")


if __name__ == "__main__":
    main()
