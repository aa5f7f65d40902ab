"""What is known of single images, by BI-RADS and by findings."""

from dataclasses import replace

import polars as pl
import pytest

from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.evaluate.labels import labelled_units
from fourview.manifest.image_labels import image_labels, with_stand_in_birads
from fourview.manifest.manifest import make_manifest

BIRADS = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 6, "f": 0, "g": None}


def manifest_of(findings: dict[str, list[int | None]] | None = None, birads=None) -> Manifest:
    names = list(BIRADS)
    keys = [{"patient_id": n, "exam_id": n} for n in names]
    rows = [
        {"patient_id": n, "exam_id": n, "finding_id": f"{n}{i}", "image_id": n, "side": "L"}
        | {"malignant": m, "x0": 1.0, "y0": 1.0, "x1": 4.0, "y1": 4.0, "frame": "stored"}
        for n, all_of in (findings or {}).items()
        for i, m in enumerate(all_of)
    ]
    schema = {"malignant": pl.Int8}
    return make_manifest(
        source="made",
        root="/nowhere",
        images=pl.DataFrame(
            [
                k | {"image_id": n, "side": "L", "view": "CC", "path": n}
                for n, k in zip(names, keys, strict=True)
            ]
        ),
        breasts=pl.DataFrame(
            [
                k | {"side": "L", "birads": (birads or {}).get(n)}
                for n, k in zip(names, keys, strict=True)
            ],
            schema_overrides={"birads": pl.Int8},
        ),
        findings=pl.DataFrame(rows, schema_overrides=schema) if rows else None,
        terms="made",
    )


def known(table: pl.DataFrame) -> dict[str, tuple[int | None, int | None]]:
    return {n: (c, b) for n, c, b in table.select("image_id", "cancer", "benign").iter_rows()}


def test_birads_make_one_label_each_and_0_says_nothing():
    got = known(image_labels(manifest_of(birads=BIRADS), "birads"))
    assert got == {
        **{"a": (0, 0), "b": (0, 1), "c": (0, 1), "d": (1, 0), "e": (1, 0)},
        **{"f": (None, None), "g": (None, None)},
    }
    without = known(image_labels(manifest_of(birads=BIRADS), "birads_without_3"))
    assert without == got | {"c": (None, None)}


def test_findings_make_both_labels_and_unknown_ones_make_neither_sure():
    natures = {"b": [0], "c": [1], "d": [0, 1], "e": [None], "f": [None, 1]}
    got = known(image_labels(manifest_of(natures), "findings"))
    assert got == {
        **{"a": (0, 0), "b": (0, 1), "c": (1, 0), "d": (1, 1), "g": (0, 0)},
        **{"e": (None, None), "f": (1, None)},
    }


def test_a_stand_in_is_what_the_protocols_measure_and_says_so():
    manifest = with_stand_in_birads(manifest_of({"b": [0], "c": [1], "d": [0, 1], "e": [None]}))
    labels = labelled_units(manifest, "image", "birads-m-vs-bn")[0]
    assert dict(labels.select("image_id", "label").iter_rows()) == {
        **{"a": 0, "b": 0, "c": 1, "d": 1, "e": None, "f": 0, "g": 0}
    }
    any_finding = labelled_units(manifest, "image", "birads-mb-vs-n")[0]
    assert dict(any_finding.select("image_id", "label").iter_rows())["b"] == 1
    assert "stand-in" in manifest.label_rules["birads"]


def test_a_rule_with_nothing_to_go_by_is_refused_with_the_way_out():
    with pytest.raises(ManifestError, match=r"feed\.labels=findings"):
        image_labels(manifest_of(), "birads")
    with pytest.raises(ManifestError, match=r"feed\.labels=birads"):
        image_labels(manifest_of(birads=BIRADS), "findings")


def test_labels_of_breasts_are_those_of_their_images_and_benign_may_be_unknown():
    manifest = manifest_of(birads=BIRADS)
    cancer = [0, 1, None, 0, 1, 0, 0]
    breasts = manifest.breasts.with_columns(cancer=pl.Series(cancer, dtype=pl.Int8))
    alone = replace(manifest, breasts=breasts)
    assert known(image_labels(alone, "breasts"))["b"] == (1, None)
    both = replace(alone, breasts=breasts.with_columns(benign=pl.lit(1, pl.Int8)))
    assert known(image_labels(both, "breasts"))["a"] == (0, 1)
    with pytest.raises(ManifestError, match="no breast has a label 'cancer'"):
        image_labels(manifest, "breasts")
