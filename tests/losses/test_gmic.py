"""GMIC's losses by loops over images and classes."""

import math

import pytest
import torch

from fourview.losses.gmic import cross_entropy_of_logits, cross_entropy_of_scores, sparsity

TARGETS = torch.tensor([[1.0, torch.nan], [0.0, 1.0], [torch.nan, torch.nan]])


def by_hand(scores):
    total = 0.0
    for k in range(2):
        known = [
            (s[k], t[k])
            for s, t in zip(scores, TARGETS.tolist(), strict=True)
            if not math.isnan(t[k])
        ]
        total -= sum(math.log(s if t else 1 - s) for s, t in known) / max(len(known), 1)
    return total


def test_classes_are_averaged_over_what_is_known_and_summed():
    logits = torch.tensor([[0.5, 3.0], [-1.0, 0.25], [9.0, 9.0]])
    want = by_hand([[1 / (1 + math.exp(-x)) for x in row] for row in logits.tolist()])
    assert cross_entropy_of_logits(logits, TARGETS).item() == pytest.approx(want, rel=1e-5)
    got = cross_entropy_of_scores(logits.sigmoid(), TARGETS)
    assert got.item() == pytest.approx(want, rel=1e-5)


def test_scores_of_0_and_1_have_a_finite_loss_and_gradient():
    scores = torch.tensor([[0.0, 0.5], [1.0, 0.0], [0.5, 0.5]], requires_grad=True)
    loss = cross_entropy_of_scores(scores, TARGETS)
    loss.backward()
    assert loss.isfinite() and scores.grad.isfinite().all()
    assert loss.item() > 20  # far from the truth


def test_sparsity_is_the_mean_of_each_map_whatever_its_grid():
    maps = torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    want = sum(maps[i, k].mean().item() for i in range(3) for k in range(2)) / 3
    assert sparsity(maps).item() == pytest.approx(want, rel=1e-5)
    larger = maps.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert sparsity(larger).item() == pytest.approx(want, rel=1e-5)
