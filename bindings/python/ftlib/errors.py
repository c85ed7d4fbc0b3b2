# SPDX-License-Identifier: Apache-2.0
"""One exception a status; what Python has a word for is also that: a missing file is a FileNotFoundError."""
from __future__ import annotations


class FtlibError(Exception):
    """An error of the library. `status` is its name in C, `reason` what is wrong with a file ("NONE" otherwise)."""

    status = "FT_ERROR"

    def __init__(self, message: str, reason: str = "NONE") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason

    def __str__(self) -> str:
        return self.message


class InvalidArgument(FtlibError, ValueError):
    """Something was passed that cannot work."""
    status = "FT_ERROR_INVALID_ARGUMENT"


class Unsupported(FtlibError, NotImplementedError):
    """Understood, but not offered by this library, build or processor."""
    status = "FT_ERROR_UNSUPPORTED"


class OutOfMemory(FtlibError, MemoryError):
    status = "FT_ERROR_OUT_OF_MEMORY"


class InvalidFile(FtlibError, ValueError):
    """A file's content is wrong; `reason` says how."""
    status = "FT_ERROR_INVALID_FILE"


class IoError(FtlibError, OSError):
    """The operating system refused."""
    status = "FT_ERROR_IO"


class NotFound(FtlibError, FileNotFoundError):
    status = "FT_ERROR_NOT_FOUND"


class Busy(FtlibError):
    """Another call, thread or process holds it: wait and try again."""
    status = "FT_ERROR_BUSY"


class Mismatch(FtlibError, ValueError):
    """Two valid things do not belong together."""
    status = "FT_ERROR_MISMATCH"


class NonFinite(FtlibError, ArithmeticError):
    """NaN or infinity where a number is needed."""
    status = "FT_ERROR_NON_FINITE"


class Cancelled(FtlibError):
    """A callback or Trainer.cancel() asked for it."""
    status = "FT_ERROR_CANCELLED"


class Internal(FtlibError):
    """A fault of the library: please report it."""
    status = "FT_ERROR_INTERNAL"


class BufferTooSmall(FtlibError, ValueError):
    status = "FT_ERROR_BUFFER_TOO_SMALL"


BY_STATUS: dict[str, type[FtlibError]] = {kind.status: kind for kind in (
    InvalidArgument, Unsupported, OutOfMemory, InvalidFile, IoError, NotFound, Busy, Mismatch, NonFinite, Cancelled,
    Internal, BufferTooSmall)}
