"""What the inputs can be: one line for a person, and nothing half done."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_output_examples import (
    CREATED,
    NAMES,
    exam_in,
    named,
    not_made,
    objects_of,
    parsed,
    prediction_of,
    write_exam,
)
from fourview.errors import ReportError
from fourview.report.dicom.options import KINDS, DicomOptions, parse_kinds
from fourview.report.dicom.result_file import exam_of, read_result
from fourview.report.dicom.write import write_dicom
from fourview.report.exam_html import ReportOptions, write_exam_report


def test_writes_whole_files_by_kind_and_view(small_exam, tmp_path):
    options = DicomOptions(kinds=KINDS, created=CREATED)
    out = tmp_path / "deep" / "out"
    paths = write_dicom(prediction_of(small_exam), small_exam, out, options=options)
    want = ["cad-sr", *(f"gsps-{n}" for n in NAMES), "sc", "sr1500", *(f"seg-{n}" for n in NAMES)]
    assert [p.name for p in paths.files] == [f"{n}.dcm" for n in want]
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in paths.files)
    assert all(p.read_bytes()[128:132] == b"DICM" for p in paths.files)


def test_an_image_without_its_file_is_refused_before_anything_is_written(tmp_path):
    paths = write_exam(tmp_path / "in")
    exam = exam_in(tmp_path / "in")
    paths["L-CC"].unlink()
    with pytest.raises(ReportError, match=r"L-CC\.dcm is not there; name the study's files"):
        write_dicom(prediction_of(exam), exam, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_image_that_the_exam_lacks_is_named(small_exam):
    fewer = replace(small_exam, images=small_exam.images[1:])
    with pytest.raises(ReportError, match=r"image \S+ \(R-CC\) of the prediction is not among"):
        objects_of(fewer, prediction_of(small_exam))


def test_files_of_two_patients_are_refused(small_exam):
    images = (replace(small_exam.images[0], patient_id="P2"), *small_exam.images[1:])
    with pytest.raises(ReportError, match=r"is of patient P2, study .*of patient P1, study"):
        objects_of(replace(small_exam, images=images), prediction_of(small_exam))


def test_files_of_two_studies_are_refused(small_exam):
    images = (replace(small_exam.images[0], exam_id="1.2.99"), *small_exam.images[1:])
    with pytest.raises(ReportError, match=r"study 1\.2\.99; the prediction is of patient P1"):
        objects_of(replace(small_exam, images=images), prediction_of(small_exam))


def test_a_header_that_no_archive_could_file_is_refused(tmp_path):
    def edit(dataset):
        del dataset.SeriesInstanceUID

    write_exam(tmp_path, edit=edit)
    with pytest.raises(ReportError, match=r"SeriesInstanceUID is missing, so no archive"):
        objects_of(exam_in(tmp_path))


def test_an_exam_without_images_is_refused(small_exam):
    prediction = replace(prediction_of(small_exam), images=(), breasts=())
    with pytest.raises(ReportError, match="no mammogram to write anything about"):
        objects_of(replace(small_exam, images=()), prediction)


def test_no_orientation_leaves_out_its_texts_and_the_heatmap(tmp_path):
    def edit(dataset):
        if dataset.ImageLaterality == "L" and dataset.ViewPosition == "CC":
            del dataset.PatientOrientation

    write_exam(tmp_path, edit=edit)
    exam = exam_in(tmp_path)
    assert "Patient Orientation (0020,0020)" in not_made(exam)["seg-L-CC"]
    made = objects_of(exam)
    assert {n for n in made if n.startswith("seg")} == {"seg-R-CC", "seg-R-MLO", "seg-L-MLO"}
    assert len(named(parsed(made["cad-sr"]), "111044")) == 3


def test_no_spacing_leaves_out_its_items(tmp_path):
    def edit(dataset):
        del dataset.ImagerPixelSpacing

    write_exam(tmp_path, edit=edit)
    made = objects_of(exam_in(tmp_path))
    assert named(parsed(made["cad-sr"]), "111026") == []
    (area,) = parsed(made["gsps-R-CC"]).DisplayedAreaSelectionSequence
    assert area.PresentationPixelAspectRatio == [1, 1]
    (groups,) = parsed(made["seg-R-CC"]).SharedFunctionalGroupsSequence
    assert "PixelMeasuresSequence" not in groups


def test_spacing_is_in_micrometres_across_and_down(tmp_path):
    def edit(dataset):
        dataset.ImagerPixelSpacing = [0.085, 0.07]  # between rows, between columns

    write_exam(tmp_path, edit=edit)
    made = parsed(objects_of(exam_in(tmp_path), kinds=("cad-sr",))["cad-sr"])
    across, down = (named(made, c)[0].MeasuredValueSequence[0] for c in ("111026", "111066"))
    assert (float(across.NumericValue), float(down.NumericValue)) == (70, 85)


def test_the_capture_is_a_colour_picture_of_at_most_2400_by_1800(phantom_exam):
    made = parsed(objects_of(phantom_exam, kinds=("sc",))["sc"])
    assert made.Rows <= 1800
    assert made.Columns <= 2400
    assert made.PhotometricInterpretation == "RGB"
    assert made.Modality == "OT"
    pixels = made.pixel_array.astype(int)
    cyan = (pixels[..., 2] > 200) & (pixels[..., 1] > 200) & (pixels[..., 0] < 120)
    assert cyan.sum() > 300  # boxes and numbers
    wall = pixels[:1740, : made.Columns - 780]
    assert (wall.max(axis=2) > 60).mean() > 0.1  # breasts


@pytest.mark.parametrize(("said", "want"), [("YES", "YES"), ("NO", "NO"), (None, "NO")])
def test_the_capture_tells_of_text_that_is_burned_into_the_images(said, want, tmp_path):
    def edit(dataset):
        if said is not None and dataset.ImageLaterality == "L":
            dataset.BurnedInAnnotation = said

    write_exam(tmp_path, edit=edit)
    made = parsed(objects_of(exam_in(tmp_path), kinds=("sc",))["sc"])
    assert made.BurnedInAnnotation == want


def test_the_capture_is_drawn_without_some_views(tmp_path):
    write_exam(tmp_path, ("R-CC", "R-XCCL"), size=(40, 90))
    exam = exam_in(tmp_path)
    made = parsed(objects_of(exam, kinds=("sc",))["sc"])
    assert made.Columns <= 2400
    assert np.ptp(made.pixel_array) > 100


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (["default"], ("cad-sr", "gsps", "sc")),
        (["all"], KINDS),
        (["seg,cad-sr", " sc"], ("cad-sr", "sc", "seg")),
        (["default,seg"], ("cad-sr", "gsps", "sc", "seg")),
    ],
)
def test_kinds_are_read_from_words(words, want):
    assert parse_kinds(words) == want


@pytest.mark.parametrize("words", [["cad"], [""], ["cad-sr,pdf"], []])
def test_unknown_kinds_are_refused_with_all_that_there_are(words):
    with pytest.raises(ValueError, match="there are: cad-sr, gsps, sc, sr1500, seg, default, all"):
        parse_kinds(words)


@pytest.mark.parametrize("options", [{"kinds": ("pdf",)}, {"kinds": ()}, {"required_at": 1.5}])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ReportError):
        DicomOptions(**options)


# result.json and its study, found again


def test_a_result_finds_its_study_among_others(small_exam, tmp_path):
    prediction = prediction_of(small_exam)
    options = ReportOptions(created="2026-11-29 07:09 UTC")
    write_exam_report(prediction, small_exam.images, tmp_path / "out", options=options)

    def other(dataset):
        dataset.StudyInstanceUID += ".8"
        dataset.SOPInstanceUID += ".8"

    write_exam(tmp_path / "archive" / "other", edit=other)
    write_exam(tmp_path / "archive" / "this")
    result, created = read_result(tmp_path / "out")
    assert created == datetime(2026, 11, 29, 7, 9, tzinfo=UTC)
    exam = exam_of(result, [tmp_path / "archive"])
    want = objects_of(small_exam, prediction, created=created)
    got = objects_of(exam, result, created=created)
    assert {n: o.data for n, o in got.items()} == {n: o.data for n, o in want.items()}


def test_a_study_that_is_not_there_is_named(small_exam, tmp_path):
    def other(dataset):
        dataset.StudyInstanceUID += ".8"

    write_exam(tmp_path, edit=other)
    with pytest.raises(
        ReportError, match=r"no mammogram of patient P1, study \S+ .*P1, study \S+8"
    ):
        exam_of(prediction_of(small_exam), [tmp_path])
    with pytest.raises(ReportError, match="no DICOM"):
        exam_of(prediction_of(small_exam), [Path(tmp_path / "none")])


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": "fourview.exam"}', "\udcff"])
def test_a_file_that_is_no_prediction_is_refused(text, tmp_path):
    path = tmp_path / "result.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ReportError, match=r"result\.json: "):
        read_result(path)


def test_a_result_without_a_time_has_none(small_exam, tmp_path):
    write_exam_report(prediction_of(small_exam), small_exam.images, tmp_path)
    assert read_result(tmp_path / "result.json")[1] is None
    document = json.loads((tmp_path / "result.json").read_text())
    document["report"] = None
    (tmp_path / "result.json").write_text(json.dumps(document))
    assert read_result(tmp_path)[1] is None


def test_character_sets_that_nobody_knows_do_no_harm(tmp_path):
    def edit(dataset):
        dataset.PatientName = "Doe^Jane"

    for path in write_exam(tmp_path, edit=edit).values():
        dataset = pydicom.dcmread(path)
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.save_as(path)
        path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 199"))
    for each in objects_of(exam_in(tmp_path)).values():
        assert b"ISO_IR 199" in each.data
        assert b"Doe^Jane" in each.data
