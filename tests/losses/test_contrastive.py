"""InfoNCE both ways and NT-Xent against loops over pairs."""

import math

import pytest
import torch

from fourview.losses.contrastive import info_nce, nt_xent, two_way_info_nce

# float64 sums in another order
CLOSE = {"rtol": 1e-9, "atol": 1e-9}
PATIENT = torch.tensor([0, 0, 1, 2, 1])  # rows 0 and 1 one woman, 2 and 4 another


def rows(num: int = 5, dim: int = 4, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    make = torch.Generator().manual_seed(seed)
    left, right = torch.randn(2, num, dim, generator=make, dtype=torch.float64)
    return left.requires_grad_(), right.requires_grad_()


def cosine(a, b):
    return (a * b).sum() / ((a * a).sum() * (b * b).sum()).sqrt()


def loop_one_way(queries, keys, scale, patient):
    total = 0.0
    for i, query in enumerate(queries):
        pool = [j for j in range(len(keys)) if j == i or patient[j] != patient[i]]
        terms = {j: (scale * cosine(query, keys[j])).exp() for j in pool}
        total = total - (terms[i] / sum(terms.values())).log() / len(queries)
    return total


def loop_nt_xent(left, right, scale, patient):
    total, count = 0.0, len(left)
    vectors, whose = [*left, *right], [*patient, *patient]
    for i, anchor in enumerate(vectors):
        partner = (i + count) % (2 * count)
        pool = [j for j in range(2 * count) if j == partner or whose[j] != whose[i]]
        terms = {j: (scale * cosine(anchor, vectors[j])).exp() for j in pool}
        total = total - (terms[partner] / sum(terms.values())).log() / (2 * count)
    return total


def same_value_and_gradients(ours, loop, *inputs):
    torch.testing.assert_close(ours, loop, **CLOSE)
    got = torch.autograd.grad(ours, inputs)
    want = torch.autograd.grad(loop, inputs)
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize("patient", [torch.arange(5), PATIENT])
def test_info_nce_is_a_loop_over_pairs(patient):
    left, right = rows()
    scale = torch.tensor(5.0, dtype=torch.float64, requires_grad=True)
    loop = loop_one_way(left, right, scale, patient)
    same_value_and_gradients(info_nce(left, right, scale, patient), loop, left, right, scale)


@pytest.mark.parametrize("left_weight", [0.5, 0.75])
def test_two_ways_are_weighted(left_weight):
    left, right = rows()
    ways = loop_one_way(left, right, 3.0, PATIENT), loop_one_way(right, left, 3.0, PATIENT)
    loop = left_weight * ways[0] + (1 - left_weight) * ways[1]
    ours = two_way_info_nce(left, right, 3.0, PATIENT, left_weight=left_weight)
    same_value_and_gradients(ours, loop, left, right)


@pytest.mark.parametrize("patient", [torch.arange(5), PATIENT])
def test_nt_xent_is_a_loop_over_anchors(patient):
    left, right = rows()
    loop = loop_nt_xent(left, right, 2.0, patient)
    same_value_and_gradients(nt_xent(left, right, 2.0, patient), loop, left, right)


def test_nobody_named_means_everyone_else_is_a_negative():
    left, right = rows()
    everyone = torch.arange(5)
    for loss in (info_nce, two_way_info_nce, nt_xent):
        assert loss(left, right, 2.0).item() == loss(left, right, 2.0, everyone).item()


def test_two_pairs_by_hand():
    """Cosines 1, 0; 0, 1 at temperature 1: log(1 + 1/e) on every row, either way."""
    unit = torch.eye(2, dtype=torch.float64)
    want = pytest.approx(math.log(1 + math.exp(-1)), abs=1e-12)
    assert info_nce(unit, unit, 1.0).item() == want
    assert two_way_info_nce(3 * unit, unit, 1.0).item() == want
    # each anchor of NT-Xent has its partner at 1 and the other pair's two vectors at 0
    assert nt_xent(unit, unit, 1.0).item() == pytest.approx(math.log(1 + 2 / math.e), abs=1e-12)


@pytest.mark.parametrize("loss", [info_nce, two_way_info_nce, nt_xent])
def test_the_order_of_the_batch_does_not_matter(loss):
    left, right = rows()
    order = torch.tensor([3, 0, 4, 2, 1])
    one = loss(left, right, 4.0, PATIENT)
    other = loss(left[order], right[order], 4.0, PATIENT[order])
    torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize("loss", [info_nce, two_way_info_nce, nt_xent])
def test_no_row_costs_nothing_and_stays_in_the_graph(loss):
    left, right = rows(0)
    total = loss(left, right, 4.0, PATIENT[:0])
    assert total.item() == 0
    total.backward()


def test_a_loss_under_autocast_is_the_float32_one():
    left, right = (side.detach().float() for side in rows())
    want = two_way_info_nce(left, right, 1 / 0.07)
    with torch.autocast("cpu", torch.bfloat16):
        got = two_way_info_nce(left, right, 1 / 0.07)
    assert got.item() == want.item()
