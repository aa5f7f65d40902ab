"""What every family keeps, without a test of its own."""

import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import fourview
from factory import box_batch, caption_batch, exam_batch, patch_batch, region_batch
from fourview.checkpoint.card import load_checkpoint, save_checkpoint
from fourview.contract import ExamBatch, ModelFamily, ModelOutput, task
from fourview.errors import FourviewError
from fourview.models.find import family_names, find_family
from fourview.preprocess.spec import pixel_spec
from fourview.study.start import starting_from
from fourview.train.begin import begin_with
from fourview.train.optimise import make_optimizer
from fourview.train.recipe import OptimizerConfig, Recipe

FAMILIES = [find_family(name) for name in family_names()]
READERS = [family for family in FAMILIES if family.kind == "read"]
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
every_reader = pytest.mark.parametrize("family", READERS, ids=lambda f: f.name)
SCORES = ("breast_scores", "image_scores", "finding_scores", "patch_scores")
# float32 sums in another order, through batch norm and attention of a tiny network
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def built(family: ModelFamily) -> torch.nn.Module:
    torch.manual_seed(0)
    return family.build(family.tiny_config).eval()


def read(family: ModelFamily, batch: ExamBatch) -> ModelOutput:
    with torch.no_grad():
        output: ModelOutput = built(family)(batch)
    return output


def without_targets(batch: ExamBatch) -> ExamBatch:
    """The same batch with nothing known of it."""

    def unknown(targets):
        return {name: torch.full_like(values, torch.nan) for name, values in targets.items()}

    patches = batch.patches
    if patches is not None:
        patches = replace(
            patches,
            targets=unknown(patches.targets),
            finding_targets=unknown(patches.finding_targets),
        )
    return replace(batch, targets=unknown(batch.targets), patches=patches)


def batch_for(family: ModelFamily, *exams: str, seed: int = 0) -> ExamBatch:
    if any(stage.feed == "captions" for stage in family.stages.values()):
        return caption_batch(*exams, size=family.tiny_size, seed=seed)
    asked = getattr(family.tiny_config, "task", None)
    if any(stage.feed == "patches" for stage in family.stages.values()):
        return patch_batch(*exams, size=family.tiny_size, label=asked, seed=seed)
    labels = tuple(task(asked).labels) if asked else ("cancer",)
    if any(stage.feed == "boxes" for stage in family.stages.values()):
        return box_batch(*exams, size=family.tiny_size, labels=labels, seed=seed)
    if any(stage.feed == "regions" for stage in family.stages.values()):
        return region_batch(*exams, dim=family.tiny_config.code_dim, labels=labels, seed=seed)
    return exam_batch(*exams, size=family.tiny_size, labels=labels, seed=seed)


@every_family
def test_names_itself_and_its_pixels(family):
    assert family.name in family_names()
    assert pixel_spec(family.pixel_spec)
    assert isinstance(family.tiny_config, family.config)


@every_family
def test_a_step_is_finite_with_unknown_targets(family):
    batch = batch_for(family, "0123", "02", "13")
    for known in (batch, without_targets(batch)):
        for stage in family.stages.values():
            torch.manual_seed(0)
            objective = stage.objective(family.build(family.tiny_config), stage.settings())
            terms = objective(known)
            terms.total.backward()
            assert terms.total.isfinite()
            for name, weight in objective.named_parameters():
                assert weight.grad is None or weight.grad.isfinite().all(), name


@every_family
def test_every_weight_learns_unless_it_is_listed_as_frozen(family):
    moved: set[str] = set()
    names: set[str] = set()
    for stage in family.stages.values():
        torch.manual_seed(0)
        objective = stage.objective(family.build(family.tiny_config), stage.settings())
        objective.train()
        before = {k: v.detach().clone() for k, v in objective.model.named_parameters()}
        optimizer = torch.optim.SGD(objective.parameters(), lr=0.1)
        for seed in range(3):
            optimizer.zero_grad()
            objective(batch_for(family, "0123", "0123", "0022", seed=seed)).total.backward()
            optimizer.step()
        after = dict(objective.model.named_parameters())
        names |= set(after)
        moved |= {k for k, v in after.items() if not torch.equal(v.detach(), before[k])}
    frozen = {name for name in names if name.startswith(family.frozen)} if family.frozen else set()
    assert names - moved == frozen


@every_reader
def test_scores_are_in_the_unit_interval(family):
    output = read(family, batch_for(family, "0123", "02", "0133"))
    scores = [getattr(output, name) for name in SCORES]
    assert any(values is not None for values in scores)
    for values in (*scores, output.heatmaps):
        if values is not None:
            known = values[~values.isnan()]
            assert len(known) and known.min() >= 0 and known.max() <= 1


@every_reader
def test_the_order_of_images_does_not_matter(family):
    batch = batch_for(family, "0123", "00213", "13")
    order = torch.randperm(batch.num_images, generator=torch.Generator().manual_seed(1))
    one, other = read(family, batch), read(family, batch.select(order))
    if one.image_scores is not None:
        torch.testing.assert_close(one.image_scores[order], other.image_scores, **CLOSE)
    if one.breast_scores is not None:
        torch.testing.assert_close(one.breast_scores, other.breast_scores, equal_nan=True, **CLOSE)
    if one.finding_scores is not None:
        torch.testing.assert_close(one.finding_scores, other.finding_scores, **CLOSE)


