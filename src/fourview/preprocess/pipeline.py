"""Image -> ProcessedImage, the same way every time, every step recorded.

Order:   upright, where the file's Patient Orientation says that it does not stand -> breast mask ->
         window, polarity and scale (one look-up, on the crop only) -> zero outside -> chest wall to
         the left -> crop -> (AP alignment -> crop) -> pad -> resize. NYU layouts crop, pad and cut
         as ``preprocess.nyu`` says, and do not resize.
Returns: pixels in [0, 1]; inside the mask above 0, outside exactly 0, in steps of 1/65535, so that
         a store can hold pixels and mask in one array of 16 bits without loss.
Frame:   the geometry leads from the file's own pixels here, also where they were decoded smaller.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt16

from fourview.entities import Image, ProcessedImage, Turn, Voi
from fourview.errors import PixelError
from fourview.geometry import Geometry, Size
from fourview.preprocess.align import align, alignment
from fourview.preprocess.breast import Breast
from fourview.preprocess.nyu import nyu_window
from fourview.preprocess.spec import PixelSpec, pixel_spec
from fourview.preprocess.upright import stand_up, with_turn
from fourview.preprocess.whole_box import display_of, eight_bits, placed_box
from fourview.preprocess.window import (
    MAX_LEVEL,
    Display,
    VoiChoice,
    choose_display,
    is_inverted,
    to_levels,
)

# Views taken from above or below: there is no "below" on the image, so padding is even.
FROM_ABOVE = frozenset({"CC", "XCC", "XCCL", "XCCM", "FB", "CV"})

NO_SPACING = (1.0, 1.0)  # a file without spacing is measured in its own pixels

Corners = tuple[int, int, int, int]  # x0, y0, x1, y1, half-open
Levels = UInt16[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]
MovedLevels = UInt16[np.ndarray, "new_row new_col"]
MovedMask = Bool[np.ndarray, "new_row new_col"]


@dataclass(frozen=True, slots=True)
class Frame:
    """What is cut out of an image.

    Attributes:
        corners: Corners in the mirrored image, if it is mirrored; may reach beyond it.
        mask: True where pixels are shown, in the frame of the image's pixels.
        notes: What was decided.
    """

    corners: Corners
    mask: Mask
    notes: tuple[str, ...] = ()


class Turned(NamedTuple):
    """Rows and columns of the file, and how its pixels were turned upright."""

    stored_size: Size
    turn: Turn | None


def process(
    image: Image,
    spec: PixelSpec | str,
    *,
    voi: VoiChoice | None = None,
    scale: float | None = None,
) -> ProcessedImage:
    """Make what models see of one mammogram.

    Args:
        image: Modality values with their window, polarity and padding.
        spec: Spec that says what to do; or the name of one, such as "mvccl-192x96".
        voi: Overrides ``spec.voi`` for this image: a source knows that the file's window is wrong
            ("ignore"), or the user gives a window; needed where the spec asks for the user's.
        scale: Millimetres of a processed pixel (pixels of the file, where it gives no spacing) of
            the whole breast, for a spec with ``one_scale_of="breast"``; None fits this image alone.

    Returns:
        Pixels, mask and geometry. Whatever was decided on the way is in the notes.

    Raises:
        PixelError: The image is blank, has no breast, or its window cannot be used.
    """
    if isinstance(spec, str):
        spec = pixel_spec(spec)
    stored_size = image.stored_size
    image, breast, turn, turn_notes = stand_up(image)
    if spec.layout in ("stretched", "square"):
        made = _whole_box(image, breast, spec, Turned(stored_size, turn), voi)
        return replace(made, notes=(*image.notes, *turn_notes, *made.notes))
    mirror, side_notes = _mirror(image, breast)
    choice = _voi_choice(image, spec, voi)
    display, display_note = choose_display(image, breast.mask, range_=spec.range, voi=choice)
    shared = scale is not None and spec.one_scale_of == "breast"
    spec_here = replace(spec, mm_per_px=scale) if shared else spec
    frame = _frame(image, breast, spec_here, mirror=mirror, display=display)
    levels, mask = _cut(image, frame, mirror=mirror, display=display)
    geometry = _geometry(image, frame, Turned(stored_size, turn), mirror=mirror)
    notes = (*image.notes, *turn_notes, display_note, *side_notes, *frame.notes)
    if spec.align_ap:
        levels, mask, geometry, ap_notes = _aligned(image, spec_here, levels, mask, geometry)
        notes += ap_notes
    if spec.rows is not None and spec.cols is not None:
        size = (spec.rows, spec.cols)
        levels, mask = _resize(levels, mask, size)
        geometry = geometry if geometry.processed_size == size else geometry.resized(*size)
    return ProcessedImage(
        image_id=image.image_id,
        view=image.view,
        pixels=from_levels(levels),
        mask=mask,
        geometry=geometry,
        spec=spec.name,
        fingerprint=spec.fingerprint,
        notes=notes,
    )


def _whole_box(
    image: Image, breast: Breast, spec: PixelSpec, turned: Turned, voi: VoiChoice | None
) -> ProcessedImage:
    """Layouts that take the breast's box in 8 bits, as it hangs."""
    if spec.rows is None or spec.cols is None:
        raise PixelError(f"pixel spec {spec.name}: layout {spec.layout} needs rows and cols")
    choice = _voi_choice(image, spec, voi)
    display = choice if isinstance(choice, Voi) else display_of(image, ignored=choice == "ignore")
    rows, cols = image.pixels.shape
    whole = Frame((0, 0, cols, rows), breast.mask)
    placed = placed_box(
        image,
        eight_bits(image, display),
        breast.box,
        _geometry(image, whole, turned, mirror=False),
        size=(spec.rows, spec.cols),
        fit="square" if spec.layout == "square" else "stretched",
    )
    note = "the breast's box in 8 bits by the image's own extremes, not mirrored"
    return ProcessedImage(
        image_id=image.image_id,
        view=image.view,
        pixels=from_levels(placed.levels),
        mask=placed.mask,
        geometry=placed.geometry,
        spec=spec.name,
        fingerprint=spec.fingerprint,
        notes=(note,),
    )


