"""The samples of a feed in order, shared out without loss."""

import pytest
import torch

from fourview.contract import ExamBatch
from fourview.feeds.batches import Batches, batches
from fourview.feeds.feed import Feed
from fourview.feeds.samples import Sample


class Numbered(Feed):
    """Samples whose pixels are their number."""

    def __init__(self, count):
        self.samples = tuple(
            Sample(
                patient_id="p", exam_id=str(n), images=("i",), slots=(0,), ranks=(0,), targets={}
            )
            for n in range(count)
        )

    def read(self, index, draw=None):
        assert draw is None  # nothing random
        return float(index)

    def collate(self, items):
        pixels = torch.tensor(items)[:, None, None, None].expand(-1, 4, 2, 2)
        return ExamBatch.of_slots(pixels)


def seen(batches):
    return [
        ([int(s.exam_id) for s in samples], batch.pixels[::4, 0, 0, 0].tolist())
        for samples, batch in batches
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_batches_are_the_same_for_any_number_of_processes(count):
    whole = seen(batches(Numbered(7), 2))
    assert whole == [([0, 1], [0, 1]), ([2, 3], [2, 3]), ([4, 5], [4, 5]), ([6], [6])]
    shares = [Batches(Numbered(7), 2, share=(rank, count)) for rank in range(count)]
    numbered = [(n, one) for own in shares for n, one in zip(own.numbers, seen(own), strict=True)]
    assert [one for _, one in sorted(numbered)] == whole
    assert seen(shares[0]) == seen(shares[0])  # as often as wanted


def test_a_feed_without_samples_has_no_batch():
    assert seen(batches(Numbered(0), 2)) == []
