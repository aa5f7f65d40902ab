"""MGCA's losses against loops over words, tokens and prototypes."""

import numpy as np
import pytest
import torch

from fourview.losses.mgca import importance, prototype_loss, sinkhorn, token_loss

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64 sums in another order
COUNTS = (4, 2, 1)


def parts(*, seed: int = 0):
    make = torch.Generator().manual_seed(seed)
    words = torch.randn(3, 4, 5, generator=make, dtype=torch.float64).requires_grad_()
    tokens = torch.randn(3, 6, 5, generator=make, dtype=torch.float64).requires_grad_()
    present = torch.arange(4)[None] < torch.tensor(COUNTS)[:, None]
    attention = torch.rand(3, 4, generator=make, dtype=torch.float64)
    return words, tokens, present, attention


def unit(vector):
    return vector / (vector * vector).sum().sqrt()


def softmax(values):
    powers = [v.exp() for v in values]
    return [p / sum(powers) for p in powers]


def attend(item, others, tau):
    weights = softmax([(item * other).sum() / tau for other in others])
    return unit(sum(w * other for w, other in zip(weights, others, strict=True)))


def loop_side(items, others, weights, tau):
    attended = [attend(item, others, tau) for item in items]
    total = 0.0
    for r, weight in enumerate(weights):
        own = ((items[r] * attended[r]).sum() / tau).exp()
        row = sum(((items[r] * f).sum() / tau).exp() for f in attended)
        column = sum(((item * attended[r]).sum() / tau).exp() for item in items)
        total = total - weight * ((own / row).log() + (own / column).log()) / 2
    return total


def loop_tokens(words, tokens, weights, tau):
    total = 0.0
    for b, count in enumerate(COUNTS):
        w, p = [unit(x) for x in words[b, :count]], [unit(x) for x in tokens[b]]
        total = total + loop_side(w, p, weights[b, :count], tau) / len(COUNTS)
        total = total + loop_side(p, w, [1 / len(p)] * len(p), tau) / len(COUNTS)
    return total


def test_the_token_loss_and_its_gradients_are_those_of_a_loop():
    words, tokens, present, attention = parts()
    weights = importance(attention, present)
    ours = token_loss(words, present, tokens, weights, 0.3)
    loop = loop_tokens(words, tokens, weights, 0.3)
    torch.testing.assert_close(ours, loop, **CLOSE)
    for one, other in zip(
        torch.autograd.grad(ours, (words, tokens)),
        torch.autograd.grad(loop, (words, tokens)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, **CLOSE)


def test_words_weigh_what_the_clipped_attention_says():
    _, _, present, attention = parts()
    got = importance(attention, present)
    for row, count in enumerate(COUNTS):
        known = attention[row, :count].numpy()
        clipped = np.clip(known, *np.quantile(known, [0.1, 0.9]))
        want = clipped / clipped.sum()
        assert got[row, :count].numpy() == pytest.approx(want, abs=1e-12)
        assert (got[row, count:] == 0).all()


def test_words_that_nobody_looks_at_weigh_alike():
    _, _, present, attention = parts()
    got = importance(torch.zeros_like(attention), present)
    torch.testing.assert_close(got.sum(dim=1), torch.ones(3, dtype=torch.float64))
    assert got[0].tolist() == [0.25] * 4


def loop_sinkhorn(scores):
    mass = np.exp(scores / 0.05)
    mass = mass / mass.sum()
    rows, prototypes = mass.shape
    for _ in range(3):
        for k in range(prototypes):
            mass[:, k] /= mass[:, k].sum() * prototypes
        for b in range(rows):
            mass[b] /= mass[b].sum() * rows
    return mass * rows


def test_codes_are_those_of_sinkhorn_knopp_and_rows_sum_to_one():
    make = torch.Generator().manual_seed(1)
    scores = torch.rand(6, 4, generator=make, dtype=torch.float64)
    codes = sinkhorn(scores)
    assert codes.numpy() == pytest.approx(loop_sinkhorn(scores.numpy()), abs=1e-9)
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(6, dtype=torch.float64), **CLOSE)
    shares = sinkhorn(scores, rounds=200).sum(dim=0)  # all prototypes are used alike
    torch.testing.assert_close(shares, torch.full((4,), 1.5, dtype=torch.float64))


def test_the_prototype_loss_and_its_gradients_are_those_of_a_loop():
    make = torch.Generator().manual_seed(2)
    shapes = ((5, 4), (5, 4), (3, 4))
    images, reports, prototypes = (
        torch.randn(shape, generator=make, dtype=torch.float64).requires_grad_() for shape in shapes
    )
    c = [unit(row) for row in prototypes]
    zv = [[(unit(v) * k).sum() for k in c] for v in images]
    zt = [[(unit(t) * k).sum() for k in c] for t in reports]
    code_v, code_t = (
        loop_sinkhorn(np.array([[v.item() for v in row] for row in z])) for z in (zv, zt)
    )
    loop = 0.0
    for b in range(5):
        said_t, said_v = softmax([z / 0.2 for z in zt[b]]), softmax([z / 0.2 for z in zv[b]])
        for k in range(3):
            loop = loop - code_v[b, k] * said_t[k].log() / 10 - code_t[b, k] * said_v[k].log() / 10
    ours = prototype_loss(images, reports, prototypes, 0.2)
    torch.testing.assert_close(ours, loop, **CLOSE)
    inputs = (images, reports, prototypes)
    for one, other in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(loop, inputs), strict=True
    ):
        torch.testing.assert_close(one, other, **CLOSE)
