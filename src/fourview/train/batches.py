"""Training batches in an order that seed, epoch and process decide, from any step on."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler

from fourview.contract import ExamBatch
from fourview.feeds.feed import Feed, item_draw

Drawn = tuple[int, int]  # epoch, and index of an item in it


def steps_per_epoch(num_items: int, batch: int) -> int:
    """Steps that are taken; the items that fill no whole batch wait for the next epoch."""
    return num_items // batch


class TrainingBatches:
    """Batches of every epoch by one loader, whose workers stay from epoch to epoch.

    Args:
        feed: Feed of the training part.
        batch: Items per step, over all processes.
        seed: Seed of the run.
        share: Number of this process, and how many there are: it reads every so many-th item.
        workers: Processes that read, for this process.
        pinned: Batches lie in memory that a GPU copies from by itself.
    """

    def __init__(
        self,
        feed: Feed,
        batch: int,
        *,
        seed: int,
        share: tuple[int, int] = (0, 1),
        workers: int = 0,
        pinned: bool = False,
    ) -> None:
        self.feed, self.batch, self.seed, self.share = feed, batch, seed, share
        self._chosen = _Chosen()
        self._loader: DataLoader[ExamBatch] = DataLoader(
            _Items(feed, seed),
            batch_sampler=self._chosen,
            num_workers=workers,
            collate_fn=feed.collate,
            persistent_workers=workers > 0,
            pin_memory=pinned,
        )

    def of_epoch(
        self, epoch: int, *, start: int = 0, stop: int | None = None
    ) -> Iterator[ExamBatch]:
        """This process's share of each step's items, from step ``start`` to before ``stop``."""
        order = self.feed.order(seed=self.seed, epoch=epoch)
        last = steps_per_epoch(len(order), self.batch) if stop is None else stop
        rank, count = self.share
        self._chosen.batches = [
            [(epoch, i) for i in order[step * self.batch : (step + 1) * self.batch][rank::count]]
            for step in range(start, last)
        ]
        yield from self._loader


class _Chosen(Sampler[list[Drawn]]):
    """The batches of the epoch that is read next."""

    def __init__(self) -> None:
        self.batches: list[list[Drawn]] = []

    def __iter__(self) -> Iterator[list[Drawn]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _Items(Dataset[Any]):
    """A feed with the draws of each epoch."""

    def __init__(self, feed: Feed, seed: int) -> None:
        self.feed, self.seed = feed, seed

    def __getitem__(self, drawn: Drawn) -> Any:
        epoch, index = drawn
        return self.feed.read(index, item_draw(self.seed, epoch, index))
