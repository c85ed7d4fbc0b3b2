#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gates of the C ABI, offline: what a library exports, and whether programs of the last release still run with it.

    check_abi.py exports LIBRARY       only the functions of the header, all of them, as ft_*@@FTLIB_0
    check_abi.py compare LIBRARY       against capi/abi: the layout, and the dump by abi-compliance-checker
    check_abi.py breaks                seeds changes of the header; each gate has to allow or refuse each as is right
    check_abi.py write LIBRARY         writes capi/abi anew, for a release

compare and write want a library with debug information (-g). Needs abi-dumper and abi-compliance-checker but for exports.
"""
import dataclasses
import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing

from capi_layout import Header, breaks, layout

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = ROOT / "capi/ftlib_c.h"
MAP = ROOT / "capi/ftlib_c.map"
ABI = ROOT / "capi/abi"


def run(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def version():
    return dict(Header(HEADER).constants)["FT_ABI_VERSION"]


def golden(suffix):
    return ABI / f"ftlib_c-{version()}.{suffix}"


def check_exports(library):
    """By nm: the dynamic symbols that the library defines, with their versions."""
    want = {f"{name}@@FTLIB_0" for name, _ in Header(HEADER).functions}
    lines = [line.split() for line in run("nm", "-D", "--defined-only", library).splitlines()]
    have = {symbol for _, kind, symbol in lines if not (kind == "A" and symbol == "FTLIB_0")}
    problems = [f"exported, but not in the header: {name}" for name in sorted(have - want)]
    problems += [f"in the header, but not exported: {name}" for name in sorted(want - have)]
    if problems:
        sys.exit("\n".join(problems))


def dump(library, header, to):
    with tempfile.TemporaryDirectory() as folder:
        # Both sides have to call the header by one name, or changes of types are taken for somebody else's.
        public = pathlib.Path(folder) / "include"
        public.mkdir()
        shutil.copy(header, public / "ftlib_c.h")
        # Absolute names: each tool keeps its notes in the working folder.
        run("abi-dumper", library.resolve(), "-public-headers", public, "-o", to.resolve(), "-lver", version(), cwd=folder)


def is_compatible(then, now):
    """abi-compliance-checker's verdict on two dumps, and its summary."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["abi-compliance-checker", "-l", "ftlib_c", "-old", then.resolve(), "-new", now.resolve(),
                               "-binary"], cwd=folder, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f"abi-compliance-checker: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.returncode == 0, done.stdout


def compare(library):
    check_exports(library)
    lost = list(breaks(golden("layout").read_text().splitlines(), layout(HEADER, "cc")))
    with tempfile.TemporaryDirectory() as folder:
        now = pathlib.Path(folder) / "now.dump"
        dump(library, HEADER, now)
        compatible, report = is_compatible(golden("dump"), now)
    if lost or not compatible:
        sys.exit("\n".join(lost) + f"\n{report}\nPrograms of the last release would break; see CONTRIBUTING.md.")


# --- seeded changes ------------------------------------------------------------------------------------------------------

PRIVATE = """struct Private { int a; %s };
int use_private(struct Private* p);
int use_private(struct Private* p) { return p->a; }
"""
NAMELESS = """typedef int32_t ft_mode;
enum { FT_MODE_FAST = %d, FT_MODE_SMALL = 2 };
FT_API ft_status ft_set_mode(ft_mode mode);"""


def replaced(old, new):
    return lambda header: header.replace(old, new)


def with_nameless_enum(number):
    shutdown = "FT_API ft_status ft_shutdown(void);"
    return replaced(shutdown, f"{shutdown}\n{NAMELESS % number}")


@dataclasses.dataclass
class Seed:
    name: str
    by_layout: bool  # whether the golden layout allows it
    by_tool: bool    # whether abi-compliance-checker does
    now: typing.Callable[[str], str]  # the change of the header's text
    then: typing.Callable[[str], str] = lambda header: header
    private: str = ""  # a member more of what the library keeps to itself


