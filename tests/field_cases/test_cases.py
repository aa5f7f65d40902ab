"""Twenty inputs that people met in real archives, each with what must come out of it."""

import re

import numpy as np
import pytest

from field_looks import FOUR, are_alike, notes_of, one_exam, read_both
from fourview.cli.main import main
from fourview.dicom.exams import read_exams
from fourview.dicom.image import read_image
from fourview.errors import FourviewError
from fourview.manifest.check import check_manifest
from fourview.preprocess.pipeline import from_levels, process
from fourview.preprocess.spec import pixel_spec
from fourview.sources.csv import read_csv
from fourview.sources.dicom import read_dicom
from fourview.sources.embed import read_embed
from fourview.sources.rsna import read_rsna
from fourview.store.prepare import prepare
from fourview.store.store import Store

SPEC = pixel_spec("mvccl-384x192")


def problems_of(manifest, kind="files"):
    return [p.text for p in check_manifest(manifest, files=True) if p.kind == kind]


def prepared(manifest, folder, spec="mvccl-192x96"):
    """The pixels of every image of a manifest, by image id."""
    summary = prepare(manifest, pixel_spec(spec), folder)
    assert not len(summary.failed), summary.failed["detail"].to_list()
    store = Store.open(folder)
    return {image_id: store.read(image_id) for image_id in manifest.images["image_id"]}


def test_view_in_processing_description(case):
    exam = one_exam(case("view-in-processing-description"))
    assert tuple(image.view.name for image in exam.images) == FOUR
    for image in exam.images:
        assert "AcquisitionDeviceProcessingDescription" in image.view.source


def test_synthetic_told_by_series(case):
    exam = one_exam(case("synthetic-told-by-series"))
    for slot in FOUR:
        first, second = exam.in_slot(slot)
        assert first.stored_size == (640, 512)
        assert (first.metadata["kind"], second.metadata["kind"]) == ("ffdm", "synthetic")


def test_polarity_contradicted(case):
    folder = case("polarity-contradicted-1")
    for name in ("L-CC.dcm", "R-MLO.dcm"):
        odd, plain = read_both(folder, name)
        assert are_alike(odd, plain)
        assert re.search("Photometric Interpretation.*Presentation LUT Shape", notes_of([odd]))


def test_upside_down_mlo(case):
    folder = case("upside-down-mlo")
    for side in "LR":
        odd, plain = read_both(folder, f"{side}-MLO.dcm")
        assert are_alike(odd, plain)
        assert "Patient Orientation" in notes_of([odd])
        upright, right = process(plain, SPEC).geometry, process(odd, SPEC).geometry
        point = np.array([100.0, 50.0])
        x, y = upright.to_stored(point)
        assert np.allclose(right.to_stored(point), (x, 640 - y))
        odd, plain = read_both(folder, f"{side}-CC.dcm")
        assert process(odd, SPEC).geometry == process(plain, SPEC).geometry


def test_window_with_decimal_comma(case):
    odd, plain = read_both(case("window-with-decimal-comma"))
    assert odd.voi.center == 1500.5
    assert odd.voi.width == 1200.5
    assert are_alike(odd, plain)
    assert "1500,5" in notes_of([odd])


def test_voi_table_narrower_than_told(case):
    odd, plain = read_both(case("voi-table-narrower-than-told"))
    assert are_alike(odd, plain)
    shown = process(odd, SPEC)
    assert shown.pixels[shown.mask].mean() == pytest.approx(0.5, abs=0.05)
    assert "LUT" in notes_of([odd])


def test_jp2_file_as_frame(case):
    image = read_image(case("jp2-file-as-frame") / "L-CC.dcm")
    assert (image.pixels.min(), image.pixels.max()) == (37, 2855)
    assert "JP2" in notes_of([image])


@pytest.mark.parametrize("name", ["jpeg2000", "jpeg_lossless", "jpeg_ls"])
def test_zeros_behind_the_frame(name, case):
    image = read_image(case("zeros-behind-the-frame") / f"{name}.dcm")
    assert (image.pixels.min(), image.pixels.max()) == (37, 2855)


def test_overlay_bits_in_jpeg2000(case, tmp_path):
    manifest = read_dicom(case("overlay-bits-in-jpeg2000"))
    native, coded = (from_levels(p) for p in prepared(manifest, tmp_path / "s").values())
    differ = (np.abs(native - coded) > 0.02)[(native > 0) | (coded > 0)].mean()
    assert differ <= 0.005


def test_no_preamble(case):
    exam = one_exam(case("no-preamble"))
    assert tuple(image.view.name for image in exam.images) == FOUR
    assert all("preamble" in notes_of([image]) for image in exam.images)


def test_implicit_called_explicit(case):
    image = read_image(case("implicit-called-explicit") / "L-CC.dcm")
    assert "Implicit VR" in notes_of([image])
    assert image.view.name == "L-CC"


def test_private_sequence_coded_implicit(case):
    image = read_image(case("private-sequence-coded-implicit") / "L-CC.dcm")
    assert image.view.name == "L-CC"
    assert image.patient_id == "CASE-1"


def test_one_uid_four_images(case, capsys, tmp_path):
    folder = case("one-uid-four-images")
    exam = one_exam(folder)
    assert tuple(image.view.name for image in exam.images) == FOUR
    assert len({image.image_id for image in exam.images}) == 4
    assert any("SOP Instance UID" in note for note in exam.notes)
    with pytest.raises(SystemExit) as left:
        main(["index", str(folder), "--source", "dicom", "-o", str(tmp_path / "m")])
    assert left.value.code == 0
    assert "SOP Instance UID" in capsys.readouterr().out
    manifest = read_dicom(folder)
    assert manifest.images["left_out"].is_null().all()
    assert manifest.images["image_id"].n_unique() == 4
    assert any("SOP Instance UID" in text for text in problems_of(manifest, "ids"))


def test_embed_relative_paths(case):
    manifest = read_embed(case("embed-relative-paths"))
    assert manifest.images.height == 4
    assert problems_of(manifest) == []


def test_mirai_table(case):
    manifest = read_csv(case("mirai-table"))
    assert manifest.exams["patient_id"].n_unique() == 2
    assert manifest.exams.height == 4
    assert manifest.images.height == 16
    assert problems_of(manifest) == []


def test_rsna_as_png(case, tmp_path):
    manifest = read_rsna(case("rsna-as-png"))
    assert problems_of(manifest) == []
    assert len(prepared(manifest, tmp_path / "s")) == 4


def test_png_with_alpha(case, tmp_path):
    pixels = prepared(read_csv(case("png-with-alpha")), tmp_path / "s")
    assert np.array_equal(pixels["plain"], pixels["case"])


def test_empty_table(case, capsys):
    with pytest.raises(SystemExit) as left:
        main(["index", str(case("empty-table")), "--source", "csv", "-o", "nowhere"])
    assert left.value.code == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "empty" in said


def test_a_zip_is_read(case):
    exam = one_exam(case("not-dicom-but-known") / "zip" / "exam.zip")
    assert tuple(image.view.name for image in exam.images) == FOUR


def test_pictures_need_a_table(case):
    with pytest.raises((FourviewError, SystemExit)) as told:
        main(["read", str(case("not-dicom-but-known") / "png"), "-o", "nowhere"])
    assert told.value.code == 3


def test_what_is_said_of_pictures(case):
    exams = read_exams(case("not-dicom-but-known") / "png")
    for out in exams[0].left_out:
        assert "PNG" in out.detail
        assert "fourview index" in out.detail
        assert "DICM" not in out.detail
