"""The anterior-posterior axis of a displayed image: ``preprocess.axis`` as the page takes it."""

from typing import Any

from fourview.entities import Image
from fourview.errors import PixelError
from fourview.preprocess.axis import Axis, axis_from, why_no_axis
from fourview.preprocess.breast import find_breast
from fourview.preprocess.window import to_levels
from fourview.report.display import Hung

__all__ = ["Axis", "axis_json", "axis_of"]

Json = dict[str, Any]


def axis_json(axis: Axis) -> Json:
    """An axis as the page takes it."""
    return {
        "nipple": axis.nipple,
        "degrees": axis.degrees,
        "turned": axis.turned,
        "spacing": axis.spacing_mm,
    }


def axis_of(image: Image, hung: Hung) -> Axis | str:
    """The axis of an image, or why it has none.

    Args:
        image: As read.
        hung: How it is displayed: where its chest wall is.
    """
    reason = why_no_axis(image)
    if reason is not None:
        return reason
    if hung.chest_wall is None:
        return "the chest wall was not found"
    try:
        breast = find_breast(image)
    except PixelError as error:
        return str(error)
    return axis_from(
        image,
        breast.mask,
        lambda: to_levels(image.pixels, hung.display, invert=hung.inverted),
        turned=hung.chest_wall == "right",
    )
