"""Texts compared a few at a time give the scores and gradients of all at once."""

import pytest
import torch

from fourview.losses.chunks import few_texts_at_a_time


def compare(tokens, sentences, present):
    cosines = torch.einsum("tsd,ind->tisn", sentences, tokens).amax(dim=3)
    cosines = cosines.masked_fill(~present[:, None], 0)
    return cosines.sum(dim=2), cosines.square().mean(dim=2)


@pytest.mark.parametrize("chunk_bytes", [1, 4 * 3 * 7 * 2 * 2, 2**27])  # one text, two, all
def test_scores_and_gradients_do_not_depend_on_the_chunk(chunk_bytes):
    make = torch.Generator().manual_seed(0)
    given = [torch.randn(3, 7, 4, generator=make), torch.randn(5, 2, 4, generator=make)]
    present = torch.tensor([[1, 1], [1, 0], [1, 1], [1, 0], [1, 1]], dtype=torch.bool)
    results = []
    for call in (
        compare,
        lambda *a: few_texts_at_a_time(compare, *a, chunk_bytes=chunk_bytes),
    ):
        tokens, sentences = (t.clone().requires_grad_() for t in given)
        first, second = call(tokens, sentences, present)
        (first.exp().sum() + second.sin().sum()).backward()
        results.append((first, second, tokens.grad, sentences.grad))
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want)
