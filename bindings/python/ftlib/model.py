# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Optional, Union

from . import _abi
from ._buffer import Buffer
from ._arguments import fill, instance, integers, listed, optional_instance, path_of, utf8
from ._library import Callback, Handle, check, defaults, lib, new, sized, sized_text, text_of
from .adapter import Adapter
from .dataset import Dataset, number_of
from .evaluation import Evaluation
from .tokenizer import Message, Tokenizer

BASES = {"native": _abi.FT_BASE_NATIVE, "f32": _abi.FT_BASE_F32, "bf16": _abi.FT_BASE_BF16, "nf4": _abi.FT_BASE_NF4}
COMPUTES = {"auto": _abi.FT_COMPUTE_AUTO, "f32": _abi.FT_COMPUTE_F32, "bf16": _abi.FT_COMPUTE_BF16}

Prompt = Union[str, Sequence[Message], Sequence[int]]  # one user turn, a conversation, or tokens


@dataclass(frozen=True)
class ModelInfo:
    """With the names of Hugging Face's config.json."""

    model_type: str
    compute: str
    base: str
    digest: str
    tie_word_embeddings: bool
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    weight_bytes: int


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: list[int]
    stopped: bool  # by a stop token, not by max_tokens
    prompt_tokens: int


class Model(Handle):
    """Frozen weights with their tokenizer. Immutable: any number of threads, trainers and generations share it."""

    _free_name = "ft_model_free"
    _advice = "Open it from its path there."

    @classmethod
    def open(cls, path: Any, **options: Any) -> Model:
        """A .gguf file or a Hugging Face folder.

        base           "native" (as the file has the linears), "f32", "bf16", or "nf4" (QLoRA)
        compute        "auto" (bf16 where the processor multiplies it, else f32), "f32", "bf16"
        block_size, double_quant   of base="nf4": 64, False
        chat_template, date        in place of the model's own; what the template's strftime_now sees
        """
        return cls(new(lib.ft_model_open, path_of(path, "path"), ctypes.byref(_model_options(**options))))

    @classmethod
    def from_memory(cls, data: Any, **options: Any) -> Model:
        """A GGUF file that lies in memory; options as open(). The memory is read here only."""
        native = _model_options(**options)
        with closing(Buffer(data, "data", ("u8", "i8"))) as buffer:
            return cls(new(lib.ft_model_open_memory, buffer.flat("data"), buffer.size, ctypes.byref(native)))

    @property
    def info(self) -> ModelInfo:
        owner, raw = self._owner, sized(_abi.ft_model_info)
        check(lib.ft_model_get_info(self, ctypes.byref(raw)))
        names = {value: name for name, value in COMPUTES.items()}
        bases = {value: name for name, value in BASES.items()}
        return ModelInfo(text_of(raw.model_type), names[raw.compute], bases[raw.base], text_of(raw.digest),
                         bool(raw.tie_word_embeddings), raw.vocab_size, raw.hidden_size, raw.intermediate_size,
                         raw.num_hidden_layers, raw.num_attention_heads, raw.num_key_value_heads, raw.head_dim,
                         raw.max_position_embeddings, raw.weight_bytes)

    @property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer(new(lib.ft_model_tokenizer, self))

    def adapter(self, path: Any) -> Adapter:
        """Reads a PEFT folder or a GGUF adapter."""
        return Adapter(new(lib.ft_adapter_open, self, path_of(path, "path")))

    def evaluate(self, dataset: Dataset, adapter: Optional[Adapter] = None, *, metrics: Optional[Iterable[str]] = None,
                 max_tokens: int = 128, batch_tokens: int = 2048,
                 on_progress: Optional[Callable[[int, int], Any]] = None) -> Evaluation:
        """Loss, and with metrics ("exact", "f1", "rouge-l", "regex=PATTERN" last) scores of greedy answers.

        on_progress(done, total) is told of tokens, or of answers; returning False cancels.
        """
        options = defaults(_abi.ft_evaluate_options)
        names = [utf8(name, "metrics") for name in listed(metrics, "metrics")] if metrics is not None else []
        options.metrics = b",".join(names) or None
        fill(options, max_tokens=max_tokens, batch_tokens=batch_tokens)
        with _work_callback(on_progress) as callback:
            return Evaluation(new(lib.ft_evaluate, self, optional_instance(adapter, Adapter, "adapter"),
                                  instance(dataset, Dataset, "dataset"), ctypes.byref(options), callback.pointer, None,
                                  check=callback.check))

    def generate(self, prompts: Iterable[Prompt], adapter: Optional[Adapter] = None, *, max_tokens: int = 128,
                 temperature: float = 0, top_k: int = 0, top_p: float = 1, seed: int = 0,
                 stop_tokens: Optional[Iterable[int]] = None,
                 on_token: Optional[Callable[[int, int, bytes], Any]] = None) -> list[Answer]:
        """An answer to each prompt; none depends on the others.

        on_token(prompt, token, text) is told of each token as it comes; returning False ends all answers (Cancelled).
        """
        options = defaults(_abi.ft_generate_options)
        fill(options, max_tokens=max_tokens, temperature=temperature, seed=seed, top_k=top_k, top_p=top_p)
        if stop_tokens is not None:
            stop = integers(stop_tokens, "stop_tokens")
            options.stop_tokens, options.stop_token_count = ctypes.cast(stop, ctypes.c_void_p), len(stop)
        arrays = [self._prompt_tokens(prompt, f"prompts[{i}]") for i, prompt in enumerate(listed(prompts, "prompts"))]
        pointers = (ctypes.c_void_p * len(arrays))(*[ctypes.addressof(array) for array in arrays])
        lengths = (ctypes.c_size_t * len(arrays))(*map(len, arrays))
        tell = None if on_token is None else (
            lambda prompt, token, text, size, _user: on_token(prompt, token, ctypes.string_at(text, size) if size else b""))
        with Callback(_abi.ft_token_callback, tell) as callback:
            generation = _Generation(new(lib.ft_generate, self, optional_instance(adapter, Adapter, "adapter"),
                                         pointers, lengths, len(arrays), ctypes.byref(options), callback.pointer, None,
                                         check=callback.check))
        return [generation.answer(index) for index in range(len(arrays))]

    def _prompt_tokens(self, prompt: Prompt, name: str) -> Any:
        given = listed([{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt, name)
        if given and not isinstance(given[0], Mapping):
            return integers(given, name)
        return integers(self.tokenizer.encode_messages(given, add_generation_prompt=True), name)

    def merge(self, adapter: Adapter, out: Any, *, format: str = "bf16",
              on_progress: Optional[Callable[[int, int], Any]] = None) -> None:
        """Base + adapter as a model of its own: a GGUF file where `out` ends in ".gguf", else a Hugging Face folder."""
        with _work_callback(on_progress) as callback:
            callback.check(lib.ft_merge(self, instance(adapter, Adapter, "adapter"), path_of(out, "out"),
                                        utf8(format, "format"), callback.pointer, None))


def _work_callback(on_progress: Optional[Callable[[int, int], Any]]) -> Callback:
    tell = None if on_progress is None else lambda done, total, _user: on_progress(done, total)
    return Callback(_abi.ft_work_callback, tell)


class _Generation(Handle):
    _free_name = "ft_generation_free"

    def answer(self, index: int) -> Answer:
        raw = sized(_abi.ft_answer)
        check(lib.ft_generation_answer(self, index, ctypes.byref(raw)))
        tokens = list((ctypes.c_int32 * raw.token_count).from_address(raw.tokens)) if raw.token_count else []
        return Answer(sized_text(raw, "text", raw.text_bytes), tokens, bool(raw.stopped), raw.prompt_tokens)


def _model_options(*, base: str = "native", compute: str = "auto", block_size: int = 64, double_quant: bool = False,
                   chat_template: Optional[str] = None, date: Optional[str] = None) -> _abi.ft_model_options:
    options = defaults(_abi.ft_model_options)
    fill(options, base=number_of(BASES, base, "base"), compute=number_of(COMPUTES, compute, "compute"),
         block_size=block_size, double_quant=double_quant, chat_template=chat_template, date=date)
    return options
