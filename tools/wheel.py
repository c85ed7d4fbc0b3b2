#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wheel.py OUT BUILD: makes the Python wheel for other machines in the folder OUT, and proves it.

It is built as `pip install ./bindings/python` does it; auditwheel then puts the shared libraries inside and says the
oldest glibc, which docs/platforms.md has to say as well. In a fresh environment, with none of the build's libraries
in reach, it has to pass the binding's own tests; it has to carry the licences of what it holds, and an SBOM that
spdx-tools accepts. BUILD, with the tests built and run, lends the library, the program, the tiny model and its own SBOM.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import venv
import zipfile

import needs
import third_party

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = ("test_ftlib.py", "test_arguments.py", "test_numpy.py")
# Which shared libraries a process has mapped once it has computed.
MAPPED = """
import array, sys
from ftlib import primitives
primitives.nf4_quantize(array.array("f", range(64)), bytearray(32), array.array("f", [0]))
print(sys.prefix)
print(*{line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}, sep="\\n")
"""


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def environment(folder, *packages):
    """A fresh virtual environment; its bin folder."""
    venv.create(folder, clear=True, symlinks=True, with_pip=True)
    run(folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    return folder / "bin"


def make(out, tools):
    """The wheel as it is built here, then with all that it needs inside."""
    run(tools / "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir", out / "plain",
        ROOT / "bindings/python")
    [plain] = (out / "plain").glob("*.whl")
    path = f"{tools}:{os.environ['PATH']}"
    print(run(tools / "auditwheel", "show", plain, env=os.environ | {"PATH": path}))
    run(tools / "auditwheel", "repair", "--wheel-dir", out, plain, env=os.environ | {"PATH": path})
    [wheel] = out.glob("*.whl")
    return wheel


def check_content(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    inside = {re.sub(r"^.*/|-[0-9a-f]{8}\.so.*$", "", name) for name in names if "ftlib.libs/lib" in name}
    wanted = {part.library for part in third_party.BUNDLED if part.library}
    if inside != wanted:
        sys.exit(f"{wheel}: brings along {sorted(inside)}, the table of tools/third_party.py has {sorted(wanted)}")
    licences = [name for name in names if ".dist-info/licenses/" in name]
    for suffix in ["/LICENSE", *(f"/{part.debian()}.txt" for part in third_party.BUNDLED)]:
        if not any(name.endswith(suffix) for name in licences):
            sys.exit(f"{wheel}: no {suffix[1:]} among its licences {licences}")
    for name in ("ftlib/libftlib_c.so.0", "ftlib/py.typed"):
        if name not in names:
            sys.exit(f"{wheel}: has no {name}")
    foreign = [name for name in names if re.search(r"cuda|cublas|nvidia", name, re.I)]
    if foreign:
        sys.exit(f"{wheel}: {foreign} may not be redistributed")


def figure(page, row, pattern):
    """What a row of docs/platforms.md says; "nothing" where it has no such figure."""
    found = re.search(rf"(?m)^\| {re.escape(row)} (?=\|).*?{pattern}", page)
    return found[1] if found else "nothing"


def check_platforms(wheel, build):
    """The minimums of docs/platforms.md are what the library's symbols and the wheel's tag say."""
    page = (ROOT / "docs/platforms.md").read_text()
    symbols = needs.newest_versions(build / "capi/libftlib_c.so")
    tag = re.search(r"manylinux_(\d+)_(\d+)", wheel.name)
    for what, told, measured in (
            ("glibc of the library", figure(page, "glibc", r"\| ([\d.]+) \|"), symbols["GLIBC"]),
            ("libstdc++", figure(page, "libstdc++", r"GLIBCXX ([\d.]+)"), symbols["GLIBCXX"]),
            ("libcrypto", figure(page, "libcrypto", r"\| ([\d.]+) \|"), symbols["OPENSSL"].removesuffix(".0")),
            ("glibc of the wheel", figure(page, "glibc", r"\| ([\d.]+) \(`manylinux"), f"{tag[1]}.{tag[2]}"),
            ("the wheel's tag", " ".join(sorted(set(re.findall(r"manylinux_\d+_\d+", page)))), tag[0])):
        if told != measured:
            sys.exit(f"{what}: docs/platforms.md has {told}, measured is {measured}")


def check_sbom(wheel, build, out, tools):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/sboms/ftlib.spdx.json")]
        inside = out / "wheel.spdx.json"
        inside.write_bytes(archive.read(name))
    for sbom in (inside, build / "ftlib.spdx.json"):
        run(tools / "pyspdxtools", "--infile", sbom)


def check_installed(wheel, build, out):
    """In an environment of its own, with nothing else told than what the tests need."""
    python = environment(out / "user", wheel, "-r", ROOT / "bindings/python/tests/requirements.txt") / "python"
    work = out / "work"
    work.mkdir()
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(work), "FTLIB_TINY": str(build / "tests/capi/work/tiny.gguf"),
             "FTLIB_RECORDS": str(ROOT / "tests/quickstart.jsonl"), "FTLIB_WORK": str(work),
             "FTLIB_PROGRAM": str(build / "ftlib")}
    prefix, *mapped = run(python, "-P", "-c", MAPPED, env=clean, cwd=work).splitlines()
    for library in (part.library for part in third_party.BUNDLED if part.library):
        if not any(path.startswith(prefix) and f"/{library}-" in path for path in mapped):
            sys.exit(f"{library}: the wheel's own is not what is used, but one of\n" + "\n".join(mapped))
    for test in TESTS:
        print(run(python, ROOT / "bindings/python/tests" / test, env=clean, cwd=work).splitlines()[-1], test)


def main():
    out, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    shutil.rmtree(out, ignore_errors=True)
    tools = environment(out / "tools", "-r", ROOT / "tools/wheel-requirements.txt")
    wheel = make(out, tools)
    check_content(wheel)
    check_platforms(wheel, build)
    check_sbom(wheel, build, out, tools)
    check_installed(wheel, build, out)
    print(f"{wheel}, {wheel.stat().st_size >> 20} MiB")


if __name__ == "__main__":
    main()
