"""The samples of a feed in their order, batch by batch, with nothing random."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from fourview.contract import ExamBatch
from fourview.feeds.feed import Feed
from fourview.feeds.samples import Sample


class Batches:
    """The batches of a feed, to go through as often as wanted; workers stay for the next time.

    Args:
        feed: Of a part or of an exam.
        batch_size: Samples at a time.
        workers: Processes that read.
        share: Of several that go through the feed together, the number of this one and how many
            there are: batch b is for number b % count. Batches are the same for any count.
        pinned: Batches lie in memory that a GPU copies from by itself.
    """

    def __init__(
        self,
        feed: Feed,
        batch_size: int,
        *,
        workers: int = 0,
        share: tuple[int, int] = (0, 1),
        pinned: bool = False,
    ) -> None:
        rank, count = share
        starts = range(0, len(feed), batch_size)
        indices = [list(range(s, min(s + batch_size, len(feed)))) for s in starts]
        self.numbers = range(rank, len(indices), count)
        self._samples = [[feed.samples[i] for i in indices[number]] for number in self.numbers]
        self._loader: DataLoader[ExamBatch] = DataLoader(
            _Items(feed),
            batch_sampler=[indices[number] for number in self.numbers],
            num_workers=workers,
            collate_fn=feed.collate,
            persistent_workers=workers > 0,
            pin_memory=pinned,
        )

    def __iter__(self) -> Iterator[tuple[list[Sample], ExamBatch]]:
        """Each batch with the samples that it holds."""
        yield from zip(self._samples, self._loader, strict=True)


def batches(
    feed: Feed, batch_size: int, *, workers: int = 0
) -> Iterator[tuple[list[Sample], ExamBatch]]:
    """Each batch of a feed with the samples that it holds, once.

    Args:
        feed: Of a part or of an exam.
        batch_size: Samples at a time.
        workers: Processes that read.
    """
    yield from Batches(feed, batch_size, workers=workers)


class _Items(Dataset[Any]):
    """A feed as PyTorch wants it."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    def __len__(self) -> int:
        return len(self.feed)

    def __getitem__(self, index: int) -> Any:
        return self.feed.read(index)
