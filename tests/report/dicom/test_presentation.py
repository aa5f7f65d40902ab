"""Presentation states show the same grey as the report, computed here from the standard's text."""

from dataclasses import replace

import numpy as np
import pytest

from dicom_examples import Layout
from dicom_output_examples import exam_in, objects_of, parsed, prediction_of, write_exam
from fourview.preprocess.window import to_levels


def states(exam, prediction=None):
    made = objects_of(exam, prediction or prediction_of(exam), kinds=("gsps",))
    return {each.image_id: parsed(each) for each in made.values()}


def rendered(stored, state):
    """Grey from 0 to 255 by PS3.3 C.11.1, C.11.2, C.11.6: what any viewer should show."""
    x = stored.astype(float)
    if "ModalityLUTSequence" in state:
        x = looked_up(stored, state.ModalityLUTSequence[0])
    elif "RescaleSlope" in state:
        x = x * float(state.RescaleSlope) + float(state.RescaleIntercept)
    grey = np.clip((x - x.min()) / max(x.max() - x.min(), 1), 0, 1)
    for item in state.get("SoftcopyVOILUTSequence", []):
        if "VOILUTSequence" in item:
            grey = looked_up(x, item.VOILUTSequence[0]) / 65535
            continue
        c, w = float(item.WindowCenter), float(item.WindowWidth)
        function = item.get("VOILUTFunction", "LINEAR")
        if function == "LINEAR":
            grey = np.clip((x - (c - 0.5)) / (w - 1) + 0.5, 0, 1)
        elif function == "LINEAR_EXACT":
            grey = np.clip((x - c) / w + 0.5, 0, 1)
        else:
            raise AssertionError(f"{function} is not understood by many viewers")
    return 255 * (1 - grey if state.PresentationLUTShape == "INVERSE" else grey)


def looked_up(values, item):
    count, first, bits = (int(v) for v in item.LUTDescriptor)
    entries = np.frombuffer(item.LUTData, "<u2") if isinstance(item.LUTData, bytes) else None
    entries = np.array(item.LUTData) if entries is None else entries
    assert len(entries) == (count % 65536 or 65536)
    assert bits == 16
    return entries[np.clip(np.rint(values) - first, 0, len(entries) - 1).astype(int)].astype(float)


def stored_values(image):
    import pydicom  # noqa: PLC0415

    return pydicom.dcmread(image.path)


def test_every_vendor_is_shown_as_in_the_report(phantom_exam):
    """At most 0.6 grey levels: entries of 16 bits and 65,536 display levels both round."""
    objects = states(phantom_exam)
    for image in phantom_exam.images:
        levels = to_levels(image.pixels, image.voi, invert=not image.bright_is_dense)
        got = rendered(image.pixels, objects[image.image_id])  # slope 1, intercept 0: stored values
        assert np.abs(got - levels / 65535 * 255).max() < 0.6


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("slope", "intercept"), [("1", "0"), ("2", "-1000"), ("1", "-32768"), ("0.5", "0.25")]
)
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_of_rescaled_and_signed_files(function, slope, intercept, signed, tmp_path):
    from dicom_examples import gradient, mammogram, write_mammogram  # noqa: PLC0415

    layout = Layout(16, 12, 11, signed)
    stored = gradient((40, 34), layout)
    dataset = mammogram(
        1,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=f"{500 * float(slope) + float(intercept):g}",
        WindowWidth=f"{2000 * float(slope):g}",
        VOILUTFunction=function,
        PhotometricInterpretation="MONOCHROME1",
    )
    write_mammogram(tmp_path / "a.dcm", dataset, stored=stored, layout=layout)
    exam = exam_in(tmp_path)
    (image,) = exam.images
    (state,) = states(exam).values()
    is_whole = slope != "0.5" and image.value_range[0] >= -32768
    if function == "SIGMOID" and not is_whole:  # no table can hold it: the function stays
        assert state.SoftcopyVOILUTSequence[0].VOILUTFunction == "SIGMOID"
        return
    levels = to_levels(image.pixels, image.voi, invert=True)
    assert np.abs(rendered(stored, state) - levels / 65535 * 255).max() < 0.6


def test_a_modality_table_stays_a_table(tmp_path):
    from pydicom.dataset import Dataset  # noqa: PLC0415

    def edit(dataset):
        for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
            delattr(dataset, keyword)
        item = Dataset()
        item.add_new("LUTDescriptor", "US", [4096, 0, 16])
        table = (np.arange(4096) ** 2 // 4096).astype("<u2")
        item.add_new("LUTData", "OW", table.tobytes())
        item.ModalityLUTType = "US"
        dataset.ModalityLUTSequence = [item]

    write_exam(tmp_path, ("R-CC",), edit=edit)
    exam = exam_in(tmp_path)
    (image,) = exam.images
    (state,) = states(exam).values()
    stored = stored_values(image).pixel_array
    levels = to_levels(image.pixels, image.voi, invert=False)
    assert np.abs(rendered(stored, state) - levels / 65535 * 255).max() < 0.6


def test_a_file_without_a_window_gets_none(tmp_path):
    def edit(dataset):
        del dataset.WindowCenter, dataset.WindowWidth

    write_exam(tmp_path, ("R-CC",), edit=edit)
    (state,) = states(exam_in(tmp_path)).values()
    assert "SoftcopyVOILUTSequence" not in state


def test_marks_carry_number_and_score(small_exam):
    prediction = prediction_of(small_exam)
    breasts = (
        replace(
            prediction.breasts[0],
            findings=tuple(replace(f, score=None) for f in prediction.breasts[0].findings),
        ),
        prediction.breasts[1],
    )
    objects = states(small_exam, replace(prediction, breasts=breasts))
    texts = {
        image.view.name: [
            t.UnformattedTextValue
            for t in objects[image.image_id].GraphicAnnotationSequence[0].TextObjectSequence
        ]
        for image in small_exam.images
    }
    mark = "Fourview: research use only, not for diagnosis"
    assert texts == {
        "R-CC": ["1", mark],
        "L-CC": ["2: 0.25", mark],
        "R-MLO": ["1", mark],
        "L-MLO": [mark],
    }


def test_images_that_were_not_read_get_no_state(tmp_path):
    write_exam(tmp_path, ("R-CC", "R-XCCL"))
    exam = exam_in(tmp_path)
    assert set(objects_of(exam, prediction_of(exam, heatmaps=False), kinds=("gsps",))) == {
        "gsps-R-CC"
    }
