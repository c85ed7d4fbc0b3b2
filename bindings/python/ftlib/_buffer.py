# SPDX-License-Identifier: Apache-2.0
"""Memory of others without a copy: the buffer protocol (NumPy, array, bytearray, memoryview) or __dlpack__ (torch, JAX)."""
from __future__ import annotations

import ctypes
from typing import Any, Optional

from . import _abi

_PyBUF_WRITABLE, _PyBUF_FORMAT, _PyBUF_STRIDES = 0x1, 0x4, 0x10 | 0x8

# struct's letters and their sizes, as names of dtypes
_FORMATS = {"f": "f32", "e": "f16", "d": "f64", "B": "u8", "b": "i8", "?": "u8", "i": "i32", "l": "i64", "q": "i64"}
_DLPACK = {(2, 32): "f32", (2, 16): "f16", (4, 16): "bf16", (1, 8): "u8", (0, 32): "i32", (0, 64): "i64", (2, 64): "f64"}
BYTES = {"f32": 4, "bf16": 2, "f16": 2, "f64": 8, "u8": 1, "i8": 1, "i32": 4, "i64": 8}
DTYPES = {"f32": _abi.FT_F32, "bf16": _abi.FT_BF16, "f16": _abi.FT_F16}


class _PyBuffer(ctypes.Structure):
    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.py_object), ("len", ctypes.c_ssize_t),
                ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
                ("format", ctypes.c_char_p), ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
                ("strides", ctypes.POINTER(ctypes.c_ssize_t)), ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)),
                ("internal", ctypes.c_void_p)]


class _DLTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
                ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
                ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]


class Buffer:
    """Address, shape, strides (in elements) and dtype of an object's memory, held until close().

    Raises TypeError where the object offers no memory of the CPU, or of another dtype than `dtypes`; ValueError where it is
    read-only and may not be, or its last axis is not contiguous.
    """

    def __init__(self, of: Any, name: str, dtypes: tuple[str, ...], *, writable: bool = False) -> None:
        self._view: Optional[_PyBuffer] = None
        self._keep: Any = of
        try:
            self._from_buffer(of, writable)
        except TypeError:
            if not hasattr(of, "__dlpack__"):
                raise TypeError(f"{name}: want an array (the buffer protocol, or __dlpack__), got "
                                f"{type(of).__name__}") from None
            self._from_dlpack(of, name)
        if self.dtype not in dtypes:
            self.close()
            raise TypeError(f"{name}: want {' or '.join(dtypes)}, got {self.dtype}")
        if self.shape and self.shape[-1] > 1 and self.strides[-1] != 1:
            self.close()
            raise ValueError(f"{name}: the last axis must be contiguous")

    def _from_buffer(self, of: Any, writable: bool) -> None:
        view = _PyBuffer()
        flags = _PyBUF_FORMAT | _PyBUF_STRIDES | (_PyBUF_WRITABLE if writable else 0)
        ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(of), ctypes.byref(view), flags)
        self._view = view
        letter = (view.format or b"B").decode().lstrip("@=<")
        self.dtype = _FORMATS.get(letter, letter)
        self.address = view.buf or 0
        self.shape = [view.shape[i] for i in range(view.ndim)]
        self.strides = [view.strides[i] // view.itemsize for i in range(view.ndim)]

    def _from_dlpack(self, of: Any, name: str) -> None:
        self._keep = of.__dlpack__()
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        tensor = _DLTensor.from_address(get(self._keep, b"dltensor"))
        if tensor.device_type != 1:
            raise TypeError(f"{name}: the memory is on another device than the CPU")
        self.dtype = _DLPACK.get((tensor.code, tensor.bits), f"type {tensor.code} of {tensor.bits} bits")
        self.address = (tensor.data or 0) + tensor.byte_offset
        self.shape = [tensor.shape[i] for i in range(tensor.ndim)]
        if tensor.strides:
            self.strides = [tensor.strides[i] for i in range(tensor.ndim)]
        else:
            self.strides = contiguous(self.shape)

    @property
    def size(self) -> int:
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    def flat(self, name: str, size: Optional[int] = None) -> int:
        """The address of memory without gaps, of `size` elements."""
        packed = all(extent <= 1 or have == want
                     for extent, have, want in zip(self.shape, self.strides, contiguous(self.shape)))
        if not packed:
            raise ValueError(f"{name}: the memory must be contiguous")
        if size is not None and self.size != size:
            raise ValueError(f"{name}: want {size} elements, got {self.size}")
        return self.address

    def tensor(self, name: str, rank: int) -> _abi.ft_tensor:
        if len(self.shape) != rank:
            raise ValueError(f"{name}: want {rank} axes, got {len(self.shape)}")
        value = _abi.ft_tensor()
        value.struct_size, value.dtype, value.rank = ctypes.sizeof(value), DTYPES[self.dtype], rank
        value.data = self.address
        for axis, (extent, stride) in enumerate(zip(self.shape, self.strides)):
            value.shape[axis], value.stride[axis] = extent, stride
        if rank == 2:
            value.stride[1] = 1
        return value

    def close(self) -> None:
        if self._view is not None:
            ctypes.pythonapi.PyBuffer_Release(ctypes.byref(self._view))
            self._view = None
        self._keep = None

    def __del__(self) -> None:
        self.close()


def contiguous(shape: list[int]) -> list[int]:
    strides: list[int] = []
    step = 1
    for extent in reversed(shape):
        strides.insert(0, step)
        step *= extent
    return strides
