"""Both views of a breast have one scale, at which the larger fills the frame."""

from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import polars as pl
import pytest

from factory import drawn_mammogram, drawn_manifest
from fourview.entities import Exam
from fourview.feeds.pixels import ExamPixels
from fourview.preprocess.pipeline import to_pixel_levels
from fourview.preprocess.spec import PixelSpec
from fourview.store.prepare import prepare
from fourview.store.raster import read_raster
from fourview.store.store import Store

SPEC = PixelSpec(name="filled", rows=120, cols=60, align_ap=True, one_scale_of="breast")
SIZES = {"R-CC": (192, 120), "R-MLO": (300, 150), "L-CC": (260, 200), "L-MLO": (192, 120)}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One patient whose four views differ in size, as pictures of 0.4 mm."""
    root = tmp_path_factory.mktemp("data")
    (root / "pictures").mkdir()
    manifest = drawn_manifest(root / "pictures", num_patients=1)
    for row in manifest.images.iter_rows(named=True):
        side, position = row["side"], row["view"]
        levels = drawn_mammogram(side, position, cancer=False, size=SIZES[f"{side}-{position}"])
        (root / "pictures" / row["path"]).write_bytes(imagecodecs.png_encode(levels))
    spaced = manifest.images.with_columns(spacing_mm=0.4)
    manifest = replace(manifest, images=spaced)
    prepare(manifest, SPEC, root / "store", workers=1)
    return manifest, Store.open(root / "store")


def scales(geometry):
    """Rows and columns of the file to those of the processed image, turned or not."""
    matrix = geometry.matrix()[:, :2]
    return np.sqrt(abs(np.linalg.det(matrix)))


def test_both_views_have_one_scale_and_the_larger_fills_the_frame(data):
    manifest, store = data
    filled = {}
    for row in manifest.images.iter_rows(named=True):
        levels = store.read(row["image_id"])
        inside_rows, inside_cols = (levels > 0).any(axis=1).sum(), (levels > 0).any(axis=0).sum()
        filled[row["side"], row["view"]] = max(inside_rows / 120, inside_cols / 60)
    for side in "RL":
        ids = [r["image_id"] for r in manifest.images.iter_rows(named=True) if r["side"] == side]
        one, other = (scales(store.geometry(image)) for image in ids)
        assert one == pytest.approx(other, rel=0.01)  # frames are whole pixels of the file
        largest = max(filled[side, view] for view in ("CC", "MLO"))
        assert largest == pytest.approx(1 / 1.01, abs=0.03)


def test_an_exam_that_is_read_has_the_pixels_of_the_store(data):
    manifest, store = data
    rows = list(manifest.images.iter_rows(named=True))
    images = tuple(read_raster(Path(manifest.root) / row["path"], row) for row in rows)
    exam = Exam(patient_id=rows[0]["patient_id"], exam_id=rows[0]["exam_id"], images=images)
    for processed in ExamPixels(exam, SPEC).processed:
        stored = store.read(processed.image_id)
        assert np.array_equal(to_pixel_levels(processed.pixels), stored)
        assert any("both views of the breast" in note for note in processed.notes)


def test_a_view_that_cannot_be_read_costs_itself_only(data, tmp_path):
    manifest, _ = data
    lost = manifest.images.with_columns(
        path=pl.when(pl.col("view") == "MLO").then(pl.lit("nothing.png")).otherwise("path")
    )
    summary = prepare(replace(manifest, images=lost), SPEC, tmp_path / "store", workers=1)
    assert summary.num_stored == 2 and len(summary.failed) == 2
