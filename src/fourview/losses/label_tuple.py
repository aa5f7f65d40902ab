"""The loss of a tuple of independent yes-or-no labels, some of them unknown."""

import torch
from jaxtyping import Float
from torch import Tensor


def tuple_cross_entropy(
    log_yes: Float[Tensor, "item label"],
    log_no: Float[Tensor, "item label"],
    targets: Float[Tensor, "item label"],
) -> Float[Tensor, ""]:
    r"""Minus the log probability of the observed labels, summed over labels, mean over items.

    .. math:: L = -\frac{1}{N} \sum_t \sum_c y_c(t) \log p_c(t) + (1 - y_c(t)) \log(1 - p_c(t))

    It takes both logarithms and not p, because whoever computes p as a sum knows them better than
    ``log(p)`` and ``log(1 - p)`` of a rounded number would be; a clamp there would leave a
    confidently wrong item without a gradient.

    Differs from [1, Eq. 4], which prints :math:`-\sum_c \sum_t \log p(y_c(t) | x(t))`: that is read
    as the probability of the label that was observed. Taken literally, as log p(y_c = 1) of every
    image, it would be smallest where every image is called positive.

    Args:
        log_yes: :math:`\log p_c`, at most 0.
        log_no: :math:`\log(1 - p_c)`, at most 0.
        targets: 0 or 1; NaN where unknown, which adds nothing. Items without any known label do
            not count in the mean.

    Returns:
        0, with a gradient of zeros, where no label is known.

    References:
        [1] Bakalo, Ben-Ari, Goldberger 2019, ISBI, arXiv:1904.12319.

    >>> p = torch.tensor([[0.5, 0.9]])
    >>> targets = torch.tensor([[1.0, torch.nan]])
    >>> round(tuple_cross_entropy(p.log(), (1 - p).log(), targets).item(), 4)  # log 2
    0.6931
    """
    known = ~targets.isnan()
    log_observed = torch.where(targets == 1, log_yes, log_no)
    total = log_observed.masked_fill(~known, 0).sum()
    return -total / known.any(dim=1).sum().clamp(min=1)
