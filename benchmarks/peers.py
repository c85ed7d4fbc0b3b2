#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One peer at one task of `ftlib bench`, in the peers' virtual environment: prints one JSON object.

    peers.py step MODEL.gguf [--base bf16|nf4|f32] [--compile | --checkpointing]
                                           PEFT (with bitsandbytes for nf4), 4 x 512 random tokens
    peers.py generate MODEL.gguf           llama.cpp's llama-bench: 512 in, 128 out
    peers.py tokenize MODEL.gguf           tokenizers on random words, one core
    peers.py load MODEL.gguf               transformers, after its imports
    peers.py load_llama_cpp MODEL.gguf     llama.cpp's llama-bench, from its start to its first token
    peers.py nf4                           bitsandbytes' CPU kernels in L2, one core
"""
import argparse
import json
import os
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "golden"))
import common  # noqa: E402

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def through_bitsandbytes(model):
    """The decoder's linears as bitsandbytes' NF4 with double quantisation, computing in bf16."""
    import bitsandbytes as bnb
    import torch
    for name, module in list(model.named_modules()):
        if name.split(".")[-1] not in LINEARS:
            continue
        linear = bnb.nn.Linear4bit(module.in_features, module.out_features, bias=False, compute_dtype=torch.bfloat16,
                                   compress_statistics=True, quant_type="nf4")
        linear.weight = bnb.nn.Params4bit(module.weight.data, requires_grad=False, compress_statistics=True,
                                          quant_type="nf4")
        parent = model.get_submodule(name.rsplit(".", 1)[0])
        setattr(parent, name.split(".")[-1], linear.to("cpu"))


def step(options):
    """Loss over all tokens of 4 x 512, backward, AdamW on rank 16: the median of a few steps after two."""
    import torch
    from peft import LoraConfig, get_peft_model
    torch.set_num_threads(os.cpu_count())
    dtype = torch.float32 if options.base == "f32" else torch.bfloat16
    model = common.load_gguf(options.model, attention="sdpa").to(dtype)
    if options.base == "nf4":
        through_bitsandbytes(model)
    if options.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=LINEARS, task_type="CAUSAL_LM"))
    model.train()
    run = torch.compile(model) if options.compile else model
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=2e-4, fused=True)
    tokens = torch.randint(0, model.config.vocab_size, (4, 512), generator=torch.Generator().manual_seed(1))
    seconds = []
    for number in range(options.repeats + 2):
        begin = time.perf_counter()
        optimizer.zero_grad()
        run(input_ids=tokens, labels=tokens).loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        if number >= 2:
            seconds.append(time.perf_counter() - begin)
    return {"tokens_per_s": tokens.numel() / statistics.median(seconds), "peak_rss_bytes": peak_rss()}


def llama_bench(model, *more):
    """The rows of llama.cpp's own benchmark."""
    command = [common.llama_cpp_program("llama-bench"), "-m", model, "-t", str(os.cpu_count()), "-ngl", "0",
               "-o", "json", *more]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def generate(options):
    rows = llama_bench(options.model, "-p", "512", "-n", "128", "-r", str(options.repeats))
    rate = {("prompt" if row["n_gen"] == 0 else "new"): row["avg_ts"] for row in rows}
    return {"prompt_tokens_per_s": rate["prompt"], "new_tokens_per_s": rate["new"]}


def random_words(size: int) -> str:
    """As `ftlib bench tokenize` makes them: 1 to 9 letters, now and then a full stop and a line end."""
    source = random.Random(2)
    parts, length = [], 0
    while length < size:
        word = "".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(1, 9)))
        parts.append(word + (".\n" if source.randrange(12) == 0 else " "))
        length += len(parts[-1])
    return "".join(parts)


def tokenize(options):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from smollm2 import load_tokenizer
    tokenizer, text = load_tokenizer(options.model), random_words(4 << 20)
    seconds = []
    for _ in range(options.repeats + 1):
        begin = time.perf_counter()
        tokenizer.encode(text)
        seconds.append(time.perf_counter() - begin)
    return {"mb_per_s": len(text) / statistics.median(seconds[1:]) / 1e6}


def load(options):
    from transformers import AutoModelForCausalLM
    seconds = []
    for _ in range(options.repeats):
        begin = time.perf_counter()
        AutoModelForCausalLM.from_pretrained(options.model.parent, gguf_file=options.model.name)
        seconds.append(time.perf_counter() - begin)
    return {"seconds": statistics.median(seconds)}


def load_llama_cpp(options):
    """The whole run of a program that loads the model and computes one token, without the token's time."""
    seconds = []
    for _ in range(options.repeats):
        begin = time.perf_counter()
        row, = llama_bench(options.model, "-p", "1", "-n", "0", "-r", "1", "--no-warmup")
        seconds.append(time.perf_counter() - begin - row["avg_ns"] / 1e9)
    return {"seconds": statistics.median(seconds)}


def nf4(options):
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit
    torch.set_num_threads(1)
    values = torch.randn(128 << 10, generator=torch.Generator().manual_seed(3))
    codes, state = quantize_4bit(values.bfloat16(), blocksize=64, quant_type="nf4")

    def rate(body):
        for _ in range(20):
            body()
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < 0.5:
            body()
            count += 1
        return count * values.numel() / (time.perf_counter() - begin)

    return {"quantize_elements_per_s": rate(lambda: quantize_4bit(values, blocksize=64, quant_type="nf4")),
            "dequantize_elements_per_s": rate(lambda: dequantize_4bit(codes, state))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=["step", "generate", "tokenize", "load", "load_llama_cpp", "nf4"])
    parser.add_argument("model", type=pathlib.Path, nargs="?")
    parser.add_argument("--base", choices=["bf16", "nf4", "f32"], default="bf16")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(json.dumps({"event": "peer", "task": options.task, **globals()[options.task](options)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
