#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tiny adapters as llama.cpp's own converter writes them: tests/golden/tiny_llama/MODEL/adapter.gguf"""
import common


def main() -> None:
    for model in ("plain", "rich"):
        folder = common.GOLDEN / "tiny_llama" / model
        common.convert_lora(folder, folder / "adapter", folder / "adapter.gguf")
        print((folder / "adapter.gguf").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
