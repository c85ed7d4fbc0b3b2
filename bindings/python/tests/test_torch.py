# SPDX-License-Identifier: Apache-2.0
"""The binding beside torch, by __dlpack__; environment as in test_ftlib.py."""
import unittest

import torch

from ftlib import primitives


class Tensors(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)

    def check_against_autograd(self, dtype, tolerance):
        x, w, a, b = (torch.randn(*shape).to(dtype) for shape in ((5, 24), (7, 24), (2, 24), (7, 2)))
        dy, u, y = torch.randn(5, 7).to(dtype), torch.zeros(5, 2, dtype=dtype), torch.zeros(5, 9, dtype=dtype)
        primitives.lora_linear(x, w, a, b, u, y[:, 1:8], scale=0.5)
        inputs = [t.float().clone().requires_grad_() for t in (x, a, b)]
        wanted = inputs[0] @ w.float().T + 0.5 * (inputs[0] @ inputs[1].T) @ inputs[2].T
        torch.testing.assert_close(y[:, 1:8].float(), wanted.detach(), rtol=tolerance, atol=tolerance)
        self.assertTrue((y[:, [0, 8]] == 0).all())
        wanted.backward(dy.float())
        du, d_a, d_b, dx = torch.zeros(5, 2, dtype=dtype), torch.zeros(2, 24), torch.zeros(7, 2), torch.zeros_like(x)
        primitives.lora_linear_backward(dy, x, w, a, b, u, du, d_a, d_b, scale=0.5, dx=dx)
        for got, leaf in zip((dx, d_a, d_b), inputs):
            torch.testing.assert_close(got.float(), leaf.grad, rtol=tolerance, atol=tolerance)

    def test_a_lora_linear_is_autograds_in_f32(self):
        self.check_against_autograd(torch.float32, 1e-5)

    def test_a_lora_linear_is_autograds_in_bf16(self):
        self.check_against_autograd(torch.bfloat16, 0.1)

    def test_an_nf4_weight_is_used_where_it_lies(self):
        values, codes, absmax = torch.randn(8, 64), torch.zeros(256, dtype=torch.uint8), torch.zeros(8)
        primitives.nf4_quantize(values, codes, absmax)
        torch.testing.assert_close(absmax, values.abs().amax(dim=1))
        back = torch.zeros(8, 64, dtype=torch.bfloat16)
        primitives.nf4_dequantize(primitives.Nf4Weight(codes, absmax, 8, 64), back)
        self.assertLess((back.float() - values).abs().max(), 0.2 * absmax.max())

    def test_adamw_is_torchs(self):
        parameter, gradient = torch.randn(300), torch.randn(300)
        theirs = parameter.clone().requires_grad_()
        optimizer = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.01)
        m, v = torch.zeros(300), torch.zeros(300)
        for step in range(1, 4):
            theirs.grad = gradient
            optimizer.step()
            primitives.adamw_step(parameter, gradient, m, v, step, lr=0.1, weight_decay=0.01)
        torch.testing.assert_close(parameter, theirs.detach(), rtol=1e-6, atol=1e-7)

    def test_cross_entropy_is_torchs(self):
        logits, targets, nll = torch.randn(6, 50), torch.arange(6, dtype=torch.int32), torch.zeros(6)
        theirs = logits.clone().requires_grad_()
        wanted = torch.nn.functional.cross_entropy(theirs, targets.long(), reduction="none")
        wanted.sum().backward()
        primitives.cross_entropy(logits, targets, nll, d_logits=logits)
        torch.testing.assert_close(nll, wanted.detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(logits, theirs.grad, rtol=1e-5, atol=1e-6)

    def test_what_cannot_be_used_where_it_lies_is_refused(self):
        codes, absmax = torch.zeros(32, dtype=torch.uint8), torch.zeros(1)
        with self.assertRaisesRegex(TypeError, "values: want f32 or bf16 or f16, got f64"):
            primitives.nf4_quantize(torch.zeros(64, dtype=torch.float64), codes, absmax)
        with self.assertRaisesRegex(ValueError, "values: .*contiguous"):
            primitives.nf4_quantize(torch.zeros(64, 2)[:, 0], codes, absmax)
        with self.assertRaisesRegex((BufferError, RuntimeError), "grad"):
            primitives.nf4_quantize(torch.zeros(64, requires_grad=True), codes, absmax)
        with self.assertRaises((TypeError, BufferError, NotImplementedError, RuntimeError)):
            primitives.nf4_quantize(torch.zeros(64, device="meta"), codes, absmax)


if __name__ == "__main__":
    unittest.main()
