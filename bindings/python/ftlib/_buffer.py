# SPDX-License-Identifier: Apache-2.0
"""Memory of others without a copy: the buffer protocol (NumPy, array, bytearray, memoryview) or __dlpack__ (torch, JAX)."""
from __future__ import annotations

import ctypes
from typing import Any, Optional

from . import _abi

_PyBUF_WRITABLE, _PyBUF_FORMAT, _PyBUF_STRIDES = 0x1, 0x4, 0x10 | 0x8
_CPU, _READ_ONLY, _COPIED = 1, 1, 2  # of DLPack: a type of device, and flags

_python = ctypes.PyDLL(None)  # not ctypes.pythonapi, whose functions other packages may give other types
_capsule_pointer = _python.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_is_capsule = _python.PyCapsule_IsValid
_is_capsule.restype, _is_capsule.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]

# struct's letters with their sizes ("l" may have two) as names of dtypes
_FORMATS = {("f", 4): "f32", ("e", 2): "f16", ("d", 8): "f64", ("B", 1): "u8", ("b", 1): "i8", ("c", 1): "u8",
            ("i", 4): "i32", ("l", 4): "i32", ("l", 8): "i64", ("q", 8): "i64"}
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


class _DLVersioned(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("manager", ctypes.c_void_p),
                ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", _DLTensor)]


class Buffer:
    """Address, shape, strides (in elements) and dtype of an object's memory, held until close().

    Raises TypeError where the object offers no memory of the CPU, or of another dtype than `dtypes`; ValueError or
    BufferError where it is read-only and may not be, where its elements lie between others, or where its last axis is
    not contiguous.
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
            self._from_dlpack(of, name, writable)
        try:
            self._check(name, dtypes)
        except Exception:
            self.close()
            raise

    def _from_buffer(self, of: Any, writable: bool) -> None:
        view = _PyBuffer()
        flags = _PyBUF_FORMAT | _PyBUF_STRIDES | (_PyBUF_WRITABLE if writable else 0)
        _python.PyObject_GetBuffer(ctypes.py_object(of), ctypes.byref(view), flags)
        self._view = view
        letter = (view.format or b"B").decode().lstrip("@=<")
        self.dtype = _FORMATS.get((letter, view.itemsize), letter)
        self.address = view.buf or 0
        self.shape = [view.shape[i] for i in range(view.ndim)]
        self._strides = [view.strides[i] for i in range(view.ndim)]

    def _from_dlpack(self, of: Any, name: str, writable: bool) -> None:
        self._keep = _capsule(of)
        tensor = self._dl_tensor(name, writable)
        if tensor.device_type != _CPU:
            raise TypeError(f"{name}: the memory is on another device than the CPU")
        unknown = f"type {tensor.code} of {tensor.lanes} times {tensor.bits} bits"
        self.dtype = _DLPACK.get((tensor.code, tensor.bits), unknown) if tensor.lanes == 1 else unknown
        self.address = (tensor.data or 0) + tensor.byte_offset
        self.shape = [tensor.shape[i] for i in range(tensor.ndim)]
        strides = [tensor.strides[i] for i in range(tensor.ndim)] if tensor.strides else contiguous(self.shape)
        self._strides = [stride * tensor.bits // 8 for stride in strides]

    def _dl_tensor(self, name: str, writable: bool) -> _DLTensor:
        if not _is_capsule(self._keep, b"dltensor_versioned"):
            return _DLTensor.from_address(_capsule_pointer(self._keep, b"dltensor"))
        managed = _DLVersioned.from_address(_capsule_pointer(self._keep, b"dltensor_versioned"))
        if managed.major != 1:
            raise TypeError(f"{name}: version {managed.major} of DLPack is unknown here")
        if writable and managed.flags & (_READ_ONLY | _COPIED):
            raise ValueError(f"{name}: the memory is read-only, or a copy")
        tensor: _DLTensor = managed.tensor
        return tensor

    def _check(self, name: str, dtypes: tuple[str, ...]) -> None:
        if self.dtype not in dtypes:
            raise TypeError(f"{name}: want {' or '.join(dtypes)}, got {self.dtype}")
        itemsize = BYTES[self.dtype]
        strides = [stride if extent > 1 else step * itemsize  # an axis of one element says nothing
                   for extent, stride, step in zip(self.shape, self._strides, contiguous(self.shape))]
        if any(number % itemsize for number in (self.address, *strides)):
            raise ValueError(f"{name}: elements of {itemsize} bytes must lie at multiples of {itemsize} bytes")
        self.strides = [stride // itemsize for stride in strides]
        if self.strides and self.strides[-1] != 1:
            raise ValueError(f"{name}: the last axis must be contiguous")

    @property
    def size(self) -> int:
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    def flat(self, name: str, size: Optional[int] = None) -> int:
        """The address of memory without gaps, of `size` elements."""
        if self.strides != contiguous(self.shape):
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
        return value

    def close(self) -> None:
        if self._view is not None:
            _python.PyBuffer_Release(ctypes.byref(self._view))
            self._view = None
        self._keep = None

    def __del__(self) -> None:
        self.close()


def _capsule(of: Any) -> Any:
    """Of version 1, which says what is read-only, or from an older producer that knows no versions."""
    try:
        return of.__dlpack__(max_version=(1, 0))
    except TypeError:
        return of.__dlpack__()


def contiguous(shape: list[int]) -> list[int]:
    strides: list[int] = []
    step = 1
    for extent in reversed(shape):
        strides.insert(0, step)
        step *= extent
    return strides
