"""Compare all texts with all images, a few texts at a time."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Scores = tuple[Float[Tensor, "text image"], Float[Tensor, "text image"]]
Compare = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
CHUNK_BYTES = 2**27  # of cosines held at a time


def few_texts_at_a_time(
    compare: Compare,
    tokens: Float[Tensor, "image token dim"],
    sentences: Float[Tensor, "text sentence dim"],
    present: Bool[Tensor, "text sentence"],
    chunk_bytes: int = CHUNK_BYTES,
) -> Scores:
    """Two scores of every text with every image.

    Each sentence meets each token: 144 pairs of 1,369 tokens and 9 sentences have 2.6e8 cosines.
    So a few texts are compared at a time, and compared again on the way back.

    Args:
        compare: Tokens, some sentences and which are present, to the two scores; nothing random.
        tokens: Of all images.
        sentences: Of all texts.
        present: Which sentences there are.
        chunk_bytes: Of cosines held at a time; changes no number.

    >>> def compare(tokens, sentences, present):
    ...     cosines = torch.einsum("tsd,ind->tisn", sentences, tokens)
    ...     return cosines.amax(dim=(2, 3)), cosines.mean(dim=(2, 3))
    >>> tokens, sentences = torch.eye(2)[None], torch.eye(2)[:, None]
    >>> best, mean = few_texts_at_a_time(
    ...     compare, tokens, sentences, torch.ones(2, 1, dtype=torch.bool), chunk_bytes=1
    ... )
    >>> best.tolist(), mean.tolist()
    ([[1.0], [1.0]], [[0.5], [0.5]])
    """
    images, num_tokens, _ = tokens.shape
    texts, longest, _ = sentences.shape
    of_one_text = images * num_tokens * longest * tokens.element_size()
    step = max(1, chunk_bytes // max(of_one_text, 1))
    if step >= texts:  # nothing to save
        return compare(tokens, sentences, present)
    parts = [
        _Again.apply(
            compare, tokens, sentences[start : start + step], present[start : start + step]
        )
        for start in range(0, texts, step)
    ]
    first, second = zip(*parts, strict=True)
    return torch.cat(first), torch.cat(second)


class _Again(torch.autograd.Function):
    """Keeps what went in, not what came between; computes once more for the gradients."""

    @staticmethod
    def forward(ctx: Any, compare: Compare, *given: Tensor) -> tuple[Tensor, Tensor]:
        ctx.compare = compare
        ctx.save_for_backward(*given)
        return compare(*given)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tokens, sentences, present = ctx.saved_tensors
        with torch.enable_grad():
            inputs = tokens.detach().requires_grad_(), sentences.detach().requires_grad_()
            scores = ctx.compare(*inputs, present)
        return None, *torch.autograd.grad(scores, inputs, gradients), None
