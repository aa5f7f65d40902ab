import io
import shutil
import subprocess

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_voi_lut

import phantom_examples as examples
from fourview.dicom.image import read_image
from fourview.errors import PhantomError
from fourview.phantom.encode import SYNTAXES
from fourview.phantom.exam import make_exam
from fourview.phantom.to_dicom import at_bits, dicom_bytes

LOSSY = {"4.50": 0.06, "4.51": 0.02, "4.81": 0.001, "4.91": 0.02, "4.203": 0.01}  # of the range
EXPLICIT = "1.2.840.10008.1.2.1"
CHECKED = [s for s in SYNTAXES if not s.endswith((".1.99", ".201", ".202", ".203"))]


@pytest.fixture(scope="module")
def exams():
    return {v: make_exam(3, "enriched", rows=192, vendor=v) for v in "ABC"}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_our_reader_finds_the_pixels_and_the_display_of_every_syntax(exams, syntax, tmp_path):
    for number, (vendor, exam) in enumerate(exams.items()):
        image = exam.images[number]
        path = tmp_path / f"{vendor}.dcm"
        path.write_bytes(dicom_bytes(exam, image, syntax))
        got = read_image(path)
        bits = SYNTAXES[syntax].bits
        pixels, voi = at_bits(image, bits)
        limit = next((v for k, v in LOSSY.items() if syntax.endswith(k)), 0) * 2**bits
        assert abs(got.pixels.astype(int) - pixels).max() <= limit
        assert (got.voi.function, got.bits) == (voi.function, bits)
        grey = examples.shown(got.pixels.astype(int), got.voi, image.photometric)
        want = examples.shown(image.pixels, image.voi, image.photometric)
        rounding = 0.003 if limit == 0 and bits != 8 else 0.007  # the table's step from air
        assert abs(grey - want).max() <= rounding + 3 * limit / 2**bits
        entity = exam.entity(image)
        for name in ("image_id", "patient_id", "exam_id", "bright_is_dense", "stored_size"):
            assert getattr(got, name) == getattr(entity, name)
        assert got.view.name == entity.view.name
        assert got.spacing_mm == pytest.approx(entity.spacing_mm)


@pytest.mark.parametrize("syntax", CHECKED)
def test_dciodvfy_finds_no_error(exams, syntax, tmp_path):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian: dicom3tools)")
    for number, (vendor, exam) in enumerate(exams.items()):
        path = tmp_path / f"{vendor}.dcm"
        path.write_bytes(dicom_bytes(exam, exam.images[3 - number], syntax))
        run = subprocess.run(
            ["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False
        )
        lines = (run.stdout + run.stderr).splitlines()
        assert [line for line in lines if line.startswith("Error")] == []
        assert any("DXImageForPresentation" in x or "Mammo" in x for x in lines), lines


@pytest.mark.parametrize("vendor", ["A", "B", "C"])
def test_pydicom_shows_what_was_meant(exams, vendor):
    exam = exams[vendor]
    image = exam.images[1]
    dataset = pydicom.dcmread(io.BytesIO(dicom_bytes(exam, image, EXPLICIT)))
    assert (dataset.pixel_array == image.pixels).all()
    shown = apply_voi_lut(dataset.pixel_array, dataset).astype(float) / 4095
    if image.photometric == "MONOCHROME1":
        shown = 1 - shown
    want = examples.shown(image.pixels, image.voi, image.photometric)
    # pydicom's LINEAR_EXACT and SIGMOID end at 4095 as ours; rounding of the table
    np.testing.assert_allclose(shown, want, atol=1e-3)


def test_highdicom_reads_the_view_and_the_anatomy(exams):
    exam = exams["A"]
    for image in exam.images:
        dataset = pydicom.dcmread(io.BytesIO(dicom_bytes(exam, image, EXPLICIT)))
        parsed = highdicom.Image.from_dataset(dataset)
        assert (parsed.get_frame(1, apply_voi_transform=False) == image.pixels).all()
        view = parsed.ViewCodeSequence[0]
        words = {"CC": "cranio-caudal", "MLO": "medio-lateral oblique"}
        assert view.CodeMeaning == words[image.position]
        assert parsed.ImageLaterality == image.side


def test_the_orientation_says_where_the_chest_wall_is(exams):
    for image in exams["A"].images:
        dataset = pydicom.dcmread(io.BytesIO(dicom_bytes(exams["A"], image, EXPLICIT)))
        row_direction, col_direction = dataset.PatientOrientation
        assert row_direction == {"L": "A", "R": "P"}[image.side]
        assert ("F" in col_direction) == (image.position == "MLO")
        assert col_direction[-1] == {"L": "R", "R": "L"}[image.side]  # down is medial


def test_a_header_says_that_there_is_no_patient_and_names_no_real_vendor(exams):
    for vendor, exam in exams.items():
        dataset = pydicom.dcmread(io.BytesIO(dicom_bytes(exam, exam.images[0], EXPLICIT)))
        assert dataset.Manufacturer == f"Fictional Vendor {vendor}"
        assert "synthetic" in dataset.ImageComments
        assert dataset.PatientIdentityRemoved == "YES"
        assert dataset.BurnedInAnnotation == "YES"


def test_an_unknown_syntax_is_refused(exams):
    with pytest.raises(PhantomError, match="no encoder"):
        dicom_bytes(exams["A"], exams["A"].images[0], "1.2.840.10008.1.2.2")
