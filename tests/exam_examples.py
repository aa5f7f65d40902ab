"""Small images and predictions for the tests of reports."""

import numpy as np

from fourview.entities import (
    BreastPrediction,
    ExamPrediction,
    Finding,
    Heatmap,
    Image,
    ImagePrediction,
    LeftOut,
    ProcessedImage,
    Region,
    View,
    Voi,
)
from fourview.entities.reasons import Reason
from fourview.geometry import Box, Geometry

SIZE = (120, 80)
IDS = {"R-CC": "1.2.3.1", "L-CC": "1.2.3.2", "R-MLO": "1.2.3.3", "L-MLO": "1.2.3.4"}


def view(name):
    side, position = name.split("-")
    return View(side=side, position=position, source="ViewCodeSequence")


def image(name, *, wall=None, image_id=None, size=SIZE, **more):
    """Half a disc of tissue on air, its chest wall at the side where it hangs, or at ``wall``.

    A spot of the highest value lies a quarter down, a tenth of the width from the chest wall.
    """
    rows, cols = size
    row, col = np.mgrid[0:rows, 0:cols] + 0.5
    radius = np.hypot(col / (0.7 * cols), (row - rows / 2) / (0.42 * rows))
    pixels = np.where(radius < 1, 1000 + 400 * (1 - radius), 10).astype(np.uint16)
    pixels[rows // 4 : rows // 4 + 3, cols // 10 : cols // 10 + 3] = 4000
    if (wall or ("right" if name[0] == "R" else "left")) == "right":
        pixels = pixels[:, ::-1].copy()
    values = {
        "patient_id": "P-1",
        "exam_id": "1.2.3",
        "bits": 12,
        "value_range": (0.0, 4095.0),
        "spacing_mm": (0.1, 0.1),
        "bright_is_dense": True,
        "voi": Voi(function="LINEAR", center=2048.0, width=4096.0),
    }
    return Image(
        image_id=image_id or IDS[name],
        view=view(name),
        pixels=pixels,
        stored_size=pixels.shape,
        **{**values, **more},
    )


def processed_whole(name, size):
    """A view that is all breast, in the frame of its file; its id is its name."""
    return ProcessedImage(
        image_id=name,
        view=view(name),
        pixels=np.zeros(size, np.float32),
        mask=np.ones(size, dtype=bool),
        geometry=Geometry(size),
        spec="s",
        fingerprint="f",
    )


def exam_prediction(*, dtype=np.float32):
    """Two images with a heatmap, a score or none; the left breast is not scored."""
    heatmap = Heatmap(
        image_id=IDS["R-CC"],
        class_name="malignant",
        values=np.array([[0, 0], [0, 0.75], [0.25, 0], [0, 0]], dtype=dtype),
        geometry=Geometry(SIZE).mirrored(),
    )
    region = Region(
        image_id=IDS["R-CC"],
        box=Box(10.0, 40.0, 30.5, 60.0),
        polygon=((10.0, 40.0), (30.5, 40.0), (20.0, 60.0)),
    )
    finding = Finding(finding_id="R-1", side="R", regions=(region,), score=0.75)
    return ExamPrediction(
        patient_id="P-1",
        exam_id="1.2.3",
        breasts=(
            BreastPrediction(
                side="R", score=0.8734567890123456, findings=(finding,), notes=("dense",)
            ),
            BreastPrediction(side="L", score=None),
        ),
        images=(
            ImagePrediction(
                image_id=IDS["R-CC"],
                view=view("R-CC"),
                score=0.8123,
                heatmaps=(heatmap,),
                notes=("window of the file",),
            ),
            ImagePrediction(image_id=IDS["L-CC"], view=view("L-CC"), score=None),
        ),
        model="mvccl:small",
        model_digest="ab" * 32,
        pixel_spec="mvccl-192x96 0123456789abcdef",
        terms="none",
        left_out=(LeftOut(path="IM7.dcm", reason=Reason.SPOT, detail="a spot view"),),
        notes=("one note",),
    )
