"""Losses are computed in float32 also where a run computes in bfloat16."""

import torch

from fourview.losses.precision import in_full_precision


@in_full_precision
def product(left, right, *, scale):
    return left @ right * scale


def test_halves_are_raised_and_autocast_is_off():
    left, right = torch.randn(3, 5).bfloat16(), torch.randn(5, 2).half()
    with torch.autocast("cpu", torch.bfloat16):
        got = product(left, right, scale=torch.tensor(1 / 0.07))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, left.float() @ right.float() / 0.07)


def test_float64_and_gradients_stay():
    left = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    product(left, torch.ones(5, 2, dtype=torch.float64), scale=2.0).sum().backward()
    assert left.grad.dtype == torch.float64
    assert left.grad.unique().tolist() == [4.0]
