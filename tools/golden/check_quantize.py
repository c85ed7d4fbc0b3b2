#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loads a folder written by `ftlib quantize` in transformers and compares it with its own quantisation.

    check_quantize.py FOLDER MODEL

MODEL is what was quantised: a .gguf file or a Hugging Face folder. With block size 64 and without double quantisation
the logits must be equal bit for bit. bitsandbytes rounds double-quantised statistics inexactly near zero on the CPU
(and transformers knows no other block size), so every linear must lie within what double quantisation may lose: 1 % of
the scale of its 256 blocks' statistics.
Token ids must be equal in every case. Exit 0 when all holds.
"""
import argparse
import os
import pathlib
import sys
import tempfile

os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

import common

TEXTS = ["The quick brown fox jumps over the lazy dog; 1234567 times, it's said.",
         "  Zwölf\n\n\tBoxkämpfer 日本語 🙂 don't",
         "def f(x):\n    return x ** 2  # <|im_end|>"]


def load_dense(path: pathlib.Path, scratch: str):
    """The dense model, and a folder that holds it."""
    if path.is_dir():
        return AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager"), str(path)
    model = common.load_gguf(path)
    model.save_pretrained(scratch)
    return model, scratch


def reference_ids(path: pathlib.Path, text: str) -> list[int]:
    if path.is_dir():
        return AutoTokenizer.from_pretrained(path)(text)["input_ids"]
    from smollm2 import load_tokenizer
    return load_tokenizer(path).encode(text).ids


def linears_agree(ours, dense) -> bool:
    worst = 0.0
    for name, module in ours.named_modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is None:
            continue
        got = dequantize_4bit(module.weight.data, state).float()
        codes, single = quantize_4bit(dense.get_submodule(name).weight.data.to(state.dtype), blocksize=state.blocksize,
                                      quant_type="nf4")
        difference = (got - dequantize_4bit(codes, single).float()).abs().reshape(-1)
        if state.nested:
            scales = state.state2.absmax.repeat_interleave(256)[: single.absmax.numel()]
            difference = difference / scales.repeat_interleave(state.blocksize)[: difference.numel()]
        worst = max(worst, difference.max().item())
    print(f"linears: at most {worst:.1e} from single quantisation (double quantised: of their statistics' scale)")
    return worst <= 0.01


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    args = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(args.folder)
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    same_ids = all(got == reference_ids(args.model, text) for got, text in zip(ids, TEXTS))
    print("token ids:", "equal" if same_ids else "DIFFERENT")
    ours = AutoModelForCausalLM.from_pretrained(args.folder, attn_implementation="eager").eval()
    config = ours.config.quantization_config
    exact = not config.bnb_4bit_use_double_quant and all(
        module.weight.quant_state.blocksize == 64 for module in ours.modules()
        if hasattr(getattr(module, "weight", None), "quant_state"))
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        dense, folder = load_dense(args.model, scratch)
        agree = linears_agree(ours, dense)
        if exact:
            own = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4",
                                     bnb_4bit_compute_dtype=config.bnb_4bit_compute_dtype)
            theirs = AutoModelForCausalLM.from_pretrained(folder, quantization_config=own,
                                                          attn_implementation="eager").eval()
            equal = all(torch.equal(ours(torch.tensor([x])).logits, theirs(torch.tensor([x])).logits) for x in ids)
            print("logits:", "equal bit for bit" if equal else "DIFFERENT")
            agree = agree and equal
    return 0 if same_ids and agree else 1


if __name__ == "__main__":
    sys.exit(main())
