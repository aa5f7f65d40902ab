from dataclasses import replace

import cv2
import numpy as np
import polars as pl
import pydicom
import pytest

from fourview.dicom.image import read_image
from fourview.entities import View
from fourview.errors import PhantomError
from fourview.phantom.exam import film_image, make_exam
from fourview.phantom.film_draws import FILM_KINDS, draw_film, film_kind
from fourview.phantom.lesions import Contents
from fourview.phantom.write import write_phantom
from fourview.sources.phantom import read_phantom
from phantom_examples import breast

ROWS = 160


def plain(draws, **changes):
    """A film of those draws without anything that may hide its breast."""
    light = replace(draws.light, level=0, slope=0, rim=0, glow=0, strip=(1, 0, 0, 1), ripple=0)
    edges = replace(draws.edges, margins=(0, 0, 0, 0), bed=(0, 0, 0, 0), turned=0, round_corner=0)
    bare = {"light": light, "edges": edges, "labels": (), "tape": (), "wedge": 0.0}
    return replace(draws, **(bare | {"dust": 0, "scratches": 0} | changes))


def film(draws, side="L", position="CC"):
    return film_image(
        breast(side=side), position, draws, contents=Contents((), ()), rows=ROWS, image_id="1"
    )


def grey(image):
    shown = image.pixels / (2**image.bits - 1)
    return shown if image.photometric == "MONOCHROME2" else 1 - shown


@pytest.mark.parametrize("kind", FILM_KINDS)
def test_the_same_seed_gives_the_same_bytes_and_another_kind_another_film(kind):
    first, again = (make_exam(5, "miniature", rows=ROWS, film=kind) for _ in range(2))
    for a, b in zip(first.images, again.images, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)
        np.testing.assert_array_equal(a.film.mask, b.film.mask)
    other = make_exam(5, "miniature", rows=ROWS, film=FILM_KINDS[kind == FILM_KINDS[0]])
    assert any(
        a.pixels.shape != b.pixels.shape or (a.pixels != b.pixels).any()
        for a, b in zip(first.images, other.images, strict=True)
    )


@pytest.mark.parametrize("position", ["CC", "MLO"])
def test_tissue_is_brighter_than_air_and_the_mask_is_where_the_tissue_is(position):
    image = film(plain(draw_film(3, "L", position)), position=position)
    shown, mask = grey(image), image.film.mask
    inner = cv2.erode(mask.astype(np.uint8), np.ones((15, 15)), borderValue=1).astype(bool)
    outer = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7))) == 0
    assert np.percentile(shown[inner], 2) > np.percentile(shown[outer], 98)


@pytest.mark.parametrize("wall", ["left", "right"])
def test_the_chest_wall_is_where_the_truth_says(wall):
    image = film(plain(draw_film(3, "L", "CC"), wall=wall))
    heights = image.film.mask.sum(axis=0)
    half = len(heights) // 2
    assert (heights[:half].sum() > heights[half:].sum()) == (wall == "left")
    assert (image.truth.ap_axis[0] > 0) == (wall == "left")


def test_the_truth_moves_with_a_turned_and_mirrored_film():
    draws = plain(draw_film(3, "L", "MLO"), wall="right")
    turned = replace(draws, edges=replace(draws.edges, turned=5.0, bed=(9.0, 14.0, 11.0, 7.0)))
    image = film(turned, position="MLO")
    edge = cv2.Canny(image.film.mask.astype(np.uint8) * 255, 50, 150) > 0
    far = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5)
    x, y = (np.rint(image.truth.skin - 0.5)).astype(int).T
    kept = (x >= 0) & (y >= 0) & (x < edge.shape[1]) & (y < edge.shape[0])
    assert kept.sum() > 50
    assert np.percentile(far[y[kept], x[kept]], 90) < 3  # pixels of about a millimetre


def test_findings_are_where_their_masks_are():
    exam = make_exam(11, "plain", rows=224, film="usual")
    shown = [(i, f) for i in exam.images for f in i.truth.findings if f.visible and f.mask.any()]
    assert shown
    for image, finding in shown:
        box, (cx, cy) = finding.box, finding.center
        assert box.x0 <= cx <= box.x1 and box.y0 <= cy <= box.y1
        assert finding.mask.shape == (box.height, box.width)
        assert (box.x0 >= 0) and box.x1 <= image.pixels.shape[1]


def test_labels_margins_and_tape_are_told_and_change_no_breast_truth_but_margins():
    bare = plain(draw_film(3, "L", "CC"), wall="left")
    seed = next(s for s in range(100) if len(draw_film(s, "L", "CC").labels) == 3)
    labels = draw_film(seed, "L", "CC").labels
    with_labels = film(replace(bare, labels=labels))
    np.testing.assert_array_equal(with_labels.film.mask, film(bare).film.mask)
    assert len(with_labels.film.labels) >= 1
    wide = replace(bare, edges=replace(bare.edges, margins=(0, 5.0, 0, 0), margin_level=1.0))
    cut = film(wide).film.mask
    assert not cut[:, :2].any()  # 5 mm of about 1.5 mm a pixel
    assert cut[:, 8:].sum() == film(bare).film.mask[:, 8:].sum()


def test_headers_are_right_wrong_and_absent_in_their_shares():
    said = [draw_film(seed, "R", "CC").header for seed in range(600)]
    for name, share in (("right", 0.7), ("wrong", 0.15), ("absent", 0.15)):
        assert said.count(name) / 600 == pytest.approx(share, abs=0.06)  # four sd


def test_films_are_written_and_read_with_their_headers_faults(tmp_path):
    write_phantom(
        tmp_path, num_exams=4, seed=1, preset="miniature", rows=96, vendors=("film", "odd-film")
    )
    manifest = read_phantom(tmp_path)
    assert set(manifest.images["kind"]) == {"film"}
    truth = pl.read_parquet(tmp_path / "truth" / "images.parquet")
    said = set()
    for row in truth.iter_rows(named=True):
        header = pydicom.dcmread(tmp_path / row["path"], stop_before_pixels=True)
        said.add({row["side"]: "right", "": "absent"}.get(header.ImageLaterality, "wrong"))
        assert header.DetectorType == "FILM"
        view = View(side=row["side"], position=row["view"])
        image = read_image(tmp_path / row["path"], view=view)
        assert image.pixels.shape == (row["rows"], row["cols"])
        assert image.metadata.get("manufacturer", "").startswith("Fictional")
    assert said == {"right", "wrong", "absent"}


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(PhantomError, match="no kind of film 'old'; there are: usual, odd"):
        film_kind("old")
