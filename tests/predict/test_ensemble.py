"""Several runs read as one, joined by what they speak of; and checkpoints that began elsewhere."""

from dataclasses import replace

import polars as pl
import pytest
import torch

import fourview
from factory import drawn_store
from fourview.checkpoint.card import load_checkpoint, save_checkpoint
from fourview.entities import Exam, Finding
from fourview.errors import CheckpointError, PixelError
from fourview.feeds import pixels as exam_pixels
from fourview.models.find import find_family
from fourview.predict.table import mean_of_tables
from fourview.preprocess.spec import pixel_spec
from fourview.report.exam_html import exam_html
from lesion_examples import exam_of


def checkpoint(folder, name, *, seed=0, config=None, build=None, spec="mvccl-192x96"):
    family = find_family(name)
    torch.manual_seed(seed)
    config = config or family.tiny_config
    save_checkpoint(
        folder,
        family.build(build or config),
        recipe=f"{name}:{seed}",
        family=name,
        config=config,
        spec=pixel_spec(spec),
    )
    return folder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return drawn_store(tmp_path_factory.mktemp("drawn"), num_patients=2)


def by_key(table):
    keys = [column for column in table.columns if column != "score"]
    return {tuple(row[k] for k in keys): row["score"] for row in table.iter_rows(named=True)}


def scored(table):
    return by_key(table.filter(pl.col("unit") != "region"))


def test_an_ensemble_scores_the_mean_of_its_members(tmp_path, drawn):
    runs = [checkpoint(tmp_path / f"run{seed}", "gmic", seed=seed) for seed in range(3)]
    together = fourview.load_model(runs)
    got = scored(together.predict_store(*drawn))
    alone = [scored(fourview.load_model(run).predict_store(*drawn)) for run in runs]
    assert set(got) == set(alone[0])
    for key, score in got.items():
        scores = [one[key] for one in alone]
        assert score == pytest.approx(sum(scores) / 3, abs=1e-12)
        assert len(set(scores)) == 3
    assert together.card.recipe == "gmic:0 + gmic:1 + gmic:2"


def test_models_of_different_tasks_have_no_mean(tmp_path):
    runs = [checkpoint(tmp_path / name, name) for name in ("gmic", "mvccl")]
    with pytest.raises(CheckpointError, match="abnormality, cancer"):
        fourview.load_model(runs)


def test_models_whose_classes_differ_stand_beside_each_other(tmp_path, drawn):
    manifest, _ = drawn
    density = replace(find_family("single_view").tiny_config, task="density")
    runs = [
        checkpoint(tmp_path / "density", "single_view", config=density),
        checkpoint(tmp_path / "cancer", "mvccl"),
    ]
    alone = [fourview.load_model(run) for run in runs]
    together = fourview.load_model(runs)
    want = scored(alone[0].predict_store(*drawn)) | scored(alone[1].predict_store(*drawn))
    assert scored(together.predict_store(*drawn)) == want
    exam = exam_of(manifest)
    said, density_said, cancer_said = (r.predict(exam) for r in (together, *alone))
    for both, of_density, of_cancer in zip(
        said.breasts, density_said.breasts, cancer_said.breasts, strict=True
    ):
        assert both.score == of_cancer.score
        assert both.scores == {**of_density.scores, **of_cancer.scores}
        assert not [note for note in both.notes if "density" in note]  # they are numbers now
    by_name = {asked.name: asked for asked in said.asked}
    assert by_name["density"].is_choice
    assert not by_name["cancer"].is_choice
    assert by_name["density"].best(said.breasts[0].scores) in "ABCD"
    page = exam_html(said, exam.images)
    assert page.count('class="parts"') == len(said.breasts)


@pytest.fixture
def picky(monkeypatch):
    """The first image of an exam cannot be processed to the pixels of the spec ``vlp-518``."""
    process = exam_pixels.process_as_prepared

    def processed(image, spec, **more):
        if spec.name == "vlp-518" and image.image_id == "00-R-CC.png":
            raise PixelError("there is no breast in it")
        return process(image, spec, **more)

    monkeypatch.setattr(exam_pixels, "process_as_prepared", processed)


@pytest.mark.usefixtures("picky")
def test_an_image_that_one_model_leaves_out_does_not_shift_the_others(tmp_path, drawn):
    exam = exam_of(drawn[0])
    runs = [
        checkpoint(tmp_path / "picky", "single_view", seed=1, spec="vlp-518"),
        checkpoint(tmp_path / "all", "single_view", seed=2),
    ]
    for order in (runs, runs[::-1]):
        alone = [fourview.load_model(run).predict(exam) for run in order]
        said = fourview.load_model(order).predict(exam)
        assert [i.image_id for i in said.images] == [i.image_id for i in exam.images]
        for image in said.images:
            own = [i.score for one in alone for i in one.images if i.image_id == image.image_id]
            assert image.score == pytest.approx(sum(own) / len(own), abs=1e-12)
            assert len(own) == (1 if image.image_id == "00-R-CC.png" else 2)
        note = "not read by single_view:1: there is no breast in it"
        assert [note in i.notes for i in said.images] == [
            i.image_id == "00-R-CC.png" for i in said.images
        ]
        assert said.left_out == ()  # one model read it


def test_tables_are_joined_by_id_and_not_by_position(tmp_path, drawn):
    runs = [checkpoint(tmp_path / f"run{seed}", "single_view", seed=seed) for seed in range(2)]
    one, other = (fourview.load_model(run).predict_store(*drawn) for run in runs)
    gone = one["image_id"][0]
    shorter = other.filter(pl.col("image_id").ne_missing(pl.lit(gone))).reverse()
    first, second, got = scored(one), scored(shorter), scored(mean_of_tables([one, shorter]))
    assert set(got) == set(first) and len(second) == len(first) - 1
    for key, score in got.items():
        own = [table[key] for table in (first, second) if key in table]
        assert score == pytest.approx(sum(own) / len(own), abs=1e-12)


def test_regions_are_those_of_the_first_model(tmp_path, drawn):
    runs = [checkpoint(tmp_path / f"run{seed}", "single_view", seed=seed) for seed in range(2)]
    regions = [
        fourview.load_model(r).predict_store(*drawn).filter(unit="region") for r in (runs, runs[0])
    ]
    assert len(regions[0]) and regions[0].equals(regions[1])


def test_findings_are_refused_by_models_that_score_none(tmp_path):
    reader = fourview.load_model(checkpoint(tmp_path, "mvccl"))
    finding = Finding(finding_id="f", side="R", regions=())
    with pytest.raises(CheckpointError, match="scores no findings"):
        reader.predict(Exam(patient_id="p", exam_id="e", images=()), [finding])


def test_a_checkpoint_needs_no_weights_but_its_own(tmp_path):
    family = find_family("gmic")
    tiny = family.tiny_config
    begun = replace(tiny, local_network=replace(tiny.local_network, weights="imagenet"))
    made = checkpoint(tmp_path, "gmic", config=begun, build=tiny)
    model, card, _ = load_checkpoint(made)
    assert card.config["local_network"]["weights"] == "imagenet"  # the card says what was
    assert model.config.local_network.weights == "none"
