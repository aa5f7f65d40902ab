"""The threshold of a drawn region is chosen on regions, not on the scores of breasts."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from fourview.entities import PREDICTIONS_SCHEMA
from fourview.feeds.samples import Sample
from fourview.train.points import points_of_scores, region_points


def table_of(*rows):
    made = [
        {"unit": unit, "image_id": image, "side": "R", "class": "cancer", "score": score}
        for unit, image, score in rows
    ]
    return pl.DataFrame(made, schema=dict(PREDICTIONS_SCHEMA))


def sample(image, cancer):
    return Sample(
        patient_id=image,
        exam_id=image,
        images=(image,),
        slots=(0,),
        ranks=(0,),
        targets={"cancer": (cancer, float("nan"))},
    )


def test_a_tenth_of_the_negative_images_has_a_region_drawn():
    # the best regions of ten negative images are 0 (none at all), 0.1, ... 0.9
    negative = [("region", f"n{n}", n / 10) for n in range(1, 10)]
    weaker = [("region", f"n{n}", n / 20) for n in range(1, 10)]
    breasts = [("breast", f"n{n}", 0.99) for n in range(10)]
    table = table_of(*negative, *weaker, *breasts, ("region", "p", 0.95), ("region", "u", 1.0))
    samples = [sample(f"n{n}", 0.0) for n in range(10)]
    samples += [sample("p", 1.0), sample("u", float("nan"))]
    points = region_points(table, samples, "cancer")
    assert points == {"specificity-0.90": pytest.approx(0.9)}


def test_a_model_that_marks_nothing_has_no_threshold_of_regions():
    table = table_of(("breast", "a", 0.3), ("breast", "b", 0.7))
    assert region_points(table, [sample("a", 0.0), sample("b", 1.0)], "cancer") == {}


def test_thresholds_of_findings_miss_no_more_cancers_than_their_rule_says():
    rng = np.random.default_rng(0)
    cancers = rng.permutation(100) / 100  # of findings; each on two images, whose mean counts
    rows = [
        {"unit": "finding", "finding_id": f"c{n}", "image_id": f"c{n}-{view}", "class": "cancer"}
        | {"side": "R", "score": score + shift}
        for n, score in enumerate(cancers)
        for view, shift in (("CC", 0.25), ("MLO", -0.25))
    ]
    rows.append(rows[0] | {"finding_id": "b", "image_id": "b", "score": 0.5})
    table = pl.DataFrame(rows, schema=dict(PREDICTIONS_SCHEMA))
    samples = [replace(sample(f"c{n}", 1.0), findings=(f"c{n}",)) for n in range(100)]
    samples.append(replace(sample("b", 0.0), findings=("b",)))
    points = points_of_scores(table, samples, "cancer")
    missed = {rule: round((cancers < value - 1e-9).sum()) for rule, value in points.items()}
    assert missed == {
        "sensitivity-0.99": 1, "sensitivity-0.98": 2, "sensitivity-0.97": 3, "sensitivity-0.95": 5,
    }  # fmt: skip


def test_thresholds_of_breasts_are_chosen_on_the_breasts_that_are_known():
    table = table_of(*(("breast", f"n{n}", n / 10) for n in range(10)), ("breast", "u", 0.55))
    table = table.with_columns(exam_id=pl.col("image_id"))
    samples = [sample(f"n{n}", float(n >= 5)) for n in range(10)]
    points = points_of_scores(table, [*samples, sample("u", float("nan"))], "cancer")
    assert points["youden"] == pytest.approx(0.5)  # tells all apart; the unknown one does not count
    assert points["sensitivity-0.95"] == pytest.approx(0.5)
