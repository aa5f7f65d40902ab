"""ExamPrediction there and back through JSON."""

import json
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from exam_examples import exam_prediction
from fourview.entities import Asked, BreastPrediction, ExamPrediction
from fourview.errors import ReportError
from fourview.report.exam_json import exam_from_json, exam_to_json


def same(one, two):
    """Field by field, bit by bit; dataclasses with arrays have no equality of their own."""
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and np.array_equal(one, two, equal_nan=True)
    if is_dataclass(one):
        return type(one) is type(two) and all(
            same(getattr(one, f.name), getattr(two, f.name)) for f in fields(one)
        )
    if isinstance(one, tuple):
        return isinstance(two, tuple) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


def through_text(prediction):
    return exam_from_json(json.loads(json.dumps(exam_to_json(prediction), allow_nan=False)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_prediction_comes_back_bit_for_bit(dtype):
    prediction = exam_prediction(dtype=dtype)
    assert same(through_text(prediction), prediction)


def test_nan_cells_of_a_heatmap_come_back_as_nan():
    prediction = exam_prediction()
    image = prediction.images[0]
    values = image.heatmaps[0].values.copy()
    values[0, 0] = np.nan
    image = replace(image, heatmaps=(replace(image.heatmaps[0], values=values),))
    prediction = replace(prediction, images=(image, *prediction.images[1:]))
    assert exam_to_json(prediction)["images"][0]["heatmaps"][0]["values"][0][0] is None
    assert same(through_text(prediction), prediction)


def test_the_document_keeps_its_shape():
    # Frozen: what is here was promised to readers. A change of meaning raises SCHEMA_VERSION.
    document = exam_to_json(exam_prediction())
    assert list(document) == [
        *("schema", "schema_version", "use", "frames", "patient_id", "exam_id", "model"),
        *("model_digest", "pixel_spec", "precision", "terms", "caution", "asked", "breasts"),
        *("images", "left_out", "notes"),
    ]
    assert document["schema"] == "fourview.exam"
    assert document["schema_version"] == 1
    assert document["use"] == "Research use only. Not a medical device."
    assert document["frames"] == {"regions": "stored", "heatmaps": "processed"}
    assert document["breasts"] == [
        {
            "side": "R",
            "score": 0.8734567890123456,
            "scores": {},
            "findings": [
                {
                    "finding_id": "R-1",
                    "side": "R",
                    "kind": "region",
                    "score": 0.75,
                    "malignant": None,
                    "source": "proposed",
                    "nipple_mm": None,
                    "quadrant": "",
                    "regions": [
                        {
                            "image_id": "1.2.3.1",
                            "box": [10.0, 40.0, 30.5, 60.0],
                            "polygon": [[10.0, 40.0], [30.5, 40.0], [20.0, 60.0]],
                            "score": None,
                            "depth_mm": None,
                            "nipple_mm": None,
                        }
                    ],
                    "patches": [],
                }
            ],
            "notes": ["dense"],
        },
        {"side": "L", "score": None, "scores": {}, "findings": [], "notes": []},
    ]
    assert document["images"][0] == {
        "image_id": "1.2.3.1",
        "view": {"side": "R", "position": "CC", "modifiers": [], "source": "ViewCodeSequence"},
        "score": 0.8123,
        "scores": {},
        "heatmaps": [
            {
                "class_name": "malignant",
                "dtype": "float32",
                "values": [[0.0, 0.0], [0.0, 0.75], [0.25, 0.0], [0.0, 0.0]],
                "geometry": {
                    "stored_size": [120, 80],
                    "steps": [
                        {"name": "mirror", "matrix": [-1, 0, 80, 0, 1, 0], "size": [120, 80]}
                    ],
                },
            }
        ],
        "notes": ["window of the file"],
    }
    assert document["left_out"] == [
        {"path": "IM7.dcm", "reason": "spot", "detail": "a spot view", "image_id": None}
    ]


def test_an_unknown_score_is_null_and_never_zero():
    nan = BreastPrediction(side="L", score=float("nan"))
    document = exam_to_json(replace(exam_prediction(), breasts=(nan,)))
    assert document["breasts"][0]["score"] is None
    assert exam_from_json(document).breasts[0].score is None


def test_an_empty_exam_comes_back():
    empty = ExamPrediction(
        patient_id="", exam_id="e", breasts=(), images=(), model="m", model_digest="", pixel_spec=""
    )
    assert same(through_text(empty), empty)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema_version",), 2, "version 2, need 'fourview.exam' version 1"),
        (("breasts", 0, "score"), "0.8", r"breasts\.0\.score"),
        (("breasts", 0, "side"), "X", r"breasts\.0\.side"),
        (("images", 0, "score"), float("nan"), r"images\.0\.score"),
        (("images", 0, "heatmaps", 0, "values"), [[0.5], [0.5, 0.5]], "JSON of an exam"),
        (("breasts", 0, "findings", 0, "regions", 0, "box"), [5, 5, 5, 9], "is empty"),
        (("breasts", 0, "findings", 0, "regions", 0, "box"), [5, 5, 9], "JSON of an exam"),
    ],
)
def test_a_document_that_is_wrong_is_refused_by_the_name_of_the_field(path, value, message):
    document = exam_to_json(exam_prediction())
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ReportError, match=message):
        exam_from_json(document)


def test_a_missing_field_is_named_and_an_unknown_one_is_passed_over():
    document = exam_to_json(exam_prediction())
    assert same(exam_from_json({**document, "report": {"created": None}}), exam_prediction())
    del document["model"]
    with pytest.raises(ReportError, match="model: Field required"):
        exam_from_json(document)


def test_a_result_of_before_tasks_were_written_is_read():
    document = exam_to_json(exam_prediction())
    del document["asked"], document["caution"]
    assert same(exam_from_json(document), exam_prediction())


def test_tasks_and_caution_come_back():
    asked = (Asked(name="density", classes=("A", "B")), Asked(name="cancer", classes=("cancer",)))
    told = replace(exam_prediction(), asked=asked, caution="Trained on phantoms only.")
    assert same(through_text(told), told)
