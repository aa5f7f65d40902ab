"""The asymmetric loss for classes that exclude each other."""

import torch
from jaxtyping import Float
from torch import Tensor


def asymmetric_loss(
    logits: Float[Tensor, "item class"],
    targets: Float[Tensor, " item"],
    *,
    focus_positive: float = 1.0,
    focus_negative: float = 4.0,
    smoothing: float = 0.1,
) -> Float[Tensor, ""]:
    r"""Cross entropy that looks away from what is already right, more so for the wrong classes.

    After Ridnik et al. 2021 [1], in the form for one class of several, as GLAM has on VinDr-Mammo:

    .. math:: L = -\sum_k t_k w_k \log p_k, \quad
              w_k = (1 - p_k)^{\gamma_+} \text{ for the right class, else } p_k^{\gamma_-}

    with p the softmax and t the smoothed target, :math:`1 - \epsilon + \epsilon / K` for the right
    class and :math:`\epsilon / K` for the others. Gradients flow through the weights too.

    Args:
        logits: Two classes or more.
        targets: Index of the right class; NaN where unknown.
        focus_positive: :math:`\gamma_+`, 0 or more.
        focus_negative: :math:`\gamma_-`, 0 or more.
        smoothing: :math:`\epsilon`, in [0, 1).

    Returns:
        Mean over the items whose class is known; 0, with a gradient of zeros, where none is.

    References:
        [1] Ridnik et al. 2021, Asymmetric Loss for Multi-Label Classification, arXiv:2009.14119.

    Both classes are equally likely, so the right one weighs 1/2 and costs log 2:

    >>> loss = asymmetric_loss(torch.zeros(1, 2), torch.tensor([1.0]), smoothing=0.0)
    >>> round(loss.item(), 4)
    0.3466
    """
    known = ~targets.isnan()
    if not known.any():
        return logits.sum() * 0.0
    logits, right = logits[known], targets[known].long()
    log_p = logits.log_softmax(dim=1)
    p = log_p.exp()
    is_right = torch.zeros_like(p).scatter_(1, right[:, None], 1.0)
    weight = torch.where(is_right > 0, (1 - p) ** focus_positive, p**focus_negative)
    smooth = is_right * (1 - smoothing) + smoothing / logits.shape[1]
    return -(smooth * weight * log_p).sum(dim=1).mean()
