"""A dry run says what training takes, and ours beside every paper's numbers."""

import json
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from factory import drawn_store
from fourview.cli.main import main
from fourview.models.find import find_family
from fourview.nn.encoder import EncoderConfig
from fourview.study.find_recipe import find_recipe
from fourview.study.plan import _of_paper, lines_of, memory_of, plan, published_recipes
from fourview.train.recipe import override

LENGTHS = {"clip": 5_760_000, "glam": 5_760_000, "mama": 5_760_000, "lesion": 2_000_000}


@pytest.mark.parametrize("name", published_recipes())
def test_every_published_recipe_has_its_papers_numbers_or_says_why_not(name):
    planned = plan(find_recipe(name), memory=False)
    assert planned.beside
    for row in planned.beside:
        assert re.match(r"[A-Z]\w+ et al\. 20\d\d|MammoScreen's open weights", row.where)
        assert row.same or row.why, f"{row.setting}: ours {row.ours}, paper {row.paper}"
    family = name.partition(":")[0]
    if family in LENGTHS:
        assert planned.draws == LENGTHS[family]  # 40,000 x 144; 200 x 10,000 windows


def test_a_number_that_drifts_is_seen():
    recipe = override(find_recipe("mama:paper"), ["batch=140", "steps=39000"])
    wrong = {row.setting for row in plan(recipe, memory=False).beside if not (row.same or row.why)}
    assert wrong == {"batch", "steps"}


def test_no_row_of_the_table_is_of_nobody():
    names, seen = published_recipes(), set()
    for name in names:
        seen |= {tuple(row.values()) for _, row in _of_paper(name)}
    assert len(seen) > 60
    assert not dict(_of_paper("mama:phantom"))


def test_memory_is_that_of_the_network_as_it_is_built():
    recipe = override(
        find_recipe("mvccl:small"), ["batch=2", "optimizer.name=sgd", "pixel_spec=mvccl-192x96"]
    )
    memory = memory_of(recipe)
    model = find_family("mvccl").build(recipe.model)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    assert (memory.weights, memory.gradients, memory.optimizer) == (size, size, size)
    assert memory.batch == 4 * 192 * 96 * 4  # float32, two breasts of two views
    assert memory.activations == 4 * kept_of_an_image(model.encoder.train())


def kept_of_an_image(encoder: nn.Module) -> int:
    """What autograd keeps on the processor, of real numbers."""
    kept, weights = [], {p.data_ptr() for p in encoder.parameters()}

    def keep(saved):
        kept.append(0 if saved.data_ptr() in weights else saved.nbytes)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        encoder(torch.rand(2, 1, 192, 96))
    return sum(kept) // 2


def test_frozen_weights_have_no_gradients_and_may_take_half():
    recipe = find_recipe("probe:small_linear")
    whole = memory_of(recipe)
    half = memory_of(replace(recipe, precision="bfloat16", frozen_precision="bfloat16"))
    assert whole.gradients < whole.weights / 10
    assert half.weights - half.gradients == (whole.weights - whole.gradients) / 2
    assert half.activations == whole.activations == 0


def test_a_large_text_tower_counts_though_its_folder_is_not_here():
    memory = memory_of(find_recipe("mama:paper"))
    assert memory.weights > 4 * 2_700_000_000
    assert memory.gradients < 2**30  # of adapters, heads and the image tower


def test_steps_are_those_of_the_data(tmp_path):
    manifest, store = drawn_store(tmp_path, num_patients=16)
    recipe = override(
        find_recipe("mvccl:small"), ["batch=4", "epochs=3", "pixel_spec=mvccl-192x96"]
    )
    planned = plan(recipe, manifest, store)
    assert (planned.samples, planned.steps, planned.draws) == (
        26,
        18,
        72,
    )  # 13 patients, both breasts
    assert any("no paper has this recipe" in line for line in lines_of(planned))


def test_the_command_prints_it_and_computes_nothing(capsys):
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            main(["train", "mvccl:paper", "--plan", "--set", "model.encoder.weights=none", *more])
        assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "plan of mvccl:paper (nothing is computed)"
    assert "= epochs " in "".join(lines)
    assert json.loads(lines[-1])["batch"] == 4
    with pytest.raises(SystemExit) as ended:
        main(["train", "mvccl:paper"])
    assert ended.value.code == 2


def test_encoders_of_the_papers_can_be_planned():
    assert memory_of(find_recipe("mvccl:paper")).total > 2**30
    named = replace(
        find_recipe("mvccl:paper").model, encoder=EncoderConfig(name="resnet18", weights="none")
    )
    assert memory_of(replace(find_recipe("mvccl:paper"), model=named)).activations > 0
