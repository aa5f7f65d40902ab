"""Cross entropy with a weight for each class, divided by what does not depend on the draw."""

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Reduction = Literal["mean_weight", "torch"]


def weighted_cross_entropy(
    logits: Float[Tensor, "item class"],
    targets: Float[Tensor, " item"],
    weights: Sequence[float],
    *,
    mean_weight: float,
    reduction: Reduction = "mean_weight",
) -> Float[Tensor, ""]:
    r"""Mean of :math:`w_{y_i} \cdot -\log p_{i, y_i}`, so scaled that the weights are 1 on average.

    With ``mean_weight`` the sum is divided by the number of items and by that number. ``torch``
    divides by the sum of the items' own weights, as PyTorch does: in a small batch that a heavy
    class is rarely in, that takes most of its weight away again (lesion networks at batch 25: 4 %
    of the loss for malignant windows, instead of 25 %).

    Args:
        logits: One column per class.
        targets: The index of the class; NaN where unknown, and such items do not count.
        weights: Of each class, above 0.
        mean_weight: Mean of the weights over the items of an epoch.
        reduction: What the sum is divided by.

    Returns:
        0, with a gradient of zeros, where no target is known.

    >>> import torch
    >>> logits, targets = torch.zeros(2, 2), torch.tensor([0.0, 1.0])
    >>> loss = weighted_cross_entropy(logits, targets, (1.0, 3.0), mean_weight=2.0)
    >>> round(loss.item(), 4)  # (1 + 3) log 2 / (2 * 2)
    0.6931
    """
    known = ~targets.isnan()
    if not known.any():
        return logits.sum() * 0.0
    logits, classes = logits[known].float(), targets[known].long()
    weight = logits.new_tensor(list(weights))
    total = functional.cross_entropy(logits, classes, weight=weight, reduction="sum")
    if reduction == "torch":
        return total / weight[classes].sum()
    return total / (len(classes) * mean_weight)
