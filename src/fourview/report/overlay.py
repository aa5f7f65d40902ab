"""What lies over a displayed image: heatmaps as coloured layers, findings as boxes.

Colour:  the upper part of matplotlib's inferno, violet to yellow: its lightness rises steadily, so
         the order of values is seen without colour vision, and none of it is grey. Boxes are cyan,
         which the colour ramp has nowhere.
Opacity: rises with the value up to SOLID, so that a value near 0 leaves the image as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from fourview.entities import Finding, Heatmap
from fourview.geometry import Box, Geometry, Size
from fourview.report.display import Shown

SOLID = 0.6  # value from which a layer hides what is under it; below, bright tissue shines through
RAMP_START, RAMP_END = 70, 245  # of inferno's 256: below 70 it is as dark as the image's air
SHADOW = ((-1, -1), (-1, 1), (1, -1), (1, 1), (0, 2), (2, 0))  # around a label, in pixels
BOX_BGR = (230, 225, 92)  # cyan
BOX_RGB = "#5ce1e6"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A finding's region on one displayed image.

    Attributes:
        name: For its label; see ``short_names``.
        box: In the displayed frame.
    """

    finding_id: str
    name: str
    score: float | None
    box: Box


def marks_on(image_id: str, findings: Sequence[Finding], geometry: Geometry) -> tuple[Mark, ...]:
    """The regions that lie on one image, moved from the stored to the displayed frame.

    Args:
        image_id: Which image.
        findings: Of the exam; regions on other images are passed over.
        geometry: ``Shown.geometry`` of that image.
    """
    names = short_names(findings)
    return tuple(
        Mark(
            finding_id=f.finding_id,
            name=names[f.finding_id],
            score=f.score,
            box=geometry.box_to_processed(region.box),
        )
        for f in findings
        for region in f.regions
        if region.image_id == image_id
    )


def short_names(findings: Sequence[Finding]) -> dict[str, str]:
    """Names without what all of an exam's findings begin with, up to a slash; by finding_id.

    Data sets put patient and exam before a finding's own name, which hides the picture under it.
    """
    parts = {finding.finding_id: finding.finding_id.split("/") for finding in findings}
    shared = 0
    for column in zip(*(words[:-1] for words in parts.values()), strict=False):
        if len(set(column)) > 1:
            break
        shared += 1
    return {name: "/".join(words[shared:]) for name, words in parts.items()}


def ramp() -> UInt8[np.ndarray, "256 4"]:
    """Colour (BGR) and opacity of the values 0 to 1 in 256 steps."""
    index = np.linspace(RAMP_START, RAMP_END, 256).round().astype(np.uint8)
    bgr = cv2.applyColorMap(index[:, None], cv2.COLORMAP_INFERNO)[:, 0]
    opacity = np.minimum(np.linspace(0, 1, 256) / SOLID, 1) * 255
    return np.column_stack([bgr, opacity.round().astype(np.uint8)])


def heat_layer(heatmap: Heatmap, shown: Geometry) -> UInt8[np.ndarray, "row col 4"]:
    """A heatmap as a transparent BGRA layer over the displayed image.

    The grid is brought from the processed frame through the stored to the displayed one, with
    linear interpolation between the centres of its cells. Cells that are NaN, and whatever the
    processed frame does not cover, are transparent.

    Args:
        heatmap: With the way from its image's stored frame to the processed one.
        shown: The way from the stored frame to the displayed one.
    """
    values = warp(heatmap, shown)
    steps = np.rint(np.nan_to_num(values) * 255).astype(np.uint8)  # unknown is as clear as 0
    return np.asarray(ramp()[steps])


def warp(heatmap: Heatmap, shown: Geometry) -> Float[np.ndarray, "row col"]:
    """The heatmap's values in the displayed frame, in [0, 1]; NaN where it has none."""
    rows, cols = shown.processed_size
    matrix = grid_to_shown(heatmap, shown)
    centred = matrix.copy()  # OpenCV puts (0, 0) on the centre of the first pixel
    centred[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    grid = np.clip(heatmap.values.astype(np.float32), 0, 1)
    values = cv2.warpAffine(  # NaN spreads over the cells beside it: unknown stays unknown
        grid, centred, (cols, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(np.where(_covered(heatmap, matrix, (rows, cols)), values, np.float32("nan")))


def grid_to_shown(heatmap: Heatmap, shown: Geometry) -> Float[np.ndarray, "2 3"]:
    """The affine map from a heatmap's cells (x, y) to the displayed frame."""
    rows, cols = heatmap.values.shape
    height, width = heatmap.geometry.processed_size
    corners = np.array([(0.0, 0.0), (width, 0.0), (0.0, height)])
    moved = shown.to_processed(heatmap.geometry.to_stored(corners))
    return np.column_stack([(moved[1] - moved[0]) / cols, (moved[2] - moved[0]) / rows, moved[0]])


def composite(
    shown: Shown, heatmap: Heatmap | None, marks: Sequence[Mark]
) -> UInt8[np.ndarray, "row col 3"]:
    """The displayed image with a heatmap and boxes drawn in, BGR."""
    picture = cv2.cvtColor(shown.pixels, cv2.COLOR_GRAY2BGR)
    if heatmap is not None:
        layer = heat_layer(heatmap, shown.geometry)
        opacity = layer[..., 3:].astype(np.float32) / 255 * 0.6  # as the page opens
        mixed = picture * (1 - opacity) + layer[..., :3] * opacity
        picture = np.rint(mixed).astype(np.uint8)
    for mark in marks:
        corner, other = (_point(mark.box.x0, mark.box.y0), _point(mark.box.x1, mark.box.y1))
        cv2.rectangle(picture, corner, other, BOX_BGR, 2, cv2.LINE_AA)
        text = mark.name if mark.score is None else f"{mark.name} {mark.score:.2f}"
        write_on(picture, text, (corner[0], max(corner[1] - 6, 14)))
    return picture


def write_on(
    picture: UInt8[np.ndarray, "row col 3"],
    text: str,
    place: tuple[int, int],
    colour: tuple[int, int, int] = BOX_BGR,
    *,
    size: float = 0.6,
) -> None:
    """Write on a black shadow, into ``picture``.

    Args:
        picture: BGR.
        text: One line.
        place: Column and row of the lower left corner of the text.
        colour: BGR.
        size: 1 is about 22 pixels high.
    """
    font, line = cv2.FONT_HERSHEY_SIMPLEX, cv2.LINE_AA
    for x, y in SHADOW:
        cv2.putText(picture, text, (place[0] + x, place[1] + y), font, size, (0, 0, 0), 1, line)
    cv2.putText(picture, text, place, font, size, colour, 1, line)


def _covered(
    heatmap: Heatmap, matrix: Float[np.ndarray, "2 3"], size: Size
) -> Bool[np.ndarray, "row col"]:
    """Where the centre of a displayed pixel lies on the heatmap's grid."""
    rows, cols = heatmap.values.shape
    back = np.linalg.inv(matrix[:, :2])
    x, y = np.arange(size[1]) + 0.5 - matrix[0, 2], np.arange(size[0]) + 0.5 - matrix[1, 2]
    grid_x = back[0, 0] * x + back[0, 1] * y[:, None]
    grid_y = back[1, 0] * x + back[1, 1] * y[:, None]
    return np.asarray((grid_x >= 0) & (grid_x < cols) & (grid_y >= 0) & (grid_y < rows))


def _point(x: float, y: float) -> tuple[int, int]:
    return round(x), round(y)
