"""Samples read from a store: a PyTorch data set, and the order in which training sees it."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from fourview.data.collate import ReadSample
from fourview.data.samples import Sample
from fourview.data.store import Store


class SampleDataset(Dataset[ReadSample]):
    """Reads the images of a sample; all at once into memory first where they fit.

    Args:
        samples: What there is, from ``make_samples``.
        store: Pixels of one spec with fixed rows and columns.
        cache_bytes: Keep all pixels in memory (2 bytes each) if they take no more than this.
    """

    def __init__(self, samples: Sequence[Sample], store: Store, *, cache_bytes: int = 0) -> None:
        self.samples = tuple(samples)
        self.store = store
        self._cached: dict[str, np.ndarray] = {}
        ids = [image for sample in self.samples for image in sample.images]
        if ids and self._size_of(len(ids)) <= cache_bytes:
            self._cached = dict(zip(ids, store.read_many(ids), strict=True))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> ReadSample:
        sample = self.samples[index]
        if self._cached:
            codes = np.stack([self._cached[image] for image in sample.images])
        else:
            codes = self.store.read_many(sample.images)
        return ReadSample(sample, codes)

    def _size_of(self, num_images: int) -> int:
        spec = self.store.spec
        return 2 * num_images * (spec.rows or 0) * (spec.cols or 0)


def epoch_order(num_samples: int, *, seed: int, epoch: int) -> list[int]:
    """A permutation that depends on seed and epoch only, so that a resumed run sees the same."""
    generator = torch.Generator().manual_seed(step_seed(seed, epoch, 0))
    return torch.randperm(num_samples, generator=generator).tolist()


def step_seed(seed: int, epoch: int, step: int) -> int:
    """A seed for one step of one epoch of a run; independent streams for different arguments."""
    return int(np.random.SeedSequence([seed, epoch, step]).generate_state(1, np.uint64)[0] >> 1)
