"""The anterior-posterior axis of a view: how deep a point lies, and where another view has it.

d = (n - p) . a x spacing: p the point, n the nipple, a = (cos t, sin t) with t = 0 in CC and the
angle of the pectoral line in MLO, in the oriented frame (chest wall at the left). The other view
has the same depth along the line through n - (d / spacing) a perpendicular to its own a.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fourview.entities import Image
from fourview.errors import PixelError
from fourview.preprocess.breast import find_breast
from fourview.preprocess.nipple import find_nipple
from fourview.preprocess.pectoral import find_pectoral
from fourview.preprocess.window import to_levels
from fourview.report.display import Hung

OBLIQUE = frozenset({"MLO"})
ALONG = frozenset({"CC", "XCC", "XCCL", "XCCM"})  # views whose axis runs along the rows
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The axis of one image, in the oriented frame.

    Attributes:
        nipple: (x, y), pixels.
        degrees: Of the axis to the rows, clockwise as displayed.
        turned: Whether stored x is the image's columns less oriented x.
        spacing_mm: Of a pixel; rows and columns alike.
    """

    nipple: tuple[float, float]
    degrees: float
    turned: bool
    spacing_mm: float

    def depth_mm(self, point: tuple[float, float]) -> float:
        """How far a point of the oriented frame lies behind the nipple, along the axis."""
        t = math.radians(self.degrees)
        x, y = self.nipple[0] - point[0], self.nipple[1] - point[1]
        return (x * math.cos(t) + y * math.sin(t)) * self.spacing_mm

    def json(self) -> Json:
        """As the page takes it."""
        return {
            "nipple": self.nipple,
            "degrees": self.degrees,
            "turned": self.turned,
            "spacing": self.spacing_mm,
        }


def axis_of(image: Image, hung: Hung) -> Axis | str:
    """The axis of an image, or why it has none.

    Args:
        image: As read.
        hung: How it is displayed: where its chest wall is.
    """
    position = image.view.position
    reason = _why_none(image, hung)
    if reason is not None:
        return reason
    assert image.spacing_mm is not None
    try:
        breast = find_breast(image)
    except PixelError as error:
        return str(error)
    turned = hung.chest_wall == "right"
    mask = np.ascontiguousarray(breast.mask[:, ::-1]) if turned else breast.mask
    degrees = 0.0
    if position in OBLIQUE:
        levels = to_levels(image.pixels, hung.display, invert=hung.inverted)
        oriented = np.ascontiguousarray(levels[:, ::-1]) if turned else levels
        line = find_pectoral(oriented, mask)
        if line is None:
            return "no pectoral line was found"
        degrees = line.degrees
    nipple = find_nipple(mask, degrees=degrees)
    if nipple is None:
        return "no nipple was found"
    spacing = math.sqrt(image.spacing_mm[0] * image.spacing_mm[1])
    return Axis(nipple=nipple, degrees=degrees, turned=turned, spacing_mm=spacing)


def _why_none(image: Image, hung: Hung) -> str | None:
    if image.view.position not in OBLIQUE | ALONG:
        return f"the axis of a view {image.view.position} is not known"
    if image.spacing_mm is None:
        return "the file has no pixel spacing"
    if hung.chest_wall is None:
        return "the chest wall was not found"
    return None
