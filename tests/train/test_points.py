"""The threshold of a drawn region is chosen on regions, not on the scores of breasts."""

import polars as pl
import pytest

from fourview.entities import PREDICTIONS_SCHEMA
from fourview.feeds.samples import Sample
from fourview.train.points import region_points


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
