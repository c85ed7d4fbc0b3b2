# SPDX-License-Identifier: Apache-2.0
"""Fine-tune language models inside your own program.

    model = ftlib.Model.open("model.gguf")
    data = ftlib.Dataset.open(model.tokenizer, "train.jsonl")
    trainer = ftlib.Trainer(model, data, lora=ftlib.LoraConfig(r=16))
    trainer.run()
    trainer.adapter().save_pretrained("adapter")

Every object is a context manager. Errors are exceptions of ftlib.errors. Long calls free the GIL. Do not fork a process that
has computed: multiprocessing wants the "spawn" method.
"""
from . import errors, primitives
from ._library import (backend_used, backends, force_backend, get_threads, set_log, set_threads, shutdown, version)
from .adapter import Adapter, AdapterInfo
from .dataset import Batch, Batches, Dataset, DatasetInfo, Example
from .errors import FtlibError
from .evaluation import Evaluation, ExampleResult, Interval
from .model import Answer, Model, ModelInfo, Prompt
from .tokenizer import Message, Tokenizer, TokenizerInfo
from .trainer import LoraConfig, MemoryPlan, Progress, Trainer, TrainOptions

__version__ = version()
__all__ = ["Adapter", "AdapterInfo", "Answer", "Batch", "Batches", "Dataset", "DatasetInfo", "Evaluation", "Example",
           "ExampleResult", "FtlibError", "Interval", "LoraConfig", "MemoryPlan", "Message", "Model", "ModelInfo",
           "Progress", "Prompt", "TokenizerInfo", "Tokenizer", "TrainOptions", "Trainer", "backend_used", "backends",
           "errors", "force_backend", "get_threads", "primitives", "set_log", "set_threads", "shutdown", "version"]
