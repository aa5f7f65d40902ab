"""Buckets of gradients: each tensor once, in order, none too large but alone."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourview.train.gather import buckets, pad_to

KINDS = (torch.float32, torch.bfloat16)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(KINDS)), max_size=20))
def test_buckets_hold_every_tensor_once_and_stay_below_the_limit(sizes):
    tensors = [torch.zeros(n, dtype=kind) for n, kind in sizes]
    all_buckets = list(buckets(tensors, limit=16))
    assert sorted(map(id, (t for group in all_buckets for t in group))) == sorted(map(id, tensors))
    for group in all_buckets:
        assert group and len({t.dtype for t in group}) == 1
        assert sum(t.nbytes for t in group) <= 16 or len(group) == 1
    for kind in KINDS:  # in order
        own = [id(t) for group in all_buckets for t in group if t.dtype == kind]
        assert own == [id(t) for t in tensors if t.dtype == kind]


def test_as_few_buckets_as_the_order_allows():
    tensors = [torch.zeros(n) for n in (2, 2, 1, 3, 4)]  # 8, 8, 4, 12 and 16 bytes
    groups = [[len(t) for t in group] for group in buckets(tensors, limit=16)]
    assert groups == [[2, 2], [1, 3], [4]]


def test_rows_grow_by_zeros_after_the_end_of_each_axis():
    values = torch.arange(1.0, 7.0).reshape(2, 3)
    grown = pad_to(values, [3, 5])
    assert grown.shape == (3, 5)
    assert torch.equal(grown[:2, :3], values) and grown.sum() == values.sum()
    assert pad_to(values, [2, 3]) is values
