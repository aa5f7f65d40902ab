"""The asymmetric loss against its formula."""

import math

import pytest
import torch

from fourview.losses.asymmetric import asymmetric_loss
from fourview.losses.classification import masked_cross_entropy


def test_agrees_with_a_loop_over_items_and_classes_with_gradients():
    make = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, generator=make, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([2.0, 0.0, math.nan, 1.0], dtype=torch.float64)

    def slow(values):
        total = 0.0
        for item in (0, 1, 3):
            p = torch.exp(values[item]) / torch.exp(values[item]).sum()
            for k in range(3):
                right = k == int(targets[item])
                weight = (1 - p[k]) ** 1.5 if right else p[k] ** 2.5
                smooth = (0.8 if right else 0.0) + 0.2 / 3
                total = total - smooth * weight * torch.log(p[k]) / 3
        return total

    got = asymmetric_loss(logits, targets, focus_positive=1.5, focus_negative=2.5, smoothing=0.2)
    want = slow(logits)
    assert got.item() == pytest.approx(want.item(), rel=1e-9)
    one, other = (torch.autograd.grad(loss, logits)[0] for loss in (got, want))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_without_focus_and_smoothing_it_is_cross_entropy():
    make = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 4, generator=make, dtype=torch.float64)
    targets = torch.tensor([0.0, 3.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    got = asymmetric_loss(logits, targets, focus_positive=0, focus_negative=0, smoothing=0)
    torch.testing.assert_close(got, masked_cross_entropy(logits, targets))


def test_unknown_classes_give_a_gradient_of_zeros():
    logits = torch.randn(2, 3, requires_grad=True)
    asymmetric_loss(logits, torch.full((2,), math.nan)).backward()
    assert not logits.grad.any()
