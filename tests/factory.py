"""Small things that tests of several folders need: batches, manifests, stores."""

import math

import torch

from fourview.contract import ExamBatch

UNKNOWN = math.nan


def exam_batch(
    *exams: str, size: tuple[int, int] = (64, 32), label: str = "cancer", seed: int = 0
) -> ExamBatch:
    """A batch of random images; each exam is a string of slot numbers, such as "0123" or "02".

    A slot that is named twice has two images. Labels alternate 0 and 1; a breast without an image
    has an unknown label.
    """
    generator = torch.Generator().manual_seed(seed)
    slots = [int(s) for exam in exams for s in exam]
    whose = [index for index, exam in enumerate(exams) for _ in exam]
    ranks = [exam[:place].count(s) for exam in exams for place, s in enumerate(exam)]
    targets = torch.full((len(exams), 2), UNKNOWN)
    for index, exam in enumerate(exams):
        for side in {int(s) % 2 for s in exam}:
            targets[index, side] = float((index + side) % 2)
    return ExamBatch(
        pixels=torch.rand(len(slots), 1, *size, generator=generator).clamp(min=0.01),
        exam=torch.tensor(whose),
        slot=torch.tensor(slots),
        rank=torch.tensor(ranks),
        num_exams=len(exams),
        targets={label: targets},
    )
