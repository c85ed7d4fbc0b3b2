# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import importlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Optional, Union

from . import _abi
from ._arguments import fill, instance, integers, listed, optional_instance, path_of, real, strings
from ._library import Callback, Handle, check, defaults, lib, new, sized
from .adapter import Adapter
from .dataset import ORDERS, Dataset, number_of
from .errors import Cancelled
from .model import Model

OPTIMIZERS = {"adamw": _abi.FT_ADAMW, "adamw8bit": _abi.FT_ADAMW_8BIT}
SCHEDULES = {"cosine": _abi.FT_SCHEDULE_COSINE, "linear": _abi.FT_SCHEDULE_LINEAR,
             "constant": _abi.FT_SCHEDULE_CONSTANT}
ON_NONFINITE = {"stop": _abi.FT_NONFINITE_STOP, "skip": _abi.FT_NONFINITE_SKIP}


@dataclass
class LoraConfig:
    """PEFT's LoraConfig, the fields that are supported. target_modules: names, "all-linear", or a regular expression."""

    r: int = 16
    lora_alpha: float = 32
    lora_dropout: float = 0
    use_rslora: bool = False
    target_modules: Union[str, Sequence[str]] = "all-linear"
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)

    def _native(self) -> _abi.ft_lora_options:
        options = defaults(_abi.ft_lora_options)
        fill(options, r=self.r, lora_alpha=self.lora_alpha, lora_dropout=self.lora_dropout, use_rslora=self.use_rslora)
        self._set_targets(options)
        ranks, alphas = dict(self.rank_pattern), dict(self.alpha_pattern)
        options.rank_pattern, options.rank_pattern_count = strings(ranks, "a key of rank_pattern"), len(ranks)
        options.alpha_pattern, options.alpha_pattern_count = strings(alphas, "a key of alpha_pattern"), len(alphas)
        rank_values = integers(ranks.values(), "rank_pattern", ctypes.c_int64)
        alpha_values = (ctypes.c_double * len(alphas))(*[real(value, "alpha_pattern") for value in alphas.values()])
        options.rank_pattern_r = ctypes.cast(rank_values, ctypes.c_void_p)
        options.alpha_pattern_alpha = ctypes.cast(alpha_values, ctypes.c_void_p)
        options._keep = (rank_values, alpha_values)
        return options

    def _set_targets(self, options: _abi.ft_lora_options) -> None:
        targets = self.target_modules
        if not isinstance(targets, str):
            targets = listed(targets, "target_modules")
            options.target_modules, options.target_module_count = strings(targets, "target_modules[{}]"), len(targets)
        elif targets != "all-linear":
            fill(options, target_regex=targets)
        if not targets:  # C would take it for all linears
            raise ValueError('target_modules: want names, "all-linear" or a regular expression, got nothing')


@dataclass
class TrainOptions:
    """The options of `ftlib tune`, with its defaults."""

    epochs: int = 1
    steps: int = 0
    batch_tokens: int = 2048
    batch_examples: int = 0
    accumulate: int = 1
    order: str = "shuffle"
    seed: int = 0
    lr: float = 2e-4
    schedule: str = "cosine"
    warmup: float = 0.05
    weight_decay: float = 0
    clip: float = 1
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    optimizer: str = "adamw"
    on_nonfinite: str = "stop"
    memory_bytes: int = 0
    valid_every: int = 0
    patience: int = 0

    def _native(self) -> _abi.ft_train_options:
        options = defaults(_abi.ft_train_options)
        tables = {"order": ORDERS, "schedule": SCHEDULES, "optimizer": OPTIMIZERS, "on_nonfinite": ON_NONFINITE}
        fill(options, **{name: number_of(tables[name], value, name) if name in tables else value
                         for name, value in asdict(self).items()})
        return options


@dataclass(frozen=True)
class Progress:
    """What a step was, and where the run is."""

    step: int
    total_steps: int
    epoch: int
    loss: float
    grad_norm: float
    lr: float
    tokens: int
    supervised_tokens: int
    seconds: float
    skipped: bool
    valid_loss: Optional[float]  # measured after this step
    best_valid_loss: Optional[float]
    best_step: int
    train_loss: float
    finished: bool


@dataclass(frozen=True)
class MemoryPlan:
    peak_bytes: int
    trainer_bytes: int
    budget_bytes: int
    layers_kept_whole: int
    layers_without_mlp: int
    layers_input_only: int


def _progress(raw: _abi.ft_progress) -> Progress:
    return Progress(raw.step, raw.total_steps, raw.epoch, raw.loss, raw.grad_norm, raw.lr, raw.tokens,
                    raw.supervised_tokens, raw.seconds, bool(raw.skipped),
                    raw.valid_loss if raw.validated else None,
                    None if math.isnan(raw.best_valid_loss) else raw.best_valid_loss, raw.best_step, raw.train_loss,
                    bool(raw.finished))


