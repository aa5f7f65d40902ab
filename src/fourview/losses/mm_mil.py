"""MM-MIL: a report's sentences and an image's regions as bags (after Wang et al., our reading).

The primary text leaves details open that we fill: see README of ``models/mm_mil``.

Shapes:  T texts, S sentences, I images, N regions of an image, D features.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from fourview.losses.chunks import few_texts_at_a_time
from fourview.losses.contrastive import Scale, same_patient, two_way_cross_entropy
from fourview.losses.precision import in_full_precision


@in_full_precision
def bag_similarities(
    regions: Float[Tensor, "image region dim"],
    sentences: Float[Tensor, "text sentence dim"],
    present: Bool[Tensor, "text sentence"],
    *,
    sharpness: float = 10.0,
    region_temperature: float = 0.1,
) -> tuple[Float[Tensor, "text image"], Float[Tensor, "text image"]]:
    r"""The local (LSE) and global (NL) score of every text with every image.

    Local: :math:`\frac1\gamma \log \frac1N \sum_n \exp(\gamma \langle x_n, y\rangle)` of each
    sentence, a soft maximum over regions. Global: the region :math:`n^*` that is most like the
    sentence draws the others with weights :math:`softmax_n(\langle x_n, x_{n^*}\rangle / \tau_n)`;
    the normalised mean of regions is compared with the sentence. Both are the mean over a text's
    sentences.

    Args:
        regions: Need not be normalised.
        sentences: Need not be normalised.
        present: False where a text has fewer sentences than the longest; at least one per text.
        sharpness: :math:`\gamma`, above 0; without bound it gives MaMA's visual localisation.
        region_temperature: :math:`\tau_n`, above 0.

    References:
        Wang et al. 2023, Using multiple instance learning to build multimodal representations.

    >>> sentence, present = torch.tensor([[[1.0, 0.0]]]), torch.ones(1, 1, dtype=torch.bool)
    >>> local, whole = bag_similarities(torch.eye(2)[None], sentence, present)
    >>> round(local.item(), 4), round(whole.item(), 4)  # log((exp(10) + 1) / 2) / 10
    (0.9307, 1.0)
    """
    regions, sentences = normalize(regions, dim=-1), normalize(sentences, dim=-1)

    def compare(regions: Tensor, sentences: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        alike = torch.einsum("tsd,ind->tisn", sentences, regions)
        soft_max = ((sharpness * alike).logsumexp(dim=3) - math.log(regions.shape[1])) / sharpness
        critical = alike.argmax(dim=3)  # text, image, sentence
        whose = torch.arange(len(regions), device=regions.device)[None, :, None]
        near = torch.einsum("tisd,ind->tisn", regions[whose, critical], regions)
        weights = (near / region_temperature).softmax(dim=3)
        joined = normalize(torch.einsum("tisn,ind->tisd", weights, regions), dim=-1)
        best = torch.einsum("tisd,tsd->tis", joined, sentences)
        return _mean_of_sentences(soft_max, present), _mean_of_sentences(best, present)

    return few_texts_at_a_time(compare, regions, sentences, present)


def _mean_of_sentences(
    scores: Float[Tensor, "text image sentence"], present: Bool[Tensor, "text sentence"]
) -> Float[Tensor, "text image"]:
    count = present.sum(dim=1, keepdim=True).clamp(min=1)
    return (scores * present[:, None, :]).sum(dim=2) / count


@in_full_precision
def bag_loss(
    regions: Float[Tensor, "row region dim"],
    sentences: Float[Tensor, "row sentence dim"],
    present: Bool[Tensor, "row sentence"],
    scale: Scale,
    patient: Int[Tensor, " row"] | None = None,
    *,
    sharpness: float = 10.0,
    region_temperature: float = 0.1,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """1/2 sym of the local and of the global scores, each times ``scale``; to be added.

    Args:
        regions: Of images; need not be normalised.
        sentences: Of each image's report.
        present: Which sentences there are.
        scale: 1 / temperature; above 0.
        patient: The patient of each row; None makes every other row a negative.
        sharpness: As in ``bag_similarities``.
        region_temperature: As in ``bag_similarities``.

    >>> regions, present = torch.eye(2)[:, None], torch.ones(2, 1, dtype=torch.bool)
    >>> local, whole = bag_loss(regions, regions, present, 2.0)
    >>> round(local.item(), 4), round(whole.item(), 4)  # log(1 + exp(-2))
    (0.1269, 0.1269)
    """
    local, whole = bag_similarities(
        regions,
        sentences,
        present,
        sharpness=sharpness,
        region_temperature=region_temperature,
    )
    excluded = same_patient(patient)
    return (
        two_way_cross_entropy(local * scale, excluded),
        two_way_cross_entropy(whole * scale, excluded),
    )
