"""What a model is asked: classes, labels and scores."""

import pytest
import torch

from fourview.contract.tasks import TASKS, task
from fourview.errors import RecipeError


@pytest.mark.parametrize("name", sorted(TASKS))
def test_scores_are_in_0_to_1_and_exclusive_classes_sum_to_1(name):
    asked = task(name)
    logits = torch.randn(5, asked.num_classes, generator=torch.Generator().manual_seed(0)) * 4
    scores = asked.scores(logits)
    assert scores.shape == logits.shape and (scores >= 0).all() and (scores <= 1).all()
    for part, own in asked.split(logits):
        got = part.scores(own)
        if part.is_suspicion:
            torch.testing.assert_close(got, 1 / (1 + torch.exp(-own)))
        else:
            torch.testing.assert_close(got.sum(dim=-1), torch.ones(5))
    classes = [c for classes in asked.labels.values() for c in classes]
    assert tuple(classes) == asked.classes


def test_two_questions_at_once_stand_behind_each_other():
    both = task("cancer_density")
    logits = torch.randn(2, 5)
    parts = [task("cancer").scores(logits[:, :1]), task("density").scores(logits[:, 1:])]
    torch.testing.assert_close(both.scores(logits), torch.cat(parts, dim=1))
    assert both.labels == {"cancer": ("cancer",), "density": ("A", "B", "C", "D")}
    assert both.is_suspicion and not task("density").is_suspicion


def test_a_task_that_there_is_not_is_named():
    with pytest.raises(RecipeError, match="densty"):
        task("densty")
