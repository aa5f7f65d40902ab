"""Local alignment of GLAM: a super-patch of one view and its match in the other view's column.

Places without tissue can be left out: they are then neither asked for nor negatives of others.

Shapes:  R rows (breasts with both views), M super-patches of a view, D features.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from fourview.losses.contrastive import Scale, same_patient, two_way_cross_entropy
from fourview.losses.precision import in_full_precision


@in_full_precision
def position_loss(
    queries: Float[Tensor, "row place dim"],
    matched: Float[Tensor, "row place dim"],
    scale: Scale,
    present: Bool[Tensor, "row place"] | None = None,
) -> Float[Tensor, ""]:
    """L_pos of one view: a super-patch against the other places of the same image.

    1/2 [CE(A) + CE(transpose of A)] with A = s q p^T (M x M), the mean over images; the M - 1
    negatives are the matches of the view's other super-patches.

    Args:
        queries: q, the super-patches; need not be normalised.
        matched: p, what each attended to in its column of the other view.
        scale: s, that is, 1 / temperature; above 0.
        present: Places that count; None takes all.

    Returns:
        0 where there is no row.

    One image with two places, each matched with itself:

    >>> places = torch.eye(2)[None]
    >>> round(position_loss(places, places, 2.0).item(), 4)  # log(1 + exp(-2))
    0.1269
    """
    logits = _cosines(queries, matched) * scale
    return two_way_cross_entropy(logits) if present is None else _of_present(logits, present)


@in_full_precision
def patient_loss(
    queries: Float[Tensor, "row place dim"],
    matched: Float[Tensor, "row place dim"],
    scale: Scale,
    patient: Int[Tensor, " row"] | None = None,
    present: Bool[Tensor, "row place"] | None = None,
) -> Float[Tensor, ""]:
    """L_pat of one view: a super-patch against the same place of other patients.

    1/2 [CE(D) + CE(transpose of D)] with D = s q p^T over the batch (R x R), the mean over places.

    Args:
        queries: q, the super-patches; need not be normalised.
        matched: p, what each attended to in its column of the other view.
        scale: s, that is, 1 / temperature; above 0.
        patient: The patient of each row; None makes every other row a negative.
        present: Places that count; None takes all.

    Returns:
        0 where there is no row.

    Two images with one place each:

    >>> places = torch.eye(2)[:, None]
    >>> round(patient_loss(places, places, 2.0).item(), 4)  # log(1 + exp(-2))
    0.1269
    """
    by_place = _cosines(queries.transpose(0, 1), matched.transpose(0, 1)) * scale
    same = same_patient(patient)
    if present is None:
        return two_way_cross_entropy(by_place, same)
    return _of_present(by_place, present.T, same)


@in_full_precision
def union_loss(
    queries: Float[Tensor, "row place dim"],
    matched: Float[Tensor, "row place dim"],
    scale: Scale,
    patient: Int[Tensor, " row"] | None = None,
    present: Bool[Tensor, "row place"] | None = None,
) -> Float[Tensor, ""]:
    """The paper's Eq. 4 of one view: one softmax over both kinds of negatives, one direction.

    A super-patch's candidates are its own match, those of the M - 1 other places of its image, and
    those of its place in other patients' images. Differs from the print, which leaves the positive
    out of the denominator: here it is in, as in every InfoNCE.

    Args:
        queries: q, the super-patches; need not be normalised.
        matched: p, what each attended to in its column of the other view.
        scale: s, that is, 1 / temperature; above 0.
        patient: The patient of each row; None makes every other row a negative.
        present: Places that count; None takes all.

    Returns:
        0 where there is no row.

    >>> places = torch.eye(3)[:2].repeat(2, 1, 1)  # two images that are alike, two places each
    >>> round(union_loss(places, places, 2.0).item(), 4)  # log(2 + exp(-2)): the other is as near
    0.7586
    """
    if len(queries) == 0:
        return queries.sum() + matched.sum()
    within = _cosines(queries, matched) * scale  # row, place, place
    across = _cosines(queries.transpose(0, 1), matched.transpose(0, 1)) * scale  # place, row, row
    own = torch.eye(len(queries), dtype=torch.bool, device=queries.device)
    same = same_patient(patient)
    across = across.masked_fill(own if same is None else own | same, -torch.inf)
    if present is not None:
        within = _without(within, present)
        across = across.masked_fill(~present.T[:, None, :], -torch.inf)
    candidates = torch.cat([within, across.transpose(0, 1)], dim=2)
    each = candidates.logsumexp(dim=2) - within.diagonal(dim1=1, dim2=2)
    return each.mean() if present is None else _mean_of(each, present)


def _of_present(
    logits: Float[Tensor, "many one one"],
    present: Bool[Tensor, "many one"],
    excluded: Bool[Tensor, "one one"] | None = None,
) -> Float[Tensor, ""]:
    """Half of the cross entropy of rows and half of that of columns, over those present alone."""
    if logits.numel() == 0:
        return logits.sum()
    if excluded is not None:
        logits = logits.masked_fill(excluded, -torch.inf)
    losses = [
        _mean_of(kept.logsumexp(dim=-1) - kept.diagonal(dim1=-2, dim2=-1), present)
        for kept in (_without(logits, present), _without(logits.mT, present))
    ]
    return (losses[0] + losses[1]) / 2


def _without(
    logits: Float[Tensor, "many one one"], present: Bool[Tensor, "many one"]
) -> Float[Tensor, "many one one"]:
    """Absent ones are no candidates of others; each stays its own, so that no sum is empty."""
    own = torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device)
    return logits.masked_fill(~present[:, None, :] & ~own, -torch.inf)


def _mean_of(
    values: Float[Tensor, "many one"], present: Bool[Tensor, "many one"]
) -> Float[Tensor, ""]:
    """Over those present; 0 where none is."""
    return torch.where(present, values, 0.0).sum() / present.sum().clamp(min=1)


def _cosines(
    queries: Float[Tensor, "many query dim"], matched: Float[Tensor, "many matched dim"]
) -> Float[Tensor, "many query matched"]:
    return normalize(queries, dim=-1) @ normalize(matched, dim=-1).mT
