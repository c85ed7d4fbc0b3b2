#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares our GGUF adapter with what llama.cpp's own converter makes of our PEFT folder, by llama.cpp's perplexity.

    check_llama_cpp.py MODEL.gguf ADAPTER_DIR [--binary llama-perplexity]

ADAPTER_DIR is an output folder of `ftlib tune`: a PEFT adapter beside its adapter.gguf. Without --binary llama.cpp
is built once below the cache (some minutes). Exit 0 when both files give the same perplexity, not the base's.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import common
from smollm2 import CHATS


def base_config(model: pathlib.Path, folder: pathlib.Path) -> None:
    """What the converter asks of a Hugging Face base: its config.json."""
    config = common.load_gguf(model).config.to_dict()
    (folder / "config.json").write_text(json.dumps(dict(config, architectures=["LlamaForCausalLM"])))


def perplexity(binary: pathlib.Path, model: pathlib.Path, text: pathlib.Path, adapter: pathlib.Path | None) -> str:
    command = [binary, "-m", model, "-f", text, "-c", "128", "-b", "128", "-t", "2", "--no-warmup", "-ngl", "0"]
    command += ["--lora", adapter] if adapter else []
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return re.search(r"Final estimate: PPL = ([0-9.]+)", run.stdout + run.stderr)[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("adapter", type=pathlib.Path)
    parser.add_argument("--binary", type=pathlib.Path)
    options = parser.parse_args()
    binary = options.binary or common.llama_cpp_program("llama-perplexity")
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        base_config(options.model, folder)
        common.convert_lora(folder, options.adapter, folder / "theirs.gguf")
        text = folder / "text.txt"
        text.write_text("\n".join("\n".join(turns) for turns in CHATS))
        base = perplexity(binary, options.model, text, None)
        ours = perplexity(binary, options.model, text, options.adapter / "adapter.gguf")
        theirs = perplexity(binary, options.model, text, folder / "theirs.gguf")
    print(f"perplexity: base {base}, our GGUF {ours}, llama.cpp's conversion of our PEFT folder {theirs}")
    return 0 if ours == theirs != base else 1


if __name__ == "__main__":
    sys.exit(main())
