#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TRL's SFTTrainer with PEFT on message records, as its documentation shows it: one epoch in bf16, loss on the answers.

    trl_run.py MODEL.gguf TRAIN.jsonl OUT [--epochs 1] [--lr 4e-4] [--batch 8]

OUT becomes a PEFT folder. Prints one JSON object: seconds of the training loop, peak_rss_bytes, steps.
"""
import argparse
import contextlib
import json
import pathlib
import resource
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "golden"))
import common  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("train", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=4e-4)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    import smollm2
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer
    records = [json.loads(line)["messages"] for line in options.train.read_text().splitlines()]
    data = Dataset.from_list([{"prompt": messages[:-1], "completion": messages[-1:]} for messages in records])
    model = common.load_gguf(options.model, attention="sdpa").to(torch.bfloat16)
    config = SFTConfig(output_dir=str(options.out), num_train_epochs=options.epochs, learning_rate=options.lr,
                       per_device_train_batch_size=options.batch, lr_scheduler_type="cosine", warmup_steps=3, bf16=True,
                       use_cpu=True, max_length=1024, report_to="none", save_strategy="no", logging_steps=10,
                       disable_tqdm=True, seed=0, gradient_checkpointing=False)
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = SFTTrainer(model=model, args=config, train_dataset=data, peft_config=lora,
                         processing_class=smollm2.load_transformers_tokenizer(options.model))
    begin = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):  # where the trainer prints its own logs
        trainer.train()
    seconds = time.perf_counter() - begin
    trainer.save_model(str(options.out))
    print(json.dumps({"event": "trl", "seconds": seconds, "steps": trainer.state.global_step,
                      "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
