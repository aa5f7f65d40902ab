"""MGCA: words from pieces, and prototypes that wait."""

import torch

from factory import caption_batch
from fourview.models.mgca.model import TINY, Mgca
from fourview.models.mgca.objective import MgcaObjective, MgcaObjectiveConfig, words_of


def test_a_word_is_the_sum_of_its_pieces():
    tokens = torch.arange(8.0).reshape(1, 4, 2)
    word = torch.tensor([[-1, 0, 0, 1]])
    attention = torch.tensor([[0.4, 0.3, 0.2, 0.1]])
    words, present, weights = words_of(tokens, word, attention)
    assert words.tolist() == [[[6.0, 8.0], [6.0, 7.0]]]
    assert present.tolist() == [[True, True]]
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.1]]))


def test_prototypes_wait_for_the_end_of_the_first_epoch():
    objective = MgcaObjective(Mgca(TINY), MgcaObjectiveConfig(prototypes_from=0.02)).train()
    batch = caption_batch("0", "1", "2")
    objective.progress = 0.01
    objective(batch).total.backward()
    assert objective.model.prototypes.grad is None
    objective.progress = 0.02
    objective(batch).total.backward()
    assert objective.model.prototypes.grad.abs().sum() > 0
