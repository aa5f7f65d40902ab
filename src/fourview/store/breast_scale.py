"""One scale for all views of a breast, so that the largest of them fills the frame.

A spec with ``one_scale_of="breast"`` has no scale of its own. Its scale is the largest that any CC
or MLO image of the breast needs (``scale_needed``), and a hundredth more, since a wavelet file that
is decoded finer is turned by a slightly different angle. Where some files give their spacing and
others do not, their scales cannot be compared, and each image is scaled by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fourview.entities import Exam, Image
from fourview.errors import FourviewError
from fourview.preprocess.pipeline import NO_SPACING, halved_by, process
from fourview.preprocess.spec import PixelSpec
from fourview.store.read_image import ReadImage, as_first_read

MARGIN = 1.01
STANDARD = ("CC", "MLO")
Rows = Sequence[Mapping[str, Any]]


def scale_needed(image: Image, spec: PixelSpec) -> float:
    """The scale at which an image, turned and cropped, just fills the frame of a spec.

    Args:
        image: Modality values.
        spec: A spec with rows and cols.

    Returns:
        Millimetres per processed pixel; stored pixels per processed one where the file gives no
        spacing.

    Raises:
        PixelError: As ``process``.
    """
    assert spec.rows and spec.cols
    own = process(image, replace(spec, rows=None, cols=None, one_scale_of="image"))
    rows, cols = own.pixels.shape
    row_mm, col_mm = (mm * halved_by(image) for mm in image.spacing_mm or NO_SPACING)
    return float(max(rows * row_mm / spec.rows, cols * col_mm / spec.cols))


def beside(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Rows of the CC and MLO images of each breast, by exam and side."""
    breasts: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["view"] in STANDARD and row["side"] is not None:
            breasts.setdefault((row["exam_id"], row["side"]), []).append(row)
    return breasts


def scale_of_rows(rows: Rows, root: Path, spec: PixelSpec, read: ReadImage) -> float | None:
    """The scale of the breast whose images these rows of a manifest are; None where unknown."""

    def images() -> Iterable[Image]:
        for row in rows:
            try:
                yield read(root / str(row["path"]), row, spec)
            except (FourviewError, OSError):  # it fails by itself, and then costs itself only
                continue

    return scale_of_images(images(), spec)


def scales_of_exam(exam: Exam, spec: PixelSpec) -> dict[str | None, float | None]:
    """The scale of each breast by side; empty where a spec has none for both of its views."""
    if spec.one_scale_of != "breast":
        return {}
    sides = {image.view.side for image in exam.images}
    return {
        side: scale_of_images((i for i in exam.images if i.view.side == side), spec)
        for side in sides
    }


def scale_of_images(images: Iterable[Image], spec: PixelSpec) -> float | None:
    """The scale of the breast whose images these are; None where unknown.

    Args:
        images: CC and MLO of one breast; those that cannot be processed do not count.
        spec: A spec with rows and cols.
    """
    scales: list[float] = []
    has_spacing: set[bool] = set()
    for image in images:
        if image.view.position not in STANDARD:
            continue
        try:
            scales.append(scale_needed(as_first_read(image, spec), spec))
        except FourviewError:
            continue
        has_spacing.add(image.spacing_mm is not None)
    return MARGIN * max(scales) if len(has_spacing) == 1 else None
