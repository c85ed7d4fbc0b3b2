#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TRL's one epoch, then ftlib in no more than the same wall time, on the same records; then the paired difference.

    equal_time.py PROGRAM MODEL.gguf TRAIN.jsonl VALID.jsonl OUT PYTHON

PYTHON is that of the peers' environment with requirements.txt installed. Both adapters are scored by `ftlib eval`, which
reads TRL's PEFT folder as its own. Writes OUT/equal-time.json.
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECIPE = ["--rank", "16", "--alpha", "32", "--batch-tokens", "768", "--max-length", "768", "--schedule", "cosine",
          "--warmup", "0.1", "--seed", "0"]  # the demo's


def events(command):
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def tune(program, model, train, out, epochs, lr):
    rows = events([program, "tune", "--model", model, "--train", train, "--out", out, "--overwrite", "--json",
                   "--epochs", epochs, "--lr", lr, *RECIPE])
    return next(row for row in rows if row["event"] == "done")


def main() -> int:
    program, model, train, valid, out, python = (pathlib.Path(argument) for argument in sys.argv[1:7])
    trl = events([python, ROOT / "benchmarks" / "trl_run.py", model, train, out / "trl"])[-1]
    print(f"TRL: {trl['steps']} steps in {trl['seconds']:.0f} s, {trl['peak_rss_bytes'] / 2**30:.1f} GiB")
    one = tune(program, model, train, out / "one", 1, 1.5e-3)
    epochs = max(1, min(3, int(trl["seconds"] / one["train_seconds"])))
    ours = one if epochs == 1 else tune(program, model, train, out / "ours", epochs, 1e-3)
    folder = out / ("one" if epochs == 1 else "ours")
    print(f"ftlib: {epochs} epochs, {ours['steps']} steps in {ours['train_seconds']:.0f} s (one epoch: {one['train_seconds']:.0f} s)")
    rows = events([program, "eval", "--model", model, "--data", valid, "--adapter", out / "trl", "--adapter", folder,
                   "--metrics", "rouge-l", "--max-tokens", 32, "--json"])
    first, second = (row for row in rows if row["event"] == "eval")
    compare = next(row for row in rows if row["event"] == "compare")
    for name, row in (("TRL", first), ("ftlib", second)):
        print(f"{name}: held-out loss {row['loss']:.3f}, ROUGE-L {row['metrics']['rouge-l']:.3f}")
    for name, row in (("loss", compare["loss"]), ("ROUGE-L", compare["metrics"]["rouge-l"])):
        print(f"paired difference of {name}: {row['difference']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
    result = {"trl": {**trl, **first}, "ftlib": {"epochs": epochs, "train_seconds": ours["train_seconds"], **second},
              "one_epoch_seconds": one["train_seconds"], "difference": compare}
    (out / "equal-time.json").write_text(json.dumps(result, indent=1) + "\n")
    better = compare["loss"]["high"] < 0 < compare["metrics"]["rouge-l"]["low"]
    within = ours["train_seconds"] <= trl["seconds"]
    print(f"better in both, intervals without 0: {better}; within TRL's time: {within}")
    return 0 if better and within else 3


if __name__ == "__main__":
    sys.exit(main())
