"""Every contrastive loss on a tiny network in float64, for the tests of the gradient cache.

Run as a script it is one of two processes that share a batch:

    python contrastive_cases.py RANK MEETING_FILE OUT_FILE
"""

import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from factory import caption_batch
from fourview.contract import ContrastiveObjective, ExamBatch, TextBatch
from fourview.models.find import find_family
from fourview.train.gather import pad_to
from fourview.train.grad_cache import contrastive_backward, freeze_statistics

Changes = Mapping[str, Any]
CASES: dict[str, tuple[str, Changes, Changes]] = {  # family, of the model, of the objective
    "clip": ("clip", {"projector": False}, {}),
    "slip": ("clip", {"projector": True, "projector_norm": "batch"}, {}),
    "convirt": ("clip", {"heads": "mlp", "projector": False}, {"image_weight": 0.75}),
    "mama": ("mama", {}, {}),
    "mama-reference": (
        "mama",
        {"view_norm": "batch", "local_norm": "batch"},
        {"loss_scale": "reference", "negatives": "all"},
    ),
    "mama-eq-1": ("mama", {"view_loss": "info_nce"}, {"local_kinds": "visual"}),
    "glam": ("glam", {}, {}),
    "glam-union": ("glam", {"view_loss": "info_nce"}, {"local_negatives": "union"}),
    "glam-free": ("glam", {"pooling": "free", "columns": False}, {"text_views": "cc"}),
    "mgca": ("mgca", {}, {}),
    "mm_mil": ("mm_mil", {}, {}),
    "mammo_clip": ("mammo_clip", {}, {}),
}
TWO = (("0123", "02", "13"), ("02", "1"))  # exams of either process: other counts, one unpaired


def objective_of(name: str) -> ContrastiveObjective:
    """In training mode, with running statistics in its encoders; the same weights every time."""
    family, of_model, of_objective = CASES[name]
    described = find_family(family)
    stage = described.stages["pretrain"]
    torch.manual_seed(0)
    model = described.build(replace(described.tiny_config, **of_model))
    objective = stage.objective(model, stage.settings(**of_objective)).double().train()
    assert isinstance(objective, ContrastiveObjective)
    freeze_statistics(objective, chunk=2, frozen=True)
    return objective


def batch_of(*exams: str, seed: int = 0) -> ExamBatch:
    """In float64, with two captions of the first exam's image."""
    batch = caption_batch(*exams, seed=seed)
    assert batch.text is not None
    return replace(batch, pixels=batch.pixels.double())


def batches_of_two() -> list[ExamBatch]:
    """What each of two processes has; one patient is in both."""
    first, second = batch_of(*TWO[0]), batch_of(*TWO[1], seed=1)
    assert second.patient is not None
    return [first, replace(second, patient=torch.tensor([7, 1]))]


def joined(first: ExamBatch, second: ExamBatch) -> ExamBatch:
    """Two batches as one."""
    one, two = first.text, second.text
    assert one is not None and two is not None
    assert first.patient is not None and second.patient is not None
    longest = max(one.tokens.shape[1], two.tokens.shape[1])
    fill = {"tokens": 0, "mask": 0, "sentence": -1, "word": -1}

    def longer(text: TextBatch, name: str) -> Tensor:
        values = getattr(text, name) - fill[name] if fill[name] else getattr(text, name)
        padded = pad_to(values, [len(values), longest])
        return padded + fill[name] if fill[name] else padded

    text = {
        f.name: torch.cat([longer(one, f.name), longer(two, f.name)])
        for f in fields(TextBatch)
        if f.name != "image" and getattr(one, f.name) is not None
    }
    return replace(
        first,
        pixels=torch.cat([first.pixels, second.pixels]),
        exam=torch.cat([first.exam, second.exam + first.num_exams]),
        slot=torch.cat([first.slot, second.slot]),
        rank=torch.cat([first.rank, second.rank]),
        num_exams=first.num_exams + second.num_exams,
        targets={},
        patient=torch.cat([first.patient, second.patient]),
        text=TextBatch(image=torch.cat([one.image, two.image + first.num_images]), **text),
    )


def loss_and_gradients(
    objective: ContrastiveObjective, batch: ExamBatch, chunk: int | None
) -> dict[str, Tensor]:
    """The loss and every gradient, by name; weights without one are left out."""
    objective.zero_grad()
    terms = contrastive_backward(objective, batch, chunk=chunk)
    gradients = {n: p.grad.clone() for n, p in objective.named_parameters() if p.grad is not None}
    return {"": terms.total.detach(), **gradients}


def main(rank: int, meeting: Path, out: Path) -> None:
    """One process of two; the first writes what it found for every case."""
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    results = {}
    for name in CASES:
        own = batches_of_two()[rank]
        for chunk in (None, 2):
            values = loss_and_gradients(objective_of(name), own, chunk)
            results |= {f"{name}/{chunk}/{key}": value for key, value in values.items()}
    if rank == 0:
        torch.save(results, out)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
