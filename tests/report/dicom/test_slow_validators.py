"""PixelMed's template validator and dcmtk's renderer: system packages that take their time.

apt-get install dcmtk libpixelmed-java default-jre-headless
"""

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from dicom_output_examples import NAMES, exam_in, objects_of, prediction_of, unread, write_exam
from fourview.phantom.write import write_phantom
from fourview.preprocess.window import to_levels

JARS = Path("/usr/share/java")
NO_LIMITS = [f"-Djdk.xml.xpath{name}Limit=0" for name in ("ExprOp", "TotalOp", "ExprGrp")]
VALIDATOR = "com.pixelmed.validate.DicomSRValidator"
QUIRK = "Failed  Detections"  # its template has two blanks there, the standard has one
SYNTAXES = {
    "A": "1.2.840.10008.1.2.1",
    "B": "1.2.840.10008.1.2.5",
    "C": "1.2.840.10008.1.2.4.70",
}
needs_pixelmed = pytest.mark.skipif(
    not (JARS / "pixelmed.jar").exists() or shutil.which("java") is None,
    reason="PixelMed is missing: apt-get install libpixelmed-java default-jre-headless",
)
needs_dcmtk = pytest.mark.skipif(
    any(shutil.which(p) is None for p in ("dcmp2pgm", "dcmdrle", "dcmdjpeg", "dsrdump")),
    reason="dcmtk is missing: apt-get install dcmtk",
)
pytestmark = pytest.mark.slow


def pixelmed(path):
    """Its errors and warnings, but for the quirk."""
    classes = f"{JARS}/pixelmed.jar:{JARS}/*"
    command = ["java", "-Djava.awt.headless=true", *NO_LIMITS, "-cp", classes, VALIDATOR, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "IOD validation complete" in done.stdout
    lines = done.stdout.splitlines()
    return [x for x in lines if x.startswith(("Error", "Warning")) and QUIRK not in x]


CASES = {
    "findings": prediction_of,
    "none": lambda exam: prediction_of(exam, []),
    "part failed": lambda exam: unread(prediction_of(exam), "L-MLO"),
    "all failed": lambda exam: unread(prediction_of(exam), *NAMES),
}


@needs_pixelmed
@pytest.mark.parametrize("case", CASES)
def test_pixelmed_finds_nothing_in_the_cad_report(case, small_exam, tmp_path):
    made = objects_of(small_exam, CASES[case](small_exam), kinds=("cad-sr",))["cad-sr"]
    path = tmp_path / "cad-sr.dcm"
    path.write_bytes(made.data)
    assert pixelmed(path) == []


@needs_pixelmed
@pytest.mark.parametrize("case", ["findings", "none"])
def test_pixelmed_finds_nothing_in_the_measurements(case, small_exam, tmp_path):
    made = objects_of(small_exam, CASES[case](small_exam), kinds=("sr1500",))["sr1500"]
    path = tmp_path / "sr1500.dcm"
    path.write_bytes(made.data)
    assert pixelmed(path) == []


@needs_pixelmed
def test_pixelmed_finds_what_is_broken(small_exam, tmp_path):
    """So the tests above would fail."""
    made = objects_of(small_exam, kinds=("cad-sr",))["cad-sr"]
    path = tmp_path / "broken.dcm"
    path.write_bytes(made.data.replace(b"111150", b"121071"))
    assert any("not found in context group 6034" in line for line in pixelmed(path))


@needs_dcmtk
@pytest.mark.parametrize("kind", ["cad-sr", "sr1500"])
def test_dcmtk_reads_the_reports(kind, small_exam, tmp_path):
    path = tmp_path / "report.dcm"
    path.write_bytes(objects_of(small_exam, kinds=(kind,))[kind].data)
    subprocess.run(["dsrdump", str(path)], check=True, capture_output=True)
    html = tmp_path / "report.html"
    subprocess.run(["dsr2html", str(path), str(html)], check=True, capture_output=True)
    assert b"research use only" in html.read_bytes()


@needs_dcmtk
@pytest.mark.parametrize("vendor", SYNTAXES)
def test_dcmtk_shows_an_image_as_the_report_does(vendor, tmp_path):
    """At most 1 grey level, at the vendor's own size: it rounds to 8 bits more than once."""
    write_phantom(
        tmp_path,
        num_exams=1,
        seed=7,
        preset="enriched",
        vendors=(vendor,),
        syntaxes=(SYNTAXES[vendor],),
    )
    exam = exam_in(tmp_path / "dicom")
    made = objects_of(exam, prediction_of(exam, heatmaps=False), kinds=("gsps",))
    for image in exam.images:
        compare(image, made[f"gsps-{image.view.name}"], vendor, tmp_path)


@needs_dcmtk
def test_dcmtk_shows_films_as_the_report_does(real_exams, tmp_path):
    """16 bits without a window: the state asks for the whole range."""
    exam = exam_in(real_exams / "sfm-benign-0")
    made = objects_of(exam, prediction_of(exam, heatmaps=False), kinds=("gsps",))
    image = exam.images[0]
    grey = render(image, made[f"gsps-{image.view.name}"], "B", tmp_path)
    low, high = int(image.pixels.min()), int(image.pixels.max())
    full = (image.pixels.astype(float) - low) / (high - low) * 255
    whole = image.pixels.astype(float) / 65535 * 255
    assert min(np.abs(grey - want).max() for want in (full, whole)) <= 1


@needs_dcmtk
@pytest.mark.parametrize("function", ["LINEAR", "SIGMOID"])
@pytest.mark.parametrize("slope", ["1", "2"])
def test_dcmtk_shows_rescaled_inverse_files_as_the_report_does(function, slope, tmp_path):
    def edit(dataset):
        dataset.PhotometricInterpretation = "MONOCHROME1"
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, "-100"
        dataset.WindowCenter, dataset.WindowWidth = "1500", "2500"
        dataset.VOILUTFunction = function

    write_exam(tmp_path, ("R-CC",), edit=edit)
    exam = exam_in(tmp_path)
    (made,) = objects_of(exam, prediction_of(exam, heatmaps=False), kinds=("gsps",)).values()
    compare(exam.images[0], made, "A", tmp_path)


def compare(image, made, vendor, tmp_path):
    levels = to_levels(image.pixels, image.voi, invert=not image.bright_is_dense)
    grey = render(image, made, vendor, tmp_path)
    assert np.abs(grey - levels / 65535 * 255).max() <= 1


def render(image, made, vendor, tmp_path):
    """Grey from 0 to 255 as dcmtk applies the state."""
    state, plain, out = (tmp_path / n for n in ("state.dcm", "plain.dcm", "out.pgm"))
    state.write_bytes(made.data)
    decode = {"B": "dcmdrle", "C": "dcmdjpeg"}.get(vendor)
    if decode:
        subprocess.run([decode, image.path, str(plain)], check=True)
    source = plain if decode else image.path
    subprocess.run(["dcmp2pgm", "-p", str(state), str(source), str(out)], check=True)
    return cv2.imread(str(out), cv2.IMREAD_UNCHANGED).astype(float)
