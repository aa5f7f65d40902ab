"""dciodvfy says nothing against any object: no error and no warning."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_output_examples import (
    NAMES,
    exam_in,
    not_made,
    objects_of,
    prediction_of,
    unread,
    write_exam,
)
from fourview.report.dicom.options import Predecessor

NEAR = Path(sys.executable).parent / "dciodvfy"
DCIODVFY = str(NEAR) if NEAR.exists() else shutil.which("dciodvfy")
pytestmark = pytest.mark.skipif(
    DCIODVFY is None, reason="dciodvfy is not installed (the package dicom3tools)"
)


def complaints(path):
    """Errors and warnings, and the IOD that the validator took the file for."""
    done = subprocess.run([DCIODVFY, str(path)], capture_output=True, text=True, check=False)
    lines = (done.stderr + done.stdout).splitlines()
    complaints_of_tool = [line for line in lines if line.startswith(("Error", "Warning"))]
    return complaints_of_tool, next(
        (x for x in lines if not x.startswith(("Error", "Warning"))), ""
    )


def check(made, tmp_path, *, allowed=frozenset()):
    iods = {}
    for name, each in made.items():
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(each.data)
        problems, iods[name] = complaints(path)
        assert set(problems) <= allowed, name
    return iods


def test_every_object_of_every_vendor(phantom_exam, tmp_path):
    iods = check(objects_of(phantom_exam), tmp_path)
    assert iods == {
        "cad-sr": "MammographyCADSR",
        **{f"gsps-{name}": "GrayscaleSoftcopyPresentationState" for name in NAMES},
        "sc": "SCImage",
        "sr1500": "Comprehensive3DSR",
        **{f"seg-{name}": "Segmentation" for name in NAMES},
    }


def test_digitised_films_with_a_study_each(real_exams, tmp_path):
    """Their names have no caret, which dciodvfy calls dubious in the films themselves."""
    exam = exam_in(real_exams / "sfm-benign-0")
    films = {line for image in exam.images for line in complaints(image.path)[0]}
    names = {line for line in films if "Patient's Name" in line}
    assert len(check(objects_of(exam), tmp_path, allowed=names)) == 7
    assert set(not_made(exam)) == {f"seg-{name}" for name in NAMES}


@pytest.mark.parametrize(
    "case", ["no findings", "part failed", "all failed", "two classes", "predecessor", "options"]
)
def test_other_contents(case, small_exam, tmp_path):
    prediction = prediction_of(small_exam)
    options = {}
    if case == "no findings":
        prediction = prediction_of(small_exam, [])
    elif case == "part failed":
        prediction = unread(prediction, "R-CC")
    elif case == "all failed":
        prediction = unread(prediction, *NAMES)
    elif case == "two classes":
        images = [
            replace(i, heatmaps=(*i.heatmaps, replace(i.heatmaps[0], class_name="benign")))
            for i in prediction.images
        ]
        prediction = replace(prediction, images=tuple(images))
    elif case == "predecessor":
        earlier = Predecessor(
            sop_class="1.2.840.10008.5.1.4.1.1.88.50", sop_instance="2.25.5", series="2.25.6"
        )
        measured = replace(earlier, sop_class="1.2.840.10008.5.1.4.1.1.88.34")
        options = {"predecessors": {"cad-sr": earlier, "sr1500": measured}}
    else:
        options = {"required_at": 0.5, "distortion": True, "named": True}
    check(objects_of(small_exam, prediction, **options), tmp_path)


def without(*keywords):
    def edit(dataset):
        for keyword in keywords:
            if keyword in dataset:
                delattr(dataset, keyword)

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        without("ImagerPixelSpacing"),
        without("PatientOrientation"),
        without("RescaleSlope", "RescaleIntercept", "RescaleType"),
        without("WindowCenter", "WindowWidth"),
        without("PatientName", "PatientID", "StudyDate", "StudyTime", "ContentDate", "ContentTime"),
    ],
)
def test_headers_that_lack_something(edit, tmp_path):
    """What the images lack, the objects lack: a directory of media would miss it in both."""
    write_exam(tmp_path / "in", edit=edit)
    exam = exam_in(tmp_path / "in")
    lacking = {line for line in complaints(exam.images[0].path)[0] if "build DICOMDIR" in line}
    check(objects_of(exam), tmp_path, allowed=lacking)


@pytest.mark.parametrize("view", ["R-XCCL", "R-AT", "L-ML"])
def test_views_beyond_the_four(view, tmp_path):
    write_exam(tmp_path / "in", (*NAMES, view))
    exam = exam_in(tmp_path / "in")
    check(objects_of(exam), tmp_path)
