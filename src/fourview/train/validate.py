"""Loss and AUC of a part that is not trained on."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fourview.contract import ExamBatch, Objective, Task
from fourview.data.samples import Sample
from fourview.evaluate.auc import auroc


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What one pass found.

    Attributes:
        loss: Mean total loss over the samples; NaN where there are none.
        auc: Of breasts; with several classes the mean of one against the rest. NaN where undefined.
    """

    loss: float
    auc: float

    def as_row(self) -> dict[str, float | None]:
        """For the log: None where undefined, as JSON has no NaN."""
        return {
            "validation_loss": None if math.isnan(self.loss) else self.loss,
            "validation_auc": None if math.isnan(self.auc) else self.auc,
        }


def validate(
    objective: Objective,
    batches: Iterable[tuple[list[Sample], ExamBatch]],
    task: Task,
    *,
    device: torch.device,
    autocast: bool = False,
) -> Validation:
    """Run the objective over batches without training."""
    total, count = 0.0, 0
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
        if terms.output is not None and terms.output.breast_scores is not None:
            scores.append(terms.output.breast_scores.float().cpu().flatten(0, 1))
            targets.append(batch.targets[task.name].flatten())
    loss = total / count if count else math.nan
    auc = mean_auc(torch.cat(scores), torch.cat(targets)) if scores else math.nan
    return Validation(loss=loss, auc=auc)


def mean_auc(scores: Float[Tensor, "breast class"], targets: Float[Tensor, " breast"]) -> float:
    """AUC over the breasts with score and label; NaN where no class has both kinds."""
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
