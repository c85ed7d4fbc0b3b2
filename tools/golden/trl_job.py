#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One job of TRL from its own files: tests/migrate/trl_job.json (SFTConfig), trl_job.jsonl, the adapter of
tests/golden/smollm2_adapter over the demo's model in f32. Losses as they are, before a logger rounds them.

tests/golden/trl_job.json    losses, learning rates and gradient norms of ten steps

    trl_job.py --check    runs the job again and compares with that file
"""
import json
import os
import sys

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

import common
import smollm2

FOLDER = common.ROOT / "tests" / "migrate"
FIXTURE = common.GOLDEN / "trl_job.json"


class Job(SFTTrainer):
    """Keeps what each step's loss is made of: transformers divides a micro-batch's sum by the tokens of its step."""
    parts, losses = [], []

    def training_step(self, *args, **kwargs):
        loss = super().training_step(*args, **kwargs)
        self.parts.append(loss.item())
        return loss


class AfterStep(TrainerCallback):
    def __init__(self):
        self.rates, self.norms = [], []

    def on_step_end(self, args, state, control, **kwargs):
        Job.losses.append(sum(Job.parts))
        Job.parts.clear()

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "grad_norm" in logs:
            self.norms.append(float(logs["grad_norm"]))
            self.rates.append(float(logs["learning_rate"]))


def run() -> dict:
    torch.set_num_threads(1)
    path = common.demo_model()
    os.chdir(FOLDER)  # where chat_template_path begins
    records = [json.loads(line) for line in (FOLDER / "trl_job.jsonl").read_text().splitlines()]
    model = PeftModel.from_pretrained(common.load_gguf(path), common.GOLDEN / "smollm2_adapter", is_trainable=True)
    after = AfterStep()
    config = SFTConfig(**json.loads((FOLDER / "trl_job.json").read_text()))
    trainer = Job(model=model, args=config, train_dataset=Dataset.from_list(records), callbacks=[after],
                  processing_class=smollm2.load_transformers_tokenizer(path))
    trainer.train()
    return {"losses": Job.losses, "lrs": after.rates, "grad_norms": after.norms}


def main() -> int:
    result = run()
    if "--check" in sys.argv:
        pinned = json.loads(FIXTURE.read_text())
        worst = max(abs(a - b) for a, b in zip(result["losses"], pinned["losses"], strict=True))
        print("TRL's job against tests/golden/trl_job.json, worst difference of a loss:", worst)
        return 0 if worst < 1e-4 else 1
    common.write_json(FIXTURE, result)
    print("losses:", result["losses"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
