"""Contrastive losses that several families share: InfoNCE both ways, and NT-Xent.

Rows with the same number belong together (a positive pair). Rows of the same *patient* are never
negatives of each other: the images of one woman are too alike, and their captions often equal.

Shapes:  R rows (pairs of the batch), D features.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from fourview.losses.precision import in_full_precision

Scale = Float[Tensor, ""] | float  # 1 / temperature


def same_patient(
    patient: Int[Tensor, " row"] | None,
) -> Bool[Tensor, "row row"] | None:
    """Which pairs are no negatives: two rows of one patient; None where patients are not given.

    >>> same_patient(torch.tensor([7, 7, 9])).tolist()
    [[False, True, False], [True, False, False], [False, False, False]]
    """
    if patient is None:
        return None
    own = torch.eye(len(patient), dtype=torch.bool, device=patient.device)
    return (patient[:, None] == patient[None, :]) & ~own


def matched_cross_entropy(
    logits: Float[Tensor, "*many row row"],
    excluded: Bool[Tensor, "row row"] | None = None,
) -> Float[Tensor, ""]:
    r"""CE(L): the mean over rows of :math:`\log \sum_c \exp L_{rc} - L_{rr}`.

    Args:
        logits: Any number of square matrices; all rows of all of them count alike.
        excluded: Entries that are left out of the sum, never on the diagonal.

    Returns:
        0 where there is no row.

    >>> round(matched_cross_entropy(torch.zeros(4, 4)).item(), 4)  # log 4: nothing tells rows apart
    1.3863
    """
    if logits.numel() == 0:
        return logits.sum()
    if excluded is not None:
        logits = logits.masked_fill(excluded, -torch.inf)
    return (logits.logsumexp(dim=-1) - logits.diagonal(dim1=-2, dim2=-1)).mean()


def two_way_cross_entropy(
    logits: Float[Tensor, "*many row row"],
    excluded: Bool[Tensor, "row row"] | None = None,
    *,
    rows_weight: float = 0.5,
) -> Float[Tensor, ""]:
    """``rows_weight`` CE(L) + (1 - ``rows_weight``) CE(transpose of L).

    >>> round(two_way_cross_entropy(2 * torch.eye(2)).item(), 4)  # log(1 + exp(-2))
    0.1269
    """
    rows = matched_cross_entropy(logits, excluded)
    return rows_weight * rows + (1 - rows_weight) * matched_cross_entropy(logits.mT, excluded)


@in_full_precision
def info_nce(
    queries: Float[Tensor, "row dim"],
    keys: Float[Tensor, "row dim"],
    scale: Scale,
    patient: Int[Tensor, " row"] | None = None,
) -> Float[Tensor, ""]:
    r"""InfoNCE [1, Eq. 4] one way: each query must find the key of its row.

    .. math:: L = \frac{1}{R} \sum_i -\log \frac{\exp(s \cos(q_i, k_i))}
                                                {\sum_{j \in N(i)} \exp(s \cos(q_i, k_j))}

    with :math:`N(i)` the row itself and all rows of other patients.

    Args:
        queries: Need not be normalised.
        keys: Row i belongs to row i of ``queries``.
        scale: s, that is, 1 / temperature; above 0.
        patient: The patient of each row; None makes every other row a negative.

    References:
        [1] van den Oord et al. 2018, Contrastive Predictive Coding, arXiv:1807.03748.

    >>> round(info_nce(torch.eye(2), torch.eye(2), 2.0).item(), 4)  # log(1 + exp(-2))
    0.1269
    """
    return matched_cross_entropy(cosines(queries, keys) * scale, same_patient(patient))


@in_full_precision
def two_way_info_nce(
    left: Float[Tensor, "row dim"],
    right: Float[Tensor, "row dim"],
    scale: Scale,
    patient: Int[Tensor, " row"] | None = None,
    *,
    left_weight: float = 0.5,
) -> Float[Tensor, ""]:
    r"""InfoNCE both ways: :math:`\lambda L(left, right) + (1 - \lambda) L(right, left)`.

    With :math:`\lambda = 1/2` CLIP's loss [1, Fig. 3]; ConVIRT's [2, Eq. 4] has 3/4 on the way from
    image to text.

    Args:
        left: Need not be normalised.
        right: Row i belongs to row i of ``left``.
        scale: 1 / temperature; above 0.
        patient: The patient of each row; None makes every other row a negative.
        left_weight: :math:`\lambda`, in [0, 1].

    References:
        [1] Radford et al. 2021, Learning transferable visual models from natural language.
        [2] Zhang et al. 2022, Contrastive learning of medical visual representations.

    >>> one_woman = torch.tensor([5, 5])
    >>> round(two_way_info_nce(torch.eye(2), torch.eye(2), 2.0).item(), 4)
    0.1269
    >>> two_way_info_nce(torch.eye(2), torch.eye(2), 2.0, one_woman).item()  # no negatives
    0.0
    """
    logits = cosines(left, right) * scale
    return two_way_cross_entropy(logits, same_patient(patient), rows_weight=left_weight)


@in_full_precision
def nt_xent(
    left: Float[Tensor, "row dim"],
    right: Float[Tensor, "row dim"],
    scale: Scale,
    patient: Int[Tensor, " row"] | None = None,
) -> Float[Tensor, ""]:
    """SimCLR's loss [1, Eq. 1]: all 2R vectors are anchors, each must find its partner.

    An anchor's negatives are the vectors of other rows on *both* sides (2R - 2 of them where all
    patients differ); never itself.

    Args:
        left: Need not be normalised.
        right: Row i is the partner of row i of ``left``.
        scale: 1 / temperature; above 0.
        patient: The patient of each row; None makes every other row a negative.

    Returns:
        0 where there is no row.

    References:
        [1] Chen et al. 2020, A simple framework for contrastive learning of representations.

    >>> round(nt_xent(torch.eye(2), torch.eye(2), 1.0).item(), 4)  # log(e + 2) - 1
    0.5514
    """
    num_rows = len(left)
    if num_rows == 0:
        return left.sum() + right.sum()
    both = torch.cat([left, right])
    here = torch.arange(num_rows, device=left.device)
    row, partner = torch.cat([here, here]), torch.cat([here + num_rows, here])
    whose = row if patient is None else torch.cat([patient, patient])
    excluded = whose[:, None] == whose[None, :]
    excluded[torch.arange(2 * num_rows, device=left.device), partner] = False
    return cross_entropy((cosines(both, both) * scale).masked_fill(excluded, -torch.inf), partner)


def cosines(
    left: Float[Tensor, "*many left dim"], right: Float[Tensor, "*many right dim"]
) -> Float[Tensor, "*many left right"]:
    """Cosine of every row of one side with every row of the other.

    >>> three_four = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    >>> cosines(three_four, torch.eye(2, dtype=torch.float64)).tolist()
    [[0.6, 0.8]]
    """
    return normalize(left, dim=-1) @ normalize(right, dim=-1).mT
