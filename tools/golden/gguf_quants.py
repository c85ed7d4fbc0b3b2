#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/gguf_quants.h: digests of what gguf-py decodes from random blocks and encodes from seeded values.

Needs gguf and numpy. gguf-py states that its arithmetic is that of llama.cpp's C, operation for operation.
"""
import importlib.metadata
import pathlib

import gguf
import numpy as np
from gguf.quants import dequantize, quantize

import inputs

OUT = pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "golden" / "gguf_quants.h"
BLOCKS = 512


def decoded_rows():
    """Random bytes, so every scale occurs: subnormal, infinite, NaN (all NaNs count as one)."""
    for name in ("F16", "BF16", "Q4_0", "Q4_1", "Q8_0", "Q4_K", "Q6_K"):
        kind = gguf.GGMLQuantizationType[name]
        size, width = gguf.GGML_QUANT_SIZES[kind]
        blocks = BLOCKS if size > 1 else BLOCKS * 32
        raw = inputs.words((blocks * width + 3) // 4, 3, width).view(np.uint8)[: blocks * width]
        with np.errstate(invalid="ignore", over="ignore"):
            out = dequantize(raw.reshape(1, -1), kind).reshape(-1).astype(np.float32)
        assert out.size == blocks * size
        bits = np.where(np.isnan(out), np.uint32(0x7FC00000), out.view(np.uint32))
        yield f'{{"{name.lower()}", {out.size}, {inputs.digest(bits):#x}, {int(np.isnan(out).sum())}}}'


def encoded_rows():
    """Not the subnormal values: 1 / scale overflows there and the reference converts infinity to an integer."""
    for name in ("Q4_0", "Q4_1", "Q8_0"):
        for kind in ("spread", "bits", "ties", "sparse", "huge", "near", "halves"):
            x = inputs.values(kind, "f32", BLOCKS * 32).reshape(1, -1)
            with np.errstate(invalid="ignore", over="ignore"):
                blocks = quantize(x, gguf.GGMLQuantizationType[name])
            yield f'{{"{name.lower()}", "{kind}", {x.size}, {inputs.digest(blocks):#x}}}'


def main() -> None:
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        f"// Written by tools/golden/gguf_quants.py with gguf {importlib.metadata.version('gguf')}, "
        f"numpy {np.__version__}.",
        "#pragma once",
        '#include "../golden_inputs.h"',
        "",
        "struct DecodedGolden {",
        "  const char* format;",
        "  std::int64_t n;",
        "  std::uint64_t digest;",
        "  std::int64_t nans;",
        "};",
        "inline constexpr DecodedGolden kDecodedGolden[] = {",
        *(f"    {row}," for row in decoded_rows()),
        "};",
        "",
        "struct EncodedGolden {",
        "  const char *format, *kind;",
        "  std::int64_t n;",
        "  std::uint64_t digest;",
        "};",
        "inline constexpr EncodedGolden kEncodedGolden[] = {",
        *(f"    {row}," for row in encoded_rows()),
        "};",
    ]
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
