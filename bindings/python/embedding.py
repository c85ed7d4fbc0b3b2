# SPDX-License-Identifier: Apache-2.0
"""embedding.py MODEL TRAIN.jsonl DIR: what a host needs beside training: an error as a value, a worker thread,
progress, cancellation, a saved state. docs/embedding.md shows it beside C++, C, Rust and Go, which print the same."""
import concurrent.futures
import sys
import time

import ftlib


def show_error() -> None:
    try:
        ftlib.Model.open("no-such-model.gguf")
    except ftlib.errors.NotFound as error:  # a FileNotFoundError as well
        print(f"not found, reason {error.reason}: {error}")


def embed(path: str, records: str, folder: str) -> None:
    with ftlib.Model.open(path) as model, ftlib.Dataset.open(model.tokenizer, records) as data:
        trainer = ftlib.Trainer(model, data, options=ftlib.TrainOptions(steps=8))
    # Both are closed: the trainer keeps what it needs of them until it is closed, or collected.

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        run = pool.submit(trainer.run, save_to=f"{folder}/state")  # other Python threads go on meanwhile
        while trainer.progress.step == 0 and not run.done():
            time.sleep(0.01)
            print(f"\rstep {trainer.progress.step} of {trainer.progress.total_steps} ", end="", file=sys.stderr)

        trainer.cancel()
        if not run.result().finished:  # raises what the run raised
            print("cancelled: the state is saved, and the run goes on")

    now = trainer.run()
    with trainer.adapter() as adapter:
        digest = adapter.info.digest[:12]
    print(f"step {now.step} of {now.total_steps}, loss {now.loss:.3f}, adapter {digest}")


if __name__ == "__main__":
    show_error()
    embed(*sys.argv[1:4])
