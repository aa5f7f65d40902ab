"""The loss of regions of which it is known what they hit."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def known_regions_loss(
    log_classes: Float[Tensor, "region class_or_normal"],
    log_detection: Float[Tensor, "region class"],
    image: Int[Tensor, " region"],
    targets: Float[Tensor, "region class"],
) -> Float[Tensor, ""]:
    r"""What a dual branch would minimise if findings had boxes in training.

    .. math::
        L = -\frac{1}{R} \sum_i \log p_{cls}(t_i | x_i)
            - \frac{1}{N} \sum_{(n, c)} \log \sum_{i \in n,\, y_{ic} = 1} p_{det}^c(i | x_n)

    :math:`t_i` is the first class that region i hits, or normal where it hits none; the second sum
    is over the N pairs of an image and a class in which some region hits. It is not the paper's,
    which trains on labels of images alone: it shows how well the same head marks when it is told.

    Args:
        log_classes: Log of the classification branch; the last column is normal.
        log_detection: Log of the detection branch over all regions of an image, for each class.
        image: Whose region, by index.
        targets: 1 where a region hits a finding of the class, 0 where not, NaN where unknown: such
            a region counts in neither sum.

    Returns:
        0, with a gradient of zeros, where nothing is known.

    Of two regions the first hits; it is called the class with 0.8 and gets 0.5 of the attention:

    >>> p = torch.tensor([[0.8, 0.2], [0.5, 0.5]])
    >>> share, image = torch.tensor([[0.5], [0.5]]), torch.tensor([0, 0])
    >>> hits = torch.tensor([[1.0], [0.0]])
    >>> loss = known_regions_loss(p.log(), share.log(), image, hits)
    >>> round(loss.item(), 4)  # (-log 0.8 - log 0.5) / 2 - log 0.5
    1.1513
    """
    num_classes = targets.shape[1]
    known = ~targets.isnan().any(dim=1)
    hits = targets == 1
    first = torch.where(hits.any(dim=1), hits.int().argmax(dim=1), num_classes)
    of_region = -log_classes.gather(1, first[:, None])[:, 0]
    total = of_region[known].sum() / known.sum().clamp(min=1)
    num_images = int(image.max()) + 1 if len(image) else 0
    losses = [log_classes.new_zeros(0)]
    for c in range(num_classes):
        own = hits[:, c]
        mass = log_detection.new_zeros(num_images).index_add(
            0, image[own], log_detection[own, c].exp()
        )
        has = torch.bincount(image[own], minlength=num_images) > 0
        losses.append(-mass[has].clamp(min=torch.finfo(mass.dtype).tiny).log())
    pairs = torch.cat(losses)
    return total + pairs.sum() / max(len(pairs), 1)
