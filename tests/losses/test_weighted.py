"""Weighted cross entropy by a loop over items."""

import math

import pytest
import torch

from fourview.losses.weighted import weighted_cross_entropy

WEIGHTS = (0.5, 2.0, 4.0)


@pytest.mark.parametrize("reduction", ["mean_weight", "torch"])
def test_agrees_with_a_loop_and_leaves_out_what_is_unknown(reduction):
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0.0, 2.0, torch.nan, 1.0, 0.0, torch.nan])
    total, weight, count = 0.0, 0.0, 0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        if math.isnan(target):
            continue
        k = int(target)
        total -= WEIGHTS[k] * math.log(math.exp(row[k]) / sum(map(math.exp, row)))
        weight, count = weight + WEIGHTS[k], count + 1
    want = total / (weight if reduction == "torch" else count * 1.5)
    got = weighted_cross_entropy(logits, targets, WEIGHTS, mean_weight=1.5, reduction=reduction)
    assert got.item() == pytest.approx(want, rel=1e-5)  # float32 sums


def test_nothing_known_is_0_with_a_gradient():
    logits = torch.randn(2, 3, requires_grad=True)
    weighted_cross_entropy(logits, torch.full((2,), torch.nan), WEIGHTS, mean_weight=1.0).backward()
    assert logits.grad.abs().sum() == 0
