"""The loss of GMIC: three classifiers trained at once, and few bright cells in the maps."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

SMALLEST = 1e-12  # of a score inside a logarithm


def cross_entropy_of_logits(
    logits: Float[Tensor, "image class"], targets: Float[Tensor, "image class"]
) -> Float[Tensor, ""]:
    """Binary cross entropy, averaged over the known targets of each class, summed over classes.

    Args:
        logits: Of yes or no; classes do not exclude each other.
        targets: 0 or 1; NaN where unknown.

    Returns:
        0, with a gradient of zeros, where nothing is known.

    The first class has two known targets, the second none:

    >>> nan = torch.nan
    >>> targets = torch.tensor([[1.0, nan], [0.0, nan]])
    >>> round(cross_entropy_of_logits(torch.zeros(2, 2), targets).item(), 4)
    0.6931
    """
    known = ~targets.isnan()
    losses = binary_cross_entropy_with_logits(
        logits.float(), targets.nan_to_num().float(), reduction="none"
    )
    return _known_mean(losses, known)


def cross_entropy_of_scores(
    scores: Float[Tensor, "image class"], targets: Float[Tensor, "image class"]
) -> Float[Tensor, ""]:
    """As ``cross_entropy_of_logits``, of scores that have no logit (means of sigmoids).

    A score that rounds to 0 or 1 counts as 1e-12 from it (1 as float32 nearest below 1).

    >>> round(cross_entropy_of_scores(torch.tensor([[0.25]]), torch.tensor([[1.0]])).item(), 4)
    1.3863
    """
    known = ~targets.isnan()
    scores, targets = scores.float(), targets.nan_to_num().float()
    yes = scores.clamp(min=SMALLEST).log()
    no = torch.log1p(-scores.clamp(max=1 - torch.finfo(scores.dtype).eps))
    return _known_mean(-(targets * yes + (1 - targets) * no), known)


def sparsity(saliency: Float[Tensor, "image class row col"]) -> Float[Tensor, ""]:
    r"""How bright the maps are: :math:`\sum_c |A^c|`, averaged over images.

    :math:`|A^c|` is the mean over cells (the paper writes a norm; its authors say that the mean is
    meant), so the weight of this term does not depend on the grid.

    >>> sparsity(torch.full((1, 2, 4, 4), 0.25)).item()  # 1/4 for each of two classes
    0.5
    """
    return saliency.float().mean(dim=(0, 2, 3)).sum()


def _known_mean(losses: Tensor, known: Tensor) -> Float[Tensor, ""]:
    total = torch.where(known, losses, 0.0).sum(dim=0)
    return (total / known.sum(dim=0).clamp(min=1)).sum()