def was_enlarged(geometry: Geometry) -> bool:
    """Whether a file was decoded smaller and then enlarged, so that a finer decode shows more."""
    names = [step.name for step in geometry.steps]
    if "decoded_smaller" not in names:
        return False
    whole = abs(np.linalg.det(geometry.matrix()[:, :2]))
    decoded = geometry.steps[names.index("decoded_smaller")].matrix
    return bool(whole > decoded[0] * decoded[4] * (1 + 1e-9))


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
    """Whether left and right must be exchanged: the pixels decide, the header is only asked.

    How sure the pixels are is noted for every film, and wherever the header says otherwise.
    """
    expected = "left" if image.view.side == "L" else "right"
    wall = None if image.turn is None else image.turn.chest_wall
    expected = wall or expected
    seen, sure = breast.chest_wall, f"certainty {breast.certainty:.2f}"
    if seen is None:
        source = "side" if wall is None else "Patient Orientation"
        note = (
            f"the pixels do not show the chest wall's side ({sure}): {expected}, as the header's "
            f"{source} has"
        )
        return expected == "right", (note,)
    notes: tuple[str, ...] = ()
    if seen != expected:
        says = f"side is {image.view.side}"
        if wall is not None:
            says = f"Patient Orientation has it on the {expected}"
        notes = (f"chest wall on the {seen}, though the header's {says} ({sure})",)
    elif breast.on_film:
        notes = (f"chest wall on the {seen}, by the breast's shape and the header ({sure})",)
    if breast.on_film:
        notes += ("scanned film: the breast's outline was traced against its own background",)
    return seen == "right", notes


def _frame(
    image: Image, breast: Breast, spec: PixelSpec, *, mirror: bool, display: Display
) -> Frame:
    """Crop and padding, in the mirrored image."""
    if spec.layout != "fit":
        return _nyu_frame(image, breast, spec, mirror=mirror, display=display)
    rows, cols = image.pixels.shape
    corners = (0, 0, cols, rows)
    if spec.crop == "breast":
        corners = _mirrored(breast.box, cols) if mirror else breast.box
    if spec.align_ap:  # padded once it is turned, in ``_aligned``
        return Frame(corners, breast.mask)
    corners, notes = _fitted(image, corners, spec)
    return Frame(corners, breast.mask, notes)


