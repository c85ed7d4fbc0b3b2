# SPDX-License-Identifier: Apache-2.0
"""What the tests work on; the environment says where it is, see test_ftlib.py."""
import os
import pathlib

import ftlib

TINY, RECORDS = os.environ["FTLIB_TINY"], os.environ["FTLIB_RECORDS"]
WORK = pathlib.Path(os.environ["FTLIB_WORK"])
HELLO = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]


def tiny_model(**options):
    return ftlib.Model.open(TINY, **({"compute": "f32"} | options))


def tiny_trainer(steps=4, **options):
    model = tiny_model()
    data = ftlib.Dataset.open(model.tokenizer, RECORDS)
    settings = ftlib.TrainOptions(**({"steps": steps, "batch_examples": 2, "lr": 0.01} | options))
    return ftlib.Trainer(model, data, options=settings)
