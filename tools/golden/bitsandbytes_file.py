#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/bitsandbytes/: 4-bit files as bitsandbytes and safetensors write them, and their decoded values.

Needs torch, bitsandbytes, safetensors and numpy. The dense inputs are the seeded ones of inputs.py.
"""
import json
import os

os.environ["TORCHDYNAMO_DISABLE"] = "1"

import bitsandbytes.functional as F
import numpy as np
import torch
from safetensors.torch import save_file

import inputs
from common import GOLDEN, write_json

OUT = GOLDEN / "bitsandbytes"
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
STORAGE = {"u8": torch.uint8, **DTYPES}


def dense(kind: str, dtype: str, rows: int, columns: int) -> torch.Tensor:
    x = inputs.values(kind, dtype, rows * columns)
    x = torch.from_numpy(x) if dtype == "f32" else torch.from_numpy(x.view(np.int16)).view(DTYPES[dtype])
    return x.reshape(rows, columns)


def packed(name, weight, block, nested, storage):
    codes, state = F.quantize_4bit(weight, blocksize=block, quant_type="nf4", compress_statistics=nested,
                                   quant_storage=storage)
    parts = {name: codes, **{f"{name}.{key}": value for key, value in state.as_dict(packed=True).items()}}
    absmax = state.absmax
    if nested:
        absmax = F.dequantize_blockwise(state.absmax, state.state2) + state.offset
    back = inputs.NF4_VALUES[_nibbles(codes, weight.numel())] * np.repeat(absmax.numpy(), block)[: weight.numel()]
    return parts, torch.from_numpy(back).to(weight.dtype).float().numpy()


def _nibbles(codes, n):
    raw = codes.contiguous().view(torch.uint8).numpy().reshape(-1)
    return np.stack([raw >> 4, raw & 15], axis=1).reshape(-1)[:n]


def main() -> None:
    OUT.mkdir(exist_ok=True)
    # Files to read: every dtype, storage, nested or not, an odd count, a block across rows, a partial last block.
    cases = [("f32", 64, False, "u8", 3, 7), ("bf16", 64, False, "u8", 16, 96), ("f16", 32, False, "bf16", 8, 40),
             ("bf16", 128, True, "u8", 24, 72), ("f32", 64, True, "f16", 10, 64), ("f16", 256, True, "f32", 9, 56),
             ("bf16", 4096, False, "u8", 2, 48)]
    tensors, rows = {}, []
    for i, (dtype, block, nested, storage, out, columns) in enumerate(cases):
        name = f"layers.{i}.weight"
        parts, back = packed(name, dense("near", dtype, out, columns), block, nested, STORAGE[storage])
        tensors.update(parts)
        rows.append({"name": name, "dtype": dtype, "block_size": block, "nested": nested, "storage": storage,
                     "shape": [out, columns], "digest": f"{inputs.digest(back):#x}"})
    save_file(tensors, OUT / "read.safetensors", metadata={"format": "pt"})

    # A whole file to quantise: ours must be bitsandbytes' byte for byte.
    model = {"model.embed_tokens.weight": dense("spread", "bf16", 8, 32),
             "lm_head.weight": dense("spread", "bf16", 8, 32),
             "model.norm.weight": dense("spread", "f32", 1, 32).reshape(32), "positions": torch.arange(6),
             "model.layers.0.mlp.up_proj.weight": dense("near", "bf16", 16, 33),
             "model.layers.0.mlp.up_proj.bias": dense("spread", "bf16", 1, 16).reshape(16),
             "model.layers.0.self_attn.q_proj.weight": dense("ties", "f16", 12, 80),
             "model.layers.0.self_attn.k_proj.weight": dense("spread", "f32", 5, 7)}
    save_file(model, OUT / "dense.safetensors", metadata={"format": "pt"})
    quantized = {}
    for name, weight in model.items():
        layer = weight.ndim == 2 and name not in ("model.embed_tokens.weight", "lm_head.weight")
        quantized.update(packed(name, weight, 64, False, torch.uint8)[0] if layer else {name: weight})
    save_file(quantized, OUT / "quantized.safetensors", metadata={"format": "pt"})

    offsets = [0.1, -1e-5, 3.0, 2.0**-30, 123456.789]
    texts = [json.dumps({"nested_offset": torch.tensor(x).item()}) for x in offsets]
    write_json(OUT / "read.json", {"weights": rows, "offsets": offsets, "offset_texts": texts})


if __name__ == "__main__":
    main()
