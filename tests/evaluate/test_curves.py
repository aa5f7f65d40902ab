"""Curves thinned for a page keep their ends and their shape."""

import numpy as np
import polars as pl
import pytest

from fourview.evaluate.auc import roc_curve
from fourview.evaluate.curves import MAX_POINTS, curves_of, thinned
from fourview.evaluate.protocols import find_protocol
from fourview.evaluate.units import gather_units
from scored_sets import scored_set


def test_a_long_curve_keeps_its_ends_its_order_and_its_area():
    rng = np.random.default_rng(0)
    positive = rng.random(20_000) < 0.3
    x, y = roc_curve(rng.normal(size=20_000) + positive, positive)
    short_x, short_y = thinned(x, y)
    assert len(short_x) <= MAX_POINTS < len(x)
    assert (short_x[0], short_y[0], short_x[-1], short_y[-1]) == (0, 0, 1, 1)
    assert (np.diff(short_x) >= 0).all() and (np.diff(short_y) >= 0).all()
    area = np.trapezoid(short_y, short_x)
    assert area == pytest.approx(np.trapezoid(y, x), abs=2 / MAX_POINTS)  # a step of the thinning
    assert set(zip(short_x, short_y, strict=True)) <= set(zip(x, y, strict=True))


def test_a_short_curve_is_kept_as_it_is():
    x = np.linspace(0, 1, MAX_POINTS)
    assert thinned(x, x)[0] is x


def test_scores_outside_0_to_1_have_neither_calibration_nor_decision():
    manifest, table = scored_set(30)
    protocol = find_protocol("screening-breast-v1")
    units = gather_units(table, manifest, protocol, None)
    names = [curve.name for curve in curves_of(units, protocol)]
    assert names[:2] == ["roc", "pr"] and len(names) > 3
    logits = gather_units(table.with_columns(pl.col("score") * 8 - 4), manifest, protocol, None)
    assert [curve.name for curve in curves_of(logits, protocol)] == ["roc", "pr"]
