#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loads an adapter of ours in stock PEFT over the same base and compares per-example NLL.

    check_peft.py ADAPTER_DIR MODEL --data F.jsonl --nll PER_EXAMPLE.jsonl [--base nf4 --block-size 64 --double-quant]

MODEL is a .gguf file (dequantised by the gguf package) or a Hugging Face folder; F.jsonl holds the message records that
`ftlib eval --compute f32 --per-example` scored. Exit 0 when every example agrees within 1e-4, relative.
"""
import argparse
import json
import pathlib
import sys

import torch
from peft import PeftModel

import common

LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def load_base(path: pathlib.Path):
    if path.is_file():
        return common.load_gguf(path)
    from transformers import AutoModelForCausalLM
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def exact_statistics(absmax):
    """Double quantisation to the nearest 8-bit code, which bitsandbytes' CPU path misses near zero."""
    from bitsandbytes.functional import create_dynamic_map
    code = create_dynamic_map()
    offset = absmax.mean()
    blocks = torch.nn.functional.pad(absmax - offset, (0, -len(absmax) % 256)).view(-1, 256)
    scale = blocks.abs().amax(1, keepdim=True)
    nearest = (blocks / scale).unsqueeze(-1).sub(code).abs().argmin(-1)
    return (code[nearest] * scale).flatten()[:len(absmax)] + offset


def through_nf4(model, block_size: int, double_quant: bool) -> None:
    """Replaces the decoder's linears by what bitsandbytes' NF4 makes of them."""
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit
    for name, module in model.named_modules():
        if name.split(".")[-1] in LINEARS:
            codes, state = quantize_4bit(module.weight.data, blocksize=block_size, quant_type="nf4")
            if double_quant:
                state.absmax = exact_statistics(state.absmax)
            module.weight.data = dequantize_4bit(codes, state).float()


def load_renderer(path: pathlib.Path):
    """(render, encode): a message list and a flag to text; text to ids with character offsets."""
    if path.is_file():
        import gguf
        import jinja2
        from smollm2 import load_tokenizer
        tokenizer = load_tokenizer(path)
        source = gguf.GGUFReader(path).fields["tokenizer.chat_template"].contents()
        environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
        template = environment.from_string(source)

        def encode(text):
            encoding = tokenizer.encode(text, add_special_tokens=False)
            return encoding.ids, encoding.offsets
        return lambda messages, prompt: template.render(messages=messages, add_generation_prompt=prompt,
                                                        bos_token="", eos_token="<|im_end|>"), encode
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(path)

    def encode(text):
        encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return encoding["input_ids"], encoding["offset_mapping"]
    return lambda messages, prompt: tokenizer.apply_chat_template(messages, tokenize=False,
                                                                  add_generation_prompt=prompt), encode


def tokenize(record: dict, render, encode) -> dict:
    """Answers and the special token that ends each of them are supervised."""
    messages = record["messages"]
    text = render(messages, False)
    spans = []
    for i, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        head = render(messages[:i], True)
        assert text.startswith(head), "this template rewrites earlier turns; check another model"
        end = text.index(message["content"], len(head)) + len(message["content"])
        closing = next(b - a for a, b in encode(text[end:])[1])
        spans.append(range(len(head), end + closing))
    ids, offsets = encode(text)
    return {"tokens": ids, "supervised": [int(any(a in span for span in spans)) for a, _ in offsets]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("adapter", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--nll", type=pathlib.Path, required=True)
    parser.add_argument("--base", choices=["native", "nf4"], default="native")
    parser.add_argument("--block-size", type=int, default=64)
    parser.add_argument("--double-quant", action="store_true")
    options = parser.parse_args()

    base = load_base(options.model)
    if options.base == "nf4":
        through_nf4(base, options.block_size, options.double_quant)
    model = PeftModel.from_pretrained(base, options.adapter).eval()
    render, encode = load_renderer(options.model)
    records = [json.loads(line) for line in options.data.read_text().splitlines() if line.strip()]
    ours = [json.loads(line) for line in options.nll.read_text().splitlines()]
    assert len(ours) == len(records), f"{len(ours)} scores for {len(records)} records"
    worst = 0.0
    for record, score in zip(records, ours):
        example = tokenize(record, render, encode)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([example["tokens"]])).logits[0]
        nll = common.row_nll(logits, example["tokens"], example["supervised"]).sum().item()
        count = sum(example["supervised"][1:])
        assert count == score["supervised_tokens"], f"{score['id']}: {score['supervised_tokens']} tokens, PEFT {count}"
        worst = max(worst, abs(nll - score["nll"]) / max(nll, 1e-6))
    print(f"{len(ours)} examples, worst relative difference {worst:.2e}")
    return 0 if worst <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
