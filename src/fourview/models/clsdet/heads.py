"""From regions to an image: the dual branch with and without selection, and the maximum.

Shapes:  I images, R places of a row of regions, C classes that are asked (malignant, benign).
Masks:   ``present`` says which places of a row hold a region; a row may have none, and its numbers
         are then without meaning (finite, and without a gradient).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


class ImageLogs(NamedTuple):
    """What a head says of an image.

    Attributes:
        yes: log p(y_c = 1 | x).
        no: log p(y_c = 0 | x).
        regions: d_c of every region in [0, 1]: how much it counts for class c, over all regions.
        classes: Log of the classification branch of every region; None of ``max_region``.
        detection: Log of the detection branch over all regions of an image; None of ``max_region``.
    """

    yes: Float[Tensor, "image class"]
    no: Float[Tensor, "image class"]
    regions: Float[Tensor, "image place class"]
    classes: Float[Tensor, "image place class_or_normal"] | None = None
    detection: Float[Tensor, "image place class"] | None = None


def select_regions(
    log_cls: Float[Tensor, "image place class"],
    present: Bool[Tensor, "image place"],
    num_selected: int | None,
) -> Bool[Tensor, "image place class"]:
    """h_c(i): the regions of each image with the highest p_cls(c | x_i), for each class.

    All of them where the image has no more than that, or where ``num_selected`` is None. Ties go to
    the first. No gradient goes through the choice.
    """
    here = present[:, :, None].expand_as(log_cls)
    if num_selected is None or num_selected >= log_cls.shape[1]:
        return here
    scores = log_cls.detach().masked_fill(~here, -torch.inf)
    best = scores.argsort(dim=1, descending=True, stable=True)[:, :num_selected]
    return torch.zeros_like(here).scatter(1, best, True) & here


def dual_branch(
    cls_logits: Float[Tensor, "image place class_or_normal"],
    det_logits: Float[Tensor, "image place class"],
    present: Bool[Tensor, "image place"],
    *,
    num_selected: int | None,
    temperature: float = 1.0,
) -> ImageLogs:
    r"""Classification and detection multiplied and summed over regions.

    .. math::
        p(y_c = 1 | x) &= \sum_i p_{det}^c(i | x) \, p_{cls}(c | x_i) \\
        p_{det}^c(i | x) &= h_c(i) e^{u_c^T x_i} / \textstyle\sum_j h_c(j) e^{u_c^T x_j}

    p(y_c = 0 | x) is the same sum over 1 - p_cls, since the detection weights sum to 1; it is made
    of the other classes' log-softmax, so that nothing is lost where p is near 1.

    Args:
        cls_logits: w_c^T x_i. The first C classes are those asked; more (normal) share the softmax.
        det_logits: u_c^T x_i.
        present: See the module docstring.
        num_selected: k of the region selection; None takes all regions.
        temperature: Detection logits are divided by it; WSDDN's code has 2.

    References:
        Bakalo, Ben-Ari, Goldberger 2019, arXiv:1904.12319, Eq. 1 to 3; without a normal class and
        without selection: Bilen and Vedaldi 2016 (WSDDN).
    """
    num_asked = det_logits.shape[2]
    log_all = functional.log_softmax(cls_logits, dim=2)
    log_cls = log_all[:, :, :num_asked]
    log_not = torch.stack([_all_but(log_all, c) for c in range(num_asked)], dim=2)
    det_logits = det_logits / temperature
    selected = select_regions(log_cls, present, num_selected)
    log_det = _log_softmax_over(det_logits, selected)
    everywhere = _log_softmax_over(det_logits, present[:, :, None].expand_as(selected))
    return ImageLogs(
        yes=torch.logsumexp(log_det + log_cls, dim=1),
        no=torch.logsumexp(log_det + log_not, dim=1),
        regions=(everywhere + log_cls).exp(),
        classes=log_all,
        detection=everywhere,
    )


def max_region(
    logits: Float[Tensor, "image place class"], present: Bool[Tensor, "image place"]
) -> ImageLogs:
    """The image is what its most suspicious region is: p(y_c = 1 | x) = max_i sigmoid(logit).

    References:
        Bakalo et al. 2019, baseline "Max-region"; max pooling as in Choukroun et al. 2017 (VCBM).
    """
    scores = logits.masked_fill(~present[:, :, None], torch.finfo(logits.dtype).min)
    highest = scores.amax(dim=1)
    return ImageLogs(
        yes=functional.logsigmoid(highest),
        no=functional.logsigmoid(-highest),
        regions=scores.sigmoid(),
    )


def _all_but(
    log_all: Float[Tensor, "image place every"], index: int
) -> Float[Tensor, "image place"]:
    """Log of the probability of any other class."""
    others = [c for c in range(log_all.shape[2]) if c != index]
    return torch.logsumexp(log_all[:, :, others], dim=2)


def _log_softmax_over(
    logits: Float[Tensor, "image place class"], included: Bool[Tensor, "image place class"]
) -> Float[Tensor, "image place class"]:
    """Softmax over the included places of a row; -inf elsewhere; a row of none counts as of all."""
    none = ~included.any(dim=1, keepdim=True)
    return functional.log_softmax(logits.masked_fill(~(included | none), -torch.inf), dim=1)
