"""Adapters beside frozen matrices."""

import pytest
import torch
from torch import nn

from fourview.errors import RecipeError
from fourview.nn.lora import LoraConfig, LoraLinear, adapt


class TurnedLinear(nn.Module):
    """A map whose weight is (in, out), as GPT-2's are."""

    def __init__(self, in_dim, out_dim):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_dim, out_dim, dtype=torch.float64))

    def forward(self, values):
        return values @ self.weight


@pytest.mark.parametrize("turned", [False, True])
def test_an_adapter_adds_its_scaled_product_to_the_matrix(turned):
    torch.manual_seed(0)
    base = TurnedLinear(5, 3) if turned else nn.Linear(5, 3, dtype=torch.float64)
    layer = LoraLinear(base, LoraConfig(rank=2, alpha=6.0, dropout=0.0))
    values = torch.randn(4, 5, dtype=torch.float64)
    torch.testing.assert_close(layer(values), base(values), rtol=0, atol=0)  # begins as it was
    nn.init.normal_(layer.up)
    weight = base.weight.T if turned else base.weight
    merged = weight + 6.0 / 2 * layer.up @ layer.down
    want = values @ merged.T + (0 if turned else base.bias)
    torch.testing.assert_close(layer(values), want)  # float64: rounding only


def test_only_the_adapters_of_the_named_matrices_are_trained():
    network = nn.ModuleDict({"query": nn.Linear(4, 4), "other": nn.Linear(4, 4)})
    adapt(network, LoraConfig(rank=2))
    trained = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert trained == {"query.down", "query.up"}


def test_a_network_without_the_named_matrices_is_refused():
    with pytest.raises(RecipeError, match="none of"):
        adapt(nn.ModuleDict({"other": nn.Linear(4, 4)}), LoraConfig(rank=2))
