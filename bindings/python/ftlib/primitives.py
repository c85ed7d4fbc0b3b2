# SPDX-License-Identifier: Apache-2.0
"""The ops that training is made of, each on the caller's own arrays: NumPy, torch, or what else has the buffer protocol or
__dlpack__. Nothing is copied. Shapes: T tokens, N rows (out_features), K columns (in_features), R rank, V vocabulary."""
from __future__ import annotations

import ctypes
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from . import _abi
from ._buffer import DTYPES, Buffer
from ._arguments import fill, integer, listed, real
from ._library import check, defaults, lib

FLOATS = ("f32", "bf16", "f16")
COMPUTE = ("f32", "bf16")


@dataclass(frozen=True)
class Nf4Weight:
    """An NF4 weight [out_features, in_features]: what nf4_quantize() and, for double quantisation, double_quantize() made.

    codes [ceil(N K / 2)] u8; absmax [ceil(N K / block_size)] f32, or u8 codes with nested_scales f32 and nested_offset.
    """

    codes: Any
    absmax: Any
    out_features: int
    in_features: int
    block_size: int = 64
    nested_scales: Any = None
    nested_offset: float = 0


def nf4_quantize(values: Any, codes: Any, absmax: Any, *, block_size: int = 64) -> None:
    """Quantises `values` (f32, bf16 or f16) into codes and absmax, in the bits of bitsandbytes."""
    with _Arrays() as use:
        source, block_size = use(values, "values", FLOATS), integer(block_size, "block_size", ctypes.c_int32)
        count = source.size
        check(lib.ft_nf4_quantize(source.flat("values"), DTYPES[source.dtype], count, block_size,
                                  use(codes, "codes", ("u8",), True).flat("codes", (count + 1) // 2),
                                  use(absmax, "absmax", ("f32",), True).flat("absmax", _blocks(count, block_size))))


def double_quantize(absmax: Any, codes: Any, nested_scales: Any) -> float:
    """Quantises absmax to 8 bits in blocks of 256; returns the offset."""
    offset = ctypes.c_float()
    with _Arrays() as use:
        source = use(absmax, "absmax", ("f32",))
        count = source.size
        check(lib.ft_nf4_double_quantize(
            source.flat("absmax"), count, use(codes, "codes", ("u8",), True).flat("codes", count),
            use(nested_scales, "nested_scales", ("f32",), True).flat("nested_scales", _blocks(count, 256)),
            ctypes.byref(offset)))
    return offset.value


def nf4_dequantize(weight: Nf4Weight, values: Any) -> None:
    """What the weight stands for, into `values` (f32, bf16 or f16)."""
    with _Arrays() as use:
        target = use(values, "values", FLOATS, True)
        native = use.weight(weight)
        count = native.out_features * native.in_features
        check(lib.ft_nf4_dequantize(ctypes.byref(native), target.flat("values", count), DTYPES[target.dtype]))


def lora_linear(x: Any, weight: Any, a: Any, b: Any, u: Any, y: Any, *, scale: float = 1, bias: Any = None) -> None:
    """y = x W^T + bias + scale (x A^T) B^T, and u = x A^T, which the backward pass needs.

    x [T, K], a [R, K], b [N, R], u [T, R] of one dtype, f32 or bf16; y [T, N]; weight an Nf4Weight or an array [N, K].
    """
    with _Arrays() as use:
        args = _abi.ft_lora_linear_args()
        fill(args, struct_size=ctypes.sizeof(args), scale=scale)
        args.weight = ctypes.pointer(use.weight(weight))
        for name, array, writable in (("x", x, False), ("a", a, False), ("b", b, False), ("u", u, True), ("y", y, True)):
            setattr(args, name, use.tensor(array, name, writable))
        if bias is not None:
            args.bias = use.tensor(bias, "bias", False, 1)
        check(lib.ft_lora_linear(ctypes.byref(args)))


def lora_linear_backward(dy: Any, x: Any, weight: Any, a: Any, b: Any, u: Any, du: Any, d_a: Any, d_b: Any, *,
                         scale: float = 1, dx: Any = None) -> None:
    """Adds to d_a [R, K] and d_b [N, R] (f32), and writes dx [T, K] where it is given. du [T, R] is workspace."""
    with _Arrays() as use:
        args = _abi.ft_lora_linear_backward_args()
        fill(args, struct_size=ctypes.sizeof(args), scale=scale)
        args.weight = ctypes.pointer(use.weight(weight))
        for name, array in (("dy", dy), ("x", x), ("a", a), ("b", b), ("u", u)):
            setattr(args, name, use.tensor(array, name, False))
        for name, array in (("du", du), ("d_a", d_a), ("d_b", d_b), ("dx", dx)):
            if array is not None:
                setattr(args, name, use.tensor(array, name, True))
        check(lib.ft_lora_linear_backward(ctypes.byref(args)))


def adamw_step(parameter: Any, gradient: Any, exp_avg: Any, exp_avg_sq: Any, step: int, *, gradient_scale: float = 1,
               **options: float) -> None:
    """One step of AdamW in place, in torch's order of operations. Options: lr, beta1, beta2, eps, weight_decay."""
    with _Arrays() as use:
        target = use(parameter, "parameter", ("f32",), True)
        arrays = [use(array, name, ("f32",), writable).flat(name, target.size) for name, array, writable in
                  (("gradient", gradient, False), ("exp_avg", exp_avg, True), ("exp_avg_sq", exp_avg_sq, True))]
        check(lib.ft_adamw_step(target.flat("parameter"), *arrays, target.size, _adamw_options(options),
                                integer(step, "step"), real(gradient_scale, "gradient_scale")))


def adamw_8bit_step(parameter: Any, gradient: Any, exp_avg: Any, exp_avg_sq: Any, exp_avg_absmax: Any,
                    exp_avg_sq_absmax: Any, step: int, *, gradient_scale: float = 1, **options: float) -> None:
    """The same with states of 8 bits: codes u8, and an f32 absmax for each 256 of them."""
    with _Arrays() as use:
        target = use(parameter, "parameter", ("f32",), True)
        count, blocks = target.size, _blocks(target.size, 256)
        arrays = [use(array, name, kinds, writable).flat(name, size) for name, array, kinds, writable, size in
                  (("gradient", gradient, ("f32",), False, count), ("exp_avg", exp_avg, ("u8",), True, count),
                   ("exp_avg_sq", exp_avg_sq, ("u8",), True, count),
                   ("exp_avg_absmax", exp_avg_absmax, ("f32",), True, blocks),
                   ("exp_avg_sq_absmax", exp_avg_sq_absmax, ("f32",), True, blocks))]
        check(lib.ft_adamw_8bit_step(target.flat("parameter"), *arrays, count, _adamw_options(options),
                                     integer(step, "step"), real(gradient_scale, "gradient_scale")))


def clip_grad_norm_(gradients: Iterable[Any], max_norm: float) -> float:
    """torch.nn.utils.clip_grad_norm_: scales the gradients in place, returns their norm before."""
    norm = ctypes.c_double()
    with _Arrays() as use:
        arrays = listed(gradients, "gradients")
        buffers = [use(array, f"gradients[{i}]", ("f32",), True) for i, array in enumerate(arrays)]
        pointers = (ctypes.c_void_p * len(buffers))(*[b.flat(f"gradients[{i}]") for i, b in enumerate(buffers)])
        counts = (ctypes.c_int64 * len(buffers))(*[b.size for b in buffers])
        check(lib.ft_clip_grad_norm(pointers, counts, len(buffers), real(max_norm, "max_norm"), ctypes.byref(norm)))
    return norm.value


def cross_entropy(logits: Any, targets: Any, nll: Any, *, weights: Any = None, gradient_scale: float = 1,
                  d_logits: Any = None) -> None:
    """nll [S] of logits [S, V] f32 for targets [S] i32, and with d_logits [S, V] the gradient. d_logits may be logits."""
    with _Arrays() as use:
        source = use(logits, "logits", ("f32",))
        if len(source.shape) != 2:
            raise ValueError(f"logits: want 2 axes, got {len(source.shape)}")
        rows, vocabulary = source.shape
        given = use(weights, "weights", ("f32",)).flat("weights", rows) if weights is not None else None
        gradient = (use(d_logits, "d_logits", ("f32",), True).flat("d_logits", source.size)
                    if d_logits is not None else None)
        check(lib.ft_cross_entropy(source.flat("logits"), use(targets, "targets", ("i32",)).flat("targets", rows), given,
                                   rows, vocabulary, real(gradient_scale, "gradient_scale"),
                                   use(nll, "nll", ("f32",), True).flat("nll", rows), gradient))


class _Arrays(ExitStack):
    """Holds the arrays of one call."""

    def __call__(self, array: Any, name: str, dtypes: tuple[str, ...], writable: bool = False) -> Buffer:
        return self.enter_context(closing(Buffer(array, name, dtypes, writable=writable)))

    def tensor(self, array: Any, name: str, writable: bool, rank: int = 2) -> Any:
        return ctypes.pointer(self(array, name, COMPUTE, writable).tensor(name, rank))

    def weight(self, weight: Any) -> _abi.ft_weight:
        native = _abi.ft_weight()
        native.struct_size = ctypes.sizeof(native)
        if not isinstance(weight, Nf4Weight):
            dense = self(weight, "weight", FLOATS)
            if len(dense.shape) != 2:
                raise ValueError(f"weight: want 2 axes, got {len(dense.shape)}")
            native.format = {"f32": _abi.FT_WEIGHT_F32, "bf16": _abi.FT_WEIGHT_BF16, "f16": _abi.FT_WEIGHT_F16}[dense.dtype]
            native.data = dense.flat("weight")
            native.out_features, native.in_features = dense.shape
            return native
        fill(native, format=_abi.FT_WEIGHT_NF4, block_size=weight.block_size, out_features=weight.out_features,
             in_features=weight.in_features)
        count = native.out_features * native.in_features
        blocks = _blocks(count, native.block_size)
        native.data = self(weight.codes, "weight.codes", ("u8",)).flat("weight.codes", (count + 1) // 2)
        nested = weight.nested_scales is not None
        native.absmax = self(weight.absmax, "weight.absmax", ("u8" if nested else "f32",)).flat("weight.absmax", blocks)
        if nested:
            native.nested_scales = self(weight.nested_scales, "weight.nested_scales", ("f32",)).flat(
                "weight.nested_scales", _blocks(blocks, 256))
            fill(native, nested_offset=weight.nested_offset)
        return native


def _blocks(count: int, size: int) -> int:
    if size < 1:
        raise ValueError(f"block_size: want a power of two from 32 to 4096, got {size}")
    return -(-count // size)


def _adamw_options(given: dict[str, float]) -> Any:
    options = defaults(_abi.ft_adamw_options)
    for name in given:
        if name not in ("lr", "beta1", "beta2", "eps", "weight_decay"):
            raise TypeError(f"unknown option {name!r}; there are lr, beta1, beta2, eps, weight_decay")
    fill(options, **given)
    return ctypes.byref(options)
