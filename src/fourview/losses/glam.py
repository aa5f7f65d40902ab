"""Local alignment of GLAM: a super-patch of one view and what it finds in the other view's column.

Shapes:  R rows (breasts with both views), M super-patches of a view, D features.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from fourview.losses.contrastive import Scale, same_patient, two_way_cross_entropy
from fourview.losses.precision import in_full_precision


@in_full_precision
def position_loss(
    queries: Float[Tensor, "row place dim"],
    found: Float[Tensor, "row place dim"],
    scale: Scale,
) -> Float[Tensor, ""]:
    """L_pos of one view: a super-patch against the other places of the same image.

    1/2 [CE(A) + CE(transpose of A)] with A = s q p^T (M x M), the mean over images; the M - 1
    negatives are what other super-patches of the view found.

    Args:
        queries: q, the super-patches; need not be normalised.
        found: p, what each found in its column of the other view.
        scale: s, that is, 1 / temperature; above 0.

    Returns:
        0 where there is no row.

    One image with two places, each of which found itself:

    >>> places = torch.eye(2)[None]
    >>> round(position_loss(places, places, 2.0).item(), 4)  # log(1 + exp(-2))
    0.1269
    """
    return two_way_cross_entropy(_cosines(queries, found) * scale)


@in_full_precision
def patient_loss(
    queries: Float[Tensor, "row place dim"],
    found: Float[Tensor, "row place dim"],
    scale: Scale,
    patient: Int[Tensor, " row"] | None = None,
) -> Float[Tensor, ""]:
    """L_pat of one view: a super-patch against the same place of other patients.

    1/2 [CE(D) + CE(transpose of D)] with D = s q p^T over the batch (R x R), the mean over places.

    Args:
        queries: q, the super-patches; need not be normalised.
        found: p, what each found in its column of the other view.
        scale: s, that is, 1 / temperature; above 0.
        patient: Whose each row is; None makes every other row a negative.

    Returns:
        0 where there is no row.

    Two images with one place each:

    >>> places = torch.eye(2)[:, None]
    >>> round(patient_loss(places, places, 2.0).item(), 4)  # log(1 + exp(-2))
    0.1269
    """
    by_place = _cosines(queries.transpose(0, 1), found.transpose(0, 1)) * scale
    return two_way_cross_entropy(by_place, same_patient(patient))


@in_full_precision
def union_loss(
    queries: Float[Tensor, "row place dim"],
    found: Float[Tensor, "row place dim"],
    scale: Scale,
    patient: Int[Tensor, " row"] | None = None,
) -> Float[Tensor, ""]:
    """The paper's Eq. 4 of one view: one softmax over both kinds of negatives, one direction.

    A super-patch's candidates are its own find, those of the M - 1 other places of its image, and
    those of its place in other patients' images. Differs from the print, which leaves the positive
    out of the denominator: here it is in, as in every InfoNCE.

    Args:
        queries: q, the super-patches; need not be normalised.
        found: p, what each found in its column of the other view.
        scale: s, that is, 1 / temperature; above 0.
        patient: Whose each row is; None makes every other row a negative.

    Returns:
        0 where there is no row.

    >>> places = torch.eye(3)[:2].repeat(2, 1, 1)  # two images that are alike, two places each
    >>> round(union_loss(places, places, 2.0).item(), 4)  # log(2 + exp(-2)): the other is as near
    0.7586
    """
    if len(queries) == 0:
        return queries.sum() + found.sum()
    within = _cosines(queries, found) * scale  # row, place, place
    across = _cosines(queries.transpose(0, 1), found.transpose(0, 1)) * scale  # place, row, row
    own = torch.eye(len(queries), dtype=torch.bool, device=queries.device)
    same = same_patient(patient)
    across = across.masked_fill(own if same is None else own | same, -torch.inf)
    candidates = torch.cat([within, across.transpose(0, 1)], dim=2)
    return (candidates.logsumexp(dim=2) - within.diagonal(dim1=1, dim2=2)).mean()


def _cosines(
    queries: Float[Tensor, "many query dim"], found: Float[Tensor, "many found dim"]
) -> Float[Tensor, "many query found"]:
    return normalize(queries, dim=-1) @ normalize(found, dim=-1).mT
