#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gates of the C ABI, offline: what a library exports, and whether programs of the last release still run with it.

    check_abi.py exports LIBRARY       only the functions of the header, all of them, as ft_*@@FTLIB_0
    check_abi.py compare LIBRARY       against capi/abi: the layout, and the dump by abi-compliance-checker
    check_abi.py breaks                seeds changes of the header and sees each refused or allowed as it should be
    check_abi.py write LIBRARY         writes capi/abi anew, for a release

compare and write want a library with debug information (-g). Needs abi-dumper and abi-compliance-checker but for exports.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

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

PRIVATE = "struct Private { int a; %s };\nint use_private(struct Private* p);\nint use_private(struct Private* p) { return p->a; }\n"

# name, the change (of the header's text), what else the library has, whether programs of before go on
CHANGES = [
    ("a function is added",
     lambda h: h.replace("FT_API uint32_t ft_abi_version(void);", "FT_API uint32_t ft_abi_version(void);\n"
                         "FT_API ft_status ft_new(void);"), "", True),
    ("an enumerator is added at the end",
     lambda h: h.replace("  FT_ERROR_BUFFER_TOO_SMALL = 12,", "  FT_ERROR_BUFFER_TOO_SMALL = 12,\n  FT_ERROR_NEW = 13,"),
     "", True),
    ("an options struct grows at its end",
     lambda h: h.replace("} ft_generate_options;", "  int64_t new_field;\n} ft_generate_options;"), "", True),
    ("a field changes from double to float",
     lambda h: h.replace("  double temperature; ", "  float temperature; "), "", False),
    ("a named enum is numbered anew",
     lambda h: h.replace("FT_ORDER_SHUFFLE = 0", "FT_ORDER_SHUFFLE = 2"), "", False),
    ("a function is removed",
     lambda h: re.sub(r"FT_API ft_status ft_shutdown\(void\);", "", h), "", False),
    ("something private changes", lambda h: h, PRIVATE % "long b;", True),
    ("a constant that is no enumerator is numbered anew",
     lambda h: h.replace("#define FT_ENCODE_SPECIAL 1u", "#define FT_ENCODE_SPECIAL 2u"), "", False),
    ("two enumerators get one number",
     lambda h: h.replace("FT_ORDER_GIVEN = 1", "FT_ORDER_GIVEN = 0"), "", False),
    ("a field is put in the middle",
     lambda h: h.replace("  double temperature; ", "  double new_field;\n  double temperature; "), "", False),
]


def build_stub(header, folder, more):
    """A library with the header's functions that do nothing: what changes in it is what changed in the header."""
    source = ['#include "ftlib_c.h"']
    for name, kind in Header(header).functions:
        result, arguments = kind.split(" (", 1)
        source.append(f"{result} {name}({arguments} {{ return ({result})0; }}")
    (folder / "stub.c").write_text("\n".join(source) + "\n" + more)
    library = folder / "libftlib_c.so"
    run("cc", "-std=c11", "-g", "-fPIC", "-shared", "-fvisibility=hidden", "-DFTLIB_C_BUILD", "-I", folder,
        f"-Wl,--version-script={MAP}", "-o", library, folder / "stub.c")
    return library


def described(header_text, folder, more):
    """Layout and dump of a changed header; None where the header is refused by itself."""
    folder.mkdir()
    header = folder / "ftlib_c.h"
    header.write_text(header_text)
    if list(Header(header).duplicates()):
        return None
    dump(build_stub(header, folder, more), header, folder / "abi.dump")
    return layout(header, "cc"), folder / "abi.dump"


def seeded_breaks():
    wrong = 0
    text = HEADER.read_text()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        then_layout, then_dump = described(text, work / "then", PRIVATE % "")
        for number, (name, change, more, allowed) in enumerate(CHANGES):
            changed = change(text)
            if changed == text and not more:
                sys.exit(f"{name}: the header has no such place any more; mend tools/check_abi.py")
            now = described(changed, work / str(number), more or PRIVATE % "")
            by_layout = now is not None and not list(breaks(then_layout, now[0]))
            by_tool = now is not None and is_compatible(then_dump, now[1])[0]
            right = (by_layout and by_tool) == allowed
            wrong += not right
            print(f"{'ok' if right else 'WRONG':5} {name}: layout {'allows' if by_layout else 'refuses'}, "
                  f"abi-compliance-checker {'allows' if by_tool else 'refuses'}; want it "
                  f"{'allowed' if allowed else 'refused'}")
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