def _mirrored(corners: Corners, cols: int) -> Corners:
    x0, y0, x1, y1 = corners
    return cols - x1, y0, cols - x0, y1


def _nyu_frame(
    image: Image, breast: Breast, spec: PixelSpec, *, mirror: bool, display: Display
) -> Frame:
    """The NYU window, on the breast, or for parity on whatever is above 0 in the file."""
    if spec.rows is None or spec.cols is None:
        raise PixelError(f"pixel spec {spec.name}: layout {spec.layout} needs rows and cols")
    parity = spec.layout == "nyu_parity"
    inside = breast.mask
    if parity:
        inside = to_levels(image.pixels, display, invert=is_inverted(image, display)) > 0
    oriented = np.ascontiguousarray(inside[:, ::-1]) if mirror else inside
    from_above = image.view.position in FROM_ABOVE
    window = (spec.cc_rows or spec.rows, spec.cols)
    if not from_above:
        window = (spec.rows, spec.mlo_cols or spec.cols)
    try:
        placed = nyu_window(
            oriented,
            window=window,
            frame=(spec.rows, spec.cols),
            from_above=from_above,
            shift=int(
                parity and mirror
            ),  # mirrored views of the published lists are one column off
            strict=parity,
        )
    except PixelError as error:
        raise type(error)(f"{image.image_id}: {error}") from error
    x0, y0, x1, y1 = _mirrored(placed.visible, inside.shape[1]) if mirror else placed.visible
    shown = np.zeros_like(inside)
    shown[y0:y1, x0:x1] = inside[y0:y1, x0:x1]
    return Frame(placed.corners, shown, (placed.note,))


def _fitted(image: Image, corners: Corners, spec: PixelSpec) -> tuple[Corners, tuple[str, ...]]:
    """Corners of the frame around what was cropped, so that resizing keeps its aspect or scale."""
    if spec.rows is None or spec.cols is None:
        return corners, ()
    even = image.view.position in FROM_ABOVE and not spec.align_ap
    of_breast = spec.one_scale_of == "breast"
    if spec.mm_per_px is not None and (image.spacing_mm is not None or of_breast):
        return _at_scale(image, corners, spec, even=even)
    if spec.pad_to_aspect:
        corners = _padded(corners, (spec.rows, spec.cols), even=even)
    if spec.mm_per_px is not None:
        return corners, ("no spacing in the file: scaled to the frame",)
    return corners, ()


def _at_scale(
    image: Image, corners: Corners, spec: PixelSpec, *, even: bool
) -> tuple[Corners, tuple[str, ...]]:
    """The frame's size in millimetres, or larger where the breast is; its scale as a note."""
    assert spec.rows and spec.cols and spec.mm_per_px
    row_mm, col_mm = (mm * halved_by(image) for mm in image.spacing_mm or NO_SPACING)
    x0, y0, x1, y1 = corners
    height, width = spec.rows * spec.mm_per_px / row_mm, spec.cols * spec.mm_per_px / col_mm
    larger = max(1.0, (y1 - y0) / height, (x1 - x0) / width)
    tall = max(y1 - y0, round(height * larger))
    wide = max(x1 - x0, round(width * larger))
    y0 -= (tall - (y1 - y0)) // 2 if even else 0
    why = ", so that the frame holds the whole breast" if larger > 1 else ""
    if spec.one_scale_of == "breast" and not why:
        why = ", the scale of both views of the breast"
    unit = "mm" if image.spacing_mm else "pixels of the file"
    note = f"{spec.mm_per_px * larger:.3g} {unit} a processed pixel{why}"
    return (x0, y0, x0 + wide, y0 + tall), (note,)


def _padded(corners: Corners, size: Size, *, even: bool) -> Corners:
    """Widen to the aspect of ``size``: on the air side, or below, or evenly above and below."""
    x0, y0, x1, y1 = corners
    rows, cols = size
    height = max(y1 - y0, round((x1 - x0) * rows / cols))
    width = max(x1 - x0, round((y1 - y0) * cols / rows))
    above = (height - (y1 - y0)) // 2 if even else 0
    return x0, y0 - above, x0 + width, y0 - above + height


