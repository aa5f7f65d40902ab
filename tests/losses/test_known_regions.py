import math

import pytest
import torch

from fourview.losses.known_regions import known_regions_loss

IMAGE = (0, 0, 0, 1, 1, 2)
TARGETS = (
    (1.0, 0.0),
    (1.0, 1.0),  # hits both: the first class is its own
    (0.0, 0.0),
    (0.0, 1.0),
    (0.0, math.nan),  # unknown: counts nowhere
    (0.0, 0.0),
)


def case():
    make = torch.Generator().manual_seed(0)
    classes = torch.randn(6, 3, generator=make, dtype=torch.float64).log_softmax(dim=1)
    logits = torch.randn(6, 2, generator=make, dtype=torch.float64)
    image = torch.tensor(IMAGE)
    detection = torch.empty_like(logits)
    for one in range(3):
        detection[image == one] = logits[image == one].log_softmax(dim=0)
    return classes, detection, image, torch.tensor(TARGETS, dtype=torch.float64)


def test_agrees_with_a_loop_over_regions_and_over_images():
    classes, detection, image, targets = case()
    terms, pairs = [], []
    for i, own in enumerate(TARGETS):
        if any(math.isnan(v) for v in own):
            continue
        place = own.index(1.0) if 1.0 in own else 2
        terms.append(-classes[i, place].item())
    for n in range(3):
        for c in range(2):
            hits = [i for i in range(6) if IMAGE[i] == n and TARGETS[i][c] == 1]
            if hits:
                pairs.append(-math.log(sum(math.exp(detection[i, c].item()) for i in hits)))
    want = sum(terms) / len(terms) + sum(pairs) / len(pairs)
    got = known_regions_loss(classes, detection, image, targets).item()
    assert got == pytest.approx(want, rel=1e-12)  # float64, a handful of terms


def test_nothing_known_is_nothing_lost():
    classes, detection, image, targets = case()
    classes.requires_grad_(True)
    loss = known_regions_loss(classes, detection, image, torch.full_like(targets, torch.nan))
    loss.backward()
    assert loss.item() == 0 and not classes.grad.any()
