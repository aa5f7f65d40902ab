"""Training batches in an order that seed, epoch and process decide, from any step on."""

from collections.abc import Iterator

from torch.utils.data import DataLoader

from fourview.contract import ExamBatch
from fourview.data.collate import collate
from fourview.data.dataset import SampleDataset, epoch_order


def steps_per_epoch(num_samples: int, batch: int) -> int:
    """Steps that are taken; the samples that fill no whole batch wait for the next epoch."""
    return num_samples // batch


def epoch_batches(
    dataset: SampleDataset,
    batch: int,
    *,
    seed: int,
    epoch: int,
    start: int = 0,
    process: int = 0,
    processes: int = 1,
    workers: int = 0,
) -> Iterator[ExamBatch]:
    """This process's share of each step's samples, from step ``start`` of an epoch on."""
    order = epoch_order(len(dataset), seed=seed, epoch=epoch)
    steps = steps_per_epoch(len(order), batch)
    chosen = [
        order[step * batch : (step + 1) * batch][process::processes] for step in range(start, steps)
    ]
    loader: DataLoader[ExamBatch] = DataLoader(
        dataset,  # type: ignore[arg-type]  # collate turns its items into an ExamBatch
        batch_sampler=chosen,
        num_workers=workers,
        collate_fn=collate,
    )
    yield from loader
