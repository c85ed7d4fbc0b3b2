# SPDX-License-Identifier: Apache-2.0
"""quickstart.py MODEL TRAIN.jsonl DIR: tunes a LoRA adapter and writes it as PEFT and as GGUF."""
import sys

import ftlib


def main(model_path: str, records: str, folder: str) -> None:
    with ftlib.Model.open(model_path) as model:
        data = ftlib.Dataset.open(model.tokenizer, records)
        trainer = ftlib.Trainer(model, data, lora=ftlib.LoraConfig(r=16), options=ftlib.TrainOptions(steps=12))
        trainer.run(lambda now: print(f"loss {now.loss:.3f}"))
        adapter = trainer.adapter()
        adapter.save_pretrained(folder)
        adapter.save_gguf(f"{folder}/adapter.gguf")


if __name__ == "__main__":
    main(*sys.argv[1:4])
