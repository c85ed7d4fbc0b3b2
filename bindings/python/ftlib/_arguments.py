# SPDX-License-Identifier: Apache-2.0
"""Python objects on their way into C. ctypes by itself takes an int for an address, and cuts text at a NUL and numbers
to the bits that fit: here all of that is refused, with the argument's name."""
from __future__ import annotations

import ctypes
import operator
import os
from array import array
from collections.abc import Iterable, Mapping
from typing import Any, Optional, TypeVar

T = TypeVar("T")


def utf8(value: Any, name: str) -> bytes:
    """A str as UTF-8 that may end with a NUL."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: want str, got {type(value).__name__}")
    return _without_nul(str.encode(value), name)


def optional_utf8(value: Any, name: str) -> Optional[bytes]:
    return None if value is None else utf8(value, name)


def path_of(value: Any, name: str) -> bytes:
    """A path in the bytes of the file system."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(f"{name}: want a path (str, bytes or os.PathLike), got {type(value).__name__}")
    return _without_nul(os.fsencode(value), name)


def _without_nul(encoded: bytes, name: str) -> bytes:
    if b"\0" in encoded:
        raise ValueError(f"{name}: holds a NUL, where C takes text to end")
    return encoded


def instance(value: Any, kind: type[T], name: str) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{name}: want {kind.__name__}, got {type(value).__name__}")
    return value


def optional_instance(value: Any, kind: type[T], name: str) -> Optional[T]:
    return None if value is None else instance(value, kind, name)


def integer(value: Any, name: str, kind: Any = ctypes.c_int64) -> int:
    """An int, or what Python takes for one (NumPy's), that fits the C type."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: want an integer, got {type(value).__name__}") from None
    if kind(number).value != number:
        sign = "a signed" if kind(-1).value == -1 else "an unsigned"
        raise ValueError(f"{name}: want {sign} integer of {8 * ctypes.sizeof(kind)} bits, got {number}")
    return number


def real(value: Any, name: str) -> float:
    try:
        return ctypes.c_double(value).value
    except TypeError:
        raise TypeError(f"{name}: want a number, got {type(value).__name__}") from None


def listed(values: Iterable[Any], name: str) -> list[Any]:
    """The elements of a list, a generator, an array. Text and mappings have elements, but not those that were meant."""
    try:
        if isinstance(values, (str, bytes, bytearray, Mapping)):
            raise TypeError
        elements = iter(values)
    except TypeError:
        raise TypeError(f"{name}: want a list, got {type(values).__name__}") from None
    return list(elements)


def integers(values: Iterable[Any], name: str, kind: Any = ctypes.c_int32) -> Any:
    """A C array."""
    elements = listed(values, name)
    try:
        packed = array(kind._type_, elements)  # refuses as integer() does, but all tokens of a record in one go
    except (TypeError, OverflowError):
        packed = array(kind._type_, [integer(value, f"{name}[{i}]", kind) for i, value in enumerate(elements)])
    return (kind * len(packed)).from_buffer(packed)


def strings(values: Iterable[Any], name: str) -> Any:
    """A C array; `name` is that of one element, with {} for its index."""
    encoded = [utf8(value, name.format(i)) for i, value in enumerate(values)]
    return (ctypes.c_char_p * len(encoded))(*encoded)


def fill(struct: ctypes.Structure, **values: Any) -> None:
    """Sets fields of a struct, each as its type in C wants it. None is text that is not given."""
    kinds = {field[0]: field[1] for field in struct._fields_}
    for name, value in values.items():
        setattr(struct, name, _as_field(value, name, kinds[name]))


def _as_field(value: Any, name: str, kind: Any) -> Any:
    if kind is ctypes.c_char_p:
        return optional_utf8(value, name)
    return real(value, name) if kind in (ctypes.c_double, ctypes.c_float) else integer(value, name, kind)
