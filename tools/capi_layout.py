#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The layout of the C ABI as text: every number of every enum, every field's place and size, every function's type.

    capi_layout.py HEADER [--cc CC]      prints it
    capi_layout.py HEADER --check GOLDEN  exits 1 with every difference

One line a fact, in the header's order:
    constant FT_ABI_VERSION 0
    enum ft_status FT_OK 0
    struct ft_progress 136 8                  size, alignment
    field ft_progress step 8 8 int64_t        offset, size, type
    callback ft_log_callback void (const char* message, void* user)
    function ft_version const char* (void)

The bindings read the same file. Two names with one number in an enum are refused, and so is all that this program does
not read: enums without a name, enumerators without a number, bit-fields, constants that are no number.
"""
import argparse
import difflib
import pathlib
import re
import subprocess
import sys
import tempfile


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def squeezed(text):
    return re.sub(r"\s+", " ", text).strip()


CONSTANT = re.compile(r"^#define (FT_[A-Z0-9_]+) (\d+)u?$", re.M)
ENUM = re.compile(r"^typedef enum (\w+) \{(.*?)\} \1;", re.M | re.S)
STRUCT = re.compile(r"^typedef struct (\w+) \{([^{}]*)\} \1;", re.M)
CALLBACK = re.compile(r"^typedef ([\w* ]+) \(\*(\w+)\)\(([^()]*)\);", re.M)
FUNCTION = re.compile(r"^FT_API ([\w* ]+?) ?(ft_\w+)\(([^()]*)\);", re.M)
HANDLE = re.compile(r"^typedef struct (\w+) \1;", re.M)
FRAME = re.compile(r'^(#(if|ifdef|ifndef|else|endif|include|define FT(LIB_C_H|_API))\b.*|extern "C" \{|\})$', re.M)


class Header:
    def __init__(self, path):
        text = without_comments(path.read_text())
        self.unread = []
        self.constants = CONSTANT.findall(text)
        self.enums = {name: self.enumerators(name, body) for name, body in ENUM.findall(text)}
        self.structs = {name: self.fields(name, body) for name, body in STRUCT.findall(text)}
        self.callbacks = self.signatures(CALLBACK, text)
        self.functions = self.signatures(FUNCTION, text)
        for known in (CONSTANT, ENUM, STRUCT, CALLBACK, FUNCTION, HANDLE, FRAME):
            text = known.sub("", text)
        self.unread += filter(None, map(squeezed, text.split("\n\n")))

    @staticmethod
    def signatures(pattern, text):
        return [(name, squeezed(f"{result} ({arguments})")) for result, name, arguments in pattern.findall(text)]

    def enumerators(self, enum, body):
        found = []
        for part in map(squeezed, body.split(",")):
            if read := re.fullmatch(r"(\w+) = (0x[0-9a-f]+|\d+)", part):
                found.append((read[1], int(read[2], 0)))
            else:
                self.unread.append(f"{enum}: {part}")
        return found

    def fields(self, struct, body):
        found = []
        for line in filter(None, map(squeezed, body.split(";"))):
            if read := re.fullmatch(r"([\w* ]+?) ?\b([a-z]\w*)(\[\d+\])?", line):
                found.append((squeezed(read[1] + (read[3] or "")), read[2]))
            else:
                self.unread.append(f"{struct}: {line}")
        return found

    def problems(self):
        """What no golden layout may be made of."""
        for text in self.unread:
            yield f"this program does not read: {text}"
        for enum, values in self.enums.items():
            seen = {}
            for name, value in values:
                if value in seen:
                    yield f"enum {enum}: {seen[value]} and {name} are both {value}"
                seen[value] = name


def measured(header_path, header, cc):
    """Sizes and offsets as this compiler lays them out."""
    lines = [f'#include "{header_path.resolve()}"', "#include <stdio.h>", "int main(void) {"]
    for struct, fields in header.structs.items():
        lines.append(f'printf("struct {struct} %zu %zu\\n", sizeof({struct}), _Alignof({struct}));')
        for kind, name in fields:
            place = f"offsetof({struct}, {name}), sizeof((({struct}*)0)->{name})"
            lines.append(f'printf("field {struct} {name} %zu %zu {kind}\\n", {place});')
    lines.append("return 0; }")
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "layout"
        source = program.with_suffix(".c")
        source.write_text("\n".join(lines))
        subprocess.run([cc, "-std=c11", "-o", program, source], check=True)
        return subprocess.run([program], check=True, capture_output=True, text=True).stdout


def layout(path, cc):
    header = Header(path)
    problems = list(header.problems())
    if problems:
        sys.exit("\n".join(problems))
    lines = [f"constant {name} {value}" for name, value in header.constants]
    for enum, values in header.enums.items():
        lines += [f"enum {enum} {name} {value}" for name, value in values]
    lines += measured(path, header, cc).splitlines()
    lines += [f"callback {name} {kind}" for name, kind in header.callbacks]
    lines += [f"function {name} {kind}" for name, kind in header.functions]
    return lines


def breaks(then, now):
    """What a program that was built with `then` would miss: facts that are gone. Structs may grow at their end."""
    sizes = {line.split()[1]: line.split()[2:] for line in now if line.startswith("struct ")}
    for line in then:
        kind, name, *rest = line.split()
        if kind != "struct":
            if line not in now:
                yield f"gone or changed: {line}"
        elif name not in sizes or int(sizes[name][0]) < int(rest[0]) or sizes[name][1] != rest[1]:
            yield f"smaller, or aligned otherwise: {line}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("header", type=pathlib.Path)
    parser.add_argument("--check", type=pathlib.Path, metavar="GOLDEN")
    parser.add_argument("--cc", default="cc")
    args = parser.parse_args()
    lines = layout(args.header, args.cc)
    if args.check is None:
        print("\n".join(lines))
        return
    difference = list(difflib.unified_diff(args.check.read_text().splitlines(), lines, str(args.check), str(args.header),
                                           lineterm="", n=0))
    if difference:
        sys.exit("\n".join(difference) + "\nThe layout of the C ABI changed. An addition at the end: write it with "
                 f"{sys.argv[0]} {args.header} > {args.check}. Anything else breaks programs: see CONTRIBUTING.md.")


if __name__ == "__main__":
    main()
