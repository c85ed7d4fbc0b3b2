# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from . import _abi
from ._arguments import path_of
from ._library import Handle, check, lib, sized, text_of


@dataclass(frozen=True)
class AdapterInfo:
    r: int
    lora_alpha: float
    lora_dropout: float
    use_rslora: bool
    parameter_count: int
    digest: str
    base_digest: Optional[str]


class _AdapterMemory:
    """What keeps an adapter alive for the views of its tensors."""

    def __init__(self, address: int, count: int, owner: object) -> None:
        self.array = (ctypes.c_float * count).from_address(address)
        self.array._owner = owner  # type: ignore[attr-defined]


class Adapter(Handle):
    """A LoRA adapter. Immutable; any number of threads. Model.adapter() reads one, Trainer.adapter() gives one."""

    _free_name = "ft_adapter_free"
    _advice = "Save it with save_pretrained() and read it there."

    @property
    def info(self) -> AdapterInfo:
        owner, raw = self._owner, self._info()
        return AdapterInfo(raw.r, raw.lora_alpha, raw.lora_dropout, bool(raw.use_rslora), raw.parameter_count,
                           text_of(raw.digest), text_of(raw.base_digest) or None)

    def _info(self) -> _abi.ft_adapter_info:
        raw = sized(_abi.ft_adapter_info)
        check(lib.ft_adapter_get_info(self, ctypes.byref(raw)))
        return raw

    def save_pretrained(self, folder: Any) -> None:
        """adapter_config.json and adapter_model.safetensors, as PEFT writes them."""
        check(lib.ft_adapter_save_peft(self, path_of(folder, "folder")))

    def save_gguf(self, path: Any) -> None:
        """The file that llama.cpp reads."""
        check(lib.ft_adapter_save_gguf(self, path_of(path, "path")))

    def tensors(self) -> Iterator[tuple[str, float, Any]]:
        """Name, scale and values [rows, columns] of each: read-only f32 views, which keep the adapter's memory alive."""
        for index in range(self._info().tensor_count):
            owner, name, scale, raw = self._owner, ctypes.c_char_p(), ctypes.c_float(), sized(_abi.ft_tensor)
            check(lib.ft_adapter_tensor(self, index, ctypes.byref(name), ctypes.byref(scale), ctypes.byref(raw)))
            rows, columns = raw.shape[0], raw.shape[1]
            memory = _AdapterMemory(raw.data, rows * columns, owner)
            view = memoryview(memory.array).cast("B").cast("f", [rows, columns]).toreadonly()
            yield text_of(name.value), scale.value, view