@every_reader
def test_an_exam_is_read_without_regard_to_the_others(family):
    both = batch_for(family, "0123", "02")
    alone = replace(
        both.select(both.exam == 0),
        num_exams=1,
        targets={k: v[:1] for k, v in both.targets.items()},
    )
    together, single = read(family, both), read(family, alone)
    for name in ("image_scores", "heatmaps"):
        values = getattr(together, name)
        if values is not None:
            torch.testing.assert_close(values[both.exam == 0], getattr(single, name), **CLOSE)
    if together.breast_scores is not None:
        torch.testing.assert_close(together.breast_scores[:1], single.breast_scores, **CLOSE)
    if together.patch_scores is not None and both.patches is not None:
        of_first = both.exam[both.patches.image] == 0
        torch.testing.assert_close(together.patch_scores[of_first], single.patch_scores, **CLOSE)


@every_reader
def test_a_missing_view_still_scores_and_a_missing_breast_is_nan(family):
    scores = read(family, batch_for(family, "0", "2", "13", "")).breast_scores
    if scores is None:
        pytest.skip("scores no breasts")
    known = ~scores.isnan().any(dim=2)
    assert known.tolist() == [[True, False], [True, False], [False, True], [False, False]]


@every_family
def test_weights_survive_a_strict_round_trip(family, tmp_path: Path):
    model = built(family)
    save_checkpoint(
        tmp_path,
        model,
        recipe=f"{family.name}:tiny",
        family=family.name,
        config=family.tiny_config,
        spec=pixel_spec(family.pixel_spec),
    )
    again, card, _ = load_checkpoint(tmp_path)
    assert card.family == family.name
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


@every_reader
def test_heatmaps_cover_every_image(family):
    if family.explain is None:
        pytest.skip("has no heatmaps")
    batch = batch_for(family, "0123", "02")
    output = family.explain(built(family), batch)
    assert output.heatmaps is not None and output.image_scores is not None
    images, mapped = output.heatmaps.shape[:2]  # of the first classes, or of all
    assert images == len(output.image_scores)
    assert 1 <= mapped <= output.image_scores.shape[1]
    peaks = output.heatmaps.amax(dim=(2, 3))
    spoke = peaks > 0
    scores = output.image_scores[:, :mapped]
    torch.testing.assert_close(peaks[spoke], scores[spoke], **CLOSE)
    plain = read(family, batch)
    torch.testing.assert_close(output.image_scores, plain.image_scores, **CLOSE)


def _all_fields(config: Any, path: str = "") -> Iterator[str]:
    for field in fields(config):
        here = f"{path}.{field.name}" if path else field.name
        value = getattr(config, field.name)
        if is_dataclass(value):
            yield from _all_fields(value, here)
        else:
            yield here


@every_family
def test_every_config_field_is_mentioned_by_the_code(family):
    """A field that no line of the family or of nn/ reads is a knob that does nothing."""
    root = Path(fourview.__file__).parent
    own = Path(inspect.getfile(family.config)).parent
    places = [*own.glob("*.py"), *(root / "nn").glob("*.py")]
    code = "\n".join(place.read_text() for place in places)
    for name in _all_fields(family.tiny_config):
        last = name.rpartition(".")[2]
        assert f".{last}" in code, f"{family.name}: nothing reads {name}"


def begun_from(family: ModelFamily, stage: str, config: Any, folder: Path):
    """A tiny run's network and objective that begin with the weights kept in ``folder``."""
    recipe = Recipe(
        name=f"{family.name}:tiny",
        family=family.name,
        model=config,
        pixel_spec=family.pixel_spec,
        stage=stage,
        optimizer=OptimizerConfig(lr=0.0),
        seed=7,
    )
    recipe = starting_from(recipe, folder)
    torch.manual_seed(recipe.seed)
    model = family.build(recipe.model)
    begun = begin_with(model, recipe, folder)
    objective = family.stages[stage].objective(model, recipe.objective)
    return objective, make_optimizer(objective, recipe.optimizer), begun


@every_family
def test_starts_from_a_run_of_its_own(family, tmp_path):
    """With a learning rate of 0 the weights that were given come out."""
    given = built(family)
    keep(given, family, tmp_path)
    for stage in family.stages:
        objective, optimizer, begun = begun_from(family, stage, family.tiny_config, tmp_path)
        assert not begun.anew
        objective(batch_for(family, "0123", "02", "13")).total.backward()
        optimizer.step()
        for name, weight in objective.model.named_parameters():
            assert torch.equal(weight, given.state_dict()[name]), name


@every_reader
def test_weights_of_other_classes_begin_anew_and_are_named(family, tmp_path):
    other = next((t for t in ("density", "abnormality") if can_be_asked(family, t)), None)
    if other is None:
        pytest.skip(f"{family.name} has one task")
    given = built(family)
    keep(given, family, tmp_path)
    config = replace(family.tiny_config, task=other)
    stage = list(family.stages)[-1]
    objective, _, begun = begun_from(family, stage, config, tmp_path)
    state = objective.model.state_dict()
    assert begun.anew
    assert set(begun.anew) | set(begun.taken) == set(state)
    for name in begun.taken:
        assert torch.equal(state[name], given.state_dict()[name]), name
    for name in begun.anew:
        assert state[name].shape != given.state_dict()[name].shape, name


def can_be_asked(family: ModelFamily, name: str) -> bool:
    """Whether a network of the family is built for another task, with other classes."""
    try:
        other = family.build(replace(family.tiny_config, task=name)).state_dict()
    except (FourviewError, ValueError):
        return False
    return any(other[k].shape != v.shape for k, v in built(family).state_dict().items())


def keep(model: torch.nn.Module, family: ModelFamily, folder: Path) -> None:
    save_checkpoint(
        folder,
        model,
        recipe=f"{family.name}:tiny",
        family=family.name,
        config=family.tiny_config,
        spec=pixel_spec(family.pixel_spec),
    )