def _cut(
    image: Image, frame: Frame, *, mirror: bool, display: Display
) -> tuple[MovedLevels, MovedMask]:
    """Display levels of the frame, 0 outside the mask and beyond the image, chest wall left."""
    rows, cols = image.pixels.shape
    x0, y0, x1, y1 = _mirrored(frame.corners, cols) if mirror else frame.corners
    inside = np.s_[max(y0, 0) : min(y1, rows), max(x0, 0) : min(x1, cols)]
    mask = frame.mask[inside]
    levels = to_levels(image.pixels[inside], display, invert=is_inverted(image, display))
    levels = _zero_outside(levels, mask)
    mask_bytes: Any = mask.view(np.uint8)
    if (y0, x0, y1, x1) != (max(y0, 0), max(x0, 0), min(y1, rows), min(x1, cols)):
        border = (max(-y0, 0), max(y1 - rows, 0), max(-x0, 0), max(x1 - cols, 0))
        levels = cv2.copyMakeBorder(levels, *border, cv2.BORDER_CONSTANT, value=0)
        mask_bytes = cv2.copyMakeBorder(mask_bytes, *border, cv2.BORDER_CONSTANT, value=0)
    if mirror:
        levels, mask_bytes = cv2.flip(levels, 1), cv2.flip(mask_bytes, 1)
    return levels, mask_bytes.astype(bool)


def _aligned(
    image: Image, spec: PixelSpec, levels: Levels, mask: Mask, geometry: Geometry
) -> tuple[MovedLevels, MovedMask, Geometry, tuple[str, ...]]:
    """Turn so that columns are depths in front of the chest wall, crop again, and pad."""
    turn = alignment(
        levels,
        mask,
        image.view.position,
        method=spec.ap_line,
        fallback_degrees=spec.ap_fallback_degrees,
    )
    done = align(levels, mask, geometry, turn)
    rows, cols = done.mask.shape
    corners, notes = _fitted(image, (0, 0, cols, rows), spec)
    _, _, wide, tall = corners
    levels, mask, geometry = done.levels, done.mask, done.geometry
    if (tall, wide) != (rows, cols):
        border = (0, tall - rows, 0, wide - cols)
        levels = cv2.copyMakeBorder(levels, *border, cv2.BORDER_CONSTANT, value=0)
        mask = np.pad(mask, ((0, tall - rows), (0, wide - cols)))
        geometry = geometry.cropped(*corners)
    return levels, mask, geometry, (done.alignment.note, *notes)


def _zero_outside(
    levels: UInt16[np.ndarray, "row col"], mask: Bool[np.ndarray, "row col"]
) -> UInt16[np.ndarray, "row col"]:
    """Levels of at least 1 inside and 0 outside: from here on they hold the mask too."""
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
    small = cv2.resize(mask.view(np.uint8) * np.uint8(255), wanted, interpolation=method) >= 128
    return _zero_outside(cv2.resize(levels, wanted, interpolation=method), small), small


def halved_by(image: Image) -> int:
    """Stored pixels along the side of one image pixel: 1, or 2, 4, ... if decoded smaller."""
    long_side = max(int(side) for side in image.pixels.shape)
    return max(1, round(max(image.stored_size) / long_side))


def _geometry(image: Image, frame: Frame, turned: Turned, *, mirror: bool) -> Geometry:
    """The way from the file's own pixels to what was cut."""
    geometry = Geometry(turned.stored_size)
    rows, cols = image.pixels.shape
    factor = halved_by(image)
    if factor > 1:
        is_exchanged = turned.turn is not None and turned.turn.exchanged
        size = (cols, rows) if is_exchanged else (rows, cols)
        geometry = geometry.decoded_smaller(*size, factor)
    geometry = with_turn(geometry, turned.turn)
    geometry = geometry.mirrored() if mirror else geometry
    return geometry if frame.corners == (0, 0, cols, rows) else geometry.cropped(*frame.corners)
