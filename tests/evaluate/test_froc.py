"""FROC against a slow implementation that knows nothing of sorting, joins or weights."""

import numpy as np
import polars as pl
import pytest

from fourview.evaluate.froc import froc_curve, froc_statistic, match_marks, recall_columns
from fourview.evaluate.protocols import FrocRule
from fourview.evaluate.resample import Resampling, bootstrap, replicate_counts
from fourview.geometry import Box


def boxes(rng, num_rows, num_images, **columns):
    corner = rng.integers(0, 60, size=(num_rows, 2))
    size = rng.integers(5, 40, size=(num_rows, 2))
    names = [f"i{k}" for k in rng.integers(0, num_images, size=num_rows)]
    table = {"image_id": names, "x0": corner[:, 0], "y0": corner[:, 1]}
    table |= {"x1": corner[:, 0] + size[:, 0], "y1": corner[:, 1] + size[:, 1]}
    floats = [pl.col(c).cast(pl.Float64) for c in ("x0", "y0", "x1", "y1")]
    return pl.DataFrame(table | columns).with_columns(floats)


def data(seed=0, num_images=12):
    rng = np.random.default_rng(seed)
    marks = boxes(rng, 90, num_images + 2, score=np.round(rng.random(90), 1))
    nature = [[1, 0, None][k] for k in rng.integers(0, 3, size=30)]
    findings = boxes(rng, 30, num_images + 2, malignant=pl.Series(nature, dtype=pl.Int8))
    images = pl.DataFrame({"image_id": [f"i{k}" for k in range(num_images)]})
    return marks, findings, images


def slow(marks, findings, images, rule, threshold):
    """Hits, targets, false marks of the marks at or above a threshold, box by box."""
    hits, targets, false = 0, 0, 0
    for image in images["image_id"]:
        here = [r for r in marks.iter_rows(named=True) if r["image_id"] == image]
        here = [r for r in here if r["score"] >= threshold]
        known = [r for r in findings.iter_rows(named=True) if r["image_id"] == image]

        def touches(mark, finding):
            a, b = (Box(*(r[c] for c in ("x0", "y0", "x1", "y1"))) for r in (mark, finding))
            return (a.iom(b) if rule.overlap == "iom" else a.iou(b)) >= rule.at_least

        def sought(finding):
            return finding["malignant"] == 1 or (
                rule.targets == "any" and finding["malignant"] == 0
            )

        wanted = [f for f in known if sought(f)]
        unknown = [f for f in known if f["malignant"] is None]
        hit = [any(touches(m, f) for m in here) for f in wanted]
        if rule.recall_of == "image":
            hits, targets = hits + any(hit), targets + bool(wanted)
        else:
            hits, targets = hits + sum(hit), targets + len(wanted)
        for mark in here:
            if not any(touches(mark, f) for f in wanted + unknown):
                false += 1
    return hits, targets, false


RULES = [
    FrocRule(overlap="iom", at_least=0.5, recall_of="image"),
    FrocRule(overlap="iou", at_least=0.1),
    FrocRule(overlap="iou", at_least=0.3, targets="any"),
]


@pytest.mark.parametrize("rule", RULES)
def test_the_curve_is_the_slow_one(rule):
    marks, findings, images = data()
    table = match_marks(marks, findings, images, rule)
    curve = froc_curve(table)
    want = {(0.0, 0.0)}
    for threshold in marks["score"].unique():
        hits, targets, false = slow(marks, findings, images, rule, threshold)
        want.add((false / len(images), hits / targets))
    got = set(zip(curve.x.tolist(), curve.y.tolist(), strict=True))
    assert got == want


@pytest.mark.parametrize("rule", RULES)
def test_points_and_recalls_of_replicates_are_those_of_the_repeated_images(rule):
    marks, findings, images = data(1)
    table = match_marks(marks, findings, images, rule)
    clusters = images.with_row_index("cluster")
    rates = (0.5, 1.0, 3.0)
    one = Resampling(cluster=np.arange(12), num_clusters=12, replicates=5)
    rows = bootstrap(froc_statistic(table, clusters, rates), one)
    recall = recall_columns(table, clusters, {"a": 0.6}, one)["a"]
    for r, counts in enumerate(replicate_counts(one)):
        again = images[np.repeat(np.arange(12), counts)]
        sums = {t: slow(marks, findings, again, rule, t) for t in (*marks["score"].unique(), 2)}
        for k, rate in enumerate(rates):
            usable = [f / n for f, n, false in sums.values() if false <= rate * 12]
            assert rows[r + 1, k] == pytest.approx(max(usable))
        assert recall[r + 1] == pytest.approx(sums[0.6][0] / sums[0.6][1])


def test_a_benign_finding_is_no_hit_and_an_unknown_one_no_mistake():
    mark = {"x0": 0.0, "y0": 0.0, "x1": 10.0, "y1": 10.0}
    marks = pl.DataFrame([{"image_id": i, "score": 0.5} | mark for i in "abc"])
    findings = pl.DataFrame(
        [{"image_id": i, "malignant": m} | mark for i, m in (("a", 1), ("b", 0), ("c", None))]
    )
    table = match_marks(marks, findings, pl.DataFrame({"image_id": list("abcd")}), RULES[1])
    assert table.targets.rows() == [("a", 0.5)]
    assert table.false_marks.rows() == [("b", 0.5)]
    assert table.num_ignored == 1
    assert len(table.images) == 4
