# SPDX-License-Identifier: Apache-2.0
"""The binding beside NumPy and tqdm; environment as in test_ftlib.py."""
import contextlib
import io
import os
import sys
import unittest
from unittest import mock

import numpy as np
import tqdm  # noqa: F401  (the bar below is the real one)

import ftlib
from ftlib import primitives

TINY, RECORDS = os.environ["FTLIB_TINY"], os.environ["FTLIB_RECORDS"]


def tiny_trainer(steps=4):
    model = ftlib.Model.open(TINY, compute="f32")
    data = ftlib.Dataset.open(model.tokenizer, RECORDS)
    return ftlib.Trainer(model, data, options=ftlib.TrainOptions(steps=steps, batch_examples=2))


class Arrays(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(0)

    def normal(self, *shape):
        return self.random.standard_normal(shape, dtype=np.float32)

    def test_nf4_writes_into_the_arrays_it_is_given(self):
        values = self.normal(64, 128)
        codes, absmax, back = np.zeros(64 * 64, np.uint8), np.zeros(128, np.float32), np.zeros_like(values)
        primitives.nf4_quantize(values, codes, absmax)
        np.testing.assert_array_equal(absmax, np.abs(values.reshape(-1, 64)).max(axis=1))
        primitives.nf4_dequantize(primitives.Nf4Weight(codes, absmax, 64, 128), back)
        self.assertLess(np.abs(values - back).max(), 0.17 * absmax.max())
        half = np.zeros_like(values, dtype=np.float16)
        primitives.nf4_dequantize(primitives.Nf4Weight(codes, absmax, 64, 128), half)
        np.testing.assert_allclose(half, back, rtol=1e-3)

    def test_a_lora_linear_reads_and_writes_rows_that_are_part_of_larger_arrays(self):
        x, w, a, b = self.normal(5, 20)[:, 2:12], self.normal(7, 10), self.normal(2, 16)[:, :10], self.normal(7, 2)
        u, wide = np.zeros((5, 2), np.float32), np.full((5, 9), 3, np.float32)
        bias = self.normal(7)
        primitives.lora_linear(x, w, a, b, u, wide[:, 1:8], scale=0.5, bias=bias)
        np.testing.assert_allclose(wide[:, 1:8], x @ w.T + bias + 0.5 * (x @ a.T) @ b.T, rtol=1e-5, atol=1e-5)
        self.assertTrue((wide[:, [0, 8]] == 3).all())
        dy, du, d_b = self.normal(5, 7), np.zeros_like(u), np.zeros_like(b)
        d_a, dx = np.zeros((2, 10), np.float32), np.zeros((5, 10), np.float32)
        primitives.lora_linear_backward(dy, x, w, a, b, u, du, d_a, d_b, scale=0.5, dx=dx)
        np.testing.assert_allclose(d_a, 0.5 * (dy @ b).T @ x, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(d_b, 0.5 * dy.T @ (x @ a.T), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(dx, dy @ w + 0.5 * dy @ b @ a, rtol=1e-5, atol=1e-5)

    def test_what_cannot_be_used_where_it_lies_is_refused(self):
        values, codes, absmax = self.normal(128), np.zeros(64, np.uint8), np.zeros(2, np.float32)
        refused = [(values.astype(np.float64), codes, absmax, TypeError, "values: want f32 or bf16 or f16, got f64"),
                   (values.astype(">f4"), codes, absmax, TypeError, "values: want f32"),
                   (values[::2], codes[:32], absmax[:1], ValueError, "values: .*contiguous"),
                   (values, codes, absmax[:1], ValueError, "absmax: want 2 elements, got 1")]
        for *arrays, error, says in refused:
            with self.assertRaisesRegex(error, says):
                primitives.nf4_quantize(*arrays)
        codes.flags.writeable = False
        with self.assertRaises((BufferError, ValueError, TypeError)):
            primitives.nf4_quantize(values, codes, absmax)
        self.assertFalse(codes.any())

    def test_elements_that_lie_between_others_are_not_taken_for_neighbours(self):
        packed = np.dtype([("flag", "u1"), ("value", "f4")])  # a value every 5 bytes
        codes, absmax = np.zeros(4, np.uint8), np.zeros(1, np.float32)
        for values in (np.zeros(8, packed)["value"], np.zeros(33, np.uint8)[1:].view(np.float32)):
            with self.assertRaisesRegex(ValueError, "values: elements of 4 bytes must lie at multiples of 4 bytes"):
                primitives.nf4_quantize(values, codes, absmax)
        with self.assertRaisesRegex(ValueError, "absmax: elements of 4 bytes"):
            primitives.nf4_quantize(np.zeros(128, np.float32), np.zeros(64, np.uint8), np.zeros(2, packed)["value"])
        with self.assertRaisesRegex(TypeError, "values: want f32 or bf16 or f16, got T{"):
            primitives.nf4_quantize(np.zeros(8, packed), codes, absmax)
        with self.assertRaisesRegex(TypeError, "codes: want u8, got ?"):
            primitives.nf4_quantize(np.zeros(8, np.float32), np.zeros(4, bool), absmax)
        rows = np.zeros(5, np.dtype([("row", "f4", 10), ("flag", "u1")]))["row"]  # a row every 41 bytes
        self.linear_refused("x: elements of 4 bytes", x=rows)

    def test_rows_backwards_broadcast_or_of_another_byte_order_are_refused(self):
        whole = self.normal(5, 10)
        for says, x in (("strides", whole[::-1]), ("strides", np.broadcast_to(whole[:1], (5, 10))),
                        ("last axis", whole[:, ::-1]), ("last axis", whole.T.copy().T), ("got >f", whole.astype(">f4")),
                        ("want 2 axes, got 1", whole[0]), ("want 2 axes, got 3", whole[None])):
            self.linear_refused(f"x: .*{says}", x=x)
        self.linear_refused("weight: want 2 axes, got 1", weight=whole[0])
        self.linear_refused("bias: the last axis must be contiguous", bias=self.normal(14)[::2])
        with self.assertRaisesRegex(TypeError, "targets: want i32, got >i"):
            primitives.cross_entropy(whole, np.zeros(5, ">i4"), np.zeros(5, np.float32))

    def linear_refused(self, says, **given):
        x, w, a, b = self.normal(5, 10), self.normal(7, 10), self.normal(2, 10), self.normal(7, 2)
        u, y = np.zeros((5, 2), np.float32), np.zeros((5, 7), np.float32)
        with self.subTest(says), self.assertRaisesRegex((TypeError, ValueError), says):
            primitives.lora_linear(**({"x": x, "weight": w, "a": a, "b": b, "u": u, "y": y} | given))
        self.assertFalse(u.any() or y.any())

    def test_every_array_that_is_written_must_be_writable(self):
        def frozen(*shape, dtype=np.float32):
            made = np.zeros(shape, dtype)
            made.flags.writeable = False
            return made

        self.linear_refused("read-only", u=frozen(5, 2))
        self.linear_refused("read-only", y=frozen(5, 7))
        f32, u8, read_only = np.ones(256, np.float32), np.zeros(256, np.uint8), frozen(256)
        one = np.zeros(1, np.float32)
        for call in (lambda: primitives.nf4_quantize(f32, frozen(128, dtype=np.uint8), np.zeros(4, np.float32)),
                     lambda: primitives.double_quantize(f32, u8, frozen(1)),
                     lambda: primitives.nf4_dequantize(primitives.Nf4Weight(u8[:128], f32[:4], 16, 16), read_only),
                     lambda: primitives.adamw_step(f32, f32, read_only, f32.copy(), 1),
                     lambda: primitives.adamw_8bit_step(read_only, f32, u8, u8.copy(), one, one.copy(), 1),
                     lambda: primitives.clip_grad_norm_([read_only], 1),
                     lambda: primitives.cross_entropy(f32.reshape(1, 256), np.zeros(1, np.int32), frozen(1))):
            with self.assertRaisesRegex((BufferError, ValueError), "read-only"):
                call()
        self.assertFalse(read_only.any() or u8.any())

    def test_arrays_of_nothing_and_of_one_row_have_no_strides_to_speak_of(self):
        empty = np.zeros(0, np.float32)
        primitives.nf4_quantize(empty, np.zeros(0, np.uint8), empty)
        w, a, b = self.normal(7, 10), self.normal(2, 10), self.normal(7, 2)
        for x in (self.normal(3, 10)[:0, ::-1], self.normal(3, 10)[::-1][:1]):
            u, y = np.zeros((len(x), 2), np.float32), np.zeros((len(x), 7), np.float32)
            primitives.lora_linear(x, w, a, b, u, y)
            np.testing.assert_allclose(y, x @ w.T + (x @ a.T) @ b.T, rtol=1e-5, atol=1e-5)

    def test_numpys_own_dlpack_is_read_and_written(self):
        class OnlyDlpack:
            def __init__(self, of):
                self.of = of

            def __dlpack__(self, **version):
                return self.of.__dlpack__(**version)

        values, codes, absmax = self.normal(128), np.zeros(64, np.uint8), np.zeros(2, np.float32)
        primitives.nf4_quantize(OnlyDlpack(values), OnlyDlpack(codes), OnlyDlpack(absmax))
        np.testing.assert_array_equal(absmax, np.abs(values.reshape(2, 64)).max(axis=1))
        absmax.flags.writeable = False
        with self.assertRaises((BufferError, ValueError, TypeError)):
            primitives.nf4_quantize(OnlyDlpack(-2 * values), OnlyDlpack(codes), OnlyDlpack(absmax))
        with self.assertRaisesRegex(ValueError, "values: .*contiguous"):
            primitives.nf4_quantize(OnlyDlpack(np.zeros((128, 2), np.float32)[:, 0]), codes, absmax)

    def test_numpys_integers_do_for_pythons(self):
        model = ftlib.Model.open(TINY, compute="f32")
        tokens = np.array([1, 2, 3])
        self.assertEqual(model.tokenizer.decode(tokens), model.tokenizer.decode([1, 2, 3]))
        self.assertEqual(model.generate([tokens], max_tokens=np.int64(2)), model.generate([[1, 2, 3]], max_tokens=2))
        data = ftlib.Dataset.open(model.tokenizer)
        data.append_tokens(tokens, np.array([-100, 2, 3]))
        self.assertEqual(data[np.int64(0)].labels, [-100, 2, 3])

    def test_tensors_of_an_adapter_are_arrays_over_its_own_memory(self):
        adapter = tiny_trainer().adapter()
        name, _, view = next(adapter.tensors())
        first, again = np.asarray(view), np.asarray(next(adapter.tensors())[2])
        self.assertTrue(np.shares_memory(first, again), name)
        self.assertEqual(first.dtype, np.float32)
        with self.assertRaises(ValueError):
            first[0, 0] = 1


class Bar(unittest.TestCase):
    def bar_of(self, bar, stream):
        with contextlib.redirect_stderr(stream):
            last = tiny_trainer(3).run(bar=bar)
        return last, stream.getvalue()

    def test_it_counts_the_steps_and_shows_the_loss(self):
        last, shown = self.bar_of(True, io.StringIO())
        self.assertTrue(last.finished)
        self.assertIn("3/3", shown)
        self.assertIn(f"loss={last.loss:.3f}", shown)

    def test_unasked_it_is_for_terminals_alone(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        self.assertIn("3/3", self.bar_of(None, Terminal())[1])
        for bar, stream in ((None, io.StringIO()), (False, Terminal())):
            self.assertEqual(self.bar_of(bar, stream)[1], "")

    def test_without_tqdm_an_asked_bar_is_an_error_and_an_unasked_one_nothing(self):
        with mock.patch.dict(sys.modules, {"tqdm": None}):
            with self.assertRaises(ImportError):
                tiny_trainer().run(bar=True)
            self.assertTrue(tiny_trainer().run().finished)


if __name__ == "__main__":
    unittest.main()
