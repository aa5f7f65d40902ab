"""Adapters beside frozen matrices."""

import pytest
import torch
from torch import nn

from fourview.errors import RecipeError
from fourview.nn.lora import LoraConfig, adapt

pytest.importorskip("peft", reason="the language extra is not installed")
pytorch_utils = pytest.importorskip("transformers.pytorch_utils")


class Attention(nn.Module):
    """The matrices of an attention layer; GPT-2's weights are (in, out)."""

    def __init__(self, *, turned):
        super().__init__()
        self.query = pytorch_utils.Conv1D(3, 5) if turned else nn.Linear(5, 3)
        self.other = nn.Linear(3, 3)

    def forward(self, values):
        return self.query(values)


@pytest.mark.parametrize("turned", [False, True])
def test_an_adapter_adds_its_scaled_product_to_the_matrix(turned):
    torch.manual_seed(0)
    network = Attention(turned=turned).double()
    weight, bias = (p.detach().clone() for p in network.query.parameters())
    values = torch.randn(4, 5, dtype=torch.float64)
    before = network(values)
    adapt(network, LoraConfig(rank=2, alpha=6, dropout=0.0))
    torch.testing.assert_close(network(values), before, rtol=0, atol=0)  # begins as it was
    down, up = (p for n, p in network.query.named_parameters() if "lora" in n)
    nn.init.normal_(up)
    merged = (weight.T if turned else weight) + 6.0 / 2 * up @ down
    torch.testing.assert_close(network(values), values @ merged.T + bias)  # float64: rounding only


def test_only_the_adapters_of_the_named_matrices_are_trained():
    network = Attention(turned=False)
    adapt(network, LoraConfig(rank=2))
    trained = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert trained == {"query.lora_A.default.weight", "query.lora_B.default.weight"}


def test_rank_zero_adapts_nothing():
    network = Attention(turned=False)
    adapt(network, LoraConfig())
    assert set(network.state_dict()) == set(Attention(turned=False).state_dict())
    assert all(weight.requires_grad for weight in network.parameters())


def test_a_network_without_the_named_matrices_is_refused():
    with pytest.raises(RecipeError, match="none of"):
        adapt(Attention(turned=False), LoraConfig(rank=2, targets=("c_attn",)))
