"""Weights as bytes: names, order and every bit count."""

import numpy as np
import torch

from fourview.nn.weight_bytes import weight_bytes


def joined(*pairs):
    return b"".join(weight_bytes(pairs))


def test_bytes_are_the_name_and_numpys_bytes():
    value = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    want = b"a" + np.arange(6, dtype="<f4").tobytes()
    assert joined(("a", value)) == want
    assert joined(("a", value.T.contiguous().T)) == want  # how it lies in memory does not count


def test_a_name_a_bit_and_a_type_make_a_difference():
    value = torch.ones(3)
    other = value.clone()
    other[1] = torch.nextafter(other[1], torch.tensor(2.0))
    made = {joined(("a", v)) for v in (value, other, value.bfloat16())} | {joined(("b", value))}
    assert len(made) == 4
