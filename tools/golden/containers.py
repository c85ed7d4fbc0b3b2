#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/golden/io: a safetensors file by the safetensors package, a GGUF file by gguf-py, what is in them, and JSON texts
as Python's json module writes them."""
import json
import math
import random

import gguf
import numpy
import torch
from safetensors.torch import save_file

import common

OUT = common.GOLDEN / "io"
WORDS = ["", "a", "\u0120the", "\u00e9\u4e2d", "\U0001F600", "x" * 300]


def write_safetensors():
    torch.manual_seed(0)
    tensors = {f"t.{i}": torch.randint(0, 2 if dtype == torch.bool else 100, shape).to(dtype) for i, (dtype, shape) in enumerate([
        (torch.float32, (2, 3)), (torch.bfloat16, (5,)), (torch.float16, (3, 1)), (torch.float64, ()), (torch.int64, (2,)),
        (torch.int32, (2, 2)), (torch.int16, (3,)), (torch.int8, (1,)), (torch.uint8, (7,)), (torch.bool, (4,)),
        (torch.float32, (0, 4)), (torch.bfloat16, (1, 1, 2, 3))])}
    tensors |= {"a \"quoted\" \\ name": torch.zeros(1), "\u00fcber": torch.zeros(2, dtype=torch.uint8)}
    save_file(tensors, OUT / "reference.safetensors", metadata={"format": "pt \"\u00e9\"\n"})
    names = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.float64: "F64", torch.int64: "I64",
             torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}
    return {name: f"{names[t.dtype]} {list(t.shape)}" for name, t in tensors.items()}


def write_gguf():
    rng = numpy.random.default_rng(0)
    writer = gguf.GGUFWriter(OUT / "reference.gguf", "llama")
    writer.add_uint8("t.u8", 255)
    writer.add_int8("t.i8", -128)
    writer.add_uint16("t.u16", 65535)
    writer.add_int16("t.i16", -32768)
    writer.add_uint32("t.u32", 2**32 - 1)
    writer.add_int32("t.i32", -2**31)
    writer.add_float32("t.f32", 1e-5)
    writer.add_bool("t.bool", True)
    writer.add_string("t.string", "caf\u00e9")
    writer.add_uint64("t.u64", 2**64 - 1)
    writer.add_int64("t.i64", -2**63)
    writer.add_float64("t.f64", math.pi)
    writer.add_array("t.words", WORDS)
    writer.add_array("t.ints", [1, -2, 3])
    writer.add_array("t.floats", [0.5, -1.5])
    writer.add_array("t.bools", [True, False])
    blocks = lambda rows, width: rng.integers(0, 256, (rows, width), dtype=numpy.uint8)
    writer.add_tensor("norm.weight", rng.standard_normal(6).astype(numpy.float32))
    writer.add_tensor("half.weight", rng.standard_normal((3, 5)).astype(numpy.float16))
    writer.add_tensor("cube.weight", rng.standard_normal((2, 3, 4)).astype(numpy.float32))
    for kind, row in [("Q4_0", 18), ("Q4_1", 40), ("Q8_0", 34), ("Q4_K", 144), ("Q6_K", 210), ("IQ4_XS", 136), ("MXFP4", 17)]:
        writer.add_tensor(f"{kind.lower()}.weight", blocks(3, row), raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    reader = gguf.GGUFReader(OUT / "reference.gguf")
    return {t.name: [t.tensor_type.name.lower(), [int(n) for n in t.shape], int(t.data_offset), int(t.n_bytes)]
            for t in reader.tensors}


def json_texts():
    rng = random.Random(0)
    floats = [0.0, -0.0, 1.0, 0.1, 1e-4, 9.999e-5, 1e-5, 1e15, 9999999999999998.0, 1e16, 1e17, 1.5e300, 5e-324, 2.2250738585072014e-308,
              1.7976931348623157e308, 123456789.125, 1 / 3, 2.0**53, 2.0**60, 1e22, 1e23]
    floats += [rng.uniform(-1, 1) * 10.0**rng.randint(-30, 30) for _ in range(200)]
    floats += [float.fromhex(f"0x1.{rng.getrandbits(52):013x}p{rng.randint(-1022, 1023)}") for _ in range(200)]
    values = [floats, [0, -1, 2**63 - 1, -2**63], [True, False, None], {}, [], [[], {}],
              {"b": 1, "a": {"z": [1, [2, {}]], "\u00e9": "\u4e2d\U0001F600"}, "\x7f": "\x00\x1f\"\\/\b\f\n\r\t", "A": ""},
              "".join(map(chr, [*range(0x20, 0x180), 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x10ffff]))]
    return [{"dumps": json.dumps(v), "pretty": json.dumps(v, indent=2, sort_keys=True),
             "compact": json.dumps(v, separators=(",", ":"), ensure_ascii=False)} for v in values]


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    common.write_json(OUT / "reference.json", {"safetensors": write_safetensors(), "gguf": write_gguf(), "json": json_texts()})
