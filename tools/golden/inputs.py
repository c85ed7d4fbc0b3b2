# SPDX-License-Identifier: Apache-2.0
"""Seeded inputs that tests/golden_inputs.h makes again bit for bit, and the digest that stands for long results."""
import numpy as np

NF4_VALUES = np.array([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], np.float32)
KINDS = ["spread", "bits", "ties", "sparse", "tiny", "huge", "near", "halves"]
_LOW = np.uint64(0xFFFFFFFF)


def words(n: int, key: int, stream: int) -> np.ndarray:
    """The first n words of ftlib's Random(key, stream): Philox4x32-10, four words a counter."""
    counter = np.arange((n + 3) // 4, dtype=np.uint64)
    c = [counter & _LOW, counter >> np.uint64(32), np.full_like(counter, stream), np.zeros_like(counter)]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), p1 & _LOW,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), p0 & _LOW]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, axis=1).reshape(-1)[:n].astype(np.uint32)


def digest(data) -> int:
    """FNV-1a, 64 bits, over little-endian 32-bit words; the last one is padded with zeros."""
    raw = np.ascontiguousarray(data).tobytes()
    raw += b"\0" * (-len(raw) % 4)
    value = 0xCBF29CE484222325
    for word in np.frombuffer(raw, "<u4").tolist():
        value = ((value ^ word) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def _unit(w):  # [-1, 1) in steps of 2^-23
    return ((w >> np.uint32(8)).astype(np.float64) - 2.0**23) * 2.0**-23


def values(kind: str, dtype: str, n: int) -> np.ndarray:
    """f32 values, or the bits of 16-bit ones (uint16)."""
    w, i = words(n, 1, KINDS.index(kind)), np.arange(n)
    if kind in ("bits", "tiny", "huge"):
        return _from_bits(kind, dtype, w, i)
    if kind == "spread":
        x = (_unit(w) * 2.0 ** (i // 37 % 28 - 20)).astype(np.float32)
    elif kind in ("ties", "near"):  # around the thresholds; "near" with a scale whose reciprocal is not exact
        middle = ((NF4_VALUES[:-1] + NF4_VALUES[1:]) / np.float32(2))[w % 15]
        up, down = np.nextafter(middle, np.float32(2)), np.nextafter(middle, np.float32(-2))
        moved = np.choose(w // 256 % 3, [middle, up, down])
        scale = 2.0 ** (i // 4096 % 5 * 7 - 14) * (np.float64(np.float32(1.7)) if kind == "near" else 1)
        x = (np.where(i % 32 == 0, np.float32(-1), moved) * scale).astype(np.float32)
    elif kind == "halves":
        x = (np.where(i % 32 == 0, 127, w % 254 - 126.5) * 2.0 ** (i // 4096 % 5 * 7 - 14)).astype(np.float32)
    else:
        x = np.where((w % 8 == 0) & (i // 4096 % 2 == 0) & (i // 128 % 2 == 0), _unit(w), 0).astype(np.float32)
    if dtype == "f32":
        return x
    if dtype == "f16":
        return x.astype(np.float16).view(np.uint16)
    bits = x.view(np.uint32).astype(np.uint64)
    return ((bits + np.uint64(0x7FFF) + (bits >> np.uint64(16) & np.uint64(1))) >> np.uint64(16)).astype(np.uint16)


def _from_bits(kind, dtype, w, i):
    exponent = {"f32": 0x7F800000, "bf16": 0x7F80, "f16": 0x7C00}[dtype]
    one = {"f32": 0x00800000, "bf16": 0x80, "f16": 0x400}[dtype]
    top = {"f32": 0x40000000, "bf16": 0x4000, "f16": 0x4000}[dtype]
    bits = w.astype(np.int64) if dtype == "f32" else (w >> np.uint32(16)).astype(np.int64)
    if kind == "bits":
        bits = np.where(bits & exponent == exponent, bits ^ top, bits)
    elif kind == "tiny":
        bits = bits & ~exponent
    else:  # the two largest exponents, and now and then the largest value
        bits = np.where(i % 100 == 0, exponent - 1, (bits & ~exponent) | (exponent - one - one * (bits // one % 2)))
    return bits.astype(np.uint32).view(np.float32) if dtype == "f32" else bits.astype(np.uint16)


def absmax(peaked: bool, n: int) -> np.ndarray:
    """12-bit values, or values one step around a common one with far ones on both sides: most lie near zero when centred."""
    w, i = words(n, 2, n), np.arange(n)
    far, near = 1 + i // 64 % 2 * 131070, 65535 + w // 64 % 3
    whole = np.where(i % 64 == 0, far, near) if peaked else (w >> np.uint32(20)) + 1
    return (whole * 2.0**-10).astype(np.float32)