SEEDS = [
    Seed("a function is added", True, True,
         replaced("FT_API uint32_t ft_abi_version(void);",
                  "FT_API uint32_t ft_abi_version(void);\nFT_API ft_status ft_new(void);")),
    Seed("an enumerator is added at the end", True, True,
         replaced("  FT_ERROR_BUFFER_TOO_SMALL = 12,", "  FT_ERROR_BUFFER_TOO_SMALL = 12,\n  FT_ERROR_NEW = 13,")),
    Seed("an options struct grows at its end", True, True,
         replaced("} ft_generate_options;", "  int64_t new_field;\n} ft_generate_options;")),
    Seed("a field changes from double to float", False, False,
         replaced("  double temperature; ", "  float temperature; ")),
    Seed("a named enum is numbered anew", False, False, replaced("FT_ORDER_SHUFFLE = 0", "FT_ORDER_SHUFFLE = 2")),
    Seed("a function is removed", False, False, replaced("FT_API ft_status ft_shutdown(void);", "")),
    Seed("something private changes", True, True, replaced("", ""), private="long b;"),
    # Debug information has neither the numbers of an enum without a name nor those of #define: the layout refuses the
    # first by itself and compares the second.
    Seed("an enum without a name is numbered anew", False, True, with_nameless_enum(3), then=with_nameless_enum(1)),
    Seed("a constant that is no enumerator is numbered anew", False, True,
         replaced("#define FT_ENCODE_SPECIAL 1u", "#define FT_ENCODE_SPECIAL 2u")),
    Seed("two enumerators get one number", False, False, replaced("FT_ORDER_GIVEN = 1", "FT_ORDER_GIVEN = 0")),
    Seed("a field is put in the middle", False, False,
         replaced("  double temperature; ", "  double new_field;\n  double temperature; ")),
]


def build_stub(header, folder, private):
    """A library with the header's functions that do nothing: what changes in it is what changed in the header."""
    source = ['#include "ftlib_c.h"']
    for name, kind in Header(header).functions:
        result, arguments = kind.split(" (", 1)
        source.append(f"{result} {name}({arguments} {{ return ({result})0; }}")
    (folder / "stub.c").write_text("\n".join(source) + "\n" + PRIVATE % private)
    library = folder / "libftlib_c.so"
    run("cc", "-std=c11", "-g", "-fPIC", "-shared", "-fvisibility=hidden", "-DFTLIB_C_BUILD", "-I", folder,
        f"-Wl,--version-script={MAP}", "-o", library, folder / "stub.c")
    return library


def described(text, folder, private=""):
    """Layout and dump of a header; no layout where the header is refused by itself."""
    folder.mkdir()
    header = folder / "ftlib_c.h"
    header.write_text(text)
    dump(build_stub(header, folder, private), header, folder / "abi.dump")
    return None if list(Header(header).problems()) else layout(header, "cc"), folder / "abi.dump"


def verdicts(seed, folder):
    """Whether each of the two gates lets a seeded change pass."""
    text = HEADER.read_text()
    if seed.now(text) == seed.then(text) and not seed.private:
        sys.exit(f"{seed.name}: the header has no such place any more; mend tools/check_abi.py")
    folder.mkdir()
    then_layout, then_dump = described(seed.then(text), folder / "then")
    now_layout, now_dump = described(seed.now(text), folder / "now", seed.private)
    by_layout = None not in (then_layout, now_layout) and not list(breaks(then_layout, now_layout))
    return by_layout, is_compatible(then_dump, now_dump)[0]


def seeded_breaks():
    wrong = 0
    word = {True: "allows", False: "refuses"}
    with tempfile.TemporaryDirectory() as work:
        for number, seed in enumerate(SEEDS):
            by_layout, by_tool = verdicts(seed, pathlib.Path(work) / str(number))
            right = (by_layout, by_tool) == (seed.by_layout, seed.by_tool)
            wrong += not right
            print(f"{'ok' if right else 'WRONG':5} {seed.name}: the layout {word[by_layout]} it, "
                  f"abi-compliance-checker {word[by_tool]} it"
                  + ("" if right else f"; want {word[seed.by_layout]} and {word[seed.by_tool]}"))
    if wrong:
        sys.exit(1)


def write(library):
    check_exports(library)
    golden("layout").write_text("\n".join(layout(HEADER, "cc")) + "\n")
    dump(library, HEADER, golden("dump"))


def main():
    command, *arguments = sys.argv[1:] or [""]
    wants_library = {"exports": check_exports, "compare": compare, "write": write}
    if command in wants_library and len(arguments) == 1:
        wants_library[command](pathlib.Path(arguments[0]))
    elif command == "breaks" and not arguments:
        seeded_breaks()
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
