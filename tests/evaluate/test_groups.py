"""Subgroups by columns of a manifest."""

from dataclasses import replace

import polars as pl
import pytest

from fourview.errors import EvaluationError
from fourview.evaluate.run import evaluate
from scored_sets import scored_set


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
