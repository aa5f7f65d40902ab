"""Areas that outlines and boxes share, against counted pixels."""

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw

from fourview.evaluate.froc import match_marks
from fourview.evaluate.overlap import outline_area, outline_in_box
from fourview.evaluate.protocols import FrocRule

FINE = 40  # pixels of a unit


def counted(points, box=None):
    """The area by pixels of 1/40."""
    picture = Image.new("1", (30 * FINE, 30 * FINE))
    ImageDraw.Draw(picture).polygon([(x * FINE, y * FINE) for x, y in points], fill=1)
    inside = np.asarray(picture)
    if box is not None:
        x0, y0, x1, y1 = (round(v * FINE) for v in box)
        inside = inside[max(y0, 0) : y1, max(x0, 0) : x1]
    return inside.sum() / FINE**2


@pytest.mark.parametrize("seed", range(12))
def test_the_shared_area_is_the_counted_one_of_outlines_with_hollows_too(seed):
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, 11))
    radii = random.uniform(2, 12, 11)  # a star: hollow in many places
    points = 15 + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if seed % 2:
        points = points[::-1]
    x0, y0 = random.uniform(2, 16, 2)
    box = (x0, y0, x0 + random.uniform(3, 12), y0 + random.uniform(3, 12))
    edge = 2 * np.abs(np.diff(points, axis=0, append=points[:1])).sum() / FINE
    assert outline_area(points) == pytest.approx(counted(points), abs=edge)
    assert outline_in_box(points, box) == pytest.approx(counted(points, box), abs=edge)


def test_a_box_that_holds_all_or_nothing_of_an_outline():
    triangle = np.array([[4.0, 4.0], [8.0, 4.0], [4.0, 7.0]])
    assert outline_in_box(triangle, (0, 0, 20, 20)) == outline_area(triangle) == 6
    assert outline_in_box(triangle, (9, 9, 20, 20)) == 0


def test_a_mark_in_the_empty_corner_of_an_outlines_box_is_no_hit():
    """A thin diagonal finding fills little of its box: a mark in the other corner misses it."""
    diagonal = [0.0, 0.0, 2.0, 0.0, 20.0, 18.0, 20.0, 20.0, 18.0, 20.0, 0.0, 2.0]
    box = {"image_id": ["a"], "x0": [0.0], "y0": [0.0], "x1": [20.0], "y1": [20.0]}
    finding = pl.DataFrame(box | {"malignant": [1], "polygon": [diagonal]})
    corner = box | {"x0": [12.0], "x1": [20.0], "y1": [8.0], "score": [0.9]}
    middle = box | {"x0": [8.0], "y0": [8.0], "x1": [12.0], "y1": [12.0], "score": [0.9]}

    def hits(mark, overlap, findings=finding):
        rule = FrocRule(overlap=overlap, at_least=0.5)
        table = match_marks(pl.DataFrame(mark), findings, findings.select("image_id"), rule)
        return table.targets["score"].is_not_null().sum()

    assert (hits(corner, "iom"), hits(corner, "iom_outline")) == (1, 0)
    assert (hits(middle, "iom"), hits(middle, "iom_outline")) == (1, 1)
    plain = finding.with_columns(polygon=pl.lit(None, pl.List(pl.Float64)))
    assert hits(corner, "iom_outline", plain) == 1  # a finding without an outline has its box
