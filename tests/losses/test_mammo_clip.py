"""Mammo-CLIP's loss against a loop over its six pairs."""

import torch

from fourview.losses.mammo_clip import multi_view_loss

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64 sums in another order


def loop_half_sym(a, b, scale):
    total, count = 0.0, len(a)
    a, b = ([row / (row * row).sum().sqrt() for row in side] for side in (a, b))
    for one, other in ((a, b), (b, a)):
        for i in range(count):
            terms = [(scale * (one[i] * row).sum()).exp() for row in other]
            total = total - (terms[i] / sum(terms)).log() / count / 2
    return total


def test_the_loss_and_its_gradients_are_those_of_a_loop():
    make = torch.Generator().manual_seed(0)
    i1, i2, t1, t2 = torch.randn(4, 3, 5, generator=make, dtype=torch.float64)
    inputs = tuple(side.requires_grad_() for side in (i1, i2, t1, t2))
    ours = sum(multi_view_loss((i1, i2), (t1, t2), 3.0))
    pairs = ((i1, t1), (i2, t1), (i1, t2), (i2, t2))
    loop = sum(loop_half_sym(*pair, 3.0) for pair in pairs) / 4
    loop = loop + loop_half_sym(i1, i2, 3.0) + 0.5 * loop_half_sym(t1, t2, 3.0)
    torch.testing.assert_close(ours, loop, **CLOSE)
    for one, other in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(loop, inputs), strict=True
    ):
        torch.testing.assert_close(one, other, **CLOSE)
