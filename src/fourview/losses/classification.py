"""Cross entropy where some labels are unknown."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def masked_cross_entropy(
    logits: Float[Tensor, "item class"],
    targets: Float[Tensor, " item"],
    *,
    positive_weight: float = 1.0,
) -> Float[Tensor, ""]:
    """Mean cross entropy over the items whose label is known.

    One class: binary, :math:`-w y log p - (1 - y) log(1 - p)` with p the sigmoid of the logit.
    Several: the softmax's negative log likelihood of the class with the target's index.

    Args:
        logits: One column for a yes or no, else one column per class.
        targets: 0 or 1, or the index of the class; NaN where unknown.
        positive_weight: w, above 0; only for one class.

    Returns:
        0, with a gradient of zeros, where no label is known (so that every process takes a step).

    The second label is unknown, so only the first counts, which is a coin's toss:

    >>> loss = masked_cross_entropy(torch.tensor([[0.0], [5.0]]), torch.tensor([1.0, torch.nan]))
    >>> round(loss.item(), 4)
    0.6931
    """
    known = ~targets.isnan()
    if not known.any():
        return logits.sum() * 0.0
    logits, targets = logits[known], targets[known]
    if logits.shape[1] > 1:
        return functional.cross_entropy(logits, targets.long())
    weight = torch.tensor(positive_weight, device=logits.device, dtype=logits.dtype)
    return functional.binary_cross_entropy_with_logits(
        logits[:, 0], targets.to(logits.dtype), pos_weight=weight
    )
