"""Training batches in an order that seed, epoch and process decide, from any step on."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from fourview.contract import ExamBatch
from fourview.feeds.feed import Feed, item_draw


def steps_per_epoch(num_items: int, batch: int) -> int:
    """Steps that are taken; the items that fill no whole batch wait for the next epoch."""
    return num_items // batch


def epoch_batches(
    feed: Feed,
    batch: int,
    *,
    seed: int,
    epoch: int,
    start: int = 0,
    stop: int | None = None,
    process: int = 0,
    processes: int = 1,
    workers: int = 0,
) -> Iterator[ExamBatch]:
    """This process's share of each step's items, from step ``start`` of an epoch to ``stop``."""
    order = feed.order(seed=seed, epoch=epoch)
    steps = steps_per_epoch(len(order), batch) if stop is None else stop
    chosen = [
        order[step * batch : (step + 1) * batch][process::processes] for step in range(start, steps)
    ]
    loader: DataLoader[ExamBatch] = DataLoader(
        _Epoch(feed, seed, epoch),
        batch_sampler=chosen,
        num_workers=workers,
        collate_fn=feed.collate,
    )
    yield from loader


class _Epoch(Dataset[Any]):
    """A feed with the draws of one epoch."""

    def __init__(self, feed: Feed, seed: int, epoch: int) -> None:
        self.feed, self.seed, self.epoch = feed, seed, epoch

    def __getitem__(self, index: int) -> Any:
        return self.feed.read(index, item_draw(self.seed, self.epoch, index))
