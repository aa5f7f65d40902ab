"""Mammo-CLIP: two views and two texts of a breast, all compared.

Shapes:  R rows (breasts), D features.
"""

from jaxtyping import Float, Int
from torch import Tensor

from fourview.losses.contrastive import Scale, two_way_info_nce


def multi_view_loss(
    images: tuple[Float[Tensor, "row dim"], Float[Tensor, "row dim"]],
    texts: tuple[Float[Tensor, "row dim"], Float[Tensor, "row dim"]],
    scale: Scale,
    patient: Int[Tensor, " row"] | None = None,
    *,
    image_weight: float = 1.0,
    text_weight: float = 0.5,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-modal, image-image and text-text parts, weighted; their sum is the loss.

    The cross-modal part is the mean of 1/2 sym over the four pairs of an image and a text.

    Args:
        images: Embeddings of two views; need not be normalised.
        texts: Embeddings of two texts; need not be normalised.
        scale: 1 / temperature, the same for all; above 0.
        patient: The patient of each row; None makes every other row a negative.
        image_weight: Of the two views with each other.
        text_weight: Of the two texts with each other.

    References:
        Ghosh et al. 2024, Mammo-CLIP, section 2.1.

    >>> import torch
    >>> same = torch.eye(2), torch.eye(2)
    >>> [round(part.item(), 4) for part in multi_view_loss(same, same, 2.0)]
    [0.1269, 0.1269, 0.0635]
    """
    pairs = [two_way_info_nce(i, t, scale, patient) for i in images for t in texts]
    cross_modal = (pairs[0] + pairs[1] + pairs[2] + pairs[3]) / 4
    image = image_weight * two_way_info_nce(*images, scale, patient)
    text = text_weight * two_way_info_nce(*texts, scale, patient)
    return cross_modal, image, text
