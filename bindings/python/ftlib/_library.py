# SPDX-License-Identifier: Apache-2.0
"""The shared library, found, loaded and checked once; its errors as exceptions; its handles as objects."""
from __future__ import annotations

import ctypes
import os
import pathlib
import platform
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Optional, TypeVar

from . import _abi
from ._arguments import integer, optional_utf8, utf8
from .errors import BY_STATUS, FtlibError, InvalidArgument

NAME = "libftlib_c.so.0"


def _want(loader_says: str) -> str:
    """What this host lacks, in words that the loader does not have."""
    version = re.search(r"version `GLIBC_([0-9.]+)' not found", loader_says)
    if version:
        return f"this ftlib needs glibc {version[1]} or newer, this host has {' '.join(platform.libc_ver())}"
    library = re.match(r"([^:]+): cannot open shared object file", loader_says)
    return f"ftlib needs {library[1] if library else NAME}, which this host lacks or cannot load"


def _load() -> ctypes.CDLL:
    """FTLIB_LIBRARY, else the library inside the package, else the system's."""
    inside = pathlib.Path(__file__).with_name(NAME)
    path = os.environ.get("FTLIB_LIBRARY") or (str(inside) if inside.exists() else NAME)
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"{_want(str(error))}; docs/platforms.md states what it needs ({error})") from error
    library.ft_abi_version.restype = ctypes.c_uint32
    found = library.ft_abi_version()
    if found != _abi.FT_ABI_VERSION:
        raise ImportError(f"{path} has ABI {found}, this package needs {_abi.FT_ABI_VERSION}")
    _abi.declare(library)
    return library


lib = _load()
_cleared = threading.local()


def check(status: int) -> None:
    """Raises what a call on this thread has just returned."""
    if status == _abi.FT_OK:
        return
    message, reason = _last_error()
    if not message:
        message, reason = getattr(_cleared, "error", (b"", _abi.FT_REASON_NONE))
    name = lib.ft_status_name(status).decode()
    raise BY_STATUS.get(name, FtlibError)(text_of(message) or name, text_of(lib.ft_reason_name(reason)))


def _last_error() -> tuple[bytes, int]:
    return lib.ft_last_error(), lib.ft_last_error_reason()


class _Owned:
    """A handle that is freed when the last Python object that needs it is gone."""

    def __init__(self, pointer: int, free: Callable[[int], int]) -> None:
        self.pointer = pointer
        self._free = free

    def __del__(self) -> None:
        """The collector may come between a call and its check(), whose error freeing would clear: it is kept."""
        error = _last_error()
        self._free(self.pointer)
        if error[0]:
            _cleared.error = error


Self = TypeVar("Self", bound="Handle")


class Handle:
    """What stands for an object of the library. Use it in a `with`, call close(), or leave it to the collector."""

    _free_name: str
    _advice = ""

    def __init__(self, pointer: Optional[int]) -> None:
        assert pointer is not None
        self._owned: Optional[_Owned] = _Owned(pointer, getattr(lib, self._free_name))

    @property
    def _as_parameter_(self) -> ctypes.c_void_p:
        """What ctypes passes. A closed one is not NULL, which may mean "none", but a number that is no handle: the library
        refuses it as it does a freed one. ctypes would wrap what is raised here."""
        owned = self._owned
        return ctypes.c_void_p(owned.pointer if owned is not None else 1)

    @property
    def _owner(self) -> _Owned:
        """Hold it while memory of the object is read: another thread may close it meanwhile."""
        owned = self._owned
        if owned is None:
            raise InvalidArgument(f"this {type(self).__name__} is closed")
        return owned

    def close(self) -> None:
        """Frees the object; what was made of it lives on. Closing twice is closing once."""
        self._owned = None

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} is memory of this process and cannot be pickled. {self._advice}".strip())


def new(create: Callable[..., int], *arguments: Any, check: Callable[[int], None] = check) -> int:
    """The handle that a function of C makes."""
    out = ctypes.c_void_p()
    check(create(*arguments, ctypes.byref(out)))
    assert out.value is not None
    return out.value


Struct = TypeVar("Struct", bound=ctypes.Structure)


def sized(kind: type[Struct]) -> Struct:
    """A struct for the library to fill."""
    value = kind()
    value.struct_size = ctypes.sizeof(kind)
    return value


