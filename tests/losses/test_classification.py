"""Cross entropy with unknown labels, by loops."""

import math

import pytest
import torch

from fourview.losses.classification import masked_cross_entropy


def test_a_yes_or_no_agrees_with_a_loop():
    logits = torch.tensor([[0.3], [-2.0], [1.5], [4.0]])
    targets = torch.tensor([1.0, 0.0, torch.nan, 0.0])
    score = [1 / (1 + math.exp(-x)) for x in logits[:, 0].tolist()]
    want = -(3 * math.log(score[0]) + math.log(1 - score[1]) + math.log(1 - score[3])) / 3
    got = masked_cross_entropy(logits, targets, positive_weight=3.0)
    assert got.item() == pytest.approx(want, rel=1e-5)  # float32


def test_several_classes_agree_with_a_loop():
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([2.0, torch.nan, 0.0, 1.0])
    known = [
        (row, int(t))
        for row, t in zip(logits.tolist(), targets.tolist(), strict=True)
        if not math.isnan(t)
    ]
    want = sum(math.log(sum(map(math.exp, row))) - row[k] for row, k in known) / 3
    assert masked_cross_entropy(logits, targets).item() == pytest.approx(want, rel=1e-5)
