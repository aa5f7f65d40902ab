"""The AP link: depths by hand, and where phantoms say that a finding is."""

import math
from pathlib import Path

import polars as pl
import pytest

from exam_examples import image
from fourview.dicom.image import read_image
from fourview.phantom.write import write_phantom
from fourview.report.display import decide
from fourview.serve.axes import Axis, axis_of


def test_a_depth_is_measured_along_the_axis_from_the_nipple():
    flat = Axis(nipple=(100.0, 50.0), degrees=0.0, turned=False, spacing_mm=0.5)
    assert flat.depth_mm((40.0, 7.0)) == 30.0
    leaning = Axis(nipple=(100.0, 50.0), degrees=30.0, turned=False, spacing_mm=0.5)
    back = (100 - 60 * math.cos(math.radians(30)), 50 - 60 * math.sin(math.radians(30)))
    assert leaning.depth_mm(back) == pytest.approx(30.0)
    across = (back[0] - 9 * math.sin(math.radians(30)), back[1] + 9 * math.cos(math.radians(30)))
    assert leaning.depth_mm(across) == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("name", "more", "reason"),
    [
        ("L-ML", {}, "ML is not known"),
        ("L-CC", {"spacing_mm": None}, "no pixel spacing"),
        ("L-MLO", {}, "no pectoral line"),
    ],
)
def test_without_an_axis_the_reason_is_told(name, more, reason):
    shown = image(name, image_id="1", **more)
    assert reason in axis_of(shown, decide(shown))


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    out = tmp_path_factory.mktemp("ap")
    write_phantom(out, num_exams=8, seed=11, preset="miniature", rows=512, workers=1)
    return out


def test_the_strip_holds_a_phantoms_finding_in_the_other_view(phantoms: Path):
    seen = pl.read_parquet(phantoms / "truth" / "findings.parquet")
    images = pl.read_parquet(phantoms / "truth" / "images.parquet")
    paths = dict(images.select("image_id", "path").iter_rows())
    both = seen.filter(pl.col("view").is_in(["CC", "MLO"])).sort("view")
    inside = total = 0
    axes: dict[str, Axis | str] = {}
    for _, rows in both.group_by("exam_id", "finding_id", maintain_order=True):
        if rows["view"].to_list() != ["CC", "MLO"]:
            continue
        depths = []
        for row in rows.iter_rows(named=True):
            name = row["image_id"]
            if name not in axes:
                read = read_image(phantoms / paths[name])
                axes[name] = axis_of(read, decide(read))
                cols = read.pixels.shape[1]
            axis = axes[name]
            if isinstance(axis, str):
                break
            cols = images.filter(pl.col("image_id") == name)["cols"][0]
            x = cols - row["center_x"] if axis.turned else row["center_x"]
            depths.append(axis.depth_mm((x, row["center_y"])))
        if len(depths) == 2:
            total += 1
            inside += abs(depths[0] - depths[1]) <= 10  # mm: half of the strip
    assert total >= 8
    assert inside >= 0.95 * total
