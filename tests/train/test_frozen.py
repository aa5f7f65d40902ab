"""Weights that a stage leaves as they are."""

import torch
from torch import nn

from fourview.train.frozen import digest_of_frozen, frozen_names, lower_frozen


def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1))
    model[0].requires_grad_(False)
    return model


def test_names_and_halves_are_those_of_frozen_matrices():
    model = network()
    assert frozen_names(model) == {"0.weight", "0.bias"}
    before = {name: value.clone() for name, value in model.named_parameters()}
    lower_frozen(model)
    kinds = {name: p.dtype for name, p in model.named_parameters()}
    assert kinds.pop("0.weight") == torch.bfloat16 and set(kinds.values()) == {torch.float32}
    assert torch.equal(model[0].weight.data, before["0.weight"].bfloat16())


def test_the_digest_is_of_the_frozen_weights_alone():
    model, other = network(), network()
    other[2].weight.data += 1
    assert digest_of_frozen(model) == digest_of_frozen(other) != ""
    other[0].bias.data[0] += 1e-6
    assert digest_of_frozen(model) != digest_of_frozen(other)
    assert digest_of_frozen(nn.Linear(2, 2)) == ""
