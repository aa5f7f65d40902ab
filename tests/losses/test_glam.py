"""GLAM's local losses against loops over breasts and places."""

import pytest
import torch

from fourview.losses.glam import patient_loss, position_loss, union_loss

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64 sums in another order
PATIENT = torch.tensor([0, 1, 1, 2])  # rows 1 and 2: the two breasts of one woman
EVERYONE = torch.arange(4)


def grids(*, seed: int = 0):
    make = torch.Generator().manual_seed(seed)
    queries, slices = torch.randn(2, 4, 9, 5, generator=make, dtype=torch.float64)
    return queries.requires_grad_(), slices.requires_grad_()


def cosine(a, b):
    return (a * b).sum() / ((a * a).sum() * (b * b).sum()).sqrt()


def loop_position(q, p, scale):
    total, count, places = 0.0, len(q), q.shape[1]
    for b in range(count):
        for m in range(places):
            own = (scale * cosine(q[b, m], p[b, m])).exp()
            row = sum((scale * cosine(q[b, m], p[b, n])).exp() for n in range(places))
            column = sum((scale * cosine(q[b, n], p[b, m])).exp() for n in range(places))
            total = total - ((own / row).log() + (own / column).log()) / 2 / places / count
    return total


def loop_patient(q, p, scale, patient):
    total, count, places = 0.0, len(q), q.shape[1]
    for m in range(places):
        for b in range(count):
            pool = [c for c in range(count) if c == b or patient[c] != patient[b]]
            own = (scale * cosine(q[b, m], p[b, m])).exp()
            row = sum((scale * cosine(q[b, m], p[c, m])).exp() for c in pool)
            column = sum((scale * cosine(q[c, m], p[b, m])).exp() for c in pool)
            total = total - ((own / row).log() + (own / column).log()) / 2 / places / count
    return total


def loop_union(q, p, scale, patient):
    total, count, places = 0.0, len(q), q.shape[1]
    for b in range(count):
        others = [c for c in range(count) if patient[c] != patient[b]]
        for m in range(places):
            own = (scale * cosine(q[b, m], p[b, m])).exp()
            row = sum((scale * cosine(q[b, m], p[b, n])).exp() for n in range(places))
            across = sum((scale * cosine(q[b, m], p[c, m])).exp() for c in others)
            total = total - (own / (row + across)).log() / places / count
    return total


LOSSES = {
    "position": (
        lambda q, p, s, _: position_loss(q, p, s),
        lambda q, p, s, _: loop_position(q, p, s),
    ),
    "patient": (patient_loss, loop_patient),
    "union": (union_loss, loop_union),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


@every_loss
@pytest.mark.parametrize("patient", [EVERYONE, PATIENT])
def test_the_loss_and_its_gradients_are_those_of_a_loop(name, patient):
    ours, loop = LOSSES[name]
    queries, slices = grids()
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    one, other = ours(queries, slices, scale, patient), loop(queries, slices, scale, patient)
    torch.testing.assert_close(one, other, **CLOSE)
    inputs = (queries, slices, scale)
    for got, want in zip(
        torch.autograd.grad(one, inputs), torch.autograd.grad(other, inputs), strict=True
    ):
        torch.testing.assert_close(got, want, **CLOSE)


@every_loss
def test_the_order_of_the_batch_does_not_matter(name):
    ours, _ = LOSSES[name]
    queries, slices = grids()
    order = torch.tensor([3, 1, 0, 2])
    one = ours(queries, slices, 3.0, PATIENT)
    other = ours(queries[order], slices[order], 3.0, PATIENT[order])
    torch.testing.assert_close(one, other, **CLOSE)


@every_loss
def test_no_pair_costs_nothing_and_stays_in_the_graph(name):
    ours, _ = LOSSES[name]
    queries, slices = (side[:0] for side in grids())
    total = ours(queries, slices, 3.0, PATIENT[:0])
    assert total.item() == 0
    total.backward()


def loop_present(q, p, scale, patient, present, kind):
    """Every loss over the places that count, one by one."""
    rows = [(b, m) for b in range(len(q)) for m in range(q.shape[1]) if present[b, m]]
    terms = []
    for b, m in rows:
        within = [n for n in range(q.shape[1]) if present[b, n]]
        others = [c for c in range(len(q)) if patient[c] != patient[b] and present[c, m]]
        own = (scale * cosine(q[b, m], p[b, m])).exp()
        along = sum((scale * cosine(q[b, m], p[b, n])).exp() for n in within)
        back = sum((scale * cosine(q[b, n], p[b, m])).exp() for n in within)
        across = sum((scale * cosine(q[b, m], p[c, m])).exp() for c in others)
        again = sum((scale * cosine(q[c, m], p[b, m])).exp() for c in others)
        terms.append({
            "position": -((own / along).log() + (own / back).log()) / 2,
            "patient": -((own / (own + across)).log() + (own / (own + again)).log()) / 2,
            "union": -(own / (along + across)).log(),
        }[kind])  # fmt: skip
    return sum(terms) / len(rows)


@every_loss
@pytest.mark.parametrize("patient", [EVERYONE, PATIENT])
def test_places_without_tissue_are_neither_asked_for_nor_negatives(name, patient):
    queries, slices = grids()
    present = torch.rand(4, 9, generator=torch.Generator().manual_seed(1)) < 0.5
    present[2] = False  # a breast with nothing
    given = (queries, slices, 3.0) if name == "position" else (queries, slices, 3.0, patient)
    ours = {"position": position_loss, "patient": patient_loss, "union": union_loss}[name]
    one = ours(*given, present)
    other = loop_present(queries, slices, 3.0, patient, present, name)
    torch.testing.assert_close(one, other, **CLOSE)
    for got, want in zip(
        torch.autograd.grad(one, (queries, slices)),
        torch.autograd.grad(other, (queries, slices)),
        strict=True,
    ):
        torch.testing.assert_close(got, want, **CLOSE)
        assert (got[2] == 0).all()  # and no number is lost to the infinities of what is left out
    everything = torch.ones_like(present)
    torch.testing.assert_close(ours(*given, everything), ours(*given), **CLOSE)
    assert ours(*given, ~everything) == 0
