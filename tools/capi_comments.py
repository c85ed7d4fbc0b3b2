#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the comments of the C ABI's header say, and what they have to.

    capi_comments.py check HEADER TEST...  exits 1 with every function whose comment lacks a part: a sentence that says
                                           what it does, who may call it (threads), what NULL means, its errors, and
                                           since when it is there; whose parameters are described by other names; and
                                           that the tests see fail as its comment does not say. Prose has to be more
                                           than half of the header's characters.
    capi_comments.py pointers HEADER       every pointer that a function takes: a table in C, for tests/capi/pointers.c

"As ft_other" in a comment stands for the parts that ft_other's has. A pointer may be NULL where its description says
"may be NULL" or "NULL: ..."; "may be NULL where ..." is a condition, and it is refused otherwise.
"""
import pathlib
import re
import sys

from capi_bindings import signature
from capi_layout import Header, squeezed

FIELD = re.compile(r"(\w+)(?:\[\d+\])?; +/\*(.*?)\*/")
DESCRIPTION = re.compile(r"^(\w+(?:, \w+)*)  +(.*(?:\n  +.*)*)", re.M)
MAY_BE_NULL = re.compile(r"(?<!not )\b(NULL( or \"\")?:|may be NULL(?! where))")
THREADS = re.compile(r"[Aa]ny thread|One call at a time|this thread")


class Comments:
    def __init__(self, path):
        self.header, self.text = Header(path), path.read_text()
        found = re.findall(r"/\*((?:(?!\*/).)*)\*/\nFT_API [\w* ]+?(ft_\w+)\(", self.text, flags=re.S)
        self.of = {name: re.sub(r"^ \* ?", "", comment.strip(), flags=re.M) for comment, name in found}
        bodies = re.findall(r"^typedef struct (\w+) \{\n(.*?)\n\} \1;", self.text, flags=re.M | re.S)
        self.fields = {struct: dict(FIELD.findall(body)) for struct, body in bodies}

    def with_others(self, function):
        """The comment, and those that it refers to."""
        text = self.of.get(function, "")
        others = re.findall(r"\b[Aa]s (ft_\w+)", squeezed(text))
        return "\n".join([text] + [self.with_others(other) for other in others if other != function])

    def descriptions(self, function):
        """What stands behind each parameter's name at the begin of a line."""
        lines = self.of.get(function, "")
        return {name: text for names, text in DESCRIPTION.findall(lines) for name in names.split(", ")}

    # --- pointers ---

    def pointers(self):
        """(function, pointer, whether it is a handle, whether it may be NULL)."""
        for function, kind in self.header.functions:
            described = self.descriptions(function)
            for argument, name in signature(kind)[1]:
                told = MAY_BE_NULL.search(described.get(name, "")) is not None
                known = name == "user" or (name == "options" and "const" in argument) or function.endswith("_free")
                yield from self.pointers_of(function, argument, name, told or known)

    def pointers_of(self, function, kind, name, may_be_null):
        """One pointer, and those behind it: of an array of pointers, of a struct that is read."""
        if "*" not in kind:
            return
        pointee = kind.replace("const", "").replace(" ", "").rstrip("*")
        stars = kind.count("*")
        is_handle = stars == 1 and pointee.startswith("ft_") and pointee not in self.header.structs
        yield function, name, is_handle, may_be_null
        if re.search(r"\* ?const ?\*", kind):
            yield function, f"{name}[i]", False, False
        if stars == 1 and kind.startswith("const") and pointee in self.header.structs:
            for field_kind, field in self.header.structs[pointee]:
                absent = re.search(r"(?<!not )\bNULL\b", self.fields[pointee].get(field, "")) is not None
                yield from self.pointers_of(function, field_kind, f"{name}.{field}", absent)

    # --- what a comment lacks ---

    def missing(self, function, kind):
        whole = self.with_others(function)
        arguments = signature(kind)[1]
        if not re.match(r"[A-Z\"].*?\.", self.of.get(function, ""), flags=re.S):
            yield "no sentence that says what it does"
        if not re.search(r"Since \d+\.\d+\.$", squeezed(self.of.get(function, ""))):
            yield "does not end with Since"
        if not THREADS.search(squeezed(whole)):
            yield "does not say who may call it: Any thread, One call at a time, this thread"
        if kind.startswith("ft_status ("):
            if "FT_ERROR_" not in whole:
                yield "lists no error"
            if any("*" in argument for argument, _ in arguments) and "NULL" not in whole:
                yield "does not say what NULL means"
        for name in self.descriptions(function).keys() - {name for _, name in arguments}:
            yield f"describes {name}, which is no parameter"

    def problems(self, tests):
        for function, kind in self.header.functions:
            yield from (f"{function}: {lack}" for lack in self.missing(function, kind))
        for status, function in sorted(set(re.findall(r"FAILS\((FT_ERROR_\w+),\s+(ft_\w+)\(", tests))):
            # Rule 2 of the header: any function refuses arguments that cannot be.
            if status != "FT_ERROR_INVALID_ARGUMENT" and status not in self.with_others(function):
                yield f"{function}: a test gets {status}, of which its comment says nothing"
        if self.prose() <= 0.5:
            yield f"prose is {self.prose():.0%} of the header's characters, want more than half"

    def prose(self):
        return sum(map(len, re.findall(r"/\*.*?\*/", self.text, flags=re.S))) / len(self.text)


def check(path, tests):
    comments = Comments(path)
    problems = list(comments.problems("".join(test.read_text() for test in tests)))
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(comments.header.functions)} functions with all their parts; prose is {comments.prose():.0%} of the "
          "header's characters")


def main():
    command, *paths = sys.argv[1:] or [""]
    paths = list(map(pathlib.Path, paths))
    if command == "check" and len(paths) > 1:
        check(paths[0], paths[1:])
    elif command == "pointers" and len(paths) == 1:
        for function, name, is_handle, may_be_null in Comments(paths[0]).pointers():
            print(f'{{"{function}", "{name}", {int(is_handle)}, {int(may_be_null)}}},')
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
