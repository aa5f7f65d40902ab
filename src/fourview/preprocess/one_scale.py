"""The scale that an image needs to fill its frame, for specs with one scale for both views."""

from dataclasses import replace

from fourview.entities import Image
from fourview.preprocess.pipeline import NO_SPACING, halved_by, process
from fourview.preprocess.spec import PixelSpec
from fourview.preprocess.window import VoiChoice


def scale_needed(image: Image, spec: PixelSpec, *, voi: VoiChoice | None = None) -> float:
    """The scale at which an image, turned and cropped, just fills the frame of a spec.

    Args:
        image: Modality values.
        spec: With rows and cols.
        voi: As for ``process``.

    Returns:
        Millimetres of a processed pixel; pixels of the file, where it gives no spacing.

    Raises:
        PixelError: As ``process``.
    """
    assert spec.rows and spec.cols
    own = process(image, replace(spec, rows=None, cols=None, one_scale_of="image"), voi=voi)
    rows, cols = own.pixels.shape
    row_mm, col_mm = (mm * halved_by(image) for mm in image.spacing_mm or NO_SPACING)
    return float(max(rows * row_mm / spec.rows, cols * col_mm / spec.cols))
