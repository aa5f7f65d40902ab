"""Image -> ProcessedImage, the same way every time, every step recorded.

Order:   breast mask -> window, polarity and scale (one look-up) -> zero outside -> chest wall to
         the left -> crop -> pad -> resize. The look-up runs on the crop only.
Returns: pixels in [0, 1]; inside the mask above 0, outside exactly 0, in steps of 1/65535, so that
         a store can hold pixels and mask in one array of 16 bits without loss.
Frame:   the geometry leads from the file's own pixels here, also where they were decoded smaller.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt16

from fourview.entities import Image, ProcessedImage
from fourview.errors import PixelError
from fourview.geometry import Geometry, Size
from fourview.preprocess.breast import Breast, find_breast
from fourview.preprocess.spec import PixelSpec
from fourview.preprocess.window import MAX_LEVEL, Display, VoiChoice, choose_display, to_levels

# Views taken from above or below: there is no "below" on the image, so padding is even.
FROM_ABOVE = frozenset({"CC", "XCC", "XCCL", "XCCM", "FB", "CV"})

Corners = tuple[int, int, int, int]  # x0, y0, x1, y1, half-open


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the processed image lies in the mirrored image, before it is resized."""

    mirror: bool
    corners: Corners
    size: Size


def process(image: Image, spec: PixelSpec, *, voi: VoiChoice | None = None) -> ProcessedImage:
    """Make what models see of one mammogram.

    Args:
        image: Modality values with their window, polarity and padding.
        spec: What to do.
        voi: Overrides ``spec.voi`` for this image: a source knows that the file's window is wrong
            ("ignore"), or the user gives a window; needed where the spec asks for the user's.

    Returns:
        Pixels, mask and geometry. Whatever was decided on the way is in the notes.

    Raises:
        PixelError: The image is blank, has no breast, or its window cannot be used.
    """
    breast = find_breast(image)
    mirror, side_notes = _mirror(image, breast)
    choice = _voi_choice(image, spec, voi)
    display, display_note = choose_display(image, breast.mask, range_=spec.range, voi=choice)
    frame = _frame(image, breast, spec, mirror)
    levels, mask = _cut(image, breast, frame.corners, mirror=mirror, display=display)
    levels, mask = _resize(levels, mask, frame.size)
    geometry = _geometry(image, frame)
    return ProcessedImage(
        image_id=image.image_id,
        view=image.view,
        pixels=from_levels(levels),
        mask=mask,
        geometry=geometry,
        spec=spec.name,
        fingerprint=spec.fingerprint,
        notes=(*image.notes, display_note, *side_notes),
    )


def from_levels(levels: UInt16[np.ndarray, "row col"]) -> Float32[np.ndarray, "row col"]:
    """Levels as a store holds them, to pixels in [0, 1]."""
    return levels.astype(np.float32) / np.float32(MAX_LEVEL)


def to_pixel_levels(pixels: Float32[np.ndarray, "row col"]) -> UInt16[np.ndarray, "row col"]:
    """Pixels in [0, 1] to the levels that a store holds; exact for what ``process`` returns."""
    return np.rint(pixels * np.float32(MAX_LEVEL)).astype(np.uint16)


def _voi_choice(image: Image, spec: PixelSpec, voi: VoiChoice | None) -> VoiChoice:
    if voi is not None:
        return voi
    if spec.voi == "user":
        raise PixelError(
            f"{image.image_id}: pixel spec {spec.name} needs the user's window; give one"
        )
    return spec.voi


def _mirror(image: Image, breast: Breast) -> tuple[bool, tuple[str, ...]]:
    """Whether left and right must be exchanged: the pixels decide, the header is only asked."""
    expected = "left" if image.view.side == "L" else "right"
    found = breast.chest_wall
    if found is None:
        note = f"the pixels do not show the chest wall's side: {expected}, as the header's side has"
        return expected == "right", (note,)
    if found != expected:
        note = f"chest wall on the {found}, though the header's side is {image.view.side}"
        return found == "right", (note,)
    return found == "right", ()


