"""The settings of the language-image papers, as their text and code give them."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from factory import drawn_store
from fourview.captions.augment import HEAVY
from fourview.feeds.augment_photo import SIMCLR
from fourview.feeds.kinds.images import ImageFeedConfig
from fourview.models.probe.model import TINY
from fourview.preprocess.spec import pixel_spec
from fourview.run_files import BEST, LAST
from fourview.study.find_recipe import find_recipe
from fourview.train.recipe import Recipe, SplitConfig
from fourview.train.run import train
from fourview.train.run_folder import read_log

PRETRAINED = ("mama:paper", "glam:paper", "clip:paper", "clip:slip", "clip:convirt", "mgca:paper",
              "mm_mil:paper", "mama:bert", "mama:reference", "glam:reference")  # fmt: skip


@pytest.mark.parametrize("name", PRETRAINED)
def test_pre_training_has_40_000_steps_of_144_and_70_10_20(name):
    recipe = find_recipe(name)
    assert (recipe.batch, recipe.steps, recipe.epochs) == (144, 40_000, None)
    split = recipe.split
    assert (split.train, split.validation, split.test) == (0.7, 0.1, 0.2)
    assert recipe.schedule.warmup * recipe.steps == 4_000
    assert recipe.optimizer.lr == 4e-5
    assert recipe.optimizer.lr * recipe.schedule.lowest == pytest.approx(1e-8)


@pytest.mark.parametrize(
    ("name", "batch", "warmup"),
    [("linear", 36, 100), ("fine_tune", 36, 100), ("glam_linear", 96, 1_000),
     ("glam_fine_tune", 96, 1_000), ("reference_linear", 72, 100), ("rsna_linear", 36, 100)],
)  # fmt: skip
def test_probes_have_8_000_steps_of_the_papers_batch(name, batch, warmup):
    recipe = find_recipe(f"probe:{name}")
    assert (recipe.batch, recipe.steps) == (batch, 8_000)
    assert recipe.schedule.warmup * recipe.steps == pytest.approx(warmup)
    assert (recipe.optimizer.name, recipe.optimizer.lr) == ("sgd", 5e-4)
    assert recipe.optimizer.lr * recipe.schedule.lowest == pytest.approx(1e-5)
    assert recipe.optimizer.weight_decay == 1e-3
    assert recipe.feed.balanced and recipe.select == "last"
    assert recipe.feed.draws * 8 == batch * 8_000  # whatever the part of the images


def test_the_references_have_what_the_public_code_has():
    mama, glam = find_recipe("mama:reference"), find_recipe("glam:reference")
    assert mama.augment.photo == SIMCLR and mama.augment.vertical_flip == 0.5
    assert SIMCLR.mirror == 0.5 and SIMCLR.crop_area == (0.1, 1.0)
    assert glam.augment.photo.mirror == 0 and glam.augment.photo.crop_area == (1.0, 1.0)
    assert glam.feed.augment == HEAVY
    spec = pixel_spec(glam.pixel_spec)
    assert (spec.ap_line, spec.ap_fallback_degrees) == ("plain", 18.0)
    assert find_recipe("mama:bert").model.text.sentence == "separator"
    assert find_recipe("glam:paper").feed.birads == (0, 1, 2)
    rsna = find_recipe("probe:rsna_linear").split
    assert rsna.test == 0.15 and rsna.train + rsna.validation == pytest.approx(0.85)
    clip = find_recipe("probe:mammo_clip_fine_tune")
    assert (clip.optimizer.name, clip.optimizer.lr, clip.optimizer.weight_decay) == (
        "adamw",
        5e-5,
        1e-4,
    )
    assert (clip.batch, clip.epochs, clip.objective.positive_weight) == (6, 20, 46.48)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn_store(tmp_path_factory.mktemp("drawn"), num_patients=8)


def small(**changes):
    recipe = Recipe(
        name="probe:tiny", family="probe", model=TINY, pixel_spec="mvccl-192x96", stage="linear",
        unit="exam", batch=16, steps=3, feed=ImageFeedConfig(fraction=0.05),
        split=SplitConfig(train=0.5, validation=0.25, test=0.25),
    )  # fmt: skip
    return replace(recipe, **changes)


def test_a_few_images_are_drawn_again_and_again(data, tmp_path):
    """Two images, one of each class, and a batch of 16."""
    train(small(), *data, tmp_path)
    steps = [line for line in read_log(tmp_path) if line["kind"] == "step"]
    assert len(steps) == 3


def test_the_last_weights_are_kept_where_that_is_asked(data, tmp_path):
    recipe = small(select="last", feed=ImageFeedConfig(draws=16), steps=4)
    recipe = replace(recipe, optimizer=replace(recipe.optimizer, lr=0.5))
    train(recipe, *data, tmp_path)
    epochs = [line for line in read_log(tmp_path) if line["kind"] == "epoch"]
    assert len(epochs) == 4 and all(line["best"] for line in epochs)
    losses = [line["validation_loss"] for line in epochs]
    assert losses != sorted(losses, reverse=True)  # so the lowest would not always have been kept
    kept = load_file(tmp_path / BEST / "model.safetensors")
    last = load_file(tmp_path / LAST / "state.safetensors")
    trained = [name for name in kept if f"model.{name}" in last]  # what is frozen is not kept twice
    assert trained and all(torch.equal(kept[n], last[f"model.{n}"]) for n in trained)
