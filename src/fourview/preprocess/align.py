"""AP alignment: turn an MLO view so that its rows run from the chest wall to the nipple.

In CC the columns are depths in front of the chest wall already. In MLO the pectoral line is the
chest wall and leans; once it is vertical, a column is the same depth in both views of a breast,
while rows still mean different things (medial to lateral, superior to inferior).

Source:  Du, Chen, Dvornek, MICCAI 2025 (GLAM). Differs: the canvas is enlarged before turning (the
         published step cuts off 6 to 22 % of the breast); an MLO without a line stays as it is
         (published: 18 degrees) unless the caller gives an angle; the status is part of the result.
         The published nipple mode, in which the perpendicular from the nipple to the line becomes
         horizontal, is the same rotation for a straight line.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from jaxtyping import Float64, Shaped, UInt16

from fourview.geometry import Geometry, Step
from fourview.preprocess.pectoral import Mask, Method, PectoralLine, Pixels, find_pectoral

PUBLISHED_FALLBACK_DEGREES = 18.0  # GLAM turns by this where it finds no line
ROTATED_POSITIONS = frozenset({"MLO"})

Status = Literal["line_found", "no_line", "not_oblique"]


@dataclass(frozen=True, slots=True)
class Alignment:
    """What to do with one image.

    Attributes:
        degrees: Angle for ``Geometry.rotated``: clockwise as displayed, so below 0 for most MLOs.
        status: line_found; no_line: an MLO whose muscle is absent or cannot be told from other
            tissue; not_oblique: a view that is aligned as it is.
        line: The pectoral line before turning; None where there is none.
    """

    degrees: float
    status: Status
    line: PectoralLine | None = None

    @property
    def note(self) -> str:
        """One sentence for the report."""
        if self.line is not None:
            return f"AP axis turned by {self.degrees:.1f} degrees, along the pectoral line"
        if self.status == "not_oblique":
            return "AP axis along the rows, as in every view that is not oblique"
        turned = f"turned by {self.degrees:.1f} degrees" if self.degrees else "not turned"
        return f"no pectoral line found: AP axis unknown, image {turned}"


@dataclass(frozen=True, slots=True)
class Aligned:
    """Pixels whose columns are depths along the AP axis.

    Attributes:
        levels: 0 outside the mask, at least 1 inside.
        mask: True inside the breast; without the muscle unless that was kept.
        geometry: The geometry that was given, with the steps rotate and crop.
        alignment: What was decided.
    """

    levels: UInt16[np.ndarray, "row col"]
    mask: Mask
    geometry: Geometry
    alignment: Alignment


def alignment(
    pixels: Pixels,
    mask: Mask,
    position: str,
    *,
    method: Method = "oriented",
    fallback_degrees: float = 0.0,
) -> Alignment:
    """Decide how far to turn one image.

    Args:
        pixels: Oriented pixels (chest wall left), bright for dense tissue.
        mask: True inside the breast.
        position: The view's position, such as MLO; any other stays as it is.
        method: How the line is looked for.
        fallback_degrees: Angle of the AP axis that is assumed of an MLO without a line.
    """
    if position not in ROTATED_POSITIONS:
        return Alignment(0.0, "not_oblique")
    line = find_pectoral(pixels, mask, method=method)
    if line is None:
        return Alignment(-fallback_degrees if fallback_degrees else 0.0, "no_line")
    return Alignment(-line.degrees, "line_found", line)


def align(
    levels: UInt16[np.ndarray, "row col"],
    mask: Mask,
    geometry: Geometry,
    decided: Alignment,
    *,
    keep_muscle: bool = False,
) -> Aligned:
    """Turn an image on a canvas that loses nothing, then crop it to the breast again.

    Args:
        levels: Oriented display levels, 0 outside the mask.
        mask: True inside the breast.
        geometry: The way from stored pixels to ``levels``.
        decided: What ``alignment`` decided.
        keep_muscle: False cuts at the pectoral line, so that column 0 is the chest wall; what lies
            over the muscle (often lymph nodes) is then left of the image. True keeps everything.

    Returns:
        The image as it was, geometry included, where it needs no turn or the cut would leave
        nothing.
    """
    if not decided.degrees:
        return Aligned(levels, mask, geometry, decided)
    turned = geometry.rotated(decided.degrees)
    step = turned.steps[-1]
    inside = np.asarray(warp(mask * np.uint8(255), step) >= 128)
    if decided.line is not None and not keep_muscle:
        inside[:, : _chest_wall(decided.line, step)] = False
    x0, y0, width, height = cv2.boundingRect(inside.view(np.uint8))
    if not width:
        return Aligned(levels, mask, geometry, Alignment(0.0, "no_line"))
    kept = np.s_[y0 : y0 + height, x0 : x0 + width]
    inside = np.ascontiguousarray(inside[kept])
    return Aligned(
        np.asarray(np.maximum(warp(levels, step)[kept], 1) * inside),
        inside,
        turned.cropped(x0, y0, x0 + width, y0 + height),
        decided,
    )


def warp(
    pixels: Shaped[np.ndarray, "row col"], step: Step
) -> Shaped[np.ndarray, "new_row new_col"]:
    """Move pixels as ``step`` moves coordinates; bilinear, 0 where nothing was.

    OpenCV counts from the centre of the first pixel, ``fourview.geometry`` from its corner.
    """
    matrix = np.reshape(step.matrix, (2, 3)).copy()
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    rows, cols = step.size
    moved: Any = cv2.warpAffine(pixels, matrix, (cols, rows), flags=cv2.INTER_LINEAR)
    return np.asarray(moved)


def _chest_wall(line: PectoralLine, step: Step) -> int:
    """The column that the line becomes."""
    matrix: Float64[np.ndarray, "2 3"] = np.reshape(step.matrix, (2, 3))
    foot = line.axis * line.offset_px
    column = float(matrix[0, :2] @ foot + matrix[0, 2])
    return max(0, math.floor(column + 0.5))
