"""The anterior-posterior axis of a view: a point's depth, and the line it is on in another view.

d = (n - p) . a x spacing: p the point, n the nipple, a = (cos t, sin t) with t = 0 in CC and the
angle of the pectoral line in MLO, in the oriented frame (chest wall at the left). The other view
has the same depth along the line through n - (d / spacing) a perpendicular to its own a.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt16

from fourview.entities import Image
from fourview.errors import PixelError
from fourview.geometry import Box, Geometry
from fourview.preprocess.nipple import find_nipple
from fourview.preprocess.pectoral import find_pectoral
from fourview.preprocess.upright import stand_up, with_turn
from fourview.preprocess.window import choose_display, is_inverted, to_levels

OBLIQUE = frozenset({"MLO"})
ALONG = frozenset({"CC", "XCC", "XCCL", "XCCM"})  # views whose axis runs along the rows
Levels = UInt16[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The axis of one image, in the oriented frame.

    Attributes:
        nipple: (x, y), pixels.
        degrees: Angle of the axis to the rows, clockwise as displayed.
        turned: Whether stored x is the image's columns less oriented x.
        spacing_mm: Size of a pixel; rows and columns alike.
    """

    nipple: tuple[float, float]
    degrees: float
    turned: bool
    spacing_mm: float

    def depth_mm(self, point: tuple[float, float]) -> float:
        """How far a point of the oriented frame lies behind the nipple, along the axis.

        >>> Axis(nipple=(90.0, 50.0), degrees=0.0, turned=False, spacing_mm=0.5).depth_mm((30, 20))
        30.0
        """
        t = math.radians(self.degrees)
        x, y = self.nipple[0] - point[0], self.nipple[1] - point[1]
        return (x * math.cos(t) + y * math.sin(t)) * self.spacing_mm

    def across_mm(self, point: tuple[float, float]) -> float:
        """How far a point of the oriented frame lies from the axis; up on the image is above 0.

        Up is lateral in CC and superior in MLO, as mammograms hang.

        >>> Axis(nipple=(90.0, 50.0), degrees=0.0, turned=False, spacing_mm=0.5).across_mm((30, 20))
        15.0
        """
        t = math.radians(self.degrees)
        x, y = point[0] - self.nipple[0], point[1] - self.nipple[1]
        return (x * math.sin(t) - y * math.cos(t)) * self.spacing_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedAxis:
    """An axis with the way to it from the stored frame.

    Attributes:
        axis: The axis in the oriented frame.
        geometry: The way from the stored to the oriented frame.
        position: Position of the view: CC, MLO, ...
    """

    axis: Axis
    geometry: Geometry
    position: str

    def place(self, box: Box) -> tuple[float, float]:
        """Depth behind the nipple and distance from the axis of a stored box's centre, in mm."""
        x, y = self.geometry.to_processed(np.array(box.center)).tolist()
        return float(self.axis.depth_mm((x, y))), float(self.axis.across_mm((x, y)))


def find_axis(image: Image) -> PlacedAxis | str:
    """The axis of an image as it is read, or why it has none."""
    reason = why_no_axis(image)
    if reason is not None:
        return reason
    try:
        standing, breast, turn, _ = stand_up(image)
        if breast.chest_wall is None:
            return "the chest wall was not found"
        display, _ = choose_display(standing, breast.mask, range_="window", voi="header")
        inverted = is_inverted(standing, display)
        axis = axis_from(
            standing,
            breast.mask,
            lambda: to_levels(standing.pixels, display, invert=inverted),
            turned=breast.chest_wall == "right",
        )
    except PixelError as error:
        return str(error)
    if isinstance(axis, str):
        return axis
    geometry = Geometry(image.stored_size)
    if image.pixels.shape != image.stored_size:
        geometry = geometry.resized(*image.pixels.shape)
    geometry = with_turn(geometry, turn)
    return PlacedAxis(
        axis=axis,
        geometry=geometry.mirrored() if axis.turned else geometry,
        position=image.view.position,
    )


def axis_from(
    image: Image, mask: Mask, levels: Callable[[], Levels], *, turned: bool
) -> Axis | str:
    """The axis of an image whose breast is known, or why it has none.

    Args:
        image: Standing, with pixel spacing.
        mask: True inside the breast.
        levels: Gives display levels, bright for dense tissue; called only for oblique views.
        turned: Whether its chest wall is on the right.
    """
    oriented = np.ascontiguousarray(mask[:, ::-1]) if turned else mask
    degrees = 0.0
    if image.view.position in OBLIQUE:
        shown = levels()
        line = find_pectoral(np.ascontiguousarray(shown[:, ::-1]) if turned else shown, oriented)
        if line is None:
            return "no pectoral line was found"
        degrees = line.degrees
    nipple = find_nipple(oriented, degrees=degrees)
    if nipple is None:
        return "no nipple was found"
    assert image.spacing_mm is not None
    rows, cols = image.pixels.shape
    smaller = math.sqrt(image.stored_size[0] * image.stored_size[1] / (rows * cols))
    spacing = math.sqrt(image.spacing_mm[0] * image.spacing_mm[1]) * smaller
    return Axis(nipple=nipple, degrees=degrees, turned=turned, spacing_mm=spacing)


def why_no_axis(image: Image) -> str | None:
    """Why the axis of an image cannot be known, whatever its pixels show; None where it can."""
    if image.view.position not in OBLIQUE | ALONG:
        return f"the axis of a view {image.view.position} is not known"
    if image.spacing_mm is None:
        return "the file has no pixel spacing"
    return None
