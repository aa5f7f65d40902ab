"""Symmetric local alignment against loops over texts, images, sentences and tokens."""

import math

import pytest
import torch

from fourview.losses.mama import local_similarities, symmetric_local_alignment

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64 sums in another order
COUNTS = (3, 1, 2, 3)  # sentences of each text; one text has a single one
PATIENT = torch.tensor([0, 1, 0, 2])


def parts(*, seed: int = 0):
    make = torch.Generator().manual_seed(seed)
    tokens = torch.randn(4, 6, 5, generator=make, dtype=torch.float64).requires_grad_()
    sentences = torch.randn(4, 3, 5, generator=make, dtype=torch.float64).requires_grad_()
    present = torch.arange(3)[None] < torch.tensor(COUNTS)[:, None]
    return tokens, sentences, present


def cosine(a, b):
    return (a * b).sum() / ((a * a).sum() * (b * b).sum()).sqrt()


def loop_scores(tokens, sentences):
    visual, text = {}, {}
    for t, count in enumerate(COUNTS):
        for i in range(len(tokens)):
            c = [[cosine(sentences[t, s], token) for token in tokens[i]] for s in range(count)]
            visual[t, i] = sum(max(row) for row in c) / count
            columns = list(zip(*c, strict=True))
            text[t, i] = sum(max(column) for column in columns) / len(columns)
    return visual, text


def loop_two_ways(scores, scale, patient):
    """sym: each row and each column must find its diagonal."""
    total, count = 0.0, len(patient)
    for turned in (False, True):
        for i in range(count):
            pool = [j for j in range(count) if j == i or patient[j] != patient[i]]
            terms = {j: (scale * scores[(j, i) if turned else (i, j)]).exp() for j in pool}
            total = total - (terms[i] / sum(terms.values())).log() / count
    return total


def loop_alignment(tokens, sentences, scale, patient, kinds, weights):
    visual, text = loop_scores(tokens, sentences)
    chosen = {"both": (visual, text), "visual": (visual,), "text": (text,)}[kinds]
    each = [loop_two_ways(scores, scale, patient) for scores in chosen]
    return sum(each) if weights == "reference" else sum(each) / 2 / len(each)


@pytest.mark.parametrize("kinds", ["both", "visual", "text"])
@pytest.mark.parametrize("weights", ["paper", "reference"])
def test_the_loss_and_its_gradients_are_those_of_a_loop(kinds, weights):
    tokens, sentences, present = parts()
    scale = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
    ours = symmetric_local_alignment(
        tokens, sentences, present, scale, PATIENT, kinds=kinds, weights=weights
    )
    loop = loop_alignment(tokens, sentences, scale, PATIENT, kinds, weights)
    torch.testing.assert_close(ours, loop, **CLOSE)
    inputs = (tokens, sentences, scale)
    for one, other in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(loop, inputs), strict=True
    ):
        torch.testing.assert_close(one, other, **CLOSE)


def test_both_scores_of_a_two_by_two_case_by_hand():
    """Tokens on the axes; sentence 1 on x, sentence 2 on the diagonal."""
    half = math.sqrt(0.5)
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    sentences = torch.tensor([[[1.0, 0.0], [half, half]]], dtype=torch.float64)
    visual, text = local_similarities(tokens, sentences, torch.ones(1, 2, dtype=torch.bool))
    assert visual.item() == pytest.approx((1 + half) / 2, abs=1e-12)  # best token of each sentence
    assert text.item() == pytest.approx((1 + half) / 2, abs=1e-12)  # best sentence of each token
    # without sentence 2, the token on y matches nothing
    visual, text = local_similarities(tokens, sentences, torch.tensor([[True, False]]))
    assert visual.item() == pytest.approx(1.0, abs=1e-12)
    assert text.item() == pytest.approx(0.5, abs=1e-12)


def test_one_sentence_a_report_is_enough():
    tokens, sentences, _ = parts()
    one = torch.ones(4, 1, dtype=torch.bool)
    loss = symmetric_local_alignment(tokens, sentences[:, :1], one, 4.0)
    assert loss.isfinite()


def test_what_stands_where_no_sentence_is_changes_nothing():
    tokens, sentences, present = parts()
    noise = torch.where(present[..., None], sentences, 9.0)
    one = symmetric_local_alignment(tokens, sentences, present, 4.0)
    assert one.item() == symmetric_local_alignment(tokens, noise, present, 4.0).item()


def test_the_order_of_the_batch_does_not_matter():
    tokens, sentences, present = parts()
    order = torch.tensor([2, 0, 3, 1])
    one = symmetric_local_alignment(tokens, sentences, present, 4.0, PATIENT)
    other = symmetric_local_alignment(
        tokens[order], sentences[order], present[order], 4.0, PATIENT[order]
    )
    torch.testing.assert_close(one, other, **CLOSE)


def test_comparing_a_text_at_a_time_changes_no_number():
    tokens, sentences, present = parts()
    whole = local_similarities(tokens, sentences, present)
    in_turn = local_similarities(tokens, sentences, present, chunk_bytes=1)
    for one, other in zip(whole, in_turn, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)
        torch.testing.assert_close(
            torch.autograd.grad(one.square().sum(), tokens, retain_graph=True)[0],
            torch.autograd.grad(other.square().sum(), tokens, retain_graph=True)[0],
            **CLOSE,
        )