def _frame(image: Image, breast: Breast, spec: PixelSpec, mirror: bool) -> Frame:
    """Crop and padding, in the mirrored image, and the size that it is then given."""
    rows, cols = image.pixels.shape
    corners = (0, 0, cols, rows)
    if spec.crop == "breast":
        x0, y0, x1, y1 = breast.box
        corners = (cols - x1, y0, cols - x0, y1) if mirror else (x0, y0, x1, y1)
    if spec.rows is None or spec.cols is None:
        return Frame(mirror, corners, (corners[3] - corners[1], corners[2] - corners[0]))
    size = (spec.rows, spec.cols)
    if spec.pad_to_aspect:
        corners = _padded(corners, size, even=image.view.position in FROM_ABOVE)
    return Frame(mirror, corners, size)


def _padded(corners: Corners, size: Size, *, even: bool) -> Corners:
    """Widen to the aspect of ``size``: on the air side, or below, or evenly above and below."""
    x0, y0, x1, y1 = corners
    rows, cols = size
    height = max(y1 - y0, round((x1 - x0) * rows / cols))
    width = max(x1 - x0, round((y1 - y0) * cols / rows))
    above = (height - (y1 - y0)) // 2 if even else 0
    return x0, y0 - above, x0 + width, y0 - above + height


def _cut(
    image: Image, breast: Breast, corners: Corners, *, mirror: bool, display: Display
) -> tuple[UInt16[np.ndarray, "row col"], Bool[np.ndarray, "row col"]]:
    """Display levels of the crop, 0 outside the breast and beyond the image, chest wall left."""
    rows, cols = image.pixels.shape
    x0, y0, x1, y1 = corners
    if mirror:
        x0, x1 = cols - x1, cols - x0
    inside = np.s_[max(y0, 0) : min(y1, rows), max(x0, 0) : min(x1, cols)]
    mask = breast.mask[inside]
    levels = to_levels(image.pixels[inside], display, invert=not image.bright_is_dense)
    levels = _zero_outside(levels, mask)
    mask_bytes: Any = mask.view(np.uint8)
    if (y0, x0, y1, x1) != (max(y0, 0), max(x0, 0), min(y1, rows), min(x1, cols)):
        border = (max(-y0, 0), max(y1 - rows, 0), max(-x0, 0), max(x1 - cols, 0))
        levels = cv2.copyMakeBorder(levels, *border, cv2.BORDER_CONSTANT, value=0)
        mask_bytes = cv2.copyMakeBorder(mask_bytes, *border, cv2.BORDER_CONSTANT, value=0)
    if mirror:
        levels, mask_bytes = cv2.flip(levels, 1), cv2.flip(mask_bytes, 1)
    return levels, mask_bytes.astype(bool)


def _zero_outside(
    levels: UInt16[np.ndarray, "row col"], mask: Bool[np.ndarray, "row col"]
) -> UInt16[np.ndarray, "row col"]:
    """Inside at least 1, outside 0: from here on the mask can be read off the levels."""
    return np.asarray(np.maximum(levels, 1) * mask)


def _resize(
    levels: UInt16[np.ndarray, "tall wide"], mask: Bool[np.ndarray, "tall wide"], size: Size
) -> tuple[UInt16[np.ndarray, "row col"], Bool[np.ndarray, "row col"]]:
    """Area means where it shrinks, bilinear where it grows; the mask goes by majority."""
    if levels.shape == size:
        return levels, mask
    shrinks = size[0] <= levels.shape[0] and size[1] <= levels.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    wanted = (size[1], size[0])
    share = cv2.resize(mask.view(np.uint8) * np.uint8(255), wanted, interpolation=method)
    small = share >= 128
    return _zero_outside(cv2.resize(levels, wanted, interpolation=method), small), small


def _geometry(image: Image, frame: Frame) -> Geometry:
    geometry = Geometry(image.stored_size)
    rows, cols = image.pixels.shape
    factor = max(1, round(max(image.stored_size) / max(rows, cols)))
    if factor > 1:
        geometry = geometry.decoded_smaller(rows, cols, factor)
    if frame.mirror:
        geometry = geometry.mirrored()
    if frame.corners != (0, 0, cols, rows):
        geometry = geometry.cropped(*frame.corners)
    return geometry if geometry.processed_size == frame.size else geometry.resized(*frame.size)