class Trainer(Handle):
    """One training run. One call at a time; cancel() and progress from any thread."""

    _free_name = "ft_trainer_free"
    _advice = "Save it with save() and resume() it there."

    def __init__(self, model: Model, train: Dataset, valid: Optional[Dataset] = None, *,
                 lora: Optional[LoraConfig] = None, options: Optional[TrainOptions] = None,
                 init_adapter: Optional[Adapter] = None) -> None:
        """Takes all memory that the run needs. `valid`: held-out records that choose the best adapter."""
        lora_native = instance(lora, LoraConfig, "lora")._native() if lora is not None else None
        native = instance(TrainOptions() if options is None else options, TrainOptions, "options")._native()
        if init_adapter is not None:
            native.init_adapter = instance(init_adapter, Adapter, "init_adapter")._owner.pointer
        super().__init__(new(lib.ft_trainer_create, instance(model, Model, "model"), instance(train, Dataset, "train"),
                             optional_instance(valid, Dataset, "valid"),
                             ctypes.byref(lora_native) if lora_native is not None else None, ctypes.byref(native)))

    def step(self) -> Progress:
        """One optimiser step, and the validation that is due after it."""
        raw = sized(_abi.ft_progress)
        check(lib.ft_trainer_step(self, ctypes.byref(raw)))
        return _progress(raw)

    def run(self, on_step: Optional[Callable[[Progress], Any]] = None, *, save_to: Any = None,
            bar: Optional[bool] = None) -> Progress:
        """Steps until the run is finished, or on_step returns False, or Ctrl-C, and says where it is then.

        save_to  a folder: on Ctrl-C, and where on_step ends the run, the state is saved there; resume() goes on from it
        bar      True: a tqdm bar; None: one where tqdm is installed and standard error is a terminal
        Ctrl-C takes effect after the step in progress. What on_step raises is raised here. The GIL is free while a step
        runs.
        """
        with _Bar(bar, self.progress) as show:
            def after(raw: Any, _user: Any) -> Any:
                now = _progress(raw.contents)
                show(now)
                return on_step(now) if on_step is not None else None

            try:
                with Callback(_abi.ft_progress_callback, after) as callback:
                    callback.check(lib.ft_trainer_run(self, callback.pointer, None))
            except (Cancelled, KeyboardInterrupt) as ended:
                if isinstance(ended, Cancelled) and ended is callback.raised:
                    raise
                if save_to is not None:
                    self.save(save_to)
        return self.progress

    def cancel(self) -> None:
        """Ends the step or run in progress after its micro-batch; nothing of a step cut short is applied.

        Where none is in progress it does nothing: who may want to end a run before it has begun asks a flag of his own
        in on_step.
        """
        check(lib.ft_trainer_cancel(self))

    @property
    def progress(self) -> Progress:
        raw = sized(_abi.ft_progress)
        check(lib.ft_trainer_progress(self, ctypes.byref(raw)))
        return _progress(raw)

    @property
    def plan(self) -> MemoryPlan:
        raw = sized(_abi.ft_memory_plan)
        check(lib.ft_trainer_get_plan(self, ctypes.byref(raw)))
        return MemoryPlan(raw.peak_bytes, raw.trainer_bytes, raw.budget_bytes, raw.layers_kept_whole,
                          raw.layers_without_mlp, raw.layers_input_only)

    def save(self, folder: Any) -> None:
        """The whole state, as folder/step-N. A crash leaves the one before."""
        check(lib.ft_trainer_save(self, path_of(folder, "folder")))

    def resume(self, folder: Any) -> None:
        """Goes on from the newest valid state there, with the bits of a run that never stopped."""
        check(lib.ft_trainer_resume(self, path_of(folder, "folder")))

    def adapter(self) -> Adapter:
        """A copy of the adapter as it is now; of a finished run with held-out records, the best one."""
        return Adapter(new(lib.ft_trainer_adapter, self))


class _Bar:
    """tqdm's bar where it is wanted and there; else nothing."""

    def __init__(self, wanted: Optional[bool], start: Progress) -> None:
        self._bar: Any = None
        if wanted is False or (wanted is None and not sys.stderr.isatty()):
            return
        try:
            tqdm = importlib.import_module("tqdm").tqdm  # its types may be there or not
        except ImportError:
            if wanted:
                raise
            return
        self._bar = tqdm(total=start.total_steps, initial=start.step, unit="step")

    def __enter__(self) -> Callable[[Progress], None]:
        return self.show

    def show(self, now: Progress) -> None:
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{now.loss:.3f}", refresh=False)
            self._bar.update(now.step - self._bar.n)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
