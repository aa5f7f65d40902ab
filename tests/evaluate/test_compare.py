"""Two models on the same units."""

import polars as pl
import pytest

from fourview.evaluate.compare import compare
from scored_sets import breasts_only, scored_set


def test_a_model_does_not_differ_from_itself_and_a_better_one_does():
    manifest, table = scored_set(150)
    table = breasts_only(table)
    same = compare(table, table, manifest, "screening-breast-v1", replicates=200)
    assert all(d.difference.value == 0 and d.p == 1 for d in same.differences)
    labels = table.join(manifest.breasts, on=["exam_id", "side"], maintain_order="left")["cancer"]
    better = table.with_columns(score=pl.col("score") * 0.5 + 0.5 * labels)
    comparison = compare(better, table[:-4], manifest, "screening-breast-v1", replicates=200)
    delong, boot = comparison.differences[:2]
    assert delong.difference.note == "DeLong, clustered by patient"
    assert boot.difference.low > 0
    assert delong.p < 0.001
    assert delong.difference.low == pytest.approx(boot.difference.low, abs=0.03)
    assert comparison.notes == ("4 units only in A: left out",)
