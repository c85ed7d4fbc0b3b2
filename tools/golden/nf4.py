#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/nf4.h: digests of what bitsandbytes' CPU path makes of seeded inputs (tools/golden/inputs.py).

Needs torch, bitsandbytes and numpy. The dynamic maps are those of a CPU with AVX2 or better: torch.linspace rounds
otherwise without fused multiply-add.
"""
import os
import pathlib

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # a compiled dequantisation changes nothing but the time

import bitsandbytes
import bitsandbytes.functional as F
import numpy as np
import torch

import inputs

OUT = pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "golden" / "nf4.h"
TORCH = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def tensor(kind: str, dtype: str, n: int) -> torch.Tensor:
    x = inputs.values(kind, dtype, n)
    return torch.from_numpy(x) if dtype == "f32" else torch.from_numpy(x.view(np.int16)).view(TORCH[dtype])


def bits(x: torch.Tensor) -> np.ndarray:
    return (x.view(torch.int16) if x.element_size() == 2 else x).contiguous().numpy()


def single_rows():
    for kind in inputs.KINDS:
        for dtype in TORCH:
            for block in (32, 64, 128, 256, 512, 1024, 2048, 4096):
                for n in (block // 2 - 1, 4 * block, 2 * block + block // 2 + 1):
                    codes, state = F.quantize_4bit(tensor(kind, dtype, n), blocksize=block, quant_type="nf4")
                    back = F.dequantize_4bit(codes, state).reshape(-1)
                    exact = inputs.NF4_VALUES[nibbles(codes, n)] * np.repeat(state.absmax.numpy(), block)[:n]
                    rounded = torch.from_numpy(exact).to(TORCH[dtype])
                    # The processor's own bf16 conversion, where they use it, flushes subnormal results to zero.
                    normal = (back == rounded) | (torch.from_numpy(exact).abs() < 2.0**-126)
                    assert normal.all(), (kind, dtype, block, n)
                    yield (f'{{"{kind}", DType::{dtype}, {block}, {n}, {inputs.digest(codes.numpy()):#x}, '
                           f"{inputs.digest(state.absmax.numpy()):#x}, {inputs.digest(bits(rounded)):#x}}}")


def nibbles(codes: torch.Tensor, n: int) -> np.ndarray:
    packed = codes.numpy().reshape(-1)
    return np.stack([packed >> 4, packed & 15], axis=1).reshape(-1)[:n]


def nested_rows():
    """absmax values of few bits, so that every order of summation gives the same mean."""
    code = F.create_dynamic_map().numpy().astype(np.float64)
    for peaked, n in ((False, 1), (False, 255), (False, 256), (False, 257), (False, 3000), (True, 200)):
        absmax = inputs.absmax(peaked, n)
        offset = torch.from_numpy(absmax).mean()
        centred = torch.from_numpy(absmax) - offset
        codes, state = F.quantize_blockwise(centred, blocksize=256)
        scale = np.repeat(state.absmax.numpy(), 256)[:n]
        unit = centred.numpy() * (np.float32(1) / np.maximum(scale, np.float32(1e-38)))
        exact = np.argmin(np.abs(unit.astype(np.float64)[:, None] - code[None]), axis=1)  # the first, so the lower
        theirs = codes.numpy().astype(np.int64)
        # Their table has 65,536 entries: a code is off only where a boundary lies within one entry's width.
        off = exact != theirs
        width = np.abs(code[theirs] - unit) - np.abs(code[exact] - unit)
        assert np.all((scale == 0) | (width <= 2 * 2 / 65535)), n
        yield (f"{{{str(peaked).lower()}, {n}, {float(offset).hex()}f, {inputs.digest(state.absmax.numpy()):#x}, "
               f"{inputs.digest(exact.astype(np.uint8)):#x}, {int(off.sum())}}}")


def main() -> None:
    maps = [inputs.digest(F.create_dynamic_map(signed).numpy()) for signed in (False, True)]
    quant_map = inputs.digest(F.get_4bit_type("nf4", device="cpu").numpy())
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        f"// Written by tools/golden/nf4.py with bitsandbytes {bitsandbytes.__version__}, torch {torch.__version__}.",
        "#pragma once",
        '#include "../golden_inputs.h"',
        "",
        f"inline constexpr std::uint64_t kUnsignedMapDigest = {maps[0]:#x}, kSignedMapDigest = {maps[1]:#x};",
        f"inline constexpr std::uint64_t kNf4MapDigest = {quant_map:#x};",
        "",
        "struct Nf4Golden {",
        "  const char* kind;",
        "  ftlib::DType dtype;",
        "  int block_size;",
        "  std::int64_t n;",
        "  std::uint64_t codes, absmax, decoded;",
        "};",
        "using ftlib::DType;",
        "inline constexpr Nf4Golden kNf4Golden[] = {",
        *(f"    {row}," for row in single_rows()),
        "};",
        "",
        "/// codes: the exact nearest; differing: how many of bitsandbytes' CPU codes are not.",
        "struct NestedGolden {",
        "  bool peaked;",
        "  std::int64_t n;",
        "  float offset;",
        "  std::uint64_t scales, codes;",
        "  int differing;",
        "};",
        "inline constexpr NestedGolden kNestedGolden[] = {",
        *(f"    {row}," for row in nested_rows()),
        "};",
    ]
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
