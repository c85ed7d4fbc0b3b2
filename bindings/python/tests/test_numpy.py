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
