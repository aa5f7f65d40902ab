"""`evaluate` as a whole: published samples, aggregation, order, thresholds, what is undefined."""

from dataclasses import replace

import polars as pl
import pytest

from fourview.evaluate.protocols import PROTOCOLS
from fourview.evaluate.run import evaluate
from scored_sets import readme_sample, scored_set, value


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


def test_the_admani_protocol_reports_the_mean_of_its_replicates():
    manifest, table = scored_set()
    table = table.filter(pl.col("unit") == "region").with_columns(unit=pl.lit("image"))
    own = PROTOCOLS["admani-image-v1"]
    mean = evaluate(table, manifest, own, replicates=200, groups=())
    point = evaluate(table, manifest, replace(own, center="table"), replicates=200, groups=())
    assert value(mean, "auroc") != value(point, "auroc")
    assert value(mean, "auroc") == pytest.approx(value(point, "auroc"), abs=0.02)
