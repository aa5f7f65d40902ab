"""A two-view network that begins with the image tower of a language-image run."""

from dataclasses import replace

import pytest
import torch

from factory import exam_batch
from fourview.checkpoint.card import save_checkpoint
from fourview.errors import TrainingError
from fourview.models.find import find_family
from fourview.nn.image_tower import ImageTowerConfig
from fourview.preprocess.spec import pixel_spec
from fourview.recipes import mvccl
from fourview.study.start import starting_from
from fourview.train.begin import begin_with
from fourview.train.recipe import Recipe

TOWERS = {
    "small": ImageTowerConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)),
    "transformer": ImageTowerConfig(name="vit_tiny_patch16_224", weights="none", size=(224, 224)),
    "timm": ImageTowerConfig(name="mobilenetv3_small_050", weights="none"),
}


def keep_tiny(folder, family: str, config) -> None:
    """A checkpoint of a family with random weights."""
    described = find_family(family)
    save_checkpoint(
        folder,
        described.build(config),
        recipe=f"{family}:tiny",
        family=family,
        config=config,
        spec=pixel_spec(described.pixel_spec),
    )


def tiny_recipe(family: str, config) -> Recipe:
    return Recipe(
        name=f"{family}:tiny",
        family=family,
        model=config,
        pixel_spec=find_family(family).pixel_spec,
    )


def pretrained(folder, tower: ImageTowerConfig, family: str = "clip") -> torch.nn.Module:
    """A checkpoint of a language-image family with random weights."""
    torch.manual_seed(1)
    described = find_family(family)
    config = replace(described.tiny_config, image=tower)
    model = described.build(config).eval()
    save_checkpoint(
        folder,
        model,
        recipe=f"{family}:tiny",
        family=family,
        config=config,
        spec=pixel_spec(described.pixel_spec),
    )
    return model


@pytest.mark.parametrize("kind", TOWERS)
def test_the_encoder_sees_what_the_tower_saw(kind, tmp_path):
    """Same tokens from both, in evaluation mode: the weights are in their places."""
    model = pretrained(tmp_path, TOWERS[kind])
    recipe = starting_from(mvccl.mini(), tmp_path)
    assert recipe.starts_from == "clip:tiny"
    network = find_family("mvccl").build(recipe.model).eval()
    begun = begin_with(network, recipe, tmp_path)
    assert begun.taken
    assert not any(name.startswith("encoder.") for name in begun.anew)
    batch = exam_batch("0123", size=(192, 96))
    with torch.no_grad():
        tokens = model.image_tower(batch.pixels).tokens
        grid = network.encoder(batch.pixels)
        scores = network(batch).breast_scores
    torch.testing.assert_close(grid.flatten(2).transpose(1, 2), tokens, rtol=1e-4, atol=1e-5)
    assert scores.isfinite().all()


def test_a_tower_of_another_size_is_refused_by_name(tmp_path):
    pretrained(tmp_path, TOWERS["small"])
    recipe = mvccl.mini()
    network = find_family("mvccl").build(recipe.model)  # other widths
    with pytest.raises(TrainingError, match="clip:tiny does not fit"):
        begin_with(network, recipe, tmp_path)


def test_another_network_of_the_same_family_is_refused_by_name(tmp_path):
    family = find_family("gmic")
    narrow = replace(family.tiny_config, attention_dim=4)
    keep_tiny(tmp_path, "gmic", narrow)
    recipe = tiny_recipe("gmic", family.tiny_config)
    with pytest.raises(
        TrainingError, match=r"gmic:tiny does not fit: '.*' is .* there and .* here"
    ):
        begin_with(family.build(recipe.model), recipe, tmp_path)


def test_a_run_without_any_common_weight_is_refused(tmp_path):
    keep_tiny(tmp_path, "gmic", find_family("gmic").tiny_config)
    recipe = tiny_recipe("frcnn", find_family("frcnn").tiny_config)
    with pytest.raises(TrainingError, match="no weight of gmic:tiny has a place in 'frcnn:tiny'"):
        begin_with(find_family("frcnn").build(recipe.model), recipe, tmp_path)
