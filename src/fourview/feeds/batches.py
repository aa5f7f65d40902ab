"""The samples of a feed in their order, batch by batch, with nothing random."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from fourview.contract import ExamBatch
from fourview.feeds.feed import Feed
from fourview.feeds.samples import Sample


def batches(
    feed: Feed, batch_size: int, *, workers: int = 0
) -> Iterator[tuple[list[Sample], ExamBatch]]:
    """Each batch with the samples that it holds.

    Args:
        feed: Of a part or of an exam.
        batch_size: Samples at a time.
        workers: Processes that read.
    """
    loader: DataLoader[ExamBatch] = DataLoader(
        _Items(feed),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=feed.collate,
    )
    for number, batch in enumerate(loader):
        start = number * batch_size
        yield list(feed.samples[start : start + batch_size]), batch


class _Items(Dataset[Any]):
    """A feed as PyTorch wants it."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    def __len__(self) -> int:
        return len(self.feed)

    def __getitem__(self, index: int) -> Any:
        return self.feed.read(index)
