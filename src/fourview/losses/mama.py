"""Symmetric local alignment of MaMA: which sentence is where, without a box.

Shapes:  T texts, S sentences of a text, I images, P tokens of an image, D features. Text i belongs
to image i, so T = I where a loss is taken.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from fourview.losses.chunks import CHUNK_BYTES, few_texts_at_a_time
from fourview.losses.contrastive import Scale, same_patient, two_way_cross_entropy
from fourview.losses.precision import in_full_precision

Kinds = Literal["both", "visual", "text"]
LossScale = Literal["paper", "reference"]


def sentence_to_patch(
    tokens: Float[Tensor, "*many token dim"], sentences: Float[Tensor, "*many sentence dim"]
) -> Float[Tensor, "*many sentence token"]:
    """C: the cosine of every sentence with every token of an image, in [-1, 1].

    >>> three_four = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    >>> sentence_to_patch(torch.eye(2, dtype=torch.float64), three_four).tolist()
    [[0.6, 0.8]]
    """
    return normalize(sentences, dim=-1) @ normalize(tokens, dim=-1).mT


@in_full_precision
def local_similarities(
    tokens: Float[Tensor, "image token dim"],
    sentences: Float[Tensor, "text sentence dim"],
    present: Bool[Tensor, "text sentence"],
    chunk_bytes: int = CHUNK_BYTES,
) -> tuple[Float[Tensor, "text image"], Float[Tensor, "text image"]]:
    r"""The scores cV and cT of every text with every image, in [-1, 1].

    .. math:: c^V_{ti} = \frac{1}{S_t} \sum_s \max_p C_{sp} \qquad
              c^T_{ti} = \frac{1}{P} \sum_p \max_s C_{sp}

    with :math:`C = s_t x_i^T` (MaMA section 3.4). A few texts are compared at a time and compared
    again on the way back, so that memory does not grow with T x I x P x S.

    Args:
        tokens: Of images; need not be normalised.
        sentences: Of texts; need not be normalised.
        present: False where a text has fewer sentences than the longest one; a text has at least
            one.
        chunk_bytes: Of cosines held at a time; changes no number.

    An image with two tokens, and a text with one sentence that is the first token:

    >>> sentence, present = torch.tensor([[[1.0, 0.0]]]), torch.ones(1, 1, dtype=torch.bool)
    >>> visual, text = local_similarities(torch.eye(2)[None], sentence, present)
    >>> visual.item(), text.item()
    (1.0, 0.5)
    """
    tokens, sentences = normalize(tokens, dim=-1), normalize(sentences, dim=-1)
    return few_texts_at_a_time(_similarities, tokens, sentences, present, chunk_bytes)


def _similarities(
    tokens: Float[Tensor, "image token dim"],
    sentences: Float[Tensor, "text sentence dim"],
    present: Bool[Tensor, "text sentence"],
) -> tuple[Float[Tensor, "text image"], Float[Tensor, "text image"]]:
    both = torch.einsum("tsd,ipd->tisp", sentences, tokens)
    here = present[:, None, :]
    best_token = both.amax(dim=3)
    count = present.sum(dim=1, keepdim=True).clamp(min=1)
    visual = (best_token * here).sum(dim=2) / count
    best_sentence = both.masked_fill(~here[..., None], -torch.inf).amax(dim=2)
    return visual, best_sentence.mean(dim=2)


@in_full_precision
def symmetric_local_alignment(
    tokens: Float[Tensor, "image token dim"],
    sentences: Float[Tensor, "image sentence dim"],
    present: Bool[Tensor, "image sentence"],
    scale: Scale,
    patient: Int[Tensor, " image"] | None = None,
    *,
    kinds: Kinds = "both",
    weights: LossScale = "paper",
) -> Float[Tensor, ""]:
    r"""L_local: images and texts find each other by their best matching parts.

    .. math:: L = \frac12 \left[ \tfrac12 sym(s c^V) + \tfrac12 sym(s c^T) \right]

    with sym(L) = CE(L) + CE(transpose of L). With one kind alone the outer half is left out.

    Args:
        tokens: Local features of images; need not be normalised.
        sentences: Local features of each image's text.
        present: Which sentences there are; at least one per text.
        scale: s, that is, 1 / temperature; above 0.
        patient: The patient of each image; None makes every other text a negative.
        kinds: ``visual`` localises sentences in images (cV), ``text`` tokens in texts (cT).
        weights: ``reference`` adds all four cross entropies, as the public code does: four times
            the paper's for both kinds, twice for one.

    References:
        Du, Onofrey, Dvornek 2025, Multi-view and multi-scale alignment, arXiv:2409.18119, 3.4.

    Two images of one token, each with the sentence that says it:

    >>> tokens, present = torch.eye(2)[:, None], torch.ones(2, 1, dtype=torch.bool)
    >>> loss = symmetric_local_alignment(tokens, tokens, present, 2.0)
    >>> round(loss.item(), 4)  # log(1 + exp(-2))
    0.1269
    """
    if len(tokens) == 0:
        return tokens.sum() + sentences.sum()
    visual, text = local_similarities(tokens, sentences, present)
    excluded = same_patient(patient)
    chosen = {"both": (visual, text), "visual": (visual,), "text": (text,)}[kinds]
    losses = [two_way_cross_entropy(c * scale, excluded) for c in chosen]
    total = torch.stack(losses)
    return total.mean() if weights == "paper" else 2 * total.sum()
