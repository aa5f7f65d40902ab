"""Samples with their pixels -> ExamBatch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt16

from fourview.contract import ExamBatch
from fourview.feeds.samples import Sample

STORED_MAX = 65535.0  # the store's level of 1.0; 0 is outside the breast


@dataclass(frozen=True, slots=True)
class ReadSample:
    """A sample and the levels of its images, or their codes in place of levels."""

    sample: Sample
    levels: UInt16[np.ndarray, "image row col"]
    codes: Float32[np.ndarray, "image dim grid_row grid_col"] | None = None


def collate(items: Sequence[ReadSample]) -> ExamBatch:
    """Join samples into one batch; each is an exam of the batch, in the order given."""
    counts = torch.tensor([len(item.sample.images) for item in items])
    levels = np.concatenate([item.levels for item in items])
    codes = [item.codes for item in items if item.codes is not None]
    labels = items[0].sample.targets.keys()
    return ExamBatch(
        pixels=torch.from_numpy(levels.astype(np.float32) / np.float32(STORED_MAX))[:, None],
        codes=torch.from_numpy(np.concatenate(codes)) if codes else None,
        exam=torch.repeat_interleave(torch.arange(len(items)), counts),
        slot=torch.tensor([s for item in items for s in item.sample.slots]),
        rank=torch.tensor([r for item in items for r in item.sample.ranks]),
        num_exams=len(items),
        targets={
            label: torch.tensor([item.sample.targets[label] for item in items]) for label in labels
        },
    )
