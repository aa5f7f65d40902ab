"""CLIP's variants."""

from dataclasses import replace

import torch

from factory import caption_batch
from fourview.models.clip.model import TINY, Clip
from fourview.models.clip.objective import ClipObjective, ClipObjectiveConfig, one_sentence


def test_a_sentence_at_random_leaves_it_and_the_first_token():
    text = caption_batch("0", "1", "2").text
    torch.manual_seed(0)
    seen = set()
    for _ in range(30):
        cut = one_sentence(text)
        for row in range(3):
            left = text.sentence[row][cut.mask[row]]
            assert left[0] == -1 and cut.mask[row, 0]
            assert len(set(left[1:].tolist())) == 1
            whole = (text.sentence[row] == left[1]).sum()
            assert len(left) == whole + 1
        seen.add(int(text.sentence[0][cut.mask[0]][1]))
    assert len(seen) == int(text.sentence[0].max()) + 1  # every sentence has its turn


def test_a_fixed_temperature_does_not_learn():
    config = replace(TINY, heads="mlp", learn_temperature=False, temperature=0.1, projector=False)
    objective = ClipObjective(Clip(config), ClipObjectiveConfig(image_weight=0.75))
    objective(caption_batch("0", "1", "2")).total.backward()
    assert objective.model.logit_scale.grad is None
    assert objective.model.image_head[0].weight.grad.abs().sum() > 0


def test_without_a_second_image_slip_is_clip():
    objective = ClipObjective(Clip(TINY), ClipObjectiveConfig()).eval()
    parts = objective(caption_batch("0", "1", "2")).parts
    assert parts["image_image"] == 0 and parts["image_text"] > 0
