"""Samples joined into a batch keep whose image is whose."""

import numpy as np
import pytest

from fourview.feeds.collate import ReadSample, collate
from fourview.feeds.samples import Sample


def sample(exam, slots, cancer):
    return Sample(
        patient_id=exam,
        exam_id=exam,
        images=tuple(f"{exam}-{s}" for s in slots),
        slots=slots,
        ranks=tuple(range(len(slots))),
        targets={"cancer": cancer},
    )


def test_ragged_samples_become_one_stack():
    levels = [np.full((n, 2, 3), 100 * n, np.uint16) for n in (2, 1)]
    levels[0][0, 0, 0] = 65535
    items = [
        ReadSample(sample("a", (0, 3), (0.0, 1.0)), levels[0]),
        ReadSample(sample("b", (1,), (float("nan"), 0.0)), levels[1]),
    ]
    batch = collate(items)
    assert batch.pixels.shape == (3, 1, 2, 3) and batch.num_exams == 2
    assert batch.pixels.max() == 1 and batch.pixels[2, 0, 0, 0] == pytest.approx(100 / 65535)
    assert batch.exam.tolist() == [0, 0, 1]
    assert batch.slot.tolist() == [0, 3, 1] and batch.rank.tolist() == [0, 1, 0]
    assert batch.targets["cancer"].shape == (2, 2)
    assert batch.targets["cancer"].isnan().tolist() == [[False, False], [True, False]]
