"""`evaluate` as a whole: published samples, aggregation, order, thresholds, what is undefined."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from fourview.entities import IMAGES_SCHEMA
from fourview.errors import EvaluationError
from fourview.evaluate.compare import compare
from fourview.evaluate.protocols import PROTOCOLS
from fourview.evaluate.run import evaluate
from fourview.evaluate.units import gather_units
from fourview.manifest.manifest import make_manifest
from scored_sets import scored_set


def value(result, name):
    return next(m for m in result.metrics if m.name == name).value


def breasts_only(table):
    return table.filter(pl.col("unit") == "breast")


def readme_sample():
    scores = {
        "L": [0.0091, 0.0012, 0.2325, 0.0909],
        "R": [0.0179, 0.7258, 0.1061, 0.2579],
    }
    labels = {"L": [0, 0, 0, 1], "R": [0, 1, 0, 1]}
    rows = [
        {"patient_id": f"p{i}", "exam_id": f"e{i}", "side": s}
        | {"cancer": labels[s][i], "score": scores[s][i]}
        for i in range(4)
        for s in "LR"
    ]
    table = pl.DataFrame(rows)
    manifest = make_manifest(
        source="sample",
        root=".",
        images=pl.DataFrame(schema=dict(IMAGES_SCHEMA)),
        breasts=table.drop("score"),
        terms="",
    )
    return manifest, table.drop("cancer")


def test_the_sample_of_the_meta_repository_gives_its_figures():
    manifest, table = readme_sample()
    result = evaluate(table, manifest, "metarepo-breast-v1", replicates=50)
    assert value(result, "auroc") == pytest.approx(13 / 15, abs=1e-15)
    assert value(result, "auprc_trapezoid") == pytest.approx(0.85, abs=1e-15)


def test_figures_do_not_depend_on_workers_or_the_order_of_rows():
    manifest, table = scored_set()
    one = evaluate(table, manifest, "screening-breast-v1", replicates=100)
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=1)
    two = evaluate(shuffled, manifest, "screening-breast-v1", replicates=100, workers=2)
    assert one.metrics == two.metrics
    assert one.groups == two.groups
    assert one.provenance == two.provenance


def test_metarepo_takes_the_first_row_of_each_view_and_leaves_out_other_views():
    manifest, table = readme_sample()
    rows = [
        ("a", "L", "CC"), ("b", "L", "CC"), ("c", "L", "MLO"), ("d", "L", "ML"), ("e", "R", "CC")
    ]  # fmt: skip
    images = pl.DataFrame(
        {"patient_id": "p0", "exam_id": "e0", "image_id": i, "side": s, "view": v, "path": i}
        for i, s, v in rows
    )
    manifest = make_manifest(
        source="s", root=".", images=images, breasts=manifest.breasts, terms=""
    )
    table = pl.DataFrame({"image_id": list("bacde"), "score": [0.2, 0.9, 0.4, 0.8, 0.5]})

    def left(protocol):
        units = gather_units(table, manifest, PROTOCOLS[protocol], None)
        return units.frame.filter(pl.col("side") == "L")["score"].item()

    assert left("metarepo-breast-v1") == pytest.approx((0.2 + 0.4) / 2)  # b comes first
    assert left("screening-breast-v1") == pytest.approx(((0.2 + 0.9) / 2 + 0.4) / 2)
    assert left("rsna-cancer-multiview-v1") == pytest.approx((0.2 + 0.9 + 0.4 + 0.8) / 4)


def test_the_admani_protocol_reports_the_mean_of_its_replicates():
    manifest, table = scored_set()
    table = table.filter(pl.col("unit") == "region").with_columns(unit=pl.lit("image"))
    own = PROTOCOLS["admani-image-v1"]
    mean = evaluate(table, manifest, own, replicates=200, groups=())
    point = evaluate(table, manifest, replace(own, center="table"), replicates=200, groups=())
    assert value(mean, "auroc") != value(point, "auroc")
    assert value(mean, "auroc") == pytest.approx(value(point, "auroc"), abs=0.02)


def test_several_classes_equal_scikit_learn():
    manifest, _ = scored_set(80)
    rng = np.random.default_rng(0)
    images = manifest.images.join(manifest.breasts, on=["exam_id", "side"])
    labels = images["density"].replace_strict(dict(zip("ABCD", range(4), strict=True))).to_numpy()
    scores = rng.random((len(images), 4)) + 0.7 * np.eye(4)[labels]
    scores /= scores.sum(axis=1, keepdims=True)
    rows = pl.concat(
        pl.DataFrame({"image_id": images["image_id"], "class": c, "score": scores[:, k]})
        for k, c in enumerate("ABCD")
    )
    result = evaluate(rows, manifest, "vindr-density-v1", replicates=50)
    want = sk.roc_auc_score(labels, scores, multi_class="ovr", average="macro")
    assert value(result, "macro_auroc") == pytest.approx(want, abs=1e-12)
    want = sk.balanced_accuracy_score(labels, scores.argmax(axis=1))
    assert value(result, "balanced_accuracy") == pytest.approx(want, abs=1e-12)
    with pytest.raises(EvaluationError, match="lack a score of one of the classes A, B, C, D"):
        evaluate(rows[:-1], manifest, "vindr-density-v1")


def test_threshold_figures_equal_counts_by_hand():
    manifest, table = scored_set()
    result = evaluate(
        table, manifest, "screening-breast-v1", replicates=20, thresholds={"a": 0.5, "b": 0.2}
    )
    frame = breasts_only(table).join(manifest.breasts, on=["exam_id", "side"])
    yes, cancer = frame["score"] >= 0.2, frame["cancer"] == 1
    assert value(result, "sensitivity (b)") == pytest.approx((yes & cancer).sum() / cancer.sum())
    assert value(result, "ppv (b)") == pytest.approx((yes & cancer).sum() / yes.sum())
    exams = frame.group_by("exam_id").agg(
        recalled=(pl.col("score") >= 0.2).any(),
        found=((pl.col("score") >= 0.2) & (pl.col("cancer") == 1)).any(),
    )
    recalled, found = exams["recalled"].mean(), exams["found"].mean()
    assert value(result, "recall_rate_per_1000 (b)") == pytest.approx(1000 * recalled)
    assert value(result, "cancers_found_per_1000 (b)") == pytest.approx(1000 * found)
    assert value(result, "f1 (a)") == pytest.approx(
        sk.f1_score(cancer.to_numpy(), frame["score"].to_numpy() >= 0.5)
    )


@pytest.mark.parametrize("half", [0.5, float(np.nextafter(0.5, 1.0))])
def test_one_half_is_no_and_a_little_more_is_yes_where_the_answer_is_an_argmax(half):
    """As the argmax of the two scores (1 - p, p), whose first wins where both are alike."""
    manifest, _ = scored_set(30)
    images = manifest.images.join(manifest.breasts, on=["exam_id", "side"])
    labels = images["cancer"].to_numpy()
    scores = np.random.default_rng(0).choice([0.2, half, 0.9], len(images))
    table = images.select("image_id", score=pl.Series(scores))
    yes = np.stack([1 - scores, scores], axis=1).argmax(axis=1)
    result = evaluate(table, manifest, "rsna-cancer-v1", replicates=0)
    for name, score in (("f1", sk.f1_score), ("balanced_accuracy", sk.balanced_accuracy_score)):
        assert value(result, name) == pytest.approx(score(labels, yes), abs=1e-12)
    plain = table.with_columns(score=pl.lit(0.9))
    difference = compare(table, plain, manifest, "rsna-cancer-v1", replicates=10)
    of_f1 = next(d for d in difference.differences if d.name == "f1")
    assert of_f1.a == pytest.approx(value(result, "f1"), abs=1e-12)


def test_without_a_threshold_nothing_is_chosen_in_silence():
    manifest, table = scored_set()
    result = evaluate(table, manifest, "screening-breast-v1", replicates=20)
    sensitivity = next(m for m in result.metrics if m.name == "sensitivity")
    assert sensitivity.value is None
    assert "chosen on another table" in sensitivity.note
    assert set(result.chosen) == {"sensitivity-0.80", "sensitivity-0.90", "specificity-0.90"}


def test_unknown_labels_and_unmatched_rows_are_left_out_counted_and_named():
    manifest, table = scored_set()
    unknown = pl.when(pl.col("exam_id") == "e003").then(None).otherwise(pl.col("cancer"))
    manifest = replace(manifest, breasts=manifest.breasts.with_columns(cancer=unknown))
    table = breasts_only(table).filter(pl.col("exam_id") != "e005")
    stranger = table.head(1).with_columns(exam_id=pl.lit("other"), patient_id=pl.lit("x"))
    result = evaluate(pl.concat([table, stranger]), manifest, "screening-breast-v1", replicates=20)
    assert result.num_units == 120 - 2 - 2
    by_reason = result.unmatched.group_by("reason").len().sort("reason").rows()
    assert by_reason == [
        ("has no prediction", 2),
        ("its label is unknown", 2),
        ("not in the manifest, or left out by the protocol", 1),
    ]
    assert any("e005" in note for note in result.notes)


def test_only_the_split_of_the_protocol_is_measured():
    manifest, table = scored_set()
    train = pl.when(pl.col("exam_id") < "e020").then(pl.lit("train")).otherwise(pl.lit("test"))
    manifest = replace(manifest, exams=manifest.exams.with_columns(split=train))
    result = evaluate(table, manifest, "screening-breast-v1", replicates=0)
    assert result.num_units == 80
    assert result.unmatched["reason"].unique().to_list() == ["in another split"]
    train = evaluate(table, manifest, "screening-breast-v1", replicates=0, split="train")
    assert train.num_units == 40


def test_one_class_gives_no_number_and_says_why():
    manifest, table = scored_set()
    manifest = replace(manifest, breasts=manifest.breasts.with_columns(cancer=pl.lit(0, pl.Int8)))
    result = evaluate(table, manifest, "screening-breast-v1", replicates=20)
    auroc = result.metrics[0]
    assert (auroc.name, auroc.value, auroc.note) == ("auroc", None, "no positive unit")
    assert value(result, "brier") is not None


def test_logits_get_ranks_but_no_calibration():
    manifest, table = scored_set()
    logits = breasts_only(table).with_columns(pl.col("score") * 8 - 4)
    result = evaluate(logits, manifest, "screening-breast-v1", replicates=20)
    brier = next(m for m in result.metrics if m.name == "brier")
    assert value(result, "auroc") is not None
    assert (brier.value, brier.note) == (None, "scores are outside [0, 1]")


def test_a_finding_is_in_the_group_of_its_longest_side_in_millimetres():
    """Findings of 100 x 120 pixels of 0.1 mm are 12 mm; moved along both axes, they stay so."""
    manifest, table = scored_set(30)
    wide = pl.col("finding_id").str.slice(1, 3).cast(pl.Int64) % 2 == 0
    far = [(pl.col(name) + 5000).alias(name) for name in ("x0", "x1", "y0", "y1")]
    findings = manifest.findings.with_columns(
        x1=pl.col("x1") + pl.when(wide).then(200).otherwise(0)
    )
    manifest = replace(manifest, findings=findings.with_columns(far))
    result = evaluate(
        table, manifest, "screening-breast-v1", replicates=0, groups=("finding_size",)
    )
    cancers = manifest.breasts.filter(cancer=1)["exam_id"].str.slice(1, 3).cast(pl.Int64)
    want = {"20 to 50 mm": (cancers % 2 == 0).sum(), "10 to 20 mm": (cancers % 2 == 1).sum()}
    assert {g.value: g.num_positive for g in result.groups} == want


def test_small_groups_carry_a_warning():
    manifest, table = scored_set(60)
    result = evaluate(table, manifest, "screening-breast-v1", replicates=20)
    assert {g.column for g in result.groups} == {
        "density", "age", "vendor", "finding_kind", "finding_size"
    }  # fmt: skip
    assert all(g.note.startswith("few") == (g.num_positive < 20) for g in result.groups)
    with pytest.raises(EvaluationError, match="no column 'shoe_size'"):
        evaluate(table, manifest, "screening-breast-v1", groups=("shoe_size",))


def test_a_model_does_not_differ_from_itself_and_a_better_one_does():
    manifest, table = scored_set(150)
    table = breasts_only(table)
    same = compare(table, table, manifest, "screening-breast-v1", replicates=200)
    assert all(d.difference.value == 0 and d.p == 1 for d in same.differences)
    labels = table.join(manifest.breasts, on=["exam_id", "side"], maintain_order="left")["cancer"]
    better = table.with_columns(score=pl.col("score") * 0.5 + 0.5 * labels)
    found = compare(better, table[:-4], manifest, "screening-breast-v1", replicates=200)
    delong, boot = found.differences[:2]
    assert delong.difference.note == "DeLong, clustered by patient"
    assert boot.difference.low > 0
    assert delong.p < 0.001
    assert delong.difference.low == pytest.approx(boot.difference.low, abs=0.03)
    assert found.notes == ("4 units only in A: left out",)
