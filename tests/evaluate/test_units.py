"""Which rows of a table become units, and what is said of the others."""

from dataclasses import replace

import polars as pl
import pytest

from fourview.evaluate.protocols import PROTOCOLS
from fourview.evaluate.run import evaluate
from fourview.evaluate.units import gather_units
from fourview.manifest.manifest import make_manifest
from scored_sets import breasts_only, readme_sample, scored_set


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
