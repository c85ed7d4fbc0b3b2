# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from . import _abi
from ._arguments import instance, optional_utf8
from ._library import Handle, check, lib, sized, sized_text, text_of


@dataclass(frozen=True)
class ExampleResult:
    id: str
    nll: float
    supervised_tokens: int
    output: Optional[str]
    scores: Optional[dict[str, float]]


@dataclass(frozen=True)
class Interval:
    """A difference with its 95 % interval."""
    estimate: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


class Evaluation(Handle):
    """What a model scored on records. len() counts the examples; iterating gives each."""

    _free_name = "ft_evaluation_free"
    _advice = "Keep its numbers."

    def _info(self) -> _abi.ft_evaluation_info:
        raw = sized(_abi.ft_evaluation_info)
        check(lib.ft_evaluation_get_info(self, ctypes.byref(raw)))
        return raw

    @property
    def loss(self) -> float:
        return float(self._info().loss)

    @property
    def perplexity(self) -> float:
        return float(self._info().perplexity)

    @property
    def supervised_tokens(self) -> int:
        return int(self._info().supervised_tokens)

    @property
    def metrics(self) -> dict[str, float]:
        """The mean score of each metric."""
        owner, found = self._owner, {}
        for index in range(self._info().metric_count):
            name, mean = ctypes.c_char_p(), ctypes.c_double()
            check(lib.ft_evaluation_metric(self, index, ctypes.byref(name), ctypes.byref(mean)))
            found[text_of(name.value)] = mean.value
        return found

    def __len__(self) -> int:
        return int(self._info().example_count)

    def __iter__(self) -> Iterator[ExampleResult]:
        names = list(self.metrics)
        for index in range(len(self)):
            owner, raw = self._owner, sized(_abi.ft_example_result)
            check(lib.ft_evaluation_example(self, index, ctypes.byref(raw)))
            scores = (ctypes.c_double * len(names)).from_address(raw.scores) if raw.scores else None
            yield ExampleResult(text_of(raw.id), raw.nll, raw.supervised_tokens,
                                sized_text(raw, "output", raw.output_bytes) if raw.output is not None else None,
                                dict(zip(names, scores)) if scores is not None else None)

    def compare(self, after: Evaluation, metric: Optional[str] = None) -> Interval:
        """How much `after` differs from this one on the same records; None: in the loss."""
        raw = sized(_abi.ft_interval)
        check(lib.ft_evaluation_compare(self, instance(after, Evaluation, "after"), optional_utf8(metric, "metric"),
                                        ctypes.byref(raw)))
        return Interval(raw.estimate, raw.low, raw.high)
