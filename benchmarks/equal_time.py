#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TRL's epoch against the demo's recipe, on the same records: the wall time of both, then the paired difference.

    equal_time.py PROGRAM MODEL.gguf TRAIN.jsonl VALID.jsonl OUT PYTHON

One epoch is what the recipe takes, in a fraction of TRL's time. The time that is left is not spent: three epochs
(lr 1e-3) gave a higher ROUGE-L and a higher held-out loss than one, so these 500 records are learned by then. Their
time is measured all the same, after the comparison.

PYTHON is that of the peers' environment with requirements.txt installed. Both adapters are scored by `ftlib eval`,
which reads TRL's PEFT folder as its own. Writes OUT/equal-time.json.
"""
import json
import pathlib
import subprocess
import sys

import bench

ROOT = bench.ROOT
RECIPE = ["--rank", "16", "--alpha", "32", "--batch-tokens", "768", "--max-length", "768", "--lr", "1.5e-3",
          "--schedule", "cosine", "--warmup", "0.1", "--seed", "0"]  # the demo's


def events(command):
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def tune(program, model, train, out, epochs):
    rows = events([program, "tune", "--model", model, "--train", train, "--out", out, "--overwrite", "--json",
                   "--epochs", epochs, *RECIPE])
    return next(row for row in rows if row["event"] == "done")


def main() -> int:
    program, model, train, valid, out, python = (pathlib.Path(argument) for argument in sys.argv[1:7])
    trl = events([python, ROOT / "benchmarks" / "trl_run.py", model, train, out / "trl"])[-1]
    print(f"TRL: {trl['steps']} steps in {trl['seconds']:.0f} s, {trl['peak_rss_bytes'] / 2**30:.1f} GiB")
    ours = tune(program, model, train, out / "ours", 1)
    print(f"ftlib: {ours['steps']} steps in {ours['train_seconds']:.0f} s, {ours['peak_rss_bytes'] / 2**30:.1f} GiB")
    rows = events([program, "eval", "--model", model, "--data", valid, "--adapter", out / "trl",
                   "--adapter", out / "ours", "--metrics", "rouge-l", "--max-tokens", 32, "--json"])
    first, second = (row for row in rows if row["event"] == "eval")
    compare = next(row for row in rows if row["event"] == "compare")
    for name, row in (("TRL", first), ("ftlib", second)):
        print(f"{name}: held-out loss {row['loss']:.3f}, ROUGE-L {row['metrics']['rouge-l']:.3f}")
    for name, row in (("loss", compare["loss"]), ("ROUGE-L", compare["metrics"]["rouge-l"])):
        print(f"paired difference of {name}: {row['difference']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
    three = tune(program, model, train, out / "three", 3)
    print(f"ftlib, three epochs: {three['train_seconds']:.0f} s")
    peak = bench.peak_experiment(program.parent)
    peak.run()
    result = {**bench.stamp(peak, 1), "trl": {**trl, **first}, "ftlib": {**ours, **second}, "difference": compare,
              "three_epochs": three}
    (out / "equal-time.json").write_text(json.dumps(result, indent=1) + "\n")
    better = compare["loss"]["high"] < 0 < compare["metrics"]["rouge-l"]["low"]
    within = ours["train_seconds"] <= trl["seconds"]
    print(f"better in both, intervals without 0: {better}; within TRL's time: {within}")
    return 0 if better and within else 3


if __name__ == "__main__":
    sys.exit(main())
