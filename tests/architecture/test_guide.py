"""The guide to adding a model is run as it is printed."""

import re
import sys
from pathlib import Path

import pytest
import torch

import fourview.models
import fourview.recipes
from factory import exam_batch
from fourview.models.find import find_family
from fourview.study.find_recipe import find_recipe

GUIDE = Path(__file__).parents[2] / "docs" / "adding_a_model.md"


@pytest.fixture
def guide(tmp_path, monkeypatch):
    """The guide's files in a folder where families and recipes are looked for."""
    model, objective, family, recipe = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    folder = tmp_path / "models" / "brightest"
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(model)
    (folder / "objective.py").write_text(objective)
    (folder / "__init__.py").write_text(family)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "brightest.py").write_text(recipe)
    for package in (fourview.models, fourview.recipes):
        place = tmp_path / package.__name__.rpartition(".")[2]
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(place)])
    yield find_family("brightest")
    for name in [n for n in sys.modules if n.endswith("brightest") or ".brightest." in n]:
        del sys.modules[name]


def test_the_printed_family_is_found_and_learns(guide):
    torch.manual_seed(0)
    stage = guide.stages["train"]
    objective = stage.objective(guide.build(guide.tiny_config), stage.settings()).train()
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    batch = exam_batch("0123", "02", size=guide.tiny_size)
    losses = []
    for _ in range(20):
        terms = objective(batch)
        losses.append(float(terms.total.detach()))
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()
    assert losses[-1] < losses[0]


def test_the_printed_recipe_is_found(guide):
    assert find_recipe("brightest:plain").family == guide.name
