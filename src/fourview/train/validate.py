"""Loss and AUC of a part that is not trained on."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fourview.contract import ExamBatch, ModelOutput, Objective, Task
from fourview.evaluate.auc import auroc
from fourview.feeds.samples import Sample

LAST_EPOCH = "last"  # of ``Recipe.select``: the validation part chooses nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What one pass found.

    Attributes:
        loss: Mean total loss over the samples; NaN where there are none.
        parts: The same of each part of the loss, over the batches that have it.
        auc: Of findings, breasts or images, as the stage scores; of the suspicion where a task has
            one, else the mean of each class against the rest. NaN where undefined.
    """

    loss: float
    auc: float
    parts: Mapping[str, float] = field(default_factory=dict)

    def as_row(self) -> dict[str, Any]:
        """For the log: None where undefined, as JSON has no NaN."""
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


def validate(
    objective: Objective,
    batches: Iterable[tuple[list[Sample], ExamBatch]],
    task: Task | None,
    *,
    device: torch.device,
    autocast: bool = False,
) -> Validation:
    """Run the objective over batches without training."""
    total, count = 0.0, 0
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    scores: list[Tensor] = []
    targets: list[Tensor] = []
    for samples, batch in batches:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=autocast),
        ):
            terms = objective(batch.to(device))
        total += float(terms.total) * len(samples)
        count += len(samples)
        for name, part in terms.parts.items():
            sums[name] = sums.get(name, 0.0) + float(part) * len(samples)
            counts[name] = counts.get(name, 0) + len(samples)
        scored = None if task is None else _scored(terms.output, batch, next(iter(task.labels)))
        if task is not None and scored is not None:
            scores.append((scored[0][:, :1] if task.is_suspicion else scored[0]).float().cpu())
            targets.append(scored[1].cpu())
    loss = total / count if count else math.nan
    auc = mean_auc(torch.cat(scores), torch.cat(targets)) if scores else math.nan
    parts = {name: value / counts[name] for name, value in sums.items()}
    return Validation(loss=loss, auc=auc, parts=parts)


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
    areas = [
        auroc(values.double().numpy(), is_class.numpy())
        for values, is_class in kinds
        if is_class.any() and not is_class.all()
    ]
    return sum(areas) / len(areas) if areas else math.nan
