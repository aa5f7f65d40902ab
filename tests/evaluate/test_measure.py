"""Metrics at thresholds and of classes, counted by hand and by scikit-learn."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from fourview.errors import EvaluationError
from fourview.evaluate.compare import compare
from fourview.evaluate.run import evaluate
from scored_sets import breasts_only, scored_set, value


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
    recalled, detected = exams["recalled"].mean(), exams["found"].mean()
    assert value(result, "recall_rate_per_1000 (b)") == pytest.approx(1000 * recalled)
    assert value(result, "cancers_found_per_1000 (b)") == pytest.approx(1000 * detected)
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
