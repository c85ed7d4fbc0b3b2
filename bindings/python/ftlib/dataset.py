# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import json
import operator
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from . import _abi
from ._arguments import fill, instance, integers, path_of, utf8
from ._library import Handle, check, defaults, lib, new, sized
from .tokenizer import Message, Tokenizer, message_arrays

ORDERS = {"shuffle": _abi.FT_ORDER_SHUFFLE, "given": _abi.FT_ORDER_GIVEN}


def number_of(table: Mapping[str, int], value: str, name: str) -> int:
    if value not in table:
        raise ValueError(f"{name}: want {' or '.join(table)}, got {value!r}")
    return table[value]


@dataclass(frozen=True)
class DatasetInfo:
    examples: int
    records: int
    left_out: int
    truncated: int
    tokens: int
    supervised_tokens: int


@dataclass(frozen=True)
class Example:
    """Tokens, and Hugging Face's labels: the token where it is a target, else -100."""
    tokens: list[int]
    labels: list[int]


@dataclass(frozen=True)
class Batch:
    """Packed segments, without padding. The arrays are memoryviews: numpy.asarray() of one copies nothing."""
    epoch: int
    step: int
    micro_step: int
    supervised_tokens: int
    tokens: Any
    labels: Any                 # already shifted: the token that row t has to predict, or -100
    weights: Any
    positions: Any
    segment_offsets: Any


class Dataset(Handle):
    """Records as tokens. len() counts the examples; indexing gives one as it is trained."""

    _free_name = "ft_dataset_free"
    _advice = "Open it from its file there."

    @classmethod
    def open(cls, tokenizer: Tokenizer, path: Any = None, *, supervise: str = "all", max_length: int = 1024,
             truncate: bool = False, limit: int = 0) -> Dataset:
        """A JSONL file of records; None: begin without any, to be appended."""
        options = defaults(_abi.ft_dataset_options)
        fill(options, supervise_last=number_of({"all": 0, "last": 1}, supervise, "supervise"), max_length=max_length,
             truncate=truncate, limit=limit)
        return cls(new(lib.ft_dataset_open, instance(tokenizer, Tokenizer, "tokenizer"),
                       path_of(path, "path") if path is not None else None, ctypes.byref(options)))

    @property
    def info(self) -> DatasetInfo:
        raw = sized(_abi.ft_dataset_info)
        check(lib.ft_dataset_get_info(self, ctypes.byref(raw)))
        return DatasetInfo(raw.examples, raw.records, raw.left_out, raw.truncated, raw.tokens, raw.supervised_tokens)

    def append(self, record: Mapping[str, Any]) -> None:
        """A record as a line of a JSONL file has it."""
        line = json.dumps(record, ensure_ascii=False).encode()
        check(lib.ft_dataset_append_json(self, line, len(line)))

    def append_messages(self, messages: Iterable[Message], **options: Any) -> None:
        """A conversation. Options of every append: id, group, weight; here also prompt_messages."""
        check(lib.ft_dataset_append_messages(self, *message_arrays(messages), _record_options(options)))

    def append_completion(self, prompt: str, completion: str, **options: Any) -> None:
        check(lib.ft_dataset_append_completion(self, utf8(prompt, "prompt"), utf8(completion, "completion"),
                                               _record_options(options)))

    def append_text(self, text: str, **options: Any) -> None:
        check(lib.ft_dataset_append_text(self, utf8(text, "text"), _record_options(options)))

    def append_tokens(self, tokens: Iterable[int], labels: Iterable[int], **options: Any) -> None:
        ids, targets = integers(tokens, "tokens"), integers(labels, "labels")
        if len(ids) != len(targets):
            raise ValueError(f"{len(ids)} tokens, but {len(targets)} labels")
        check(lib.ft_dataset_append_tokens(self, ids, targets, len(ids), _record_options(options)))

    def __len__(self) -> int:
        return self.info.examples

    def __getitem__(self, index: int) -> Example:
        if not 0 <= operator.index(index) < len(self):
            raise IndexError(f"there are {len(self)} examples, index is {index}")
        count = ctypes.c_size_t()
        check(lib.ft_dataset_example(self, index, None, None, 0, ctypes.byref(count)))
        tokens, labels = (ctypes.c_int32 * count.value)(), (ctypes.c_int32 * count.value)()
        check(lib.ft_dataset_example(self, index, tokens, labels, count.value, ctypes.byref(count)))
        return Example(list(tokens), list(labels))

    def batches(self, *, order: str = "shuffle", batch_tokens: int = 2048, batch_examples: int = 0, accumulate: int = 1,
                seed: int = 0, epochs: int = 1) -> Batches:
        """Micro-batches in the order of a trainer with the same options."""
        options = defaults(_abi.ft_batch_options)
        fill(options, order=number_of(ORDERS, order, "order"), batch_tokens=batch_tokens, batch_examples=batch_examples,
             accumulate=accumulate, seed=seed, epochs=epochs)
        return Batches(new(lib.ft_batches_create, self, ctypes.byref(options)))


class Batches(Handle, Iterator[Batch]):
    """An iterator whose `position` (three numbers) can be read, kept and set. Threads that share it wait in line."""

    _free_name = "ft_batches_free"
    _advice = "Keep its `position`, and set it on batches() of the same dataset."

    def __init__(self, pointer: Optional[int]) -> None:
        super().__init__(pointer)
        self._one_call = threading.Lock()

    def __next__(self) -> Batch:
        with self._one_call:  # until the copies are made: the next call reuses the memory
            owner, raw = self._owner, sized(_abi.ft_batch)
            check(lib.ft_batches_next(self, ctypes.byref(raw)))
            if raw.token_count == 0:
                raise StopIteration
            return _copies(raw)

    @property
    def position(self) -> tuple[int, int, int]:
        """Epoch, step of the epoch and micro-step of the step of the next batch."""
        raw = sized(_abi.ft_batch_position)
        with self._one_call:
            check(lib.ft_batches_get_position(self, ctypes.byref(raw)))
        return raw.epoch, raw.step, raw.micro_step

    @position.setter
    def position(self, position: tuple[int, int, int]) -> None:
        raw = sized(_abi.ft_batch_position)
        epoch, step, micro_step = position
        fill(raw, epoch=epoch, step=step, micro_step=micro_step)
        with self._one_call:
            check(lib.ft_batches_set_position(self, ctypes.byref(raw)))


def _copies(raw: _abi.ft_batch) -> Batch:
    count = raw.token_count
    return Batch(raw.epoch, raw.step, raw.micro_step, raw.supervised_tokens, _copy(raw.tokens, count, "i"),
                 _copy(raw.labels, count, "i"), _copy(raw.weights, count, "f"), _copy(raw.positions, count, "i"),
                 _copy(raw.segment_offsets, raw.segment_count + 1, "i"))


def _copy(address: int, count: int, letter: Any) -> Any:
    return memoryview(ctypes.string_at(address, 4 * count)).cast(letter)


def _record_options(given: Mapping[str, Any]) -> Any:
    options = defaults(_abi.ft_record_options)
    known = {field[0] for field in _abi.ft_record_options._fields_} - {"struct_size"}
    for name in given:
        if name not in known:
            raise TypeError(f"unknown option {name!r}; there are {', '.join(sorted(known))}")
    fill(options, **given)
    return ctypes.byref(options)


