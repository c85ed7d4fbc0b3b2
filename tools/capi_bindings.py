#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what the bindings need to know of the C ABI from its layout: types, numbers, functions.

    capi_bindings.py python > bindings/python/ftlib/_abi.py
    capi_bindings.py rust > bindings/rust/ftlib-sys/src/lib.rs
    capi_bindings.py rust-test > bindings/rust/ftlib-sys/tests/layout.rs
    capi_bindings.py go > bindings/go/layout.go
    capi_bindings.py check      exits 1 where a committed file is not what this program writes
"""
import pathlib
import re
import sys

from capi_layout import Header

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTPUTS = {"python": ROOT / "bindings/python/ftlib/_abi.py", "rust": ROOT / "bindings/rust/ftlib-sys/src/lib.rs",
           "rust-test": ROOT / "bindings/rust/ftlib-sys/tests/layout.rs", "go": ROOT / "bindings/go/layout.go"}


class Layout:
    def __init__(self):
        version = dict(Header(ROOT / "capi/ftlib_c.h").constants)["FT_ABI_VERSION"]
        self.path = f"capi/abi/ftlib_c-{version}.layout"
        self.constants, self.enums, self.structs, self.callbacks, self.functions = [], {}, {}, [], []
        for line in (ROOT / self.path).read_text().splitlines():
            kind, name, *rest = line.split(" ", 2)
            getattr(self, "read_" + kind)(name, *rest)
        signatures = " ".join(kind for _, kind in self.functions)
        self.handles = sorted(set(re.findall(r"ft_\w+", signatures)) - set(self.enums) - set(self.structs) -
                              {name for name, _ in self.callbacks})

    def read_constant(self, name, value):
        self.constants.append((name, int(value)))

    def read_enum(self, enum, rest):
        name, value = rest.split()
        self.enums.setdefault(enum, []).append((name, int(value)))

    def read_struct(self, name, rest):
        size, alignment = rest.split()
        self.structs[name] = (int(size), int(alignment), [])

    def read_field(self, struct, rest):
        name, offset, size, kind = rest.split(" ", 3)
        self.structs[struct][2].append((name, kind, int(offset), int(size)))

    def read_callback(self, name, kind):
        self.callbacks.append((name, kind))

    def read_function(self, name, kind):
        self.functions.append((name, kind))


def signature(kind):
    """ "int32_t (int64_t done, void* user)" as its result and the types and names of its arguments."""
    result, arguments = re.fullmatch(r"(.+?) \((.*)\)", kind).groups()
    pairs = [] if arguments == "void" else [re.fullmatch(r"(.+?) ?(\w+)", a).groups() for a in arguments.split(", ")]
    return result, pairs


# --- Python --------------------------------------------------------------------------------------------------------------

PYTHON_NUMBERS = {"int32_t": ("c_int32", "int"), "uint32_t": ("c_uint32", "int"), "int64_t": ("c_int64", "int"),
                  "uint64_t": ("c_uint64", "int"), "size_t": ("c_size_t", "int"), "uint8_t": ("c_uint8", "int"),
                  "double": ("c_double", "float"), "float": ("c_float", "float")}


class Python:
    def __init__(self, layout):
        self.layout = layout

    def type_of(self, kind):
        """The ctypes type, and the type that a type checker sees."""
        plain = kind.replace("const ", "").replace(" const", "").replace("const", "").strip()
        if kind in PYTHON_NUMBERS:
            return PYTHON_NUMBERS[kind]
        if kind in self.layout.enums:
            return "c_int32", "int"
        if kind in dict(self.layout.callbacks):
            return kind, "Any"
        if array := re.fullmatch(r"(\w+)\[(\d+)\]", kind):
            return f"{PYTHON_NUMBERS[array[1]][0]} * {array[2]}", "Any"
        if kind == "const char*":
            return "c_char_p", "Optional[bytes]"
        if plain == "char**" and kind.count("const") == 2:
            return "POINTER(c_char_p)", "Any"
        if plain.endswith("*") and plain[:-1] in self.layout.structs:
            return f"POINTER({plain[:-1]})", "Any"
        return "c_void_p", "Any"  # buffers, handles, places for results

    def write(self):
        out = ['# SPDX-License-Identifier: Apache-2.0', f'"""Written by tools/capi_bindings.py from {self.layout.path}."""',
               "from __future__ import annotations", "",
               "from ctypes import (CDLL, CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_float, c_int32, c_int64,",
               "                    c_size_t, c_uint8, c_uint32, c_uint64, c_void_p)",
               "from typing import Any, Optional", ""]
        for name, value in self.layout.constants:
            out.append(f"{name} = {value}")
        for values in self.layout.enums.values():
            out.append("")
            out += [f"{name} = {value}" for name, value in values if not name.endswith("FORCE32")]
        for name, kind in self.layout.callbacks:
            if not any(struct in kind for struct in self.layout.structs):
                out += ["", self.callback(name, kind)]
        for struct, (_, _, fields) in self.layout.structs.items():
            out += ["", "", f"class {struct}(Structure):"]
            out += [f"    {name}: {self.type_of(kind)[1]}" for name, kind, _, _ in fields]
            out += ["    _fields_ = ["]
            out += [f'        ("{name}", {self.type_of(kind)[0]}),' for name, kind, _, _ in fields] + ["    ]"]
        out.append("")
        for name, kind in self.layout.callbacks:
            if any(struct in kind for struct in self.layout.structs):
                out += ["", self.callback(name, kind)]
        out += ["", "", "def declare(library: CDLL) -> None:", '    """Gives every function its types."""']
        for name, kind in self.layout.functions:
            result, arguments = signature(kind)
            types = ", ".join(self.type_of(argument)[0] for argument, _ in arguments)
            out += [f"    library.{name}.restype = {self.type_of(result)[0]}",
                    f"    library.{name}.argtypes = [{types}]"]
        return "\n".join(out) + "\n"

    def callback(self, name, kind):
        result, arguments = signature(kind)
        types = ["None" if result == "void" else self.type_of(result)[0]]
        # Text comes with its size or as a plain address: c_char_p would stop at a NUL.
        types += ["c_void_p" if argument == "const char*" else self.type_of(argument)[0] for argument, _ in arguments]
        return f"{name} = CFUNCTYPE({', '.join(types)})"


# --- Rust ----------------------------------------------------------------------------------------------------------------

RUST_NUMBERS = {"int32_t": "i32", "uint32_t": "u32", "int64_t": "i64", "uint64_t": "u64", "size_t": "usize",
                "uint8_t": "u8", "double": "f64", "float": "f32", "char": "c_char", "void": "c_void"}


class Rust:
    def __init__(self, layout):
        self.layout = layout

    def type_of(self, kind):
        if array := re.fullmatch(r"(\w+)\[(\d+)\]", kind):
            return f"[{self.type_of(array[1])}; {array[2]}]"
        if kind in dict(self.layout.callbacks):
            return kind
        if pointer := re.fullmatch(r"(.*?)( ?const)?\*", kind):  # the star of the outermost pointer
            pointee = pointer[1].strip()
            if pointee.startswith("const ") and "*" not in pointee:
                return f"*const {self.type_of(pointee[6:])}"
            if pointer[2] is not None and "*" in pointee:
                return f"*const {self.type_of(pointee)}"
            return f"*mut {self.type_of(pointee)}"
        return RUST_NUMBERS.get(kind, kind)

    def write(self):
        out = ["// SPDX-License-Identifier: Apache-2.0",
               f"//! The C ABI of ftlib as it is: written by tools/capi_bindings.py from {self.layout.path}.",
               "//! What each function does stands in `capi/ftlib_c.h`; the crate `ftlib` is the safe layer over it.",
               "#![allow(non_camel_case_types)]", "",
               "use std::os::raw::{c_char, c_void};", ""]
        out += [f"pub const {name}: u32 = {value};" for name, value in self.layout.constants]
        for enum, values in self.layout.enums.items():
            out += ["", f"pub type {enum} = i32;"]
            out += [f"pub const {name}: {enum} = {value};" for name, value in values if not name.endswith("FORCE32")]
        for handle in self.layout.handles:
            out += ["", "#[repr(C)]", f"pub struct {handle} {{", "    _opaque: [u8; 0],", "}"]
        for name, kind in self.layout.callbacks:
            result, arguments = signature(kind)
            types = ", ".join(f"{argument_name}: {self.type_of(argument)}" for argument, argument_name in arguments)
            returns = "" if result == "void" else f" -> {self.type_of(result)}"
            out += ["", f'pub type {name} = Option<unsafe extern "C" fn({types}){returns}>;']
        for struct, (_, _, fields) in self.layout.structs.items():
            out += ["", "#[repr(C)]", "#[derive(Clone, Copy)]", f"pub struct {struct} {{"]
            out += [f"    pub {name}: {self.type_of(kind)}," for name, kind, _, _ in fields] + ["}"]
        out += ["", 'extern "C" {']
        for name, kind in self.layout.functions:
            result, arguments = signature(kind)
            types = ", ".join(f"{argument_name}: {self.type_of(argument)}" for argument, argument_name in arguments)
            out.append(f"    pub fn {name}({types}) -> {self.type_of(result)};")
        return "\n".join(out + ["}", ""])


class RustTest:
    """Rust 1.63 has no offset_of: a test measures each field and compares with the golden file."""

    def __init__(self, layout):
        self.layout = layout

    def write(self):
        out = ["// SPDX-License-Identifier: Apache-2.0",
               f"//! Written by tools/capi_bindings.py from {self.layout.path}: Rust lays every struct out as C does.",
               "use ftlib_sys::*;", "use std::mem::{align_of, size_of, MaybeUninit};", "use std::ptr::addr_of;", "",
               "fn size_of_field<T>(_: *const T) -> usize {", "    size_of::<T>()", "}", "",
               "macro_rules! facts {", "    ($out:ident, $kind:ident: $($field:ident)*) => {",
               '        $out.push(format!("struct {} {} {}", stringify!($kind), size_of::<$kind>(), align_of::<$kind>()));',
               "        let place = MaybeUninit::<$kind>::uninit();",
               "        $(",
               "            let field = unsafe { addr_of!((*place.as_ptr()).$field) };",
               "            let offset = field as usize - place.as_ptr() as usize;",
               '            $out.push(format!("field {} {} {} {}", stringify!($kind), stringify!($field), offset, '
               "size_of_field(field)));",
               "        )*", "    };", "}", "", "#[test]", "fn structs_lie_as_the_golden_layout_says() {",
               f'    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../{self.layout.path}");',
               "    let golden = std::fs::read_to_string(path).unwrap();",
               "    let mut facts: Vec<String> = Vec::new();"]
        for struct, (_, _, fields) in self.layout.structs.items():
            out.append(f"    facts!(facts, {struct}: {' '.join(name for name, _, _, _ in fields)});")
        return "\n".join(out + [
            "    let want: Vec<String> = golden",
            "        .lines()",
            '        .filter(|line| line.starts_with("struct ") || line.starts_with("field "))',
            '        .map(|line| line.split(\' \').take(if line.starts_with("struct") { 4 } else { 5 }).collect::<Vec<_>>().join(" "))',
            "        .collect();", "    assert_eq!(facts, want);", "}", ""])


class Go:
    """cgo reads the header itself; what it makes of it is written down for a test to compare, which may not use cgo."""

    def __init__(self, layout):
        self.layout = layout

    def write(self):
        out = ["// SPDX-License-Identifier: Apache-2.0", "",
               f"// Written by tools/capi_bindings.py from {self.layout.path}, for the tests: go test -tags ftlib_layout.", "",
               "//go:build ftlib_layout", "", "package ftlib", "", "// #include <ftlib_c.h>", 'import "C"', "",
               "import (", '\t"fmt"', '\t"unsafe"', ")", "",
               "// layout is what cgo makes of the header, in the lines of the golden file.", "func layout() []string {",
               "\tvar facts []string", "\tadd := func(format string, values ...any) { facts = append(facts, "
               "fmt.Sprintf(format, values...)) }"]
        out += [f'\tadd("constant {name} %d", C.{name})' for name, _ in self.layout.constants]
        for enum, values in self.layout.enums.items():
            out += [f'\tadd("enum {enum} {name} %d", C.{name})' for name, _ in values]
        for struct, (_, _, fields) in self.layout.structs.items():
            out += ["\t{", f"\t\tvar s C.{struct}",
                    f'\t\tadd("struct {struct} %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))']
            out += [f'\t\tadd("field {struct} {name} %d %d", unsafe.Offsetof(s.{name}), unsafe.Sizeof(s.{name}))'
                    for name, _, _, _ in fields]
            out.append("\t}")
        return "\n".join(out + ["\treturn facts", "}", ""])


WRITERS = {"python": Python, "rust": Rust, "rust-test": RustTest, "go": Go}


def main():
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    if command in WRITERS:
        print(WRITERS[command](Layout()).write(), end="")
    elif command == "check":
        old = [name for name, path in OUTPUTS.items() if path.read_text() != WRITERS[name](Layout()).write()]
        if old:
            sys.exit("\n".join(f"{OUTPUTS[name]}: write it anew: tools/capi_bindings.py {name} > it" for name in old))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
