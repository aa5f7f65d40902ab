"""Loss and AUC of a part that is not trained on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourview.contract import ExamBatch, ModelOutput, Objective, Task
from fourview.evaluate.auc import auroc
from fourview.feeds.batches import Batches
from fourview.train.processes import Processes

LAST_EPOCH = "last"  # of ``Recipe.select``: the validation part chooses nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What one pass over a part measured.

    Attributes:
        loss: Mean total loss over the samples; NaN where there are none.
        parts: The same of each part of the loss, over the batches that have it.
        auc: AUC of findings, breasts or images, as the stage scores; of the suspicion where a task
            has one, else the mean of each class against the rest. NaN where undefined.
    """

    loss: float
    auc: float
    parts: Mapping[str, float] = field(default_factory=dict)

    def as_row(self) -> dict[str, Any]:
        """Values for the log: None where undefined, as JSON has no NaN."""
        return {
            "validation_loss": _or_none(self.loss),
            "validation_auc": _or_none(self.auc),
            "validation_parts": {name: _or_none(value) for name, value in self.parts.items()},
        }

    def loss_of(self, select: str) -> float:
        """The loss that ``Recipe.select`` names; the total where it names none."""
        if select in ("loss", "auc", LAST_EPOCH):
            return self.loss
        return self.parts.get(select, math.nan)

    def value_of(self, select: str) -> float:
        """What the best checkpoint has the lowest of; NaN where undefined."""
        return -self.auc if select == "auc" else self.loss_of(select)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one batch gave: number, samples, losses, and scores with targets where it has any."""

    number: int
    samples: int
    total: float
    parts: Mapping[str, float]
    scores: Tensor | None
    targets: Tensor | None


def validate(
    objective: Objective,
    batches: Batches,
    task: Task | None,
    *,
    processes: Processes,
    autocast: bool = False,
) -> Validation:
    """Run the objective over batches without training.

    Each process takes its share of the batches; all then know all of them and agree.
    """
    device, label = processes.device, None if task is None else next(iter(task.labels))
    seen = []
    for number, (samples, batch) in zip(batches.numbers, batches, strict=True):
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=autocast),
        ):
            on_device = batch.to(device)
            terms = objective(on_device)
        scored = None if label is None else _scored(terms.output, on_device, label)
        scores, targets = (None, None) if scored is None else (scored[0].float(), scored[1])
        if task is not None and task.is_suspicion and scores is not None:
            scores = scores[:, :1]
        seen.append(
            _Seen(
                number=number,
                samples=len(samples),
                total=float(terms.total),
                parts={name: float(part) for name, part in terms.parts.items()},
                scores=None if scores is None else scores.cpu(),
                targets=None if targets is None else targets.cpu(),
            )
        )
    everywhere = [one for of_one in processes.all(seen) for one in of_one]
    return _joined(sorted(everywhere, key=lambda one: one.number))


def _joined(seen: Sequence[_Seen]) -> Validation:
    """Means over the samples of all batches, in their order."""
    count = sum(one.samples for one in seen)
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for one in seen:
        for name, part in one.parts.items():
            sums[name] = sums.get(name, 0.0) + part * one.samples
            counts[name] = counts.get(name, 0) + one.samples
    scores = [one.scores for one in seen if one.scores is not None]
    targets = [one.targets for one in seen if one.targets is not None]
    return Validation(
        loss=sum(one.total * one.samples for one in seen) / count if count else math.nan,
        auc=mean_auc(torch.cat(scores), torch.cat(targets)) if scores else math.nan,
        parts={name: value / counts[name] for name, value in sums.items()},
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _scored(
    output: ModelOutput | None, batch: ExamBatch, label: str
) -> tuple[Float[Tensor, "unit class"], Float[Tensor, " unit"]] | None:
    """Scores and targets of what the stage is about: findings, else breasts, else images."""
    if output is None:
        return None
    if output.finding_scores is not None and batch.patches is not None:
        return output.finding_scores, batch.patches.finding_targets[label]
    if output.breast_scores is not None:
        return output.breast_scores.flatten(0, 1), batch.targets[label].flatten()
    if output.image_scores is not None:
        return output.image_scores, batch.target_of_images(label)
    return None


def mean_auc(scores: Float[Tensor, "unit class"], targets: Float[Tensor, " unit"]) -> float:
    """AUC over the units with score and label; NaN where no class has both kinds."""
    known = ~(targets.isnan() | scores.isnan().any(dim=1))
    scores, targets = scores[known], targets[known]
    if scores.shape[1] == 1:
        kinds = [(scores[:, 0], targets == 1)]
    else:
        kinds = [(scores[:, k], targets == k) for k in range(scores.shape[1])]
    aucs = [
        auroc(values.double().numpy(), is_class.numpy())
        for values, is_class in kinds
        if is_class.any() and not is_class.all()
    ]
    return sum(aucs) / len(aucs) if aucs else math.nan
