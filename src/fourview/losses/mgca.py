"""MGCA: words find patches and patches find words; images and reports share prototypes.

The instance loss of MGCA is ``contrastive.two_way_info_nce``, summed instead of averaged.

Shapes:  R rows (image and its report), W words, P tokens of an image, D features, K prototypes.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import log_softmax, normalize

from fourview.losses.precision import in_full_precision

LOW, HIGH = 0.1, 0.9  # quantiles to which the weights of words are clipped
SINKHORN_SHARPNESS = 0.05
SINKHORN_ROUNDS = 3


@in_full_precision
def token_loss(
    words: Float[Tensor, "row word dim"],
    present: Bool[Tensor, "row word"],
    tokens: Float[Tensor, "row token dim"],
    word_weights: Float[Tensor, "row word"],
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    r"""L_tok: bidirectional cross-attention of words and patches within each pair.

    Word r attends over its image's tokens, :math:`a_r = softmax_P(w_r p^T / \tau)`, and gets
    :math:`o_r = a_r p`; it must find its own :math:`o_r` among those of the report's other words,
    and the other way round, with weights :math:`\omega_r`:
    :math:`\sum_r \omega_r (CE_{row\,r} + CE_{column\,r}) / 2`. The same for tokens that attend
    over words, with weights 1 / P. Both parts are added.

    Args:
        words: Local features of words; need not be normalised.
        present: False at padding; a report has at least one word.
        tokens: Local features of the report's image; need not be normalised.
        word_weights: :math:`\omega`, as ``importance`` makes them; they sum to 1 over a report.
        temperature: :math:`\tau_l` of attention and of the loss, above 0.

    References:
        Wang et al. 2022, Multi-granularity cross-modal alignment, section 3.3.

    Two words, two patches, each word says its patch; twice log(1 + exp(-10)) or so:

    >>> items, present = torch.eye(2)[None], torch.ones(1, 2, dtype=torch.bool)
    >>> round(token_loss(items, present, items, torch.full((1, 2), 0.5)).item(), 4)
    0.0001
    """
    words, tokens = normalize(words, dim=-1), normalize(tokens, dim=-1)
    match = words @ tokens.mT / temperature  # row, word, token
    of_words = normalize(match.softmax(dim=2) @ tokens, dim=-1)
    match_words = match.mT.masked_fill(~present[:, None, :], -torch.inf)
    of_tokens = normalize(match_words.softmax(dim=2) @ words, dim=-1)
    everywhere = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    uniform = torch.full_like(tokens[..., 0], 1 / tokens.shape[1])
    return _weighted(words, of_words, present, word_weights, temperature) + _weighted(
        tokens, of_tokens, everywhere, uniform, temperature
    )


def _weighted(
    own: Float[Tensor, "row item dim"],
    attended: Float[Tensor, "row item dim"],
    present: Bool[Tensor, "row item"],
    weights: Float[Tensor, "row item"],
    temperature: float,
) -> Float[Tensor, ""]:
    """Mean over rows of the weighted two-way cross entropy of items with what they attended to."""
    logits = own @ attended.mT / temperature
    diagonal = logits.diagonal(dim1=1, dim2=2)
    rows = logits.masked_fill(~present[:, None, :], -torch.inf).logsumexp(dim=2) - diagonal
    columns = logits.masked_fill(~present[:, :, None], -torch.inf).logsumexp(dim=1) - diagonal
    both = ((rows + columns) / 2).masked_fill(~present, 0.0)
    return (both * weights).sum(dim=1).mean()


@in_full_precision
def importance(
    attention: Float[Tensor, "row item"], present: Bool[Tensor, "row item"]
) -> Float[Tensor, "row item"]:
    """Weights of items from how much [CLS] looks at each, without gradient.

    Values above 0 are clipped to their 10 % and 90 % quantiles in each row, then scaled to sum 1;
    where nothing is above 0, all present items weigh alike.

    The quantiles of 1 and 3 are 1.2 and 2.8, which sum to 4; padding weighs nothing:

    >>> attention = torch.tensor([[1.0, 3.0, 9.0]], dtype=torch.float64)
    >>> weights = importance(attention, torch.tensor([[True, True, False]]))
    >>> [round(weight, 4) for weight in weights[0].tolist()]
    [0.3, 0.7, 0.0]
    """
    attention = attention.detach().masked_fill(~present, 0.0)
    positive = attention > 0
    usable = attention.masked_fill(~positive, torch.nan)
    low, high = torch.nanquantile(
        usable, torch.tensor([LOW, HIGH], dtype=usable.dtype, device=usable.device), dim=1
    )
    clipped = attention.clamp(min=low[:, None], max=high[:, None]).masked_fill(~positive, 0.0)
    clipped = torch.where(positive.any(dim=1, keepdim=True), clipped, present.to(clipped.dtype))
    return clipped / clipped.sum(dim=1, keepdim=True)


@in_full_precision
def prototype_loss(
    images: Float[Tensor, "row dim"],
    reports: Float[Tensor, "row dim"],
    prototypes: Float[Tensor, "prototype dim"],
    temperature: float = 0.2,
) -> Float[Tensor, ""]:
    r"""L_proto: each side predicts the soft cluster of the other, as in SwAV.

    :math:`\frac12 [ -\overline{\sum q_v \log softmax(z_t / \tau)}
    - \overline{\sum q_t \log softmax(z_v / \tau)} ]`, with the codes q from ``sinkhorn`` without
    gradient.

    Args:
        images: Need not be normalised.
        reports: Row i is the report of row i of ``images``.
        prototypes: Need not be normalised.
        temperature: :math:`\tau_p`, above 0.

    References:
        Wang et al. 2022, Multi-granularity cross-modal alignment, section 3.4.

    Each pair has a prototype of its own, so the loss is near log(1 + exp(-5)):

    >>> round(prototype_loss(torch.eye(2), torch.eye(2), torch.eye(2)).item(), 4)
    0.0067
    """
    prototypes = normalize(prototypes, dim=1)
    of_images = normalize(images, dim=1) @ prototypes.T
    of_reports = normalize(reports, dim=1) @ prototypes.T
    image_codes, report_codes = sinkhorn(of_images.detach()), sinkhorn(of_reports.detach())
    to_report = (image_codes * log_softmax(of_reports / temperature, dim=1)).sum(dim=1).mean()
    to_image = (report_codes * log_softmax(of_images / temperature, dim=1)).sum(dim=1).mean()
    return -(to_report + to_image) / 2


def sinkhorn(
    scores: Float[Tensor, "row prototype"], rounds: int = SINKHORN_ROUNDS
) -> Float[Tensor, "row prototype"]:
    """Soft clusters that use all prototypes about equally; each row sums to 1.

    exp(scores / 0.05), then in turns: prototypes share the rows' mass evenly, rows share it evenly.
    The largest score is taken off first, which changes nothing but keeps the powers finite.

    Both rows lean to the first prototype; the codes share the two prototypes out:

    >>> codes = sinkhorn(torch.tensor([[1.0, 0.5], [1.0, 0.9]], dtype=torch.float64))
    >>> codes.sum(dim=1).round(decimals=6).tolist()
    [1.0, 1.0]
    >>> (codes[1, 1] > codes[1, 0]).item()
    True
    """
    mass = ((scores - scores.max()) / SINKHORN_SHARPNESS).exp()
    mass = mass / mass.sum()
    rows, prototypes = mass.shape
    for _ in range(rounds):  # the power of a prototype far from every row can round to 0
        mass = mass / mass.sum(dim=0, keepdim=True).clamp(min=1e-30) / prototypes
        mass = mass / mass.sum(dim=1, keepdim=True).clamp(min=1e-30) / rows
    return mass * rows