def defaults(kind: type[Struct]) -> Struct:
    """Options as their _init function gives them."""
    value = kind()
    check(getattr(lib, kind.__name__ + "_init")(ctypes.byref(value), ctypes.sizeof(kind)))
    return value


def text_of(value: Optional[bytes]) -> str:
    return (value or b"").decode("utf-8", "replace")


def sized_text(struct: ctypes.Structure, name: str, size: int) -> str:
    """Text of a field that has a size: as a c_char_p it would end at its first NUL."""
    address = ctypes.c_void_p.from_buffer(struct, getattr(type(struct), name).offset).value
    return text_of(ctypes.string_at(address, size) if address else b"")


class Callback:
    """A Python function as the library calls it, for the length of one call:

        with Callback(kind, function) as callback:
            callback.check(lib.ft_x(..., callback.pointer, None))

    What the function raises cancels the call, and is raised again after it; False cancels it. Ctrl-C cancels it too, once
    the library calls back: an exception that Python raised in the middle of a callback would be lost. After the last
    callback it is raised at the end of the `with`, when what the call made has an owner.
    """

    def __init__(self, kind: Any, function: Optional[Callable[..., Any]]) -> None:
        self._function = function
        self.raised: Optional[BaseException] = None
        self._handler: Any = None
        self.pointer = kind(self._call)

    def _call(self, *arguments: Any) -> int:
        if self.raised is None and self._function is not None:
            try:
                if self._function(*arguments) is False:
                    return 1
            except BaseException as raised:
                self.raised = raised
        return 0 if self.raised is None else 1

    def _interrupt(self, *_: object) -> None:
        self.raised = KeyboardInterrupt()

    def __enter__(self) -> Callback:
        if (threading.current_thread() is threading.main_thread()
                and signal.getsignal(signal.SIGINT) is signal.default_int_handler):
            self._handler = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, failed: Optional[type[BaseException]], *_: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        del self.pointer  # it and this object hold each other, and with them all that the function sees
        if self.raised is not None and failed is None:
            raise self.raised

    def check(self, status: int) -> None:
        if self.raised is not None and status != _abi.FT_OK:
            raise self.raised
        check(status)


_log: Any = None


def set_log(function: Optional[Callable[[str], Any]]) -> None:
    """Where warnings of the library go (`set_log(logging.getLogger("ftlib").warning)`); None: nowhere, the default."""
    global _log
    if function is not None and not callable(function):
        raise TypeError(f"function: want a function or None, got {type(function).__name__}")

    def call(message: int, _user: Any) -> None:
        assert function is not None
        try:
            function(text_of(ctypes.string_at(message)))
        except BaseException:  # the library goes on
            traceback.print_exc(file=sys.stderr)

    pointer = _abi.ft_log_callback(call) if function is not None else _abi.ft_log_callback(0)
    check(lib.ft_set_log(pointer, None))
    _log = pointer


def version() -> str:
    """Of the library that runs."""
    return text_of(lib.ft_version())


def backends() -> dict[str, bool]:
    """The backends of this build, best first, and whether this processor runs them."""
    count = ctypes.c_size_t()
    check(lib.ft_backend_count(ctypes.byref(count)))
    found = {}
    for index in range(count.value):
        name, available = ctypes.c_char_p(), ctypes.c_int32()
        check(lib.ft_backend_name(index, ctypes.byref(name), ctypes.byref(available)))
        found[text_of(name.value)] = bool(available.value)
    return found


def force_backend(name: Optional[str]) -> None:
    """For the whole process; None: the best for each op. Not while another thread computes."""
    check(lib.ft_backend_force(optional_utf8(name, "name")))


def backend_used(op: str) -> str:
    """Of the last op of this name on this thread; "" before any."""
    name = ctypes.c_char_p()
    check(lib.ft_backend_used(utf8(op, "op"), ctypes.byref(name)))
    return text_of(name.value)


def get_threads() -> int:
    count = ctypes.c_int32()
    check(lib.ft_get_threads(ctypes.byref(count)))
    return count.value


def set_threads(count: int) -> None:
    """How many threads a call may use, 1 to 1024. Results do not depend on it."""
    check(lib.ft_set_threads(integer(count, "count", ctypes.c_int32)))


def shutdown() -> None:
    """Joins the library's threads; the next call that needs them starts them again."""
    check(lib.ft_shutdown())
