# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

from . import _abi
from ._arguments import fill, integers, listed, path_of, strings
from ._library import Handle, check, defaults, lib, new, sized, text_of

Message = Mapping[str, str]  # {"role": "user", "content": "Hi"}


def message_arrays(messages: Iterable[Message]) -> tuple[Any, Any, int]:
    conversation = listed(messages, "messages")
    for i, message in enumerate(conversation):
        _check_message(message, f"messages[{i}]")
    return (strings([message["role"] for message in conversation], "messages[{}].role"),
            strings([message["content"] for message in conversation], "messages[{}].content"), len(conversation))


def _check_message(message: Any, name: str) -> None:
    """As in a file of records: what is not role or content would be lost."""
    if not isinstance(message, Mapping):
        raise TypeError(f"{name}: want role and content in a dict, got {type(message).__name__}")
    if set(message) != {"role", "content"}:
        raise ValueError(f"{name}: a message has role and content, got {', '.join(map(repr, message)) or 'neither'}")


@dataclass(frozen=True)
class TokenizerInfo:
    vocab_size: int
    bos_id: Optional[int]
    eos_id: Optional[int]
    pad_id: Optional[int]
    adds_bos: bool
    chat_template: Optional[str]
    digest: str


class Tokenizer(Handle):
    """A vocabulary with its chat template. Immutable; any number of threads."""

    _free_name = "ft_tokenizer_free"
    _advice = "Open it from the model's path there."

    @classmethod
    def open(cls, model: Any, *, chat_template: Optional[str] = None, date: Optional[str] = None) -> Tokenizer:
        """Of a .gguf file or a Hugging Face folder, without its weights."""
        options = defaults(_abi.ft_tokenizer_options)
        fill(options, chat_template=chat_template, date=date)
        return cls(new(lib.ft_tokenizer_open, path_of(model, "model"), ctypes.byref(options)))

    @property
    def info(self) -> TokenizerInfo:
        owner, raw = self._owner, sized(_abi.ft_tokenizer_info)
        check(lib.ft_tokenizer_get_info(self, ctypes.byref(raw)))
        bos, eos, pad = (None if value < 0 else value for value in (raw.bos_id, raw.eos_id, raw.pad_id))
        template = text_of(raw.chat_template) if raw.chat_template is not None else None
        return TokenizerInfo(raw.vocab_size, bos, eos, pad, bool(raw.adds_bos), template, text_of(raw.digest))

    def encode(self, text: Union[str, bytes], *, special: bool = False) -> list[int]:
        """Token ids, without begin and end token. `special`: control tokens in the text become themselves."""
        data = text.encode() if isinstance(text, str) else text
        if not isinstance(data, bytes):
            raise TypeError(f"text: want str or bytes, got {type(text).__name__}")
        flags = _abi.FT_ENCODE_SPECIAL if special else 0
        return _tokens(lambda *place: lib.ft_tokenizer_encode(self, data, len(data), flags, *place))

    def decode(self, tokens: Iterable[int], *, skip_special: bool = False) -> str:
        return self.decode_bytes(tokens, skip_special=skip_special).decode("utf-8", "replace")

    def decode_bytes(self, tokens: Iterable[int], *, skip_special: bool = False) -> bytes:
        """The bytes of the tokens, which may end inside a character."""
        ids = integers(tokens, "tokens")
        flags = _abi.FT_DECODE_SKIP_SPECIAL if skip_special else 0
        return _bytes(lambda *place: lib.ft_tokenizer_decode(self, ids, len(ids), flags, *place))

    def render(self, messages: Iterable[Message], *, add_generation_prompt: bool = False) -> str:
        """The conversation as text: transformers' apply_chat_template(tokenize=False)."""
        flags = _abi.FT_CHAT_GENERATION_PROMPT if add_generation_prompt else 0
        arrays = message_arrays(messages)
        return _bytes(lambda *place: lib.ft_tokenizer_render(self, *arrays, flags, *place)).decode("utf-8", "replace")

    def encode_messages(self, messages: Iterable[Message], *, add_generation_prompt: bool = False) -> list[int]:
        """The conversation as tokens."""
        flags = _abi.FT_CHAT_GENERATION_PROMPT if add_generation_prompt else 0
        arrays = message_arrays(messages)
        return _tokens(lambda tokens, room, count: lib.ft_tokenizer_encode_messages(
            self, *arrays, flags, tokens, None, room, count))

    def supervision(self, messages: Iterable[Message], *, last_only: bool = False) -> list[tuple[int, bool]]:
        """Each token of the conversation, and whether training teaches it."""
        flags = _abi.FT_CHAT_SUPERVISE_LAST if last_only else 0
        arrays = message_arrays(messages)
        count = ctypes.c_size_t()
        check(lib.ft_tokenizer_encode_messages(self, *arrays, flags, None, None, 0, ctypes.byref(count)))
        tokens, taught = (ctypes.c_int32 * count.value)(), (ctypes.c_uint8 * count.value)()
        check(lib.ft_tokenizer_encode_messages(self, *arrays, flags, tokens, taught, count.value, ctypes.byref(count)))
        return [(token, bool(flag)) for token, flag in zip(tokens, taught)]


def _filled(kind: Any, call: Any) -> Any:
    """Calls for the count, then for the elements."""
    count = ctypes.c_size_t()
    check(call(None, 0, ctypes.byref(count)))
    elements = (kind * count.value)()
    check(call(elements, count.value, ctypes.byref(count)))
    return elements


def _tokens(call: Any) -> list[int]:
    return list(_filled(ctypes.c_int32, call))


def _bytes(call: Any) -> bytes:
    return bytes(_filled(ctypes.c_uint8, call))
